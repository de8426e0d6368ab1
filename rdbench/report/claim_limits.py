"""How far a claim may be off, and the bounds that no channel can beat.

An estimator computes its claim on symbols of its own and does not say how many. What a mean over
2,000 symbols scatters by is therefore granted to every claim, and no more than that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rdbench.run.records import CellRecord, PointRecord

TOLERANCE = 0.05
"""Nats per root dimension: about three standard errors (.047 sqrt(d)) of a mean over 2,000 symbols
of a potential with variance d/2, as that of a Gaussian vector has at every rate."""

_FLOOR = 0.005
_SHARE = 0.01
"""In nats, and of R and D: a difference smaller than that says nothing about an estimator."""

Tangent = tuple[float, float]
"""beta and the lower end of F*(beta): no channel has R + beta D below it."""


@dataclass(frozen=True)
class Slack:
    """How far R, D and F = R + beta D may be off."""

    rate: float
    distortion: float
    lagrangian: float

    def __add__(self, other: Slack) -> Slack:
        """Both together."""
        return Slack(
            self.rate + other.rate,
            self.distortion + other.distortion,
            self.lagrangian + other.lagrangian,
        )


def tolerance(dim: int) -> float:
    """The most that the sampling of a claim explains in dimension ``dim``, in nats."""
    return TOLERANCE * math.sqrt(dim)


def noise(rate: float, distortion: float, beta: float, dim: int) -> Slack:
    """Three standard errors of a claim on 2,000 symbols.

    Of R: .05 sqrt(min(d, 2 R)). The information density has at most the variance d/2 of a Gaussian
    vector at high rate; at low rate few symbols carry it, each a nat or so, so that its variance is
    about R. Of D: .1 D / sqrt(d), a coordinate's squared error having the standard deviation
    sqrt(2) D/d. Of F: those together, but at most .05 sqrt(d), or what D alone gives where beta D
    is more than the d/2 of a good channel.

    Args:
        rate: R in nats.
        distortion: D, summed over dimensions.
        beta: the slope.
        dim: d.
    """
    of_rate = TOLERANCE * math.sqrt(min(float(dim), 2.0 * max(rate, 0.0)))
    of_distortion = 2.0 * TOLERANCE * max(distortion, 0.0) / math.sqrt(dim)
    together = min(tolerance(dim), of_rate + beta * of_distortion)
    return Slack(of_rate, of_distortion, max(together, beta * of_distortion))


def small(rate: float, distortion: float, beta: float, dim: int) -> Slack:
    """A difference too small to mention: .005 nats and 1% of R and D, at most `tolerance`."""
    of_rate = _FLOOR + min(_SHARE * max(rate, 0.0), tolerance(dim))
    of_distortion = _SHARE * max(distortion, 0.0) + (_FLOOR / beta if beta > 0.0 else 0.0)
    return Slack(of_rate, of_distortion, of_rate)


def curve_of(record: CellRecord) -> tuple[Tangent, ...]:
    """The tangents R(D) >= F*(beta) - beta D at the slopes of a cell's ladder."""
    found = {p.beta: p.truth_lo for p in record.points if p.truth_lo is not None}
    return tuple(sorted(found.items()))


def is_negative(point: PointRecord, dim: int) -> bool:
    """Whether a rate or a distortion below zero is claimed: no bound on anything says that.

    A rate is a mean and may come out below zero by the noise that it has where the truth is.
    """
    rate, distortion = point.claimed_rate, point.claimed_distortion
    if rate is None or distortion is None:
        return False
    if distortion < 0.0:
        return True
    true = next((r for r in (point.rate_hi, point.rate) if r is not None), 0.0)
    return bool(rate < -(noise(true, 0.0, 0.0, dim) + small(true, 0.0, 0.0, dim)).rate)


def is_under_the_curve(point: PointRecord, dim: int, curve: Iterable[Tangent]) -> bool:
    """Whether the claimed (R, D) lies below one of the tangents by more than its noise.

    Args:
        point: the slope with its claim.
        dim: the dimension of the source.
        curve: tangents of the true curve, beside the one at the point's own slope.
    """
    rate, distortion = point.claimed_rate, point.claimed_distortion
    if rate is None or distortion is None:
        return False
    scale = max(rate, point.rate_hi or 0.0)
    own = [] if point.truth_lo is None else [(point.beta, point.truth_lo)]
    # The same along the curve; this is asked of every row of every table.
    found, usual = noise(scale, distortion, point.beta, dim), tolerance(dim)
    unsaid = small(scale, distortion, point.beta, dim).lagrangian
    for beta, least in (*own, *curve):
        most = usual * max(1.0, beta / point.beta if point.beta > 0.0 else math.inf)
        slack = min(most, found.rate + beta * found.distortion) + unsaid
        if rate + beta * distortion < least - slack:
            return True
    return False
