"""A rigorous maximum of c(y) = int exp(-beta (x - y)^2) dmu(x) over an interval, mu >= 0.

c is entire with |c(y + i t)| <= exp(beta t^2) c(y). On a piece of half width h = 1 / sqrt(beta)
its Chebyshev interpolant of degree n therefore errs by at most

    4 M r^-n / (r - 1),   M = exp(beta t^2) sup c,   t = h (r - 1/r) / 2,

for every r > 1 (Trefethen, Approximation Theory and Approximation Practice, theorem 8.2). The
maximum of the interpolants is found by branch and bound: on a cell of width s the chord plus
s^2 / 8 times a bound of the second derivative, sum_k |a_k| k^2 (k^2 - 1) / 3 on [-1, 1].
Where c is flat the coefficients are tiny and so is the bound: no cell is ever split there, unlike
with the convexity of log c + beta y^2 alone, which costs beta s^2 / 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

_DEGREE = 24
_CELLS = 64
_ROUNDS = 60


@cache
def _interpolation() -> tuple[ndarray, ndarray]:
    """Chebyshev points, and the matrix from values at them to Chebyshev coefficients."""
    points = np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE)
    return points, np.linalg.inv(np.polynomial.chebyshev.chebvander(points, _DEGREE))


def interpolation_error(degree: int = _DEGREE) -> float:
    """The least bound over r, for sup c = 1 and pieces of half width 1 / sqrt(beta)."""
    r = np.linspace(1.5, 15.0, 500)
    t = 0.5 * (r - 1.0 / r)
    return float((4.0 * np.exp(t**2 - degree * np.log(r)) / (r - 1.0)).min())


@dataclass(frozen=True)
class Interpolant:
    """Chebyshev coefficients (degree + 1, pieces) of c on adjacent pieces of equal width."""

    lo: float
    half: float
    coefficients: Float[ndarray, "n pieces"]

    def value(self, piece: Float[ndarray, " k"] | ndarray, t: Float[ndarray, " k"]) -> ndarray:
        """The interpolants of the given pieces at t in [-1, 1], by Clenshaw's recurrence."""
        a = self.coefficients[:, piece]
        b1, b2 = np.zeros(len(t)), np.zeros(len(t))
        for k in range(len(a) - 1, 0, -1):
            b1, b2 = 2.0 * t * b1 - b2 + a[k], b1
        return cast(ndarray, t * b1 - b2 + a[0])


def interpolate(c: Callable[[ndarray], ndarray], lo: float, hi: float, beta: float) -> Interpolant:
    """Chebyshev interpolants of c on [lo, hi]; ``c`` is called once with all points, in order."""
    pieces = max(1, int(np.ceil((hi - lo) * np.sqrt(beta) / 2.0)))
    half = 0.5 * (hi - lo) / pieces
    points, matrix = _interpolation()
    middles = lo + half * (2.0 * np.arange(pieces) + 1.0)
    y = (middles[:, None] + half * points[::-1]).ravel()
    values = c(y).reshape(pieces, _DEGREE + 1)[:, ::-1]
    return Interpolant(lo, half, matrix @ values.T)


def grid_values(f: Interpolant) -> tuple[ndarray, ndarray]:
    """y and f on 65 equally spaced points of every piece, (pieces, 65)."""
    t = np.linspace(-1.0, 1.0, _CELLS + 1)
    vander = np.polynomial.chebyshev.chebvander(t, _DEGREE)
    piece = np.arange(f.coefficients.shape[1])
    y = f.lo + f.half * (2 * piece[:, None] + 1 + t)
    return y, (vander @ f.coefficients).T


def maximum(f: Interpolant, tolerance: float) -> float:
    """An upper bound of sup c from its interpolants, within about ``tolerance`` of it."""
    k = np.arange(len(f.coefficients))
    bend = np.abs(f.coefficients.T) @ (k**2 * (k**2 - 1.0) / 3.0)
    t = np.linspace(-1.0, 1.0, _CELLS + 1)
    _, values = grid_values(f)
    upper = found = float(values.max())
    piece = np.repeat(np.arange(len(bend)), _CELLS)
    left, right = np.tile(t[:-1], len(bend)), np.tile(t[1:], len(bend))
    at_left, at_right = values[:, :-1].ravel(), values[:, 1:].ravel()
    for _ in range(_ROUNDS):
        bound = np.maximum(at_left, at_right) + (right - left) ** 2 / 8.0 * bend[piece]
        settled = bound <= found + tolerance
        upper = max(upper, float(bound[settled].max(initial=-np.inf)))
        if settled.all():
            break
        go = ~settled
        piece, left, right = piece[go], left[go], right[go]
        at_left, at_right, bound = at_left[go], at_right[go], bound[go]
        middle = 0.5 * (left + right)
        at_middle = f.value(piece, middle)
        found = max(found, float(at_middle.max()))
        piece = np.concatenate([piece, piece])
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
        at_left, at_right = (
            np.concatenate([at_left, at_middle]),
            np.concatenate([at_middle, at_right]),
        )
    else:
        upper = max(upper, float(bound.max()))
    error = interpolation_error()
    # sup c <= upper + error sup c on the interval.
    return upper / (1.0 - error)
