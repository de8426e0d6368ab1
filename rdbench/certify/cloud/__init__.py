"""F*(beta) of a finite source in R^d under squared error, with reproduction anywhere in R^d.

In one and two dimensions outright: both sides are finite sums, and the largest value of c over
the plane comes from ``maximum_plane``. In any dimension ``bound_cloud`` has rigorous bounds.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.certificate import Certificate
from rdbench.certify.checks import check_probabilities, check_slope, rounding
from rdbench.certify.plane.fields import grid_peaks, scattered
from rdbench.certify.plane.maximum import check_squares, maximum_plane
from rdbench.certify.plane.solve import AtomSet, cluster, log_partition, solve_atoms, weigh

_MOST_CANDIDATES = 1200
_ROUNDS = 10


def certify_cloud(
    x: Float[ndarray, "n d"],
    p: Float[ndarray, " n"],
    beta: float,
    tolerance: float,
    start: Certificate | None = None,
) -> Certificate:
    """``lo <= F*(beta) <= hi`` of a source on n points of the line or the plane.

    Args:
        x: the points, d = 1 or 2.
        p: their probabilities.
        beta: slope >= 0.
        tolerance: the width of the bracket asked for, in nats.
        start: a certificate at a nearby slope, whose atoms are the start.

    Returns:
        A certificate of kind "certified".

    Raises:
        ValueError: d > 2, points that are not finite, bad probabilities, slope or tolerance; a
            slope whose maximum would need too many squares (``check_squares``).
    """
    check_slope(beta, tolerance)
    p = check_probabilities(p, len(x))
    x = np.asarray(x, dtype=float)
    if x.ndim != 2 or x.shape[1] not in (1, 2) or not np.isfinite(x).all():
        raise ValueError("certify_cloud needs finite points of R^1 or R^2 (see bound_cloud)")
    x, p = x[p > 0.0], p[p > 0.0]
    centre = p @ x
    dim = x.shape[1]
    flat = np.zeros((len(x), 2))
    flat[:, :dim] = x - centre
    variance = float(p @ (flat**2).sum(1))
    if beta * variance <= 0.5 * tolerance:
        q, lo = AtomSet(np.zeros((1, 2)), np.ones(1)), 0.0
    else:
        # Before the solver, which looks at finer grids than the maximum does.
        check_squares(flat.min(0), flat.max(0), beta)
        q = _solve(flat, p, beta, tolerance, _points_of(start, centre))
        lo = -np.inf
    log_z, rho = log_partition(flat, q, beta)
    f = -float(p @ log_z)
    if lo < 0.0:
        c = scattered(flat, p * np.exp(-log_z), beta)
        upper = maximum_plane(c, flat.min(0), flat.max(0), beta, 0.1 * tolerance)
        lo = f - float(np.log(upper))
    slack = rounding(f, 4.0 * beta * variance, terms=len(flat) + len(q.weights))
    width = f - lo + 2.0 * slack
    return Certificate(
        beta=float(beta),
        lo=float(lo - slack),
        hi=float(f + slack),
        points=q.points[:, :dim] + centre,
        weights=q.weights,
        distortion=float(p @ rho),
        kind="certified",
        tolerance=tolerance,
        reason="" if width <= tolerance else f"adding atoms ended at {width:.1e} nats",
    )


def _points_of(start: Certificate | None, centre: ndarray) -> ndarray | None:
    if start is None:
        return None
    points = np.zeros((len(start.points), 2))
    points[:, : len(centre)] = start.points - centre
    return points


def _solve(x: ndarray, p: ndarray, beta: float, tolerance: float, extra: ndarray | None) -> AtomSet:
    unit = 1.0 / np.sqrt(2.0 * beta)
    points = _candidates(x, unit)
    if extra is not None:
        points = np.vstack([points, extra])
    q = cluster(weigh(x, p, points, beta, 1e-6), 0.5 * unit)

    def peaks(q: AtomSet) -> tuple[ndarray, float]:
        mass = p * np.exp(-log_partition(x, q, beta)[0])
        return grid_peaks(
            scattered(x, mass, beta), x, mass, x.min(0), x.max(0), beta, 0.1 * tolerance
        )

    return solve_atoms(x, p, beta, q, peaks, 0.4 * tolerance, _ROUNDS)


def _candidates(x: ndarray, unit: float) -> ndarray:
    """Nodes of a grid near the points; the points themselves where that would be too many."""
    for spacing in (0.7, 1.0):
        cells = np.unique(np.round(x / (spacing * unit)).astype(int), axis=0)
        steps = np.array([[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)])
        nodes = np.unique((cells[:, None] + steps).reshape(-1, 2), axis=0)
        if len(nodes) <= _MOST_CANDIDATES:
            return spacing * unit * nodes
    return x
