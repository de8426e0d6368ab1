"""What an estimator claims, held against what its audit finds and what is true.

The claimed Lagrangian C = R + beta D of a point is what the estimator's own formula says on its
own data, in nats per symbol. Nothing is known of its sampling noise, so a claim is given a
tolerance before it is called anything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rdbench.run.records import PointRecord

Verdict = Literal[
    "below truth", "too good", "unconfirmed", "too bad", "conservative", "agrees", "unchecked",
    "no claim",
]  # fmt: skip
VERDICTS: tuple[Verdict, ...] = (
    "below truth", "too good", "unconfirmed", "too bad", "conservative", "agrees", "unchecked",
    "no claim",
)  # fmt: skip
"""In the order in which they are shown: what matters most comes first."""

TOLERANCE = 0.05
"""Nats per root dimension: about three standard errors (.047 sqrt(d)) of a mean over 2,000 symbols
of a potential with variance d/2, as that of a Gaussian vector has at high rate."""


@dataclass(frozen=True)
class ClaimSummary:
    """What the claims of several points amount to, in nats."""

    mean_gap: float | None
    """Of C - F*, over the points that claim something."""
    worst_gap: float | None
    """The largest C - F*: the claimed counterpart of the worst gap."""
    excess: float | None
    """The C - F(q) of largest magnitude, with its sign; negative where more is claimed."""
    verdicts: tuple[tuple[Verdict, int], ...]
    """How often each occurs, in the order of ``VERDICTS``."""


def tolerance(dim: int) -> float:
    """How far a claim in dimension ``dim`` may be off before it is called wrong, in nats."""
    return TOLERANCE * math.sqrt(dim)


def claimed_lagrangian(point: PointRecord) -> float | None:
    """C = claimed R + beta * claimed D, None where either is missing."""
    if point.claimed_rate is None or point.claimed_distortion is None:
        return None
    return point.claimed_rate + point.beta * point.claimed_distortion


def claimed_gap(point: PointRecord) -> float | None:
    """C - F*, by the middle of the bracket on F*."""
    claimed, truth = claimed_lagrangian(point), true_lagrangian(point)
    return None if claimed is None or truth is None else claimed - truth


def claim_excess(point: PointRecord) -> float | None:
    """C minus the audited Lagrangian: negative where the estimator claims better than is found."""
    claimed = claimed_lagrangian(point)
    return None if claimed is None or point.lagrangian is None else claimed - point.lagrangian


def true_lagrangian(point: PointRecord) -> float | None:
    """The middle of the bracket on F*."""
    if point.truth_lo is None or point.truth_hi is None:
        return None
    return 0.5 * (point.truth_lo + point.truth_hi)


def verdict(point: PointRecord, dim: int) -> Verdict:
    """Whether a claim can be right, by what the audit and the truth allow.

    The audit confines F(q) to an interval [a, b]; no q has F(q) < F*. With t the tolerance and C
    the claimed Lagrangian, and a claim of side ``lower`` excused below, one of side ``upper``
    above:

    ========================  ==================================================================
    ``below truth``           C < F* - t, a rate below -t or a negative distortion: impossible
    ``too good``              C < a - t
    ``unconfirmed``           the audit bounds F(q) from above only, and C lies below the lower
                              end it would have if it were as sharp there; or its gate failed,
                              and C lies in its bracket
    ``too bad``               C > b + t
    ``conservative``          outside on the side that the claim's own side allows
    ``agrees``                none of these
    ``unchecked``             no truth or no audit to hold it against
    ``no claim``              the claim is missing
    ========================  ==================================================================

    Args:
        point: the slope.
        dim: the dimension of the source, for the tolerance.
    """
    claimed = claimed_lagrangian(point)
    if claimed is None or point.claimed_rate is None or point.claimed_distortion is None:
        return "no claim"
    if point.truth_lo is None:
        return "unchecked"
    slack, side = tolerance(dim), point.claimed_side
    least = min(claimed - point.truth_lo, point.claimed_rate)
    if least < -slack or point.claimed_distortion < 0.0:
        return "conservative" if side == "lower" else "below truth"
    found = _audited_interval(point)
    if found is None:
        return "unchecked"
    if claimed > found.hi + slack:
        return "conservative" if side == "upper" else "too bad"
    if claimed < found.lo - slack:
        if side == "lower":
            return "conservative"
        return "too good" if found.two_sided else "unconfirmed"
    return "unconfirmed" if point.gap is None else "agrees"


@dataclass(frozen=True)
class _Found:
    """Where the audit puts F(q); not ``two_sided``: ``lo`` mirrors ``hi`` and bounds nothing."""

    lo: float
    hi: float
    two_sided: bool


def _audited_interval(point: PointRecord) -> _Found | None:
    """The interval of F(q), out of that of the gap; None where there is no audit."""
    if point.truth_lo is None or point.truth_hi is None or point.gap_hi is None:
        return None
    # The interval of the gap stands on the middle of the bracket on F* and contains its width;
    # that of F(q) does not.
    hi = point.truth_lo + point.gap_hi
    below = None if point.side == "upper" else point.gap_lo
    if below is not None:
        lo = point.truth_hi + below
    elif point.lagrangian is not None:
        lo = 2.0 * point.lagrangian - hi
    else:
        lo = point.truth_lo
    if point.lagrangian is not None:
        lo, hi = min(lo, point.lagrangian), max(hi, point.lagrangian)
    # F(q) >= F*: an audit that falls below is noise, and no licence to claim less.
    return _Found(max(lo, point.truth_lo), max(hi, point.truth_lo), below is not None)


def summarise_claims(points: Iterable[tuple[int, PointRecord]]) -> ClaimSummary:
    """The claims of points, each with the dimension of its source."""
    pairs = list(points)
    gaps = [gap for _, point in pairs if (gap := claimed_gap(point)) is not None]
    excess = [value for _, point in pairs if (value := claim_excess(point)) is not None]
    counts = Counter(verdict(point, dim) for dim, point in pairs)
    return ClaimSummary(
        mean_gap=math.fsum(gaps) / len(gaps) if gaps else None,
        worst_gap=max(gaps, default=None),
        excess=max(excess, key=abs, default=None),
        verdicts=tuple((name, counts[name]) for name in VERDICTS if counts[name]),
    )


def verdict_texts(summary: ClaimSummary) -> list[str]:
    """``too good 3/8`` and so on, the most alarming first; empty where nothing is there."""
    total = sum(count for _, count in summary.verdicts)
    return [f"{name} {count}/{total}" for name, count in summary.verdicts]
