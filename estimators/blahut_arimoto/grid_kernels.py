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
_BLOCK = 64  # rows of a matrix that are taken together


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
class Narrow:
    """A matrix that is negligible away from a diagonal, as the blocks of rows that are left.

    At large beta a kernel of 1,000 by 1,000 nodes has some 35 entries in a row: products take a
    tenth of the time.
    """

    shape: tuple[int, int]
    blocks: tuple[tuple[slice, slice, ndarray], ...]

    @classmethod
    def of(cls, matrix: Float[ndarray, "n m"]) -> Narrow:
        """Drop what is below 1e-60 of the largest entry, as in `BandedKernel`."""
        rows, blocks = matrix.shape[0], []
        least = _NEGLIGIBLE * matrix.max()
        for at in range(0, rows, _BLOCK):
            here = slice(at, min(at + _BLOCK, rows))
            used = np.flatnonzero((matrix[here] > least).any(0))
            if used.size:
                there = slice(int(used[0]), int(used[-1]) + 1)
                blocks.append((here, there, np.ascontiguousarray(matrix[here, there])))
        if 2 * sum(block.size for *_, block in blocks) > matrix.size:
            blocks = [(slice(0, rows), slice(0, matrix.shape[1]), matrix)]
        return cls(matrix.shape, tuple(blocks))

    def times(self, x: Float[ndarray, "m k"]) -> Float[ndarray, "n k"]:
        """M x."""
        out = np.zeros((self.shape[0], x.shape[1]))
        for rows, columns, block in self.blocks:
            np.matmul(block, x[columns], out=out[rows])
        return out

    def transposed(self, x: Float[ndarray, "n k"]) -> Float[ndarray, "m k"]:
        """M^T x."""
        out = np.zeros((self.shape[1], x.shape[1]))
        for rows, columns, block in self.blocks:
            out[columns] += block.T @ x[rows]
        return out


@dataclass(frozen=True)
class SeparableKernel:
    """A distortion that adds up over two coordinates, on product grids: K = A (x) B.

    Vectors over the grid run over the second coordinate fastest. A 256 x 256 grid costs two
    products of 256 x 256 matrices; the dense K would fill 32 GiB.
    """

    first: Narrow
    second: Narrow
    first_cost: Narrow
    second_cost: Narrow
    shift: float = 0.0
    least: float = 0.0

    @classmethod
    def build(
        cls, rho_first: Float[ndarray, "n1 m1"], rho_second: Float[ndarray, "n2 m2"], beta: float
    ) -> SeparableKernel:
        """exp(-beta (rho_first_ik + rho_second_jl)); some node must be near every source node."""
        first, second = np.exp(-beta * rho_first), np.exp(-beta * rho_second)
        costs = Narrow.of(first * rho_first), Narrow.of(second * rho_second)
        return cls(Narrow.of(first), Narrow.of(second), *costs)

    @property
    def shape(self) -> tuple[int, int]:
        n1, m1 = self.first.shape
        n2, m2 = self.second.shape
        return n1 * n2, m1 * m2

    def forward(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        return self._product(self.first, self.second, w)

    def adjoint(self, u: Float[ndarray, " n"]) -> Float[ndarray, " m"]:
        grid = u.reshape(self.first.shape[0], self.second.shape[0])
        return self.second.transposed(self.first.transposed(grid).T).T.ravel()

    def cost(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        first = self._product(self.first_cost, self.second, w)
        second = self._product(self.first, self.second_cost, w)
        return cast(ndarray, first + second)

    def _product(self, a: Narrow, b: Narrow, w: ndarray) -> ndarray:
        grid = w.reshape(a.shape[1], b.shape[1])
        return b.times(a.times(grid).T).T.ravel()
