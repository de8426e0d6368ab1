"""Pairs of points of two estimators at the same slopes: their differences, all of them at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rdbench.report.blocks import Z95, Blocks, Moments, Places
from rdbench.report.numbers import Flags, Numbers, equal, numbers
from rdbench.run.records import PointRecord

ROUNDING = 1e-12
"""Of a sum in float64, relative to F: what is closer than this is equal."""

Slot = tuple[str, int, str, str, str, str]
"""Where two records can be compared: suite, version, case, budget, device and slope."""
Placed = dict[Slot, dict[int, dict[int | None, int]]]
"""The places of points in a `Points`, by slot, seed and number of training points."""


@dataclass(frozen=True)
class Steps:
    """gap(a) - gap(b) at one slope of one seed after another, those of a slope together."""

    runs: Sequence[int]
    """How many there are at each slope."""
    seeds: Sequence[int]
    value: Numbers
    variance: Numbers
    freedom: Numbers
    """Degrees of freedom of the variance."""
    below: Numbers
    """How much further down the difference may be by what is no sampling error of this pair."""
    above: Numbers
    paired: Flags
    sides: frozenset[tuple[str | None, str | None]]
    """The sides of a and b that there are."""


class Points:
    """The numbers of points that a comparison needs, computed once for all pairs."""

    def __init__(self, points: Sequence[PointRecord]) -> None:
        """Take them out of the records.

        Args:
            points: of all that are compared.
        """
        self.sides = [one.side for one in points]
        self._blocks = Blocks(points)
        self._gap, self._gap_hi = numbers(points, "gap"), numbers(points, "gap_hi")
        self._gap_lo = numbers(points, "gap_lo")
        shared = numbers(points, "gap_common_se")
        self._has_shared = ~np.isnan(shared)
        self._shared = np.where(self._has_shared, shared, 0.0)
        with np.errstate(all="ignore"):
            lagrangian = np.abs(numbers(points, "lagrangian"))
            self._scale = np.where(lagrangian > 1.0, lagrangian, 1.0)
            truth = 0.5 * numbers(points, "truth_hi") - 0.5 * numbers(points, "truth_lo")
            self._half_truth = np.where(np.isnan(truth), 0.0, truth)
            exact = equal(points, "side", "exact")
            self._is_sum = (self._blocks.counts == 0) & self._has_shared & exact
            self._one_sided = equal(points, "side", "upper") | np.isnan(self._gap_lo)
            self._rests = self._rest(self._shared)
            self._brackets = self._bracket()

    def steps(self, ours: Placed, theirs: Placed) -> Steps | None:
        """The comparable pairs of every slope: of equal seed, or of any where no seed is common.

        None where there are none.
        """
        slots, seeds, first, second, same = _pairs(ours, theirs)
        if not slots:
            return None
        with np.errstate(all="ignore"):
            return self._made(slots, seeds, np.array(first), np.array(second), np.array(same))

    def _made(
        self, slots: list[int], seeds: list[int], a: Places, b: Places, same: Flags
    ) -> Steps | None:
        on_blocks = same & self._has_shared[a] & self._has_shared[b]
        found = self._blocks.paired(a, b)
        on_blocks &= ~np.isnan(found.blocks)
        known = ~np.isnan(self._gap[a] + self._gap[b] + self._gap_hi[a] + self._gap_hi[b])
        kept = np.flatnonzero(on_blocks | known)
        if not len(kept):
            return None
        a, b, on_blocks = a[kept], b[kept], on_blocks[kept]
        found = Moments(*(one[kept] for one in found))
        shared = np.array(list(map(math.hypot, self._shared[a], self._shared[b])))
        own, total = _variances(found, shared)
        freedom = (found.blocks - 1.0) * (total / own) * (total / own)
        rounding = ROUNDING * np.maximum(self._scale[a], self._scale[b])
        # Exact sums have no error but what they share; what the interval has beyond that is the
        # method's own bracket there, and everything where nothing is known of its parts.
        (b_lo, b_hi), (r_lo, r_hi) = self._brackets, self._rests
        tail = np.where(on_blocks, found.tail, 0.0)
        lo, hi = (np.where(on_blocks, one[a], two[a]) for one, two in ((b_lo, r_lo), (b_hi, r_hi)))
        its_lo, its_hi = (
            np.where(on_blocks, one[b], two[b]) for one, two in ((b_lo, r_lo), (b_hi, r_hi))
        )
        places = kept.tolist()
        return Steps(
            runs=_runs([slots[place] for place in places]),
            seeds=[seeds[place] for place in places],
            value=np.where(on_blocks, found.mean, self._gap[a] - self._gap[b]),
            variance=np.where(on_blocks, total, shared * shared),
            freedom=np.where(on_blocks & (own > 0.0), freedom, np.inf),
            below=lo + its_hi + rounding + np.maximum(-tail, 0.0),
            above=hi + its_lo + rounding + np.maximum(tail, 0.0),
            paired=on_blocks | (self._is_sum[a] & self._is_sum[b]),
            sides=frozenset(
                (self.sides[i], self.sides[j]) for i, j in zip(a.tolist(), b.tolist(), strict=True)
            ),
        )

    def _rest(self, se: Numbers) -> tuple[Numbers, Numbers]:
        """How far the interval of the gap reaches beyond ``se`` and the truth's bracket, each way.

        Of an upper bound the statistic is meant, which varies downwards as it does upwards.
        """
        inner = self._half_truth + Z95 * se
        above = np.fmax(self._gap_hi - self._gap - inner, 0.0)
        below = np.fmax(self._gap - self._gap_lo - inner, 0.0)
        bare = np.isnan(self._gap + self._gap_hi)
        below = np.where(bare, 0.0, np.where(self._one_sided, above, below))
        return below, np.where(bare, 0.0, above)

    def _bracket(self) -> tuple[Numbers, Numbers]:
        """The bracket of the audit's own method, each way: of annealing's log Z, for one.

        Records do not hold it. It is what the interval has beyond its sampling error, where that is
        clearly more than the audit's allowance for a skewed mean (at most one standard error) and
        the uncertainty of the standard error of so few blocks together. NaN without blocks.
        """
        count = self._blocks.counts
        se = self._blocks.stds / np.sqrt(count)
        doubt = (1.0 + 3.0 * Z95 / np.sqrt(2.0 * (count - 1))) * se
        lo, hi = self._rest(np.array(list(map(math.hypot, se, self._shared))))
        return np.where(lo > doubt, lo, 0.0), np.where(hi > doubt, hi, 0.0)


def _variances(found: Moments, shared: Numbers) -> tuple[Numbers, Numbers]:
    """Of the mean over blocks, and of that with what all blocks share."""
    own = found.variance / found.blocks
    return own, own + shared * shared


def _pairs(
    ours: Placed, theirs: Placed
) -> tuple[list[int], list[int], list[int], list[int], list[bool]]:
    """Of every pair: its slot by number, our seed, the places of both, whether seeds are equal."""
    slots: list[int] = []
    seeds: list[int] = []
    first: list[int] = []
    second: list[int] = []
    same: list[bool] = []
    for number, (slot, own) in enumerate(ours.items()):
        against = theirs.get(slot, {})
        common = sorted(own.keys() & against.keys())
        pairs = [(seed, seed) for seed in common]
        pairs = pairs or list(zip(sorted(own), sorted(against), strict=False))
        for a, b in pairs:
            for n_train, place in own[a].items():
                partner = _partner(against[b], n_train)
                if partner is not None:
                    slots.append(number)
                    seeds.append(a)
                    first.append(place)
                    second.append(partner)
                    same.append(a == b)
    return slots, seeds, first, second, same


def _partner(places: Mapping[int | None, int], n_train: int | None) -> int | None:
    """Trained on as many points, or on whatever it was if there is but one."""
    if n_train in places:
        return places[n_train]
    return next(iter(places.values())) if len(places) == 1 else None


def _runs(slots: Sequence[int]) -> list[int]:
    """How often each comes, one after the other."""
    counts: dict[int, int] = {}
    for slot in slots:
        counts[slot] = counts.get(slot, 0) + 1
    return list(counts.values())
