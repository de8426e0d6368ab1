"""The operator of absolute error in one dimension, in linear time: exp(-beta |x - y|).

The kernel is Markov: what lies to the left of a node acts on what lies to its right through one
number. Products with K are two recursions, and the inverse of K on its own nodes is tridiagonal,
so that even the Newton step of the interior point costs O(n). See rdbench.inference.kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.inference.kernels import Solve, banded_cholesky


def scan(x: ndarray, ratio: float) -> ndarray:
    """y with y_j = x_j + ratio y_{j-1}."""
    from scipy.signal import lfilter  # takes a second to import, which other problems do not need

    return cast(ndarray, lfilter([1.0], [1.0, -ratio], x))


@dataclass(frozen=True)
class ScanKernel:
    """Absolute error in 1-D in O(n): uniform reproduction nodes, source nodes inside the cells.

    Cell k lies between the reproduction nodes k and k + 1 and holds one source node at every
    fraction in ``offsets``; source nodes are numbered cell by cell. Sums over all nodes to the
    left and to the right are first-order recursions with the ratio exp(-beta step).
    """

    nodes: int
    step: float
    beta: float
    offsets: Float[ndarray, " g"]
    shift: float = 0.0
    least: float = 0.0

    def __post_init__(self) -> None:
        if not (self.beta >= 0 and self.step > 0 and self.nodes >= 2):
            raise ValueError("a scan kernel needs beta >= 0, step > 0 and two nodes or more")
        # The rows are not shifted, which is right only where a node is near every source point.
        if self.beta * self.step > 100.0:
            raise ValueError(f"the step {self.step:g} is too coarse for beta = {self.beta:g}")

    @property
    def shape(self) -> tuple[int, int]:
        return (self.nodes - 1) * len(self.offsets), self.nodes

    @property
    def _ratio(self) -> float:
        return float(np.exp(-self.beta * self.step))

    @property
    def _left(self) -> Float[ndarray, " g"]:
        """exp(-beta distance) from the node on the left of a cell to its source nodes."""
        return np.exp(-self.beta * self.step * self.offsets)

    @property
    def _right(self) -> Float[ndarray, " g"]:
        return np.exp(-self.beta * self.step * (1.0 - self.offsets))

    def _scan(self, x: ndarray) -> ndarray:
        return scan(x, self._ratio)

    def forward(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        from_left = self._scan(w)[:-1, None] * self._left
        from_right = self._scan(w[::-1])[::-1][1:, None] * self._right
        return cast(ndarray, (from_left + from_right).ravel())

    def adjoint(self, u: Float[ndarray, " n"]) -> Float[ndarray, " m"]:
        cells = u.reshape(self.nodes - 1, -1)
        zero = np.zeros(1)
        to_right = self._scan(np.concatenate([zero, cells @ self._right]))
        to_left = self._scan(np.concatenate([zero, (cells @ self._left)[::-1]]))[::-1]
        return cast(ndarray, to_right + to_left)

    def cost(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        def one_side(w: ndarray, fractions: ndarray, edge: ndarray) -> ndarray:
            # sums of w r^k and of w r^k (distance); the second grows by one step per node
            mass = self._scan(w)
            before = np.concatenate([np.zeros(1), mass[:-1]])
            moment = self._scan(self._ratio * self.step * before)
            distance = self.step * fractions
            return edge * (moment[:-1, None] + mass[:-1, None] * distance)

        left = one_side(w, self.offsets, self._left)
        right = one_side(w[::-1], 1.0 - self.offsets, self._right)[::-1]
        return cast(ndarray, (left + right).ravel())

    def factor(self, u: Float[ndarray, " n"], d: Float[ndarray, " m"]) -> Solve:
        """O(n) through z = K_yy w, the values of Z at the reproduction nodes.

        K_yy^-1 = T is tridiagonal, and inside a cell Z'' = beta^2 Z, so that Z at a source node
        mixes z at the cell's two ends (matrix B). With x = T z the system turns into
        (B^T diag(u) B + T diag(d) T) z = T r, which has five diagonals.
        """
        a, width = self._ratio, self.beta * self.step
        scale = -np.expm1(-2.0 * width)
        near = np.sinh(width * (1.0 - self.offsets)) / np.sinh(width)
        far = np.sinh(width * self.offsets) / np.sinh(width)
        side = -a / scale
        centre = np.full(self.nodes, (1.0 + a * a) / scale)
        centre[[0, -1]] = 1.0 / scale

        def tridiagonal(x: ndarray) -> ndarray:
            y = centre * x
            y[1:] += side * x[:-1]
            y[:-1] += side * x[1:]
            return cast(ndarray, y)

        cells = u.reshape(self.nodes - 1, -1)
        lower = np.zeros((3, self.nodes))
        lower[0] = centre**2 * d
        lower[0, 1:] += side**2 * d[:-1] + cells @ far**2
        lower[0, :-1] += side**2 * d[1:] + cells @ near**2
        lower[1, :-1] = side * (centre[:-1] * d[:-1] + centre[1:] * d[1:]) + cells @ (near * far)
        lower[2, :-2] = side**2 * d[1:-1]
        inner = banded_cholesky(lower)
        return lambda r: tridiagonal(inner(tridiagonal(r)))
