"""Operators of squared error on uniform grids: banded on the line, a product in the plane.

See rdbench.inference.kernels for what they promise, and rdbench.inference.scan_kernel for absolute
error on the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.inference.kernels import Solve, banded_cholesky

# An entry below this fraction of its row's largest is dropped from a banded kernel. With
# Z_i >= p_i it changes Z_i by a relative 1e-60 / p_i, nothing wherever the source has nodes.
_NEGLIGIBLE = 1e-60


@dataclass(frozen=True)
class BandedKernel:
    """Squared error between the nodes of one uniform grid in 1-D: a banded Toeplitz matrix.

    Memory and time grow like n times the width of the band, which is short when beta is large,
    just where a fine grid is needed.
    """

    taps: Float[ndarray, " k"]
    costs: Float[ndarray, " k"]
    nodes: int
    shift: float = 0.0
    least: float = 0.0

    @staticmethod
    def half_width(step: float, beta: float) -> int:
        """How many entries on each side of the diagonal are kept."""
        return int(np.sqrt(-np.log(_NEGLIGIBLE) / beta) / step) + 1

    @classmethod
    def build(cls, nodes: int, step: float, beta: float) -> BandedKernel:
        """exp(-beta (step (i - j))^2) for |i - j| up to the half width.

        Raises:
            ValueError: beta is not positive or the band would be wider than the matrix.
        """
        if not (beta > 0 and np.isfinite(beta)):
            raise ValueError(f"a banded kernel needs beta > 0, got {beta}")
        half = cls.half_width(step, beta)
        if 2 * half + 1 > nodes:
            raise ValueError(f"a band of {2 * half + 1} does not fit {nodes} nodes")
        rho = (step * np.arange(-half, half + 1.0)) ** 2
        taps = np.exp(-beta * rho)
        return cls(taps, taps * rho, nodes)

    @property
    def shape(self) -> tuple[int, int]:
        return self.nodes, self.nodes

    def forward(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        return np.convolve(w, self.taps, mode="same")

    def adjoint(self, u: Float[ndarray, " n"]) -> Float[ndarray, " m"]:
        return np.convolve(u, self.taps, mode="same")

    def cost(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        return np.convolve(w, self.costs, mode="same")

    def factor(self, u: Float[ndarray, " n"], d: Float[ndarray, " m"]) -> Solve:
        """Banded Cholesky; entry (j, j + l) of K^T diag(u) K is sum_s u_{j+s} k_s k_{s-l}."""
        half, n = len(self.taps) // 2, self.nodes
        lower = np.zeros((2 * half + 1, n))
        padded = np.concatenate([np.zeros(half), u, np.zeros(half)])
        for lag in range(2 * half + 1):
            product = self.taps[lag:] * self.taps[: len(self.taps) - lag]
            # position j + lag - half .. j + half of u, which starts at j + lag in ``padded``
            lower[lag, : n - lag] = np.correlate(padded[lag:], product, mode="valid")[: n - lag]
        lower[0] += d
        return banded_cholesky(lower)


@dataclass(frozen=True)
class SeparableKernel:
    """A distortion that adds up over two coordinates, on product grids: K = A (x) B.

    Vectors over the grid run over the second coordinate fastest. A 256 x 256 grid costs two
    products of 256 x 256 matrices; the dense K would fill 32 GiB.
    """

    first: Float[ndarray, "n1 m1"]
    second: Float[ndarray, "n2 m2"]
    first_cost: Float[ndarray, "n1 m1"]
    second_cost: Float[ndarray, "n2 m2"]
    shift: float = 0.0
    least: float = 0.0

    @classmethod
    def build(
        cls, rho_first: Float[ndarray, "n1 m1"], rho_second: Float[ndarray, "n2 m2"], beta: float
    ) -> SeparableKernel:
        """exp(-beta (rho_first_ik + rho_second_jl)); some node must be near every source node."""
        first, second = np.exp(-beta * rho_first), np.exp(-beta * rho_second)
        return cls(first, second, first * rho_first, second * rho_second)

    @property
    def shape(self) -> tuple[int, int]:
        n1, m1 = self.first.shape
        n2, m2 = self.second.shape
        return n1 * n2, m1 * m2

    def _grid(self, w: ndarray) -> ndarray:
        return w.reshape(self.first.shape[1], self.second.shape[1])

    def forward(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        return cast(ndarray, (self.first @ self._grid(w) @ self.second.T).ravel())

    def adjoint(self, u: Float[ndarray, " n"]) -> Float[ndarray, " m"]:
        grid = u.reshape(self.first.shape[0], self.second.shape[0])
        return cast(ndarray, (self.first.T @ grid @ self.second).ravel())

    def cost(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        grid = self._grid(w)
        total = (self.first_cost @ grid) @ self.second.T + self.first @ (grid @ self.second_cost.T)
        return cast(ndarray, total.ravel())
