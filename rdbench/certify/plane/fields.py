"""c(y), a sum of exp(-beta ||x - y||^2), on products of coordinates, and its local maxima."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import maximum_filter

from rdbench.certify.plane.solve import ascend

_PER_UNIT = 4.0
# log c rises by at most beta h^2 / 2 between the nodes of a grid with step h.
_RISE = 0.25 / _PER_UNIT**2
_ROWS = 200
_SEEDS = 200


def gaussians(
    y: Float[ndarray, " k"], x: Float[ndarray, " n"], beta: float
) -> Float[ndarray, "k n"]:
    """exp(-beta (y - x)^2)."""
    return cast(ndarray, np.exp(-beta * (y[:, None] - x) ** 2))


Field = Callable[[ndarray, ndarray], ndarray]
"""c on the product of first and second coordinates: (k1,), (k2,) -> (k1, k2)."""


def scattered(x: Float[ndarray, "n 2"], mass: Float[ndarray, " n"], beta: float) -> Field:
    """c of masses at any points."""

    def c(first: ndarray, second: ndarray) -> ndarray:
        left = gaussians(first, x[:, 0], beta) * mass
        return cast(ndarray, left @ gaussians(second, x[:, 1], beta).T)

    return c


def on_grid(
    x1: Float[ndarray, " g1"], x2: Float[ndarray, " g2"], mass: Float[ndarray, "g1 g2"], beta: float
) -> Field:
    """c of masses on a product grid: three small matrices instead of one sum per point.

    Args:
        x1: first coordinates (g1,).
        x2: second coordinates (g2,).
        mass: of the nodes (g1, g2).
        beta: the slope, nats per unit of distortion.
    """

    def c(first: ndarray, second: ndarray) -> ndarray:
        left = gaussians(first, x1, beta) @ mass
        return cast(ndarray, left @ gaussians(second, x2, beta).T)

    return c


def axes_over(
    lo: Float[ndarray, " 2"], hi: Float[ndarray, " 2"], beta: float, per_unit: float
) -> tuple[Float[ndarray, " k1"], Float[ndarray, " k2"]]:
    """Coordinates over a rectangle, so many to 1 / sqrt(2 beta)."""
    counts = np.ceil((hi - lo) * np.sqrt(2.0 * beta) * per_unit).astype(int) + 2
    return np.linspace(lo[0], hi[0], counts[0]), np.linspace(lo[1], hi[1], counts[1])


def grid_peaks(
    c: Field,
    x: Float[ndarray, "n 2"],
    mass: Float[ndarray, " n"],
    lo: Float[ndarray, " 2"],
    hi: Float[ndarray, " 2"],
    beta: float,
    above: float,
) -> tuple[Float[ndarray, "k 2"], float]:
    """Where c has local maxima with log c > ``above``, and the largest log c that was met.

    ``x`` and ``mass`` are the same c as a sum (or a coarser one), for the ascent to the peaks.

    Args:
        c: on products of coordinates.
        x: points of the source (n, 2).
        mass: p / Z at them (n,); c as a sum, for the ascent.
        lo: the least corner of the rectangle (2,).
        hi: the largest.
        beta: the slope > 0.
        above: log c from which a maximum counts.
    """
    axes = axes_over(lo, hi, beta, _PER_UNIT)
    values = np.concatenate(
        [c(axes[0][i : i + _ROWS], axes[1]) for i in range(0, len(axes[0]), _ROWS)]
    )
    top = values >= maximum_filter(values, 3, mode="nearest")
    i, j = np.nonzero(values > np.exp(-_RISE))
    # Local maxima first. A ridge between the nodes is none of them, so that others follow.
    order = np.lexsort((-values[i, j], ~top[i, j]))
    order = order[:_SEEDS]
    found = ascend(x, mass, np.stack([axes[0][i[order]], axes[1][j[order]]], 1), beta)
    if not len(found):
        return found, float(np.log(values.max()))
    at_peaks = np.log(np.array([c(y[:1], y[1:])[0, 0] for y in found]))
    return found[at_peaks > above], max(float(np.log(values.max())), float(at_peaks.max()))
