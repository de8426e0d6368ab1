"""F*(beta) of a finite source on the line or in the plane under absolute error.

ρ(x, y) = |x₁ − y₁| + |x₂ − y₂|, reproduction anywhere. The coordinates of the points cut the plane
into rectangles. On each of them |x_a − y_a| is linear in y_a for every point x, so that

    c(y) = Σ_i p_i λ_i exp(−β ρ(x_i, y))

is a sum of exponentials of linear functions: convex, with its maximum at a corner. Outside all of
them y comes nearer to every point as it moves to the nearest one. So sup c is a maximum over the
grid of corners, and the problem is one of letters: those corners. It is solved by exchange: weights
of some letters, then c at all corners, of which the peaks above one join.

c at all corners is one product of matrices, E₁ᵀ diag(pλ) E₂ with (E_a)_ij = exp(−β |x_ia − y_ja|).
"""

from __future__ import annotations

from typing import cast

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.ndimage import maximum_filter

from rdbench.certify.certificate import Certificate
from rdbench.certify.checks import check_probabilities, check_slope, rounding
from rdbench.certify.finite import solve_weights
from rdbench.inference.kernels import DenseKernel

_ROUNDS = 60
_MOST_ENTERING = 200
_MOST_LETTERS = 4000
_MOST_CORNERS = 16_000_000
_IN_USE = 1e-9  # of the weights; what is rarer leaves


def certify_cloud_absolute(
    x: Float[ndarray, "n d"],
    p: Float[ndarray, " n"],
    beta: float,
    tolerance: float,
    start: Certificate | None = None,
) -> Certificate:
    """``lo <= F*(beta) <= hi`` of a source on n points of the line or the plane, absolute error.

    Args:
        x: the points, d = 1 or 2.
        p: their probabilities.
        beta: slope >= 0.
        tolerance: the width of the bracket asked for, in nats.
        start: a certificate at a nearby slope, whose atoms are the start.

    Returns:
        A certificate of kind "certified".

    Raises:
        ValueError: d > 2, points that are not finite or too many, bad probabilities, slope or
            tolerance.
    """
    check_slope(beta, tolerance)
    p = check_probabilities(p, len(x))
    x = np.asarray(x, dtype=float)
    if x.ndim != 2 or x.shape[1] not in (1, 2) or not np.isfinite(x).all():
        raise ValueError("certify_cloud_absolute needs finite points of R^1 or R^2")
    x, p = x[p > 0.0], p[p > 0.0]
    corners = _Corners(x, p, beta)
    used = np.union1d(corners.apart(), corners.medians())
    if start is not None:
        used = np.union1d(used, corners.nearest(start.points))
    lo = hi = -np.inf
    for _ in range(_ROUNDS):
        kernel = DenseKernel.build(corners.distortions(used), beta)
        found = solve_weights(kernel, p, 0.25 * tolerance)
        log_z = np.log(kernel.matrix @ found.weights) - kernel.shift
        c = corners.everywhere(log_z)
        top = float(np.log(c.max()))
        hi, lo = found.lagrangian, max(lo, found.lagrangian - max(top, 0.0))
        if hi - lo <= 0.5 * tolerance:
            break
        held = used[found.weights > _IN_USE]
        peaks = np.setdiff1d(_peaks(c, 0.25 * tolerance), held)
        if len(peaks) == 0 or len(held) + len(peaks) > _MOST_LETTERS:
            break
        used = np.union1d(held, peaks)
    keep = found.weights > 0.0
    q, letters = found.weights[keep] / found.weights[keep].sum(), used[keep]
    rho = corners.distortions(letters)
    distortion = float(p @ ((np.exp(-beta * rho - log_z[:, None]) * q) * rho).sum(1))
    slack = rounding(hi, beta * distortion, terms=len(x) + len(used))
    width = hi - lo + 2.0 * slack
    return Certificate(
        beta=float(beta),
        lo=float(lo - slack),
        hi=float(hi + slack),
        points=corners.points(letters),
        weights=q,
        distortion=distortion,
        kind="certified",
        tolerance=tolerance,
        reason="" if width <= tolerance else f"adding letters ended at {width:.1e} nats",
    )


class _Corners:
    """The grid of the points' coordinates; a corner is a number, row after row."""

    def __init__(self, x: ndarray, p: ndarray, beta: float) -> None:
        flat = np.zeros((len(x), 2))
        flat[:, : x.shape[1]] = x
        self._x, self._p, self._beta, self._dim = flat, p, beta, x.shape[1]
        self._axes = tuple(np.unique(flat[:, a]) for a in range(2))
        self._shape = tuple(len(axis) for axis in self._axes)
        if self._shape[0] * self._shape[1] > _MOST_CORNERS:
            raise ValueError(
                f"the coordinates of {len(x)} points have {self._shape[0]} x {self._shape[1]} "
                f"corners, more than {_MOST_CORNERS}"
            )
        self._kernels = tuple(
            np.exp(-beta * np.abs(flat[:, a, None] - self._axes[a])) for a in range(2)
        )

    def medians(self) -> Int[ndarray, " 1"]:
        """The letter of rate zero: the median of each coordinate."""
        places = []
        for a in range(2):
            order = np.argsort(self._x[:, a])
            middle = order[np.searchsorted(np.cumsum(self._p[order]), 0.5 - 1e-12)]
            places.append(np.searchsorted(self._axes[a], self._x[middle, a]))
        return np.array([places[0] * self._shape[1] + places[1]])

    def apart(self) -> Int[ndarray, " m"]:
        """A point of the source out of every square of side 1/β that has one: no Z is tiny."""
        squares = np.floor(self._beta * (self._x - self._x.min(0)))
        return self.nearest(self._x[np.unique(squares, axis=0, return_index=True)[1]])

    def nearest(self, y: Float[ndarray, "m d"]) -> Int[ndarray, " m"]:
        """The corners next to some points."""
        places = []
        for a in range(2):
            axis, own = self._axes[a], y[:, a] if a < y.shape[1] else np.zeros(len(y))
            right = np.clip(np.searchsorted(axis, own), 0, len(axis) - 1)
            left = np.maximum(right - 1, 0)
            places.append(np.where(own - axis[left] < axis[right] - own, left, right))
        return places[0] * self._shape[1] + places[1]

    def points(self, corners: Int[ndarray, " m"]) -> Float[ndarray, "m d"]:
        """Where they are."""
        rows, columns = np.divmod(corners, self._shape[1])
        return np.stack([self._axes[0][rows], self._axes[1][columns]], 1)[:, : self._dim]

    def distortions(self, corners: Int[ndarray, " m"]) -> Float[ndarray, "n m"]:
        """ρ from every point to these corners."""
        rows, columns = np.divmod(corners, self._shape[1])
        first = np.abs(self._x[:, 0, None] - self._axes[0][rows])
        return first + np.abs(self._x[:, 1, None] - self._axes[1][columns])

    def everywhere(self, log_z: Float[ndarray, " n"]) -> Float[ndarray, "a b"]:
        """c at all corners, with λ = 1/Z."""
        with np.errstate(over="ignore"):
            mass = self._p * np.exp(-log_z)
        return cast(ndarray, self._kernels[0].T @ (mass[:, None] * self._kernels[1]))


def _peaks(c: Float[ndarray, "a b"], above: float) -> Int[ndarray, " k"]:
    """The largest of the local maxima of c above 1 + ``above``."""
    c = np.ascontiguousarray(c)
    high = np.flatnonzero((c > 1.0 + above) & (c == maximum_filter(c, 3, mode="nearest")))
    order = np.argsort(-c.ravel()[high])[:_MOST_ENTERING]
    return cast(ndarray, high[order])
