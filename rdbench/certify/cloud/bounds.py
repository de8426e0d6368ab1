"""Rigorous bounds of F*(beta) for a finite source in R^d under squared error, any d.

From above, F(q) of atoms found by expectation and maximisation. From below, E log lambda - log sup
c with an upper bound of c everywhere: if the point x_k nearest to y is at the distance r, then
||x_i - y|| >= max(r, d_ik - r) for every i, d_ik = ||x_i - x_k||, so that

    c(y) <= sup_{k, r} sum_i p_i lambda_i exp(-beta max(r, d_ik - r)^2).

The best lambda of this kind solves a rate-distortion problem with the letters (k, r). The bound is
loose where many directions matter: it knows distances and no angles. docs/certificates.md,
section 8.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.certificate import Certificate
from rdbench.certify.checks import check_probabilities, check_slope, rounding
from rdbench.certify.newton import squared_distances
from rdbench.certify.plane.solve import AtomSet, cluster, log_partition, weigh
from rdbench.inference.finite import squarem
from rdbench.inference.kernels import DenseKernel

_EM_STEPS = 40
_EM_ROUNDS = 3
_RADII = 12
_CELLS = 96
_ITERATIONS = 400


def bound_cloud(
    x: Float[ndarray, "n d"],
    p: Float[ndarray, " n"],
    beta: float,
    tolerance: float = 1e-3,
    start: Certificate | None = None,
) -> Certificate:
    """``lo <= F*(beta) <= hi``, usually far apart.

    Args:
        x: the points, any d.
        p: their probabilities.
        beta: slope >= 0.
        tolerance: the width below which no reason is given.
        start: a certificate at a nearby slope, whose atoms are the start.

    Returns:
        A certificate of kind "bounds".

    Raises:
        ValueError: points that are not finite, bad probabilities, slope or tolerance.
    """
    check_slope(beta, tolerance)
    p = check_probabilities(p, len(x))
    x = np.asarray(x, dtype=float)
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError("bound_cloud needs finite points, as rows")
    x, p = x[p > 0.0], p[p > 0.0]
    centre = p @ x
    x = x - centre
    variance = float(p @ (x**2).sum(1))
    one = AtomSet(np.zeros((1, x.shape[1])), np.ones(1))
    q = one if beta * variance <= 0.5 * tolerance else _atoms(x, p, beta, start, centre)
    log_z, rho = log_partition(x, q, beta)
    hi = -float(p @ log_z)
    if hi > beta * variance:
        q, hi, rho = one, beta * variance, (x**2).sum(1)
    lo = 0.0 if beta == 0.0 else max(0.0, nearest_point_bound(x, p, beta))
    slack = rounding(hi, 4.0 * beta * variance)
    return Certificate(
        beta=float(beta),
        lo=lo - slack,
        hi=hi + slack,
        points=q.points + centre,
        weights=q.weights,
        distortion=float(p @ rho),
        kind="bounds",
        tolerance=tolerance,
        reason="" if hi - lo <= tolerance else "the lower bound uses distances alone",
    )


def _atoms(
    x: ndarray, p: ndarray, beta: float, start: Certificate | None, centre: ndarray
) -> AtomSet:
    """Weights on the points of the source, then expectation and maximisation of all."""
    q = weigh(x, p, x, beta, 1e-6)
    if start is not None:
        q = weigh(x, p, np.vstack([q.points, start.points - centre]), beta, 1e-6)
    for _ in range(_EM_ROUNDS):
        for _ in range(_EM_STEPS):
            q = _em_step(x, p, q, beta)
        q = cluster(q, 0.05 / np.sqrt(2.0 * beta))
        q = weigh(x, p, q.points, beta, 1e-6)
    return q


def _em_step(x: ndarray, p: ndarray, q: AtomSet, beta: float) -> AtomSet:
    """Every atom moves to the mean of what it stands for; F never increases."""
    logits = np.log(q.weights) + 2.0 * beta * (x @ q.points.T)
    logits -= beta * (q.points**2).sum(1)
    logits -= logits.max(1, keepdims=True)
    responsibilities = np.exp(logits)
    responsibilities *= (p / responsibilities.sum(1))[:, None]
    weights = responsibilities.sum(0)
    used = weights > 1e-9
    points = (responsibilities[:, used].T @ x) / weights[used, None]
    return AtomSet(points, weights[used] / weights[used].sum())


def nearest_point_bound(x: Float[ndarray, "n d"], p: Float[ndarray, " n"], beta: float) -> float:
    """A lower bound of F* from distances between the points."""
    distance = np.sqrt(squared_distances(x, x))
    # y is rarely farther from its nearest point than half way to a typical one.
    grid = np.linspace(0.0, 0.5 * float(np.median(distance)), _RADII)
    rho = np.hstack([np.maximum(r, distance - r) ** 2 for r in grid])
    kernel = DenseKernel.build(rho, beta)
    found = squarem(kernel, p, tolerance=1e-4, iterations=_ITERATIONS)
    log_lambda = kernel.shift - np.log(np.maximum(kernel.forward(found.weights), 1e-300))
    return float(p @ log_lambda) - _log_sup(distance, np.log(p) + log_lambda, beta)


def _log_sup(distance: ndarray, log_mass: ndarray, beta: float) -> float:
    """log of an upper bound of c: the largest over k and over cells [r1, r2] of the radius.

    Within a cell, ||x_i - y|| >= max(r1, d_ik - r2). Beyond the last one c is at most
    sum_i p_i lambda_i exp(-beta r^2) <= 1.
    """
    top = float(log_mass.max())
    mass = np.exp(log_mass - top)
    log_total = top + float(np.log(mass.sum()))
    end = np.sqrt(max(log_total, 1e-12) / beta)
    edges = np.linspace(0.0, end, _CELLS + 1)
    best = 0.0
    for lo, hi in pairwise(edges):
        if log_total - beta * lo**2 <= best:
            break
        nearest = np.maximum(lo, distance - hi)
        c = mass @ np.exp(-beta * nearest**2)
        best = max(best, top + float(np.log(c.max())))
    return best
