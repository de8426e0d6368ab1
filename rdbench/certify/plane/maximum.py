"""A rigorous maximum of c(y) = int exp(-beta ||x - y||^2) dmu(x) over a rectangle, mu >= 0.

The plane version of ``maximum``: c is entire in each coordinate with |c(y + i t e)| <=
exp(beta t^2) c(y), so that its tensor Chebyshev interpolant on a square of half width
1 / sqrt(beta) errs by at most (1 + L) E sup c, E the error on the line and L = 1 + (2 / pi)
log(n + 1) the Lebesgue constant. The maximum of the interpolants is found by branch and bound: on
a cell of sides h the largest corner plus h^2 / 8 times bounds of both second derivatives, from
the coefficients; where that is not enough the square is cut in four and the polynomial expanded
again. docs/certificates.md, section 6.
"""

from __future__ import annotations

from functools import cache
from typing import cast

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from numpy.polynomial.chebyshev import chebvander

from rdbench.certify.maximum import interpolation_error
from rdbench.certify.plane.fields import Field

_DEGREE = 20
_CELLS = 16
_SPLITS = 24
_CHUNK = 2048
# Time and memory are in proportion to the number of squares.
_MOST_SQUARES = 50_000


@cache
def _tables() -> tuple[ndarray, ndarray, ndarray, ndarray, ndarray]:
    """Chebyshev points, values to coefficients, a fine grid, the two halves, k^2 (k^2 - 1) / 3."""
    points = np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE)
    inverse = np.linalg.inv(chebvander(points, _DEGREE))
    fine = chebvander(np.linspace(-1.0, 1.0, _CELLS + 1), _DEGREE)
    halves = np.stack(
        [inverse @ chebvander(0.5 * points + shift, _DEGREE) for shift in (-0.5, 0.5)]
    )
    k = np.arange(_DEGREE + 1.0)
    return points, inverse, fine, halves, k**2 * (k**2 - 1.0) / 3.0


def plane_error() -> float:
    """The bound of the tensor interpolant's error, for sup c = 1."""
    lebesgue = 1.0 + 2.0 / np.pi * np.log(_DEGREE + 1.0)
    return float((1.0 + lebesgue) * interpolation_error(_DEGREE))


def check_squares(
    lo: Float[ndarray, " 2"], hi: Float[ndarray, " 2"], beta: float
) -> Int[ndarray, " 2"]:
    """How many squares of half width at most 1 / sqrt(beta) cover the rectangle, along each axis.

    Raises:
        ValueError: more than 50,000 in all.
    """
    counts = np.maximum(np.ceil((hi - lo) * np.sqrt(beta) / 2.0), 1.0)
    if counts.prod() > _MOST_SQUARES:
        raise ValueError(
            f"beta = {beta:g} is too large for this range: the maximum of c would need "
            f"{counts.prod():.3g} squares, the limit is {_MOST_SQUARES}"
        )
    return cast(ndarray, counts.astype(int))


def maximum_plane(
    c: Field,
    lo: Float[ndarray, " 2"],
    hi: Float[ndarray, " 2"],
    beta: float,
    tolerance: float,
) -> float:
    """An upper bound of sup c, provided that c is nowhere larger than in the rectangle.

    Args:
        c: on products of coordinates.
        lo: the least corner of the rectangle (2,).
        hi: the largest.
        beta: the slope > 0.
        tolerance: by how much the bound may exceed the maximum, about.

    Raises:
        ValueError: the rectangle needs too many squares (``check_squares``).
    """
    points, inverse, _, _, _ = _tables()
    counts = check_squares(lo, hi, beta)
    half = 0.5 * (hi - lo) / counts
    nodes = [
        (lo[a] + half[a] * (2.0 * np.arange(counts[a]) + 1.0))[:, None] + half[a] * points
        for a in (0, 1)
    ]
    found, upper = 0.0, 0.0
    left: list[ndarray] = []
    second = nodes[1].ravel()
    for row in nodes[0]:
        values = c(row, second).reshape(_DEGREE + 1, counts[1], _DEGREE + 1).transpose(1, 0, 2)
        squares = inverse @ values @ inverse.T
        found = max(found, float(values.max()))
        total = np.abs(squares).sum((1, 2)) - np.abs(squares[:, 0, 0]) + squares[:, 0, 0]
        keep = total > found + 0.5 * tolerance
        upper = max(upper, float(total[~keep].max(initial=0.0)))
        left.append(squares[keep])
    squares = np.concatenate(left)
    for split in range(_SPLITS):
        if not len(squares):
            break
        bound, best = _bounds(squares)
        found = max(found, float(best.max()))
        keep = bound > found + tolerance
        upper = max(upper, float(bound[~keep].max(initial=0.0)))
        if split == _SPLITS - 1:
            upper = max(upper, float(bound.max()))
        squares = _quarter(squares[keep])
    return max(upper, found) / (1.0 - plane_error())


def _bounds(squares: ndarray) -> tuple[ndarray, ndarray]:
    """Upper bounds of the polynomials on their squares, and the largest values on a grid."""
    _, _, fine, _, bend = _tables()
    bounds, values = [], []
    for start in range(0, len(squares), _CHUNK):
        a = squares[start : start + _CHUNK]
        top = (fine @ a @ fine.T).max((1, 2))
        size = np.abs(a)
        curvature = (size.sum(2) @ bend) + (size.sum(1) @ bend)
        values.append(top)
        bounds.append(top + (2.0 / _CELLS) ** 2 / 8.0 * curvature)
    return np.concatenate(bounds), np.concatenate(values)


def _quarter(squares: ndarray) -> ndarray:
    """The coefficients on the four quarters of every square."""
    _, _, _, halves, _ = _tables()
    parts = [h1 @ squares @ h2.T for h1 in halves for h2 in halves]
    return np.concatenate(parts)
