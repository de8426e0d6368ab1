"""Rigorous bounds of F*(beta) for a finite source in R^d under squared error, any d.

From above, F(q) of atoms found by expectation and maximisation. From below, E log lambda - log sup
c with an upper bound of c everywhere by two further draws of X given Y (``copies``).
docs/certificates.md, section 8.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.certificate import Certificate
from rdbench.certify.checks import check_probabilities, check_slope, rounding
from rdbench.certify.cloud.copies import LOG_LEAST, copies_bound
from rdbench.certify.plane.solve import AtomSet, cluster, log_partition, weigh

_EM_STEPS = 40
_EM_ROUNDS = 3
_REASON = "the lower bound knows two further draws of X given Y, not Y"


def bound_cloud(
    x: Float[ndarray, "n d"],
    p: Float[ndarray, " n"],
    beta: float,
    tolerance: float = 1e-3,
    start: Certificate | None = None,
) -> Certificate:
    """``lo <= F*(beta) <= hi``.

    Near zero and near infinite slope the two meet; between them they are tenths of a nat apart.

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
    lo = 0.0 if beta == 0.0 else max(0.0, copies_bound(x, p, beta))
    slack = rounding(hi, 4.0 * beta * variance, LOG_LEAST, terms=2 * len(x) + x.shape[1])
    return Certificate(
        beta=float(beta),
        lo=lo - slack,
        hi=hi + slack,
        points=q.points + centre,
        weights=q.weights,
        distortion=float(p @ rho),
        kind="bounds",
        tolerance=tolerance,
        reason="" if hi - lo <= tolerance else _REASON,
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
