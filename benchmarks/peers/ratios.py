"""The authors' settings against ours at equal accuracy: ratios of CPU seconds over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.peers.looks import Crossing, Look, best, crossing
from benchmarks.peers.plan import STEPS
from benchmarks.peers.texts import Table, among, middle

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
    authors_cpu_s: float
    authors_reached: bool
    """False: not within these CPU seconds."""
    authors_best: float
    """The smallest upper end of the gap's interval that was seen, nats."""
    authors_steps: int
    ours_cpu_s: float
    ours_reached: bool
    ours_best: float
    ratio: float
    """CPU seconds, authors' over ours; nan where neither got there."""
    bound: str
    """``=``; ``>`` where the authors' settings did not get there, ``<`` where ours did not."""


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
    ratio, bound = _ratio(a, b)
    return Pair(
        one.match, one.beta, one.rate, aim, target, seed,
        a.cpu_s, a.reached, best(authors), one.steps,
        b.cpu_s, b.reached, best(ours), ratio, bound,
    )  # fmt: skip


def _ratio(authors: Crossing, ours: Crossing) -> tuple[float, str]:
    ratio = authors.cpu_s / ours.cpu_s
    if authors.reached and ours.reached:
        return ratio, "="
    if ours.reached:
        return ratio, ">"
    return (ratio, "<") if authors.reached else (math.nan, "neither")


HEADER = [
    "match", "R* (nats)", "β", "gap to reach (nats)", "authors' CPU s", "our CPU s",
    "authors / ours", "seeds there: authors', ours", "authors' steps made",
]  # fmt: skip


def table(found: Sequence[Pair]) -> Table:
    """One line per match and target: geometric mean and range over the seeds."""
    groups: dict[tuple[str, str], list[Pair]] = {}
    for pair in found:
        groups.setdefault((pair.match, pair.aim), []).append(pair)
    return [HEADER, *(_line(group, STEPS) for group in groups.values())]


def _line(group: Sequence[Pair], steps: Mapping[str, int]) -> list[str]:
    one = group[0]
    targets = [pair.target for pair in group]
    made = [pair.authors_steps / steps[one.match.split("-")[0]] for pair in group]
    n = len(group)
    there = [sum(getattr(p, f"{side}_reached") for p in group) for side in ("authors", "ours")]
    return [
        one.match,
        f"{one.rate:.3g}",
        f"{one.beta:.3g}",
        f"{one.aim}: {among(targets)}",
        _seconds([(p.authors_cpu_s, p.authors_reached) for p in group]),
        _seconds([(p.ours_cpu_s, p.ours_reached) for p in group]),
        summary([(p.ratio, p.bound) for p in group]),
        f"{there[0]}/{n}, {there[1]}/{n}",
        among([100.0 * part for part in made]) + "%",
    ]


def summary(ratios: Sequence[tuple[float, str]]) -> str:
    """Geometric mean [least, largest]; a bound if any is one, nothing if they point both ways."""
    known = [(ratio, bound) for ratio, bound in ratios if bound != "neither"]
    bounds = {bound for _, bound in known} - {"="}
    if len(known) < len(ratios) or not known:
        return "–" if not known else f"– ({len(known)} of {len(ratios)} seeds)"
    if len(bounds) > 1:
        return "– (bounds on both sides)"
    values = [ratio for ratio, _ in known]
    mean = math.exp(sum(map(math.log, values)) / len(values))
    sign = f"{bounds.pop()} " if bounds else ""
    return sign + middle(mean, values, "seed")


def _seconds(values: Sequence[tuple[float, bool]]) -> str:
    """The range of the seconds, with a > where some did not get there."""
    sign = "" if all(reached for _, reached in values) else "> "
    return sign + among([seconds for seconds, _ in values])
