"""How far a claim may be off, and the bounds that no channel can beat.

An estimator computes its claim on symbols of its own and does not say how many. What a mean over
2,000 symbols scatters by is therefore granted to every claim, and no more than that.

All of it works on columns as on single numbers: it is asked for every row of every table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rdbench.run.records import CellRecord

TOLERANCE = 0.05
"""Nats per root dimension: about three standard errors (.047 sqrt(d)) of a mean over 2,000 symbols
of a potential with variance d/2, as that of a Gaussian vector has at every rate."""

_FLOOR = 0.005
_SHARE = 0.01
"""In nats, and of R and D: a difference smaller than that says nothing about an estimator."""

Tangent = tuple[float, float]
"""beta and the lower end of F*(beta): no channel has R + beta D below it."""
Values = Any
"""A number, or a column of them."""


@dataclass(frozen=True)
class Slack:
    """How far R, D and F = R + beta D may be off."""

    rate: Values
    distortion: Values
    lagrangian: Values

    def __add__(self, other: Slack) -> Slack:
        """Both together."""
        return Slack(
            self.rate + other.rate,
            self.distortion + other.distortion,
            self.lagrangian + other.lagrangian,
        )


def tolerance(dim: Values) -> Values:
    """The most that the sampling of a claim explains in dimension ``dim``, in nats."""
    found = TOLERANCE * np.sqrt(dim)
    return found if np.ndim(found) else float(found)


def noise(rate: Values, distortion: Values, beta: Values, dim: Values) -> Slack:
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
    of_rate = TOLERANCE * np.sqrt(np.minimum(dim, 2.0 * np.maximum(rate, 0.0)))
    of_distortion = 2.0 * TOLERANCE * np.maximum(distortion, 0.0) / np.sqrt(dim)
    together = np.minimum(tolerance(dim), of_rate + beta * of_distortion)
    return Slack(of_rate, of_distortion, np.maximum(together, beta * of_distortion))


def small(rate: Values, distortion: Values, beta: Values, dim: Values) -> Slack:
    """A difference too small to mention: .005 nats and 1% of R and D, at most `tolerance`."""
    of_rate = _FLOOR + np.minimum(_SHARE * np.maximum(rate, 0.0), tolerance(dim))
    of_beta = over(_FLOOR, beta, 0.0)
    of_distortion = _SHARE * np.maximum(distortion, 0.0) + of_beta
    return Slack(of_rate, of_distortion, of_rate)


def over(value: Values, beta: Values, otherwise: float) -> Values:
    """``value / beta`` where beta is positive, ``otherwise`` where it is not."""
    positive = np.greater(beta, 0.0)
    return np.where(positive, value / np.where(positive, beta, 1.0), otherwise)


def curve_of(record: CellRecord) -> tuple[Tangent, ...]:
    """The tangents R(D) >= F*(beta) - beta D at the slopes of a cell's ladder."""
    found = {p.beta: p.truth_lo for p in record.points if p.truth_lo is not None}
    return tuple(sorted(found.items()))
