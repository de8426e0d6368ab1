"""When a gap or a time is worse: pure functions of measurements.

A gap is worse when two things hold on seeds that did not raise the suspicion: the lower end of the
interval of its increase is above zero, and the increase is beyond the tolerance; or when the audit
has become less certain of it by more than the tolerance. A time is worse when its median ratio over
pairs of runs is beyond the limit, and that median's interval is above 1.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.stats import binom
from scipy.stats import t as student

ONE_SIDED = 0.005
"""The chance that a difference that is all noise passes the confirmation of a gap."""
SIGN_LEVEL = 0.01
"""The same for the interval of a median ratio."""
Z95 = 1.96

Verdict = Literal[
    "does not import",
    "fails now",
    "missing",
    "worse",
    "slower",
    "both fail",
    "suspected",
    "mended",
    "new",
    "ok",
]
"""The worst first; ``suspected`` was not confirmed."""
REGRESSIONS: tuple[Verdict, ...] = ("does not import", "fails now", "missing", "worse", "slower")


@dataclass(frozen=True)
class Finding:
    """The verdict on one metric."""

    metric: str
    verdict: Verdict
    base: float | None = None
    head: float | None = None
    unit: str = ""
    change: float | None = None
    """HEAD - BASE for a gap (nats), HEAD / BASE for a time."""
    low: float | None = None
    high: float | None = None
    """The interval of the change: 99 % for a gap, at least 98 % for a ratio."""
    limit: float | None = None
    """The largest change that is allowed."""
    note: str = ""

    @property
    def regression(self) -> bool:
        """Whether it fails the gate."""
        return self.verdict in REGRESSIONS


@dataclass(frozen=True)
class Point:
    """The audited gap F(q) - F* of one estimator at one rate with one seed, on one side."""

    gap: float | None
    """Nats per symbol; None where there is none."""
    error: float = 0.0
    """Its standard error (nats) by the audit's own interval."""
    reason: str = ""
    """Why there is no gap."""

    @property
    def size(self) -> float:
        """|gap|: a gap far below zero is as wrong as one above it."""
        return abs(self.gap) if self.gap is not None else math.nan

    @property
    def doubt(self) -> float:
        """Half of the audit's 95 % interval: an answer that cannot be audited is worth nothing."""
        return Z95 * self.error


@dataclass(frozen=True)
class Pair:
    """CPU seconds of the same work on both sides, one right after the other."""

    base: float
    head: float

    @property
    def ratio(self) -> float:
        """HEAD / BASE."""
        return self.head / self.base


def looks_worse(base: Point, head: Point, allowed: float) -> bool:
    """Whether one seed's gaps, or the audit's doubt about them, raise a suspicion.

    Only the audits' own errors are known of the noise; but HEAD's may not excuse what HEAD does.
    """
    noise = Z95 * math.hypot(base.error, head.error)
    return head.size - base.size > max(allowed, noise) or lost_sight(
        base.doubt, head.doubt, allowed
    )


def lost_sight(base: float, head: float, allowed: float) -> bool:
    """Whether the audit's doubt (nats) grew by more than is allowed and to more than the double.

    The double, because a large doubt scatters by as much as it is allowed to grow.
    """
    return head - base > max(allowed, base)


def judge_gaps(
    metric: str, base: Sequence[Point], head: Sequence[Point], allowed: float
) -> Finding:
    """Worse, or the suspicion was noise: Student's t interval of the difference of the means.

    The scatter from seed to seed is BASE's alone, for both sides: a HEAD that is sometimes right
    and sometimes far off must not be excused by its own scatter. It is at least what the audits
    say of themselves, since a few seeds may agree by chance. Points without a gap are left to
    `judge_failures`.

    Args:
        metric: its name.
        base: one point per seed.
        head: one point per seed.
        allowed: by how much the mean of |gap| and the doubt may grow, in nats.
    """
    ours = [p for p in base if p.gap is not None]
    theirs = [p for p in head if p.gap is not None]
    before, after = mean(ours), mean(theirs)
    if len(ours) < 2 or not theirs:
        return Finding(
            metric, "suspected", before, after, "nats", limit=allowed, note="too few seeds"
        )
    scatter = statistics.variance(p.size for p in ours)
    variance = sum(
        max(scatter, statistics.fmean(p.error**2 for p in side)) / len(side)
        for side in (ours, theirs)
    )
    half = float(student.ppf(1.0 - ONE_SIDED, len(ours) - 1)) * math.sqrt(variance)
    change = after - before
    doubts = [statistics.median(p.doubt for p in side) for side in (ours, theirs)]
    lost = lost_sight(doubts[0], doubts[1], allowed)
    worse = (change > allowed and change - half > 0.0) or lost
    doubt = f"; the audit's doubt grew from {doubts[0]:.3g} to {doubts[1]:.3g} nats" if lost else ""
    return Finding(
        metric,
        "worse" if worse else "suspected",
        before,
        after,
        "nats",
        change,
        change - half,
        change + half,
        allowed,
        f"{len(ours)} + {len(theirs)} seeds{doubt}" + ("" if worse else ", not confirmed"),
    )


def judge_failures(metric: str, base: Sequence[Point], head: Sequence[Point]) -> Finding | None:
    """`fails now` where HEAD fails with more of the seeds than BASE; None where it does not."""
    lost = [p for p in head if p.gap is None]
    before = sum(p.gap is None for p in base)
    if len(lost) <= before:
        return None
    note = f"{len(lost)} of {len(head)} seeds, {before} of {len(base)} on BASE: {lost[0].reason}"
    return Finding(metric, "fails now", mean(base), None, "nats", note=note)


def rank(count: int) -> int:
    """k such that the median is below the k-th smallest of ``count`` with a chance of 1 % at most.

    0 where ``count`` is below 7: there is no such k.
    """
    return int(binom.ppf(SIGN_LEVEL, count, 0.5))


def judge_times(metric: str, pairs: Sequence[Pair], limit: float) -> Finding:
    """Slower if the median ratio is beyond the limit, and above 1 by its sign-test interval.

    The interval lies between order statistics: it assumes of the noise only that a pair is as
    likely to show more than the true ratio as less.
    """
    ratios = sorted(pair.ratio for pair in pairs)
    k = rank(len(ratios))
    low, high = ratios[k - 1], ratios[-k]
    return Finding(
        metric,
        "slower" if statistics.median(ratios) > limit and low > 1.0 else "suspected",
        statistics.median(pair.base for pair in pairs),
        statistics.median(pair.head for pair in pairs),
        "s CPU",
        statistics.median(ratios),
        low,
        high,
        limit,
        f"{len(ratios)} pairs of fits",
    )


def can_still_be_slower(pairs: Sequence[Pair], count: int, limit: float) -> bool:
    """Whether `judge_times` of ``count`` pairs that start like this might say `slower`.

    ``count`` is odd, so that the median is one of the ratios.
    """
    within = sum(pair.ratio <= limit for pair in pairs)
    faster = sum(pair.ratio <= 1.0 for pair in pairs)
    return within <= count // 2 and faster < rank(count)


def mean(points: Sequence[Point]) -> float:
    """The mean of |gap| in nats over the points that have one; nan where none has."""
    sizes = [p.size for p in points if p.gap is not None]
    return statistics.fmean(sizes) if sizes else math.nan
