"""A ranking in which what cannot be told apart shares a rank."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from rdbench.report.paired import Comparison, Difference, Entrant

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Ranking(Generic[K]):
    """The ranks of those that have a gap everywhere, and how far all are behind the best of them.

    ``tiers`` come best first. The first of a tier has the smallest mean gap that is left; the
    others of it are not significantly worse than that one.
    """

    tiers: tuple[tuple[K, ...], ...]
    behind: Mapping[K, Difference | None]


def ranking(entrants: Mapping[K, Entrant]) -> Ranking[K]:
    """Rank estimators on the same cases by the paired comparison of `rdbench.report.paired`.

    Who has no gap at some slope has no rank: a mean over the easy part of a problem is no rival of
    one over all of it. How it does where it answers, ``behind`` says. Lower bounds are left out.
    """
    field = Comparison(entrants)
    best = field.best
    left = sorted(field.complete, key=field.levels.__getitem__)
    tiers = []
    while left:
        tier = field.tier(left, left[0])
        tiers.append(tuple(tier))
        left = [one for one in left if one not in tier]
    behind = {} if best is None else {
        one: field.between(one, best) for one in field.playing if one != best
    }  # fmt: skip
    return Ranking(tuple(tiers), behind)
