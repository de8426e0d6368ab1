"""Atoms in R^d that nearly minimise F: weights on a grid, clusters, Newton, atoms where c > 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.newton import newton_atoms, squared_distances
from rdbench.inference.finite import interior_point
from rdbench.inference.kernels import DenseKernel

_DROP = 1e-9
# n ((1 + d) m)^2 operations make one step of Newton's method; beyond, only the weights are solved.
_MOST_FOR_NEWTON = 1.5e9
_ASCENT = 25


class AtomSet(NamedTuple):
    """q as points (m, d) and weights (m,) that sum to one."""

    points: ndarray
    weights: ndarray


def log_partition(
    x: Float[ndarray, "n d"], q: AtomSet, beta: float
) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """log Z(x) and E[||x - Y||^2 | x]."""
    log_z, rho = np.empty(len(x)), np.empty(len(x))
    log_w = np.log(q.weights)
    block = max(1, 2_000_000 // len(q.weights))
    for start in range(0, len(x), block):
        square = squared_distances(x[start : start + block], q.points)
        terms = log_w - beta * square
        top = terms.max(1)
        np.exp(terms - top[:, None], out=terms)
        total = terms.sum(1)
        log_z[start : start + block] = top + np.log(total)
        rho[start : start + block] = (terms * square).sum(1) / total
    return log_z, rho


def weigh(
    x: Float[ndarray, "n d"],
    p: Float[ndarray, " n"],
    points: Float[ndarray, "m d"],
    beta: float,
    tolerance: float = 1e-8,
) -> AtomSet:
    """The best weights on the points, less those that are as good as zero."""
    kernel = DenseKernel.build(squared_distances(x, points), beta)
    weights = interior_point(kernel, p, tolerance=tolerance).weights
    used = weights > _DROP
    return AtomSet(points[used], weights[used] / weights[used].sum())


def cluster(q: AtomSet, radius: float) -> AtomSet:
    """Every heaviest point takes in its neighbours within ``radius``."""
    order = np.argsort(-q.weights)
    points, weights = q.points[order], q.weights[order]
    free = np.ones(len(points), dtype=bool)
    centres, masses = [], []
    for i in range(len(points)):
        if not free[i]:
            continue
        near = free & (((points - points[i]) ** 2).sum(1) < radius**2)
        free &= ~near
        mass = weights[near].sum()
        centres.append((weights[near, None] * points[near]).sum(0) / mass)
        masses.append(mass)
    w = np.array(masses)
    return AtomSet(np.array(centres), w / w.sum())


def refine(
    x: Float[ndarray, "n d"], p: Float[ndarray, " n"], q: AtomSet, beta: float, iterations: int
) -> AtomSet:
    """Newton on positions and weights, where that is affordable; coinciding atoms are merged."""
    n, d = x.shape
    if n * ((1 + d) * len(q.weights)) ** 2 <= _MOST_FOR_NEWTON:
        points, weights, _ = newton_atoms(
            x, p, beta, q.points, q.weights, iterations=iterations, tolerance=1e-12
        )
        q = AtomSet(points, weights)
        q = cluster(q, 0.01 / np.sqrt(2.0 * beta))
    used = q.weights > _DROP
    return AtomSet(q.points[used], q.weights[used] / q.weights[used].sum())


def ascend(
    x: Float[ndarray, "n d"], mass: Float[ndarray, " n"], start: Float[ndarray, "k d"], beta: float
) -> Float[ndarray, "k d"]:
    """Mean-shift steps towards the local maxima of c: each one raises it."""
    y = start
    for _ in range(_ASCENT):
        responsibilities = mass[:, None] * np.exp(-beta * squared_distances(x, y))
        y = (responsibilities.T @ x) / responsibilities.sum(0)[:, None]
    return y


def enter(q: AtomSet, new: Float[ndarray, "k d"], beta: float) -> ndarray:
    """The points of q and those new ones that are not on top of another."""
    points = q.points
    for y in new:
        if ((points - y) ** 2).sum(1).min() > (0.02**2) / (2.0 * beta):
            points = np.vstack([points, y])
    return points


Peaks = Callable[[AtomSet], tuple[ndarray, float]]
"""Where c(y) of lambda = 1 / Z exceeds one, and log max c, by looking at a grid."""


def solve_atoms(
    x: Float[ndarray, "n d"],
    p: Float[ndarray, " n"],
    beta: float,
    start: AtomSet,
    peaks: Peaks,
    target: float,
    rounds: int,
) -> AtomSet:
    """Add atoms where c > 1, solve for the weights, polish; until log max c <= ``target``.

    Args:
        x: points of the source (n, d).
        p: their probabilities (n,).
        beta: the slope > 0.
        start: atoms that are nearly right.
        peaks: where c exceeds one.
        target: log max c at which to stop.
        rounds: at most so many.
    """
    q = refine(x, p, start, beta, 12)
    new, excess = peaks(q)
    best, least = q, excess
    for index in range(rounds):
        if excess <= target or not len(new):
            break
        q = weigh(x, p, enter(q, new, beta), beta)
        q = refine(x, p, q, beta, 12 if index < 2 else 30)
        new, excess = peaks(q)
        if excess < least:
            best, least = q, excess
    return best
