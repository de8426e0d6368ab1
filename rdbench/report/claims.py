"""The claim of an estimator, compared with its audit and with the truth.

A claim is a point (R, D), by the estimator's own formula on its own data, in nats per symbol.
The point as a whole must be possible, and R, D and C = R + beta D must be those that the audit
finds. Nothing is known of the claim's sampling noise: `rdbench.report.claim_limits` says what is
granted for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from rdbench.report.claim_limits import (
    Slack,
    Tangent,
    curve_of,
    is_negative,
    is_under_the_curve,
    noise,
    small,
    tolerance,
)
from rdbench.report.scores import mean
from rdbench.run.records import CellRecord, PointRecord

Verdict = Literal[
    "below truth", "too good", "misplaced", "unconfirmed", "too bad", "loose", "undecided",
    "conservative", "within noise", "agrees", "unchecked", "no claim",
]  # fmt: skip
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""In the order in which they are shown: what matters most comes first."""

_THREE = 3.0 / 1.96
"""From the half width of a 95% interval to three standard errors."""
_LOOSE = 0.25
"""Of R, and in nats: a bound farther from F(q) than both bounds nothing of interest."""
_IMPOSSIBLE = 1e-3
"""Nats below F* at which an audit's whole interval is no result; above, it is rounding."""


@dataclass(frozen=True)
class ClaimSummary:
    """The claims of several points taken together, in nats."""

    mean_gap: float | None
    """Of C - F*, over the points that claim something."""
    worst_gap: float | None
    """The largest C - F*: the claimed counterpart of the worst gap."""
    excess: float | None
    """The C - F(q) of largest magnitude, with its sign; negative where more is claimed."""
    verdicts: tuple[tuple[Verdict, int], ...]
    """How often each occurs, in the order of ``VERDICTS``."""


def claimed_lagrangian(point: PointRecord) -> float | None:
    """C = claimed R + beta * claimed D, None where either is missing."""
    if point.claimed_lagrangian is not None:
        return point.claimed_lagrangian
    if point.claimed_rate is None or point.claimed_distortion is None:
        return None
    return point.claimed_rate + point.beta * point.claimed_distortion


def claimed_gap(point: PointRecord) -> float | None:
    """C - F*, by the middle of the bracket on F*; of a lower bound F* - C."""
    claimed, truth = claimed_lagrangian(point), true_lagrangian(point)
    return None if claimed is None or truth is None else _sign(point) * (claimed - truth)


def claim_excess(point: PointRecord) -> float | None:
    """C minus the audited Lagrangian: negative where the estimator claims better than is found."""
    claimed = claimed_lagrangian(point)
    if claimed is None or point.lagrangian is None:
        return None
    return _sign(point) * (claimed - point.lagrangian)


def _sign(point: PointRecord) -> float:
    """-1 for a lower bound, which is the better the larger it is."""
    return -1.0 if point.side == "lower" else 1.0


def true_lagrangian(point: PointRecord) -> float | None:
    """The middle of the bracket on F*."""
    if point.truth_lo is None or point.truth_hi is None:
        return None
    return 0.5 * (point.truth_lo + point.truth_hi)


def verdict(point: PointRecord, dim: int, curve: Iterable[Tangent] = ()) -> Verdict:
    """Whether a claim can be right, by what the audit and the truth allow.

    The audit confines F(q) to an interval [a, b], here at three standard errors; no q has
    F(q) < F*. With C the claimed Lagrangian, t what a claim's own noise explains and s what is too
    small to matter (`rdbench.report.claim_limits`):

    ========================  ==================================================================
    ``below truth``           D < 0, R < 0 by more than its noise, or (R, D) under a tangent of
                              the true curve by more than t + s; a claim of side ``lower`` may
                              lie under the curve, but not below zero
    ``too good``              C < a - t - s
    ``misplaced``             C may be right, but R or D is not that of the audit
    ``unconfirmed``           the audit bounds F(q) from above only, and C lies below the lower
                              end it would have if it were as sharp there, or R and D are others;
                              or it failed its acceptance test, and C lies in its bracket
    ``too bad``               C > b + t + s
    ``loose``                 outside on the side that the claim's own side allows, by more than
                              a quarter of R and of a nat
    ``undecided``             the audit's interval is wider than t + s: nothing can be told
    ``conservative``          outside on the side that the claim's own side allows
    ``within noise``          R, D or C is off by more than the audit's error and s, but no more
                              than t: noise of the claim, or a small error
    ``agrees``                none of these
    ``unchecked``             no truth, or no audit (or one that found the impossible)
    ``no claim``              the claim is missing
    ========================  ==================================================================

    Args:
        point: the slope.
        dim: the dimension of the source, for the noise.
        curve: tangents of the true curve at other slopes, `claim_limits.curve_of` the cell.
    """
    claimed = claimed_lagrangian(point)
    if claimed is None:
        return "no claim"
    if point.side == "lower":
        return _of_a_bound(point, claimed, dim)
    if is_negative(point, dim):
        return "below truth"
    if point.truth_lo is None:
        return "unchecked"
    lower = point.claimed_side == "lower"
    if not lower and is_under_the_curve(point, dim, curve):
        return "below truth"
    found = _audited_interval(point)
    if found is None:
        return "unchecked"
    side = _of_the_lagrangian(point, claimed, found, _granted(point, dim))
    if side is not None:
        return side
    if lower and is_under_the_curve(point, dim, curve):
        return "conservative"
    return _of_the_pair(point, claimed, found, dim)


def _of_a_bound(point: PointRecord, claimed: float, dim: int) -> Verdict:
    """The verdict on the claim of a lower bound: by the audited interval of F_lo alone."""
    if point.lagrangian is None or point.lagrangian_lo is None or point.lagrangian_hi is None:
        return "unchecked"
    found, granted = _Found(point.lagrangian_lo, point.lagrangian_hi, True), tolerance(dim)
    off = found.off(claimed)
    if off > granted:
        return "too good"
    if off < -granted:
        worthless = -off - granted > _LOOSE * max(1.0, point.lagrangian)
        return "loose" if worthless else "conservative"
    if found.half > granted:
        return "undecided"
    return "within noise" if off else "agrees"


@dataclass(frozen=True)
class _Found:
    """Where the audit puts F(q); not ``two_sided``: ``lo`` mirrors ``hi`` and bounds nothing."""

    lo: float
    hi: float
    two_sided: bool

    @property
    def half(self) -> float:
        """Half the width of the 95% interval."""
        return 0.5 * (self.hi - self.lo)

    def off(self, value: float) -> float:
        """By how much a value lies outside at three standard errors; negative where below."""
        more = (_THREE - 1.0) * self.half
        return max(value - self.hi - more, 0.0) + min(value - self.lo + more, 0.0)


def _granted(point: PointRecord, dim: int) -> Slack:
    """t + s, at the audited R and D (at the claimed ones where there are none)."""
    scale = _scale(point)
    return noise(*scale, point.beta, dim) + small(*scale, point.beta, dim)


def _scale(point: PointRecord) -> tuple[float, float]:
    rate = point.claimed_rate if point.rate is None else point.rate
    distortion = point.claimed_distortion if point.distortion is None else point.distortion
    return rate or 0.0, distortion or 0.0


def _of_the_lagrangian(
    point: PointRecord, claimed: float, found: _Found, granted: Slack
) -> Verdict | None:
    """The verdict where C alone decides; None where it is in order."""
    off = found.off(claimed)
    beyond = abs(off) - granted.lagrangian
    if beyond <= 0.0:
        return None
    if point.claimed_side == ("upper" if off > 0.0 else "lower"):
        worthless = beyond > _LOOSE * max(1.0, _scale(point)[0])
        return "loose" if worthless else "conservative"
    if off > 0.0:
        return "too bad"
    return "too good" if found.two_sided else "unconfirmed"


def _of_the_pair(point: PointRecord, claimed: float, found: _Found, dim: int) -> Verdict:
    """The verdict on R and D where C is in order."""
    if point.gap is None:
        return "unconfirmed"
    granted, trifle = _granted(point, dim), small(*_scale(point), point.beta, dim)
    rates = _off(point.claimed_rate, point.rate, point.rate_half)
    distortions = _off(point.claimed_distortion, point.distortion, point.distortion_half)
    if rates is None or distortions is None:  # records of old schemas do not say how sure they are
        if found.half > granted.lagrangian:
            return "undecided"
        return "within noise" if abs(found.off(claimed)) > trifle.lagrangian else "agrees"
    other = _other_channel(point, claimed, dim)
    rate = max(rates - other, 0.0)
    distortion = max(distortions - (other / point.beta if point.beta > 0.0 else math.inf), 0.0)
    if rate > granted.rate or distortion > granted.distortion:
        return "misplaced" if found.two_sided else "unconfirmed"
    halves = (found.half, point.rate_half or 0.0, point.distortion_half or 0.0)
    most = (granted.lagrangian, granted.rate, granted.distortion)
    if any(half > limit for half, limit in zip(halves, most, strict=True)):
        return "undecided"
    offs = (abs(found.off(claimed)), rate, distortion)
    limits = (trifle.lagrangian, trifle.rate, trifle.distortion)
    noisy = any(off > limit for off, limit in zip(offs, limits, strict=True))
    return "within noise" if noisy else "agrees"


def _off(claimed: float | None, found: float | None, half: float | None) -> float | None:
    """How far a claimed number is from the audited one beyond three standard errors of it."""
    if claimed is None or found is None or half is None:
        return None
    return max(abs(claimed - found) - _THREE * half, 0.0)


def _other_channel(point: PointRecord, claimed: float, dim: int) -> float:
    """How far R and beta D of a channel may be from those of p(y|x) ~ q exp(-beta rho), in nats.

    An encoder, and what an upper bound is computed with, is another channel: one with
    R + beta D = F(q) + e has relative entropy e from that one at most, which moves beta D by about
    sqrt(2 e Var(beta rho)), and the variance given x is about d/2.
    """
    if point.claimed_side != "upper" and point.conditional_kind != "encoder":
        return 0.0
    excess = claimed - point.lagrangian if point.lagrangian is not None else 0.0
    return math.sqrt(dim * max(excess, 0.0))


def _audited_interval(point: PointRecord) -> _Found | None:
    """The 95% interval of F(q), out of that of the gap; None where there is no audit.

    An audit whose whole interval lies below F* has found what no channel does: there is nothing
    to hold a claim against.
    """
    if point.truth_lo is None or point.truth_hi is None or point.gap_hi is None:
        return None
    if point.gap_hi < -_IMPOSSIBLE:
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
    # F(q) >= F*: where the lower end of an interval is below, that is noise, and no licence.
    return _Found(max(lo, point.truth_lo), max(hi, point.truth_lo), below is not None)


def verdict_in(record: CellRecord, point: PointRecord) -> Verdict:
    """The verdict on a point of a cell, by the cell's own ladder."""
    return verdict(point, record.dim, curve_of(record))


def summarise_claims(points: Iterable[tuple[CellRecord, PointRecord]]) -> ClaimSummary:
    """The claims of points, each with its cell."""
    pairs = list(points)
    gaps = [gap for _, point in pairs if (gap := claimed_gap(point)) is not None]
    excess = [value for _, point in pairs if (value := claim_excess(point)) is not None]
    counts = Counter(verdict_in(record, point) for record, point in pairs)
    return ClaimSummary(
        mean_gap=mean(gaps),
        worst_gap=max(gaps, default=None),
        excess=max(excess, key=abs, default=None),
        verdicts=tuple((name, counts[name]) for name in VERDICTS if counts[name]),
    )


def verdict_texts(summary: ClaimSummary) -> list[str]:
    """``too good 3/8`` and so on, the most alarming first; empty where nothing is there."""
    total = sum(count for _, count in summary.verdicts)
    return [f"{name} {count}/{total}" for name, count in summary.verdicts]
