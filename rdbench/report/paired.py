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
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from rdbench.report.blocks import Z95
from rdbench.report.numbers import Numbers
from rdbench.report.scores import SCORED, is_lower, is_start, shown_gap
from rdbench.report.steps import Placed, Points, Slot, Steps
from rdbench.run.records import CellRecord, PointRecord

Member = tuple[CellRecord, PointRecord]
Holds = Literal["exact", "upper", "lower", "audited", "estimate"]
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
    held: list[PointRecord] = []
    placed = [_placed(one, _slots(one), held) for one in (mine, other)]
    return _difference(Points(held).steps(*placed))


def _difference(steps: Steps | None) -> Difference | None:
    if steps is None:
        return None
    with np.errstate(all="ignore"):
        runs = np.array(steps.runs)
        weights = np.repeat(1.0 / (len(runs) * runs), runs)
        value = _total(weights * steps.value)
        parts = weights * weights * steps.variance
        variance = _total(parts)
        spread = _total(parts * parts / steps.freedom)
        freedom = variance * variance / spread if spread > 0.0 else math.inf
        half = max(float(_quantiles(freedom)) * math.sqrt(variance), _half_of_seeds(steps))
        own = _quantiles(steps.freedom) * np.sqrt(steps.variance)
        return Difference(
            value=value,
            lo=value - half - _total(weights * steps.below),
            hi=value + half + _total(weights * steps.above),
            holds=_holds(steps),
            better=int(np.sum(steps.value + own + steps.above < 0.0)),
            worse=int(np.sum(steps.value - own - steps.below > 0.0)),
            paired=int(np.sum(steps.paired)),
            points=len(steps.value),
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
    field = Comparison(entrants)
    best = field.best
    if best is None or len(field.playing) < 2:
        return None
    behind = {key: field.between(key, best) for key in field.playing if key != best}
    leaders = (one for one in field.tier(field.complete, best) if not field.is_beaten(one))
    return Standing(best, behind, frozenset(leaders))


class Comparison(Generic[K]):
    """Several estimators on the same cases, made ready to be compared in pairs.

    Lower bounds are left out, and so are points whose q is where the fit began.
    """

    def __init__(self, entrants: Mapping[K, Entrant]) -> None:
        """Look up where every point can be compared."""
        ranked = {
            key: _without_starts(one)
            for key, one in entrants.items()
            if not is_lower(point for _, point in one.members)
        }
        self.playing: list[K] = [
            key for key, one in ranked.items() if any(_is_known(p) for _, p in one.members)
        ]
        """Those that have a gap somewhere."""
        slots = {key: _slots(one.members) for key, one in ranked.items()}
        every = set().union(*slots.values())
        self.complete: list[K] = [
            key
            for key in self.playing
            if ranked[key].whole
            and all(_is_known(point) for _, point in ranked[key].members)
            and set(slots[key]) == every
        ]
        """Those that have a gap at every slope of every case, in every seed."""
        self.levels: dict[K, float] = {
            key: _level(ranked[key].members, slots[key]) for key in self.complete
        }
        """Their mean gaps."""
        held: list[PointRecord] = []
        self._placed = {key: _placed(ranked[key].members, slots[key], held) for key in self.playing}
        self._points = Points(held)
        self._known: dict[tuple[K, K], Difference | None] = {}

    @property
    def best(self) -> K | None:
        """Of those that have a gap everywhere the one with the smallest mean."""
        return min(self.complete, key=self.levels.__getitem__, default=None)

    def tier(self, among: Iterable[K], first: K) -> list[K]:
        """Those that are not significantly worse than ``first``, which is one of them."""
        return [one for one in among if one == first or not is_worse(self.between(one, first))]

    def is_beaten(self, one: K) -> bool:
        """Whether somebody who has a gap at some slopes only is better on those slopes."""
        partial = (key for key in self.playing if key not in self.complete)
        return any(is_worse(self.between(one, key)) for key in partial)

    def between(self, mine: K, other: K) -> Difference | None:
        """The gap of one less that of another, as by `difference`; computed once."""
        if (mine, other) not in self._known:
            steps = self._points.steps(self._placed[mine], self._placed[other])
            self._known[mine, other] = _difference(steps)
        return self._known[mine, other]


def _without_starts(one: Entrant) -> Entrant:
    """The points whose q the fit has moved: a start is no result of the method, and has no rank."""
    moved = tuple((record, point) for record, point in one.members if not is_start(point))
    return replace(one, members=moved, whole=one.whole and len(moved) == len(one.members))


def is_worse(found: Difference | None) -> bool:
    """Whether the interval of a difference lies above zero."""
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


def _placed(members: Iterable[Member], slots: Iterable[Slot], held: list[PointRecord]) -> Placed:
    """Where the points that can be compared are in a list, which gets them."""
    found: Placed = {}
    for (record, point), slot in zip(members, slots, strict=True):
        if _is_known(point):
            own = found.setdefault(slot, {}).setdefault(record.seed, {})
            if record.n_train not in own:
                own[record.n_train] = len(held)
                held.append(point)
    return found


def _half_of_seeds(steps: Steps) -> float:
    """Half of Student's interval of the means of three seeds or more, else 0.

    The means are over the slopes that all seeds have.
    """
    seeds = set(steps.seeds)
    if len(seeds) < 3:
        return 0.0
    common, ends = [], np.cumsum(steps.runs).tolist()
    values = steps.value.tolist()
    for end, run in zip(ends, steps.runs, strict=True):
        own = steps.seeds[end - run : end]
        if len(set(own)) == len(seeds):
            common.append(_means_of_seeds(own, values[end - run : end]))
    if not common:
        return 0.0
    means = [np.mean(own) for own in zip(*common, strict=True)]
    return (
        float(_quantiles(len(seeds) - 1.0)) * float(np.std(means, ddof=1)) / math.sqrt(len(seeds))
    )


def _means_of_seeds(seeds: Sequence[int], values: Sequence[float]) -> list[float]:
    """The mean of every seed, in the order of the seeds."""
    held: dict[int, list[float]] = {}
    for seed, value in zip(seeds, values, strict=True):
        held.setdefault(seed, []).append(value)
    return [own[0] if len(own) == 1 else float(np.mean(own)) for _, own in sorted(held.items())]


def _holds(steps: Steps) -> Holds:
    sides = {side for pair in steps.sides for side in pair}
    a_upper = any(a == "upper" for a, _ in steps.sides)
    b_upper = any(b == "upper" for _, b in steps.sides)
    if a_upper and b_upper:
        return "audited"
    if sides - {"exact", "upper"}:
        return "estimate"
    return "upper" if a_upper else "lower" if b_upper else "exact"


def _total(values: Iterable[float] | Numbers) -> float:
    """The sum without rounding, or infinite where a float cannot hold it."""
    found: list[float] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    try:
        return math.fsum(found)
    except OverflowError:
        return sum(found)


def _quantiles(freedom: Any) -> Any:
    """Of Student's distributions, at 97.5%."""
    from scipy.special import stdtrit  # here: scipy takes a while to import

    return np.where(np.isinf(freedom), Z95, stdtrit(freedom, 0.975))
