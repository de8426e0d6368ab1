"""Two estimators on the same symbols: the difference of their gaps, with an interval.

The audit draws its symbols from a stream that depends on the suite, the case, the seed and the
slope alone, so whatever it finds of two estimators there has most of its noise in common. The
truth cancels, too. A record keeps the means of f - f* over up to 64 blocks of the symbols; the
differences of those of two records are independent from block to block, and their mean is the
difference of the gaps.

Should the symbols differ after all (records of different versions of the audit), the blocks are
as good as independent, and the interval is wider than it might be, not wrong.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Generic, Literal, TypeVar

import numpy as np

from rdbench.report.blocks import Z95, Moments, paired_moments
from rdbench.report.scores import SCORED, half_truth, is_lower, is_start, shown_gap
from rdbench.run.records import CellRecord, PointRecord

ROUNDING = 1e-12
"""Of a sum in float64, relative to F: what is closer than this is equal."""

Member = tuple[CellRecord, PointRecord]
Holds = Literal["exact", "upper", "lower", "audited", "estimate"]
Slot = tuple[str, int, str, str, str, str]
"""Where two records can be compared: suite, version, case, budget, device and slope."""
Placed = dict[Slot, dict[int, dict[int | None, PointRecord]]]
"""Points by slot, seed and number of training points."""
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Difference:
    """The mean over slopes of gap(a) - gap(b) in nats, with its 95% interval [lo, hi].

    Negative: a is better. ``holds`` says which ends bound the difference of the true gaps:
    ``exact`` both, ``upper`` only hi (the audit bounds a from above), ``lower`` only lo (it bounds
    b from above), ``audited`` neither (it bounds both; the interval is of the audited values),
    ``estimate`` neither is guaranteed. Of the ``points`` compared (slopes times seeds) a is
    ``better`` or ``worse`` at so many, by their own intervals; ``paired`` of them have been
    compared on the same symbols, the others by their own intervals.
    """

    value: float
    lo: float
    hi: float
    holds: Holds
    better: int
    worse: int
    paired: int
    points: int


@dataclass(frozen=True)
class Entrant:
    """One estimator in a comparison; not ``whole``: a cell of it ended without any point."""

    members: tuple[Member, ...]
    whole: bool = True


@dataclass(frozen=True)
class Standing(Generic[K]):
    """Who is best, by how much the others are behind, and who is not shown to be worse."""

    best: K
    behind: Mapping[K, Difference | None]
    leaders: frozenset[K]


@dataclass(frozen=True)
class _Step:
    """gap(a) - gap(b) at one slope of one seed."""

    seed: int
    value: float
    variance: float
    freedom: float
    """Degrees of freedom of the variance."""
    below: float
    """How much further down the difference may be by what is no sampling error of this pair."""
    above: float
    paired: bool
    sides: tuple[str | None, str | None]

    @property
    def ends(self) -> tuple[float, float]:
        """Of its own 95% interval."""
        half = _quantile(self.freedom) * math.sqrt(self.variance)
        return self.value - half - self.below, self.value + half + self.above


def difference(mine: Iterable[Member], other: Iterable[Member]) -> Difference | None:
    """gap(mine) - gap(other), mean over the slopes at which both have been audited.

    Every slope weighs the same, however many seeds there are. At one slope and seed the mean is
    over the blocks that both have, its standard error that of their differences with what each
    side's blocks share (``gap_common_se``) added in quadrature; exact sums over a finite source
    have no blocks and no error but that. Different slopes and seeds have different symbols: their
    variances add up. The quantile is Student's, its degrees of freedom by Welch and Satterthwaite.
    The bracket of an audit's method, where one is seen, and the allowance for skewed differences
    add to the interval undiminished. Where nothing can be paired (records of before schema 3) each
    point's interval is [lo - hi', hi - lo'], valid however the two depend on one another, and
    those do not shrink in the mean.

    With three seeds or more the interval also holds for other seeds of the fits: it is at least
    as wide as Student's interval of the means of the seeds.

    Args:
        mine: points of one estimator with their cells.
        other: those of the one it is compared with, of the same cases.

    Returns:
        None where there is no slope at which both have been audited.
    """
    mine, other = list(mine), list(other)
    return _difference(_placed(mine, _slots(mine)), _placed(other, _slots(other)))


def _difference(mine: Placed, other: Placed) -> Difference | None:
    slots = _steps(mine, other)
    steps = [step for found in slots.values() for step in found]
    if not steps:
        return None
    weights = [1.0 / (len(slots) * len(found)) for found in slots.values() for _ in found]
    value = _total(w * step.value for w, step in zip(weights, steps, strict=True))
    parts = [w * w * step.variance for w, step in zip(weights, steps, strict=True)]
    variance = _total(parts)
    spread = _total(v * v / step.freedom for v, step in zip(parts, steps, strict=True))
    freedom = variance * variance / spread if spread > 0.0 else math.inf
    half = max(_quantile(freedom) * math.sqrt(variance), _half_of_seeds(slots))
    ends = [step.ends for step in steps]
    return Difference(
        value=value,
        lo=value - half - _total(w * s.below for w, s in zip(weights, steps, strict=True)),
        hi=value + half + _total(w * s.above for w, s in zip(weights, steps, strict=True)),
        holds=_holds(steps),
        better=len([hi for _, hi in ends if hi < 0.0]),
        worse=len([lo for lo, _ in ends if lo > 0.0]),
        paired=sum(step.paired for step in steps),
        points=len(steps),
    )


def standing(entrants: Mapping[K, Entrant]) -> Standing[K] | None:
    """Who is best of several estimators on the same cases, and who is not shown to be worse.

    The best has the smallest mean gap of those that have one at every slope, in every seed; of a
    gap that is only bounded from above the bound counts. A leader has one everywhere, too, and is
    not significantly worse than the best: the paired interval of the difference reaches zero. Nor
    is it worse than one that has a gap at some slopes only, on those slopes. Audited values are
    compared: what is only bounded from above may be better than it looks. Points whose q is where
    the fit began are left out, and so are lower bounds.

    Returns:
        None where fewer than two have a gap, or none has one at every slope.
    """
    entrants = {
        key: _without_starts(one)
        for key, one in entrants.items()
        if not is_lower(point for _, point in one.members)
    }
    playing = {
        key: one for key, one in entrants.items() if any(_is_known(p) for _, p in one.members)
    }
    if len(playing) < 2:
        return None
    slots = {key: _slots(one.members) for key, one in entrants.items()}
    every = set().union(*slots.values())
    complete = [
        key
        for key, one in playing.items()
        if one.whole
        and all(_is_known(point) for _, point in one.members)
        and set(slots[key]) == every
    ]
    if not complete:
        return None
    best = min(complete, key=lambda key: _level(playing[key].members, slots[key]))
    placed = {key: _placed(one.members, slots[key]) for key, one in playing.items()}
    behind = {key: _difference(placed[key], placed[best]) for key in playing if key != best}
    partial = [key for key in playing if key not in complete]
    leaders = (
        key
        for key in complete
        if (key == best or not _is_worse(behind[key]))
        and not any(_is_worse(_difference(placed[key], placed[one])) for one in partial)
    )
    return Standing(best, behind, frozenset(leaders))


def _without_starts(one: Entrant) -> Entrant:
    """The points whose q the fit has moved: a start is no result of the method, and has no rank."""
    moved = tuple((record, point) for record, point in one.members if not is_start(point))
    return replace(one, members=moved, whole=one.whole and len(moved) == len(one.members))


def _is_worse(found: Difference | None) -> bool:
    return found is not None and found.lo > 0.0


def _slots(members: Iterable[Member]) -> list[Slot]:
    """Where each can be compared; slopes that differ by rounding alone are one."""
    slots = []
    of: CellRecord | None = None
    for record, point in members:
        if record is not of:  # what its points have in common
            of, device = record, record.provenance.device
            head = (record.suite, record.suite_version, record.case, record.budget, device)
        slots.append((*head, _rounded(point.beta)))
    return slots


@lru_cache(maxsize=4096)
def _rounded(beta: float) -> str:
    return f"{beta:.9g}"


def _is_known(point: PointRecord) -> bool:
    """Whether the point can be compared: a gap with an interval, or F(q) by blocks of symbols."""
    if point.status not in SCORED:
        return False
    if point.gap is not None and point.gap_hi is not None:
        return True
    return point.lagrangian is not None and len(point.gap_blocks) > 1


def _level(members: Sequence[Member], slots: Sequence[Slot]) -> float:
    """The mean over slopes of the mean over seeds of what is shown as the gap."""
    found: dict[Slot, list[float]] = {}
    for (_, point), slot in zip(members, slots, strict=True):
        shown = shown_gap(point)
        value = point.lagrangian if shown is None else shown
        found.setdefault(slot, []).append(math.inf if value is None else value)
    return _total(sum(values) / len(values) for values in found.values()) / len(found)


def _placed(members: Iterable[Member], slots: Iterable[Slot]) -> Placed:
    found: Placed = {}
    for (record, point), slot in zip(members, slots, strict=True):
        if _is_known(point):
            seeds = found.setdefault(slot, {})
            seeds.setdefault(record.seed, {}).setdefault(record.n_train, point)
    return found


def _steps(ours: Placed, theirs: Placed) -> dict[Slot, list[_Step]]:
    """The comparable pairs of every slope: of equal seed, or of any where no seed is common."""
    asked: list[tuple[Slot, int, PointRecord, PointRecord, bool]] = []
    for slot, seeds in ours.items():
        against = theirs.get(slot, {})
        common = sorted(set(seeds) & set(against))
        pairs = [(seed, seed) for seed in common]
        pairs = pairs or list(zip(sorted(seeds), sorted(against), strict=False))
        asked += [
            (slot, a, point, partner, a == b)
            for a, b in pairs
            for n_train, point in seeds[a].items()
            if (partner := _partner(against[b], n_train)) is not None
        ]
    moments = paired_moments([(a, b) if same else None for _, _, a, b, same in asked])
    slots: dict[Slot, list[_Step]] = {}
    for (slot, seed, a, b, _), found in zip(asked, moments, strict=True):
        step = _step(seed, a, b, found)
        if step is not None:
            slots.setdefault(slot, []).append(step)
    return slots


def _partner(points: Mapping[int | None, PointRecord], n_train: int | None) -> PointRecord | None:
    """Trained on as many points, or on whatever it was if there is but one."""
    if n_train in points:
        return points[n_train]
    return next(iter(points.values())) if len(points) == 1 else None


def _step(seed: int, a: PointRecord, b: PointRecord, found: Moments | None) -> _Step | None:
    """The pair at one slope; ``found`` where it is on the same symbols."""
    sides = (a.side, b.side)
    shared = math.hypot(a.gap_common_se or 0.0, b.gap_common_se or 0.0)
    rounding = ROUNDING * max(1.0, abs(a.lagrangian or 0.0), abs(b.lagrangian or 0.0))
    if found is not None:
        own, tail = found.variance / found.blocks, found.tail
        total = own + shared * shared
        freedom = (found.blocks - 1) * (total / own) * (total / own) if own > 0.0 else math.inf
        (a_lo, a_hi), (b_lo, b_hi) = (
            _bracket(point, std) for point, std in zip((a, b), found.stds, strict=True)
        )
        return _Step(
            seed, found.mean, total, freedom,
            a_lo + b_hi + rounding + max(-tail, 0.0), a_hi + b_lo + rounding + max(tail, 0.0),
            True, sides,
        )  # fmt: skip
    if a.gap is None or b.gap is None or a.gap_hi is None or b.gap_hi is None:
        return None
    # Exact sums have no error but what they share; what the interval has beyond that is the
    # method's own bracket there, and everything where nothing is known of its parts.
    (a_lo, a_hi), (b_lo, b_hi) = _rest(a, a.gap_common_se or 0.0), _rest(b, b.gap_common_se or 0.0)
    return _Step(
        seed, a.gap - b.gap, shared * shared, math.inf,
        a_lo + b_hi + rounding, a_hi + b_lo + rounding, _is_sum(a) and _is_sum(b), sides,
    )  # fmt: skip


def _is_sum(point: PointRecord) -> bool:
    """Whether the gap is an exact sum over a finite source."""
    return not point.gap_blocks and point.gap_common_se is not None and point.side == "exact"


def _rest(point: PointRecord, se: float) -> tuple[float, float]:
    """How far the interval of the gap reaches beyond ``se`` and the truth's bracket, each way.

    Of an upper bound the statistic is meant, which varies downwards as it does upwards.
    """
    if point.gap is None or point.gap_hi is None:
        return 0.0, 0.0
    inner = half_truth(point) + Z95 * se
    above = max(point.gap_hi - point.gap - inner, 0.0)
    if point.side == "upper" or point.gap_lo is None:
        return above, above
    return max(point.gap - point.gap_lo - inner, 0.0), above


def _bracket(point: PointRecord, std: float) -> tuple[float, float]:
    """The bracket of the audit's own method, each way: of annealing's log Z, for one.

    Records do not hold it. It is what the interval has beyond its sampling error, where that is
    clearly more than the audit's allowance for a skewed mean (at most one standard error) and the
    uncertainty of the standard error of so few blocks together.

    Args:
        point: with blocks.
        std: the standard deviation of its blocks.
    """
    count = len(point.gap_blocks)
    se = std / math.sqrt(count)
    doubt = (1.0 + 3.0 * Z95 / math.sqrt(2.0 * (count - 1))) * se
    lo, hi = _rest(point, math.hypot(se, point.gap_common_se or 0.0))
    return lo if lo > doubt else 0.0, hi if hi > doubt else 0.0


def _half_of_seeds(slots: Mapping[Slot, Sequence[_Step]]) -> float:
    """Half of Student's interval of the means of three seeds or more, else 0.

    The means are over the slopes that all seeds have.
    """
    seeds = sorted({step.seed for found in slots.values() for step in found})
    common = [found for found in slots.values() if {step.seed for step in found} == set(seeds)]
    if len(seeds) < 3 or not common:
        return 0.0
    means = [np.mean(own) for own in zip(*map(_means_of_seeds, common), strict=True)]
    return _quantile(len(seeds) - 1) * float(np.std(means, ddof=1)) / math.sqrt(len(seeds))


def _means_of_seeds(steps: Sequence[_Step]) -> list[float]:
    """The mean of every seed, in the order of the seeds."""
    values: dict[int, list[float]] = {}
    for step in steps:
        values.setdefault(step.seed, []).append(step.value)
    return [own[0] if len(own) == 1 else float(np.mean(own)) for _, own in sorted(values.items())]


def _holds(steps: Sequence[_Step]) -> Holds:
    sides = {side for step in steps for side in step.sides}
    a_upper = any(step.sides[0] == "upper" for step in steps)
    b_upper = any(step.sides[1] == "upper" for step in steps)
    if a_upper and b_upper:
        return "audited"
    if sides - {"exact", "upper"}:
        return "estimate"
    return "upper" if a_upper else "lower" if b_upper else "exact"


def _total(values: Iterable[float]) -> float:
    """The sum without rounding, or infinite where a float cannot hold it."""
    found = list(values)
    try:
        return math.fsum(found)
    except OverflowError:
        return sum(found)


def _quantile(freedom: float) -> float:
    """Of Student's distribution, at 97.5%."""
    from scipy.special import stdtrit  # here: scipy takes a while to import

    return Z95 if math.isinf(freedom) else float(stdtrit(freedom, 0.975))
