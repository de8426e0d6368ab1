"""Statistics of the gaps of several points: mean, median, worst, and how far up a ladder is good.

Gaps are in nats. The audit's side decides what may be said: of a point of side ``upper`` only the
upper end of the interval is meant, so that end stands wherever one number is asked for. The
estimate below it is no bound: the truth lies above it half of the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from rdbench.bracket import stretch as stretch
from rdbench.outcomes import SCORED as SCORED
from rdbench.run.records import ITS_START, CellRecord, PointRecord

GOOD_GAP = 0.05
"""Nats: up to this upper end of its interval a gap is called good."""


@dataclass(frozen=True)
class Interval:
    """A mean with the interval that is known of it; None where nothing is."""

    mean: float | None
    lo: float | None
    hi: float | None


@dataclass(frozen=True)
class Worst:
    """The largest gap, where it occurs, and a 95% interval of the largest true gap.

    ``gap`` is a maximum of noisy numbers, so it leans upwards; ``lo`` and ``hi`` are no worse for
    that (see ``worst_gap``), None where there is no such end. ``is_bound``: a failed audit only
    says that it is at least ``gap``; ``is_upper``: at that point the audit only bounds the gap
    from above, and ``gap`` is that bound.
    """

    gap: float
    rate: float | None
    is_bound: bool = False
    is_upper: bool = False
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True)
class Median:
    """The median gap; ``is_upper``: it is only known to be no larger."""

    gap: float
    is_upper: bool


@dataclass(frozen=True)
class GoodTo:
    """The highest rate up to which every gap is good; ``is_top``: the ladder ends there."""

    rate: float
    is_top: bool


def is_scored(point: PointRecord) -> bool:
    """Whether the point has a gap that enters the means."""
    return point.status in SCORED and point.gap is not None


def is_lower(points: Iterable[PointRecord]) -> bool:
    """Whether these are lower bounds, whose gap is F* - F_lo: no rank among channels for them."""
    return any(point.side == "lower" for point in points)


def is_upper(points: Iterable[PointRecord]) -> bool:
    """Whether the gap of one of them is only bounded from above."""
    return any(point.side == "upper" for point in points)


def is_withheld(point: PointRecord) -> bool:
    """Whether the fit answered and the audit withholds R, D and F: they failed its own tests."""
    return point.status in SCORED and point.rate is None and point.lagrangian is None


def abscissa(point: PointRecord) -> float | None:
    """Where a point stands: the true R* at its slope, else the rate aimed at, else found."""
    if point.rate_lo is not None and point.rate_hi is not None:
        return 0.5 * point.rate_lo + 0.5 * point.rate_hi
    return point.target_rate if point.target_rate is not None else point.rate


def shown_gap(point: PointRecord) -> float | None:
    """The one number that stands for the gap of a point: of an upper bound its upper end."""
    return point.gap_hi if point.side == "upper" and point.gap is not None else point.gap


def drawn_gap(point: PointRecord) -> float:
    """Where a gap is drawn: at the number that tables print, at the gap where there is none."""
    shown = shown_gap(point)
    return (point.gap or 0.0) if shown is None else shown


def ends(point: PointRecord) -> tuple[float, float]:
    """The interval of the gap, its unknown or meaningless ends at the gap as drawn."""
    gap = drawn_gap(point)
    lo = gap if point.side == "upper" or point.gap_lo is None else point.gap_lo
    hi = gap if point.gap_hi is None else point.gap_hi
    return min(lo, gap), max(hi, gap)


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are known, None where none is."""
    known = [float(value) for value in values if value is not None]
    try:
        return math.fsum(known) / len(known) if known else None
    except OverflowError:  # of the sum, not of the mean
        return math.fsum(value / len(known) for value in known)


def mean_of_all(values: Iterable[float | None]) -> float | None:
    """The mean, None where any is unknown: means over different points are not comparable."""
    known = list(values)
    return None if None in known else mean(known)


def mean_gap(scored: Sequence[PointRecord]) -> Interval:
    """The mean gap of ``scored`` points with an interval that is valid whatever they share.

    The interval of the mean is [mean of gap_lo, mean of gap_hi]. The errors of the points add up
    as if they were fully correlated: the standard deviation of a mean is at most the mean of the
    standard deviations, and the truth's bracket, common to all seeds, does not average out. Where
    points are independent it is wider than need be. One point that is only bounded from above
    (side ``upper``, or no gap_lo) leaves the mean without a lower end.
    """
    return Interval(
        mean=mean(point.gap for point in scored),
        lo=mean_of_all(None if point.side == "upper" else point.gap_lo for point in scored),
        hi=mean_of_all(point.gap_hi for point in scored),
    )


def mean_gain(points: Iterable[PointRecord]) -> Interval:
    """The mean of F(start) - F(q) over the points that have one, its interval as of `mean_gap`."""
    known = [point for point in points if point.gain is not None]
    return Interval(
        mean=mean(point.gain for point in known),
        lo=mean_of_all(point.gain_lo for point in known),
        hi=mean_of_all(point.gain_hi for point in known),
    )


def is_start(point: PointRecord) -> bool:
    """Whether q is where the fit began: such a point is no result of the method."""
    return point.q_is == ITS_START


def shown_mean(gap: Interval, *, upper: bool) -> float | None:
    """The one number that stands for a mean gap: of one bounded from above its upper end."""
    return gap.hi if upper and gap.mean is not None else gap.mean


def median_gap(scored: Sequence[PointRecord]) -> Median | None:
    """The median gap of ``scored`` points, which no single point rules.

    A point of side ``upper`` enters by its gap_hi, every other by its gap. The median grows with
    each of them, so it is an upper bound as soon as one of them is, and is called one.
    """
    values = [value for point in scored if (value := shown_gap(point)) is not None]
    if not values or len(values) < len(scored):
        return None
    return Median(median(values), is_upper(scored))


def worst_gap(points: Iterable[PointRecord]) -> Worst | None:
    """The largest gap, the rate at which it occurs, and a 95% interval of the largest true gap.

    A point whose audit failed its acceptance test has no gap but may have a lower bound; where that
    exceeds every gap, it is the worst, so that a failed audit cannot hide a failed fit. A lower
    bound that the audit gives no value has its trusted end, by which its gap is known from above.

    The upper end is the largest gap_hi. The largest true gap occurs at one point, whichever it
    is, and that point's gap_hi lies above it in 97.5% of cases: nothing is to be corrected. The
    lower end is the largest gap_lo after each has been moved down to where it holds for all K
    points that have one at the same time, in 97.5% of cases: the part of its distance from the gap
    that is not the truth's own width times ``stretch(K)`` (Bonferroni).
    """
    answered = (point for point in points if point.status in SCORED)
    found = [(point, one) for point in answered if (one := _candidate(point)) is not None]
    if not found:
        return None
    two_sided = [p for p, _ in found if p.side != "upper" and p.gap_lo is not None]
    factor = stretch(len(two_sided))
    his = [point.gap_hi for point, _ in found if point.gap_hi is not None]
    return replace(
        max((one for _, one in found), key=lambda one: one.gap),
        lo=max((_lower_end(point, factor) for point in two_sided), default=None),
        hi=max(his) if len(his) == len(found) else None,
    )


def _candidate(point: PointRecord) -> Worst | None:
    if point.side == "upper" and point.gap is not None and point.gap_hi is not None:
        return Worst(point.gap_hi, abscissa(point), is_upper=True)
    if point.gap is not None:
        return Worst(point.gap, abscissa(point))
    if point.gap_lo is not None and point.side != "upper":
        return Worst(point.gap_lo, abscissa(point), is_bound=True)
    if point.side == "lower" and point.gap_hi is not None:
        return Worst(point.gap_hi, abscissa(point), is_upper=True)
    return None


def _lower_end(point: PointRecord, factor: float) -> float:
    """gap_lo with the part of its distance that is due to the audit stretched by ``factor``."""
    assert point.gap_lo is not None
    if point.gap is None:
        return point.gap_lo
    return point.gap_lo - (factor - 1.0) * max(point.gap - half_truth(point) - point.gap_lo, 0.0)


def half_truth(point: PointRecord) -> float:
    """Half the width of the bracket on F*, which both ends of the gap's interval contain."""
    if point.truth_lo is None or point.truth_hi is None:
        return 0.0
    return 0.5 * point.truth_hi - 0.5 * point.truth_lo


def good_to(record: CellRecord) -> GoodTo | None:
    """The highest rate of a ladder up to which gap_hi <= ``GOOD_GAP``, there and at all below.

    A point that failed, was refused or has no gap_hi ends it. None: not even the lowest is good.
    """
    ladder = sorted(record.points, key=_height)
    reached, found = 0, None
    for point in ladder:
        if point.status not in SCORED or point.gap_hi is None or not point.gap_hi <= GOOD_GAP:
            break
        reached, found = reached + 1, abscissa(point)
    return None if found is None else GoodTo(found, is_top=reached == len(ladder))


def _height(point: PointRecord) -> tuple[float, float]:
    """By slope, of which R* is a monotone function; rates that share a slope by their own size."""
    target = abscissa(point) if point.target_rate is None else point.target_rate
    return point.beta, math.inf if target is None else target


def all_good_to(records: Iterable[CellRecord]) -> GoodTo | None:
    """The worst of several ladders: None where one of them is good at no rate."""
    found = [good_to(record) for record in records]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    return min(known, key=lambda one: (one.rate, one.is_top))


def worst_rate_error(scored: Iterable[PointRecord]) -> Interval:
    """The R - R(D) of largest magnitude with its interval, of points that have one."""
    known = [
        Interval(point.rate_error, point.rate_error_lo, point.rate_error_hi)
        for point in scored
        if has_rate_error(point)
    ]
    return max(known, key=lambda one: abs(one.mean or 0.0), default=Interval(None, None, None))


def has_rate_error(point: PointRecord) -> bool:
    """Whether R - R(D) says something: records of before schema 3 have no interval of it."""
    return None not in (point.rate_error, point.rate_error_lo, point.rate_error_hi)
