"""Optimal weights on given points of the line: an interior point with a banded Newton system.

exp(-beta (x - y)^2) is negligible but for the points near x, so that K^T diag(u) K of sorted
points is a band: a thousand points cost no more than a hundred with dense matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import csr_array

from rdbench.inference.finite import interior_point
from rdbench.inference.kernels import DenseKernel, Solve, banded_cholesky

# exp(-55) = 1e-24 of the largest term of a row.
_REACH = 55.0
_DENSE = 250


@dataclass(frozen=True)
class LineKernel:
    """K_ij = exp(-beta ((x_i - y_j)^2 - min_j (x_i - y_j)^2)), sparse, for sorted x and y."""

    matrix: csr_array
    costs: csr_array
    shift: Float[ndarray, " n"]
    least: Float[ndarray, " n"]
    band: int

    @classmethod
    def build(
        cls, x: Float[ndarray, " n"], points: Float[ndarray, " m"], beta: float
    ) -> LineKernel:
        """Entries below exp(-55) of their row's largest are left out."""
        after = np.clip(np.searchsorted(points, x), 1, len(points) - 1)
        least = np.minimum((x - points[after - 1]) ** 2, (x - points[after]) ** 2)
        reach = np.sqrt(least + _REACH / beta)
        first, last = np.searchsorted(points, x - reach), np.searchsorted(points, x + reach)
        counts = last - first
        row = np.repeat(np.arange(len(x)), counts)
        start = np.concatenate([[0], np.cumsum(counts)])
        column = np.arange(start[-1]) - np.repeat(start[:-1] - first, counts)
        rho = (x[row] - points[column]) ** 2
        excess = rho - least[row]
        entries = np.exp(-beta * excess)
        shape = (len(x), len(points))
        return cls(
            csr_array((entries, column, start), shape=shape),
            csr_array((entries * excess, column, start), shape=shape),
            beta * least,
            least,
            int(counts.max()),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return self.matrix.shape[0], self.matrix.shape[1]

    def forward(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        """K w."""
        return cast(ndarray, self.matrix @ w)

    def adjoint(self, u: Float[ndarray, " n"]) -> Float[ndarray, " m"]:
        """K^T u."""
        return cast(ndarray, self.matrix.T @ u)

    def cost(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        """sum_j K_ij (rho_ij - least_i) w_j."""
        return cast(ndarray, self.costs @ w)

    def factor(self, u: Float[ndarray, " n"], d: Float[ndarray, " m"]) -> Solve:
        """Banded Cholesky of K^T diag(u) K + diag(d)."""
        scaled = self.matrix.multiply(np.sqrt(u)[:, None]).tocsr()
        normal = (scaled.T @ scaled).tocoo()
        lower = np.zeros((self.band, len(d)))
        below = normal.row >= normal.col
        lower[(normal.row - normal.col)[below], normal.col[below]] = normal.data[below]
        lower[0] += d
        return banded_cholesky(lower)


def optimal_weights(
    x: Float[ndarray, " n"],
    p: Float[ndarray, " n"],
    beta: float,
    points: Float[ndarray, " m"],
    start: Float[ndarray, " m"] | None,
) -> Float[ndarray, " m"]:
    """Weights that minimise F on sorted points, to 1e-9 where rounding allows it.

    Args:
        x, p: the source as sorted points with probabilities.
        beta: slope, > 0.
        points: sorted.
        start: weights to start from, uniform by default.
    """
    kernel: DenseKernel | LineKernel
    if len(points) <= _DENSE:
        kernel = DenseKernel.build((x[:, None] - points) ** 2, beta)
    else:
        kernel = LineKernel.build(x, points, beta)
    return interior_point(kernel, p, weights=start, tolerance=1e-9).weights
