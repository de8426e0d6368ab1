"""The authors' settings against ours at equal accuracy: between which ratios of CPU seconds.

A fit is seen at its looks only, so that each side's CPU seconds are a bracket, and so is the ratio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.peers.looks import Crossing, Look, best, crossing
from benchmarks.peers.plan import STEPS
from benchmarks.peers.texts import Table, among, between

SHARES = (0.05, 0.01)
"""Targets in nats over the square root of d."""


@dataclass(frozen=True)
class Pair:
    """One match at one target and seed: a row of settings.csv."""

    match: str
    beta: float
    rate: float
    aim: str
    target: float
    """Nats."""
    seed: int
    authors_after_s: float
    """CPU seconds of the look before they got there; of the last look where they did not."""
    authors_by_s: float
    """CPU seconds of the look that first saw them there; inf where none did."""
    authors_best: float
    """The smallest upper end of the gap's interval that was seen, nats."""
    authors_steps: int
    ours_after_s: float
    ours_by_s: float
    ours_best: float
    at_least: float
    """CPU seconds, authors' over ours: the least that the looks allow."""
    at_most: float
    """The largest; inf where they set no limit."""


def pairs(looks: Sequence[Look]) -> list[Pair]:
    """Every match, target and seed of which both sides were looked at."""
    fits: dict[tuple[str, int], dict[str, list[Look]]] = {}
    for look in looks:
        if not look.last:
            fits.setdefault((look.match, look.seed), {}).setdefault(look.side, []).append(look)
    found = [
        _pair(aim, seed, sides["authors"], sides["ours"])
        for (_, seed), sides in fits.items()
        if len(sides) == 2
        for aim in (*(f"{share:g} √d" for share in SHARES), "authors' best")
    ]
    order = list(dict.fromkeys(look.match for look in looks))
    return sorted(found, key=lambda pair: order.index(pair.match))


def _pair(aim: str, seed: int, authors: Sequence[Look], ours: Sequence[Look]) -> Pair:
    one = authors[0]
    target = float(aim.split()[0]) * math.sqrt(one.dim) if aim.endswith("√d") else best(authors)
    a, b = crossing(authors, target), crossing(ours, target)
    return Pair(
        one.match, one.beta, one.rate, aim, target, seed,
        a.after_s, a.by_s, best(authors), one.steps,
        b.after_s, b.by_s, best(ours), *bracket(a, b),
    )  # fmt: skip


def bracket(authors: Crossing, ours: Crossing) -> tuple[float, float]:
    """The least and the largest ratio of CPU seconds that two crossings allow."""
    if ours.after_s == 0.0:  # there at our first look: nothing says how much sooner
        return authors.after_s / ours.by_s, math.inf
    return authors.after_s / ours.by_s, authors.by_s / ours.after_s


HEADER = [
    "match", "R* (nats)", "β", "gap to reach (nats)", "authors' CPU s, between",
    "our CPU s, between", "authors / ours, between", "seeds there: authors', ours",
    "authors' steps made",
]  # fmt: skip


def table(found: Sequence[Pair]) -> Table:
    """One line per match and target: the least and the largest over the seeds."""
    groups: dict[tuple[str, str], list[Pair]] = {}
    for pair in found:
        groups.setdefault((pair.match, pair.aim), []).append(pair)
    return [HEADER, *(_line(group, STEPS) for group in groups.values())]


def _line(group: Sequence[Pair], steps: Mapping[str, int]) -> list[str]:
    one = group[0]
    targets = [pair.target for pair in group]
    made = [pair.authors_steps / steps[one.match.split("-")[0]] for pair in group]
    n = len(group)
    authors = sum(math.isfinite(p.authors_by_s) for p in group)
    ours = sum(math.isfinite(p.ours_by_s) for p in group)
    return [
        one.match,
        f"{one.rate:.3g}",
        f"{one.beta:.3g}",
        f"{one.aim}: {among(targets)}",
        hull([(p.authors_after_s, p.authors_by_s) for p in group]),
        hull([(p.ours_after_s, p.ours_by_s) for p in group]),
        hull([(p.at_least, p.at_most) for p in group]),
        f"{authors}/{n}, {ours}/{n}",
        among([100.0 * part for part in made]) + "%",
    ]


def hull(brackets: Sequence[tuple[float, float]]) -> str:
    """The smallest lower and the largest upper end, rounded outwards."""
    return between(min(low for low, _ in brackets), max(high for _, high in brackets))
