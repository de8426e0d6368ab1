"""The authors' settings against ours at equal accuracy: between which ratios of CPU seconds.

A fit is seen at its looks only, so that each side's CPU seconds are a bracket, and so is the ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.run import MATCHES, SEEDS, SIDES, STEPS
from benchmarks.peers.tables import Table, among, between
from rdbench.run.records import CellRecord, TracePoint
from rdbench.run.store import load

TARGETS = (0.05, 0.01)
"""Targets in nats over the square root of d."""


@dataclass(frozen=True)
class Look:
    """One audit of one fit: a row of looks.csv."""

    match: str
    side: str
    """``authors`` or ``ours``."""
    seed: int
    dim: int
    beta: float
    rate: float
    """R* in nats at this slope, from the truth."""
    cpu_s: float
    """CPU seconds of the fit so far, audits taken out."""
    gap: float
    """Audited F - F* in nats."""
    gap_lo: float
    """Of the 95% interval; nan where only the upper end is meant."""
    gap_hi: float
    last: bool
    """Whether it is the end of the fit, audited with more symbols than the others."""
    steps: int
    """Gradient steps of the whole fit."""
    status: str
    commit: str


def of_record(match: str, side: str, record: CellRecord) -> list[Look]:
    """Every look at a fit, its end included where it came to one."""
    (point,) = record.points
    end = TracePoint(
        beta=point.beta, wall_s=math.nan, cpu_s=_number(record.cost.cpu_s),
        gap=point.gap, gap_lo=point.gap_lo, gap_hi=point.gap_hi,
    )  # fmt: skip
    rate = 0.5 * (_number(point.rate_lo) + _number(point.rate_hi))
    steps, commit = record.cost.gradient_steps or 0, record.provenance.commit[:7]

    def look(seen: TracePoint, hi: float) -> Look:
        return Look(
            match, side, record.seed, record.dim, point.beta, rate, seen.cpu_s, _number(seen.gap),
            _number(seen.gap_lo), hi, seen is end, steps, point.status, commit,
        )  # fmt: skip

    seen = (*record.trace, end)
    return [look(each, each.gap_hi) for each in seen if each.gap_hi is not None]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def collect(records: Path) -> list[Look]:
    """All looks at what `run` stored."""
    looks: list[Look] = []
    for match in MATCHES:
        for seed in SEEDS:
            for side in SIDES:
                folder = records / match.name / side / str(seed)
                if folder.is_dir():
                    for record in load(folder).records.values():
                        looks += of_record(match.name, side, record)
    return looks


def missing(looks: Sequence[Look]) -> list[str]:
    """The seeds that were planned and have no look on the way, a line per match and side."""
    seen = {(look.match, look.side, look.seed) for look in looks if not look.last}
    lines = []
    for match in MATCHES:
        for side in SIDES:
            seeds = [str(seed) for seed in SEEDS if (match.name, side, seed) not in seen]
            if seeds:
                lines.append(f"{match.name}, {side}, seeds {', '.join(seeds)}")
    return lines


def crossing(looks: Sequence[Look], target: float) -> tuple[float, float]:
    """Between which CPU seconds a fit became good enough: it is known at the looks only.

    Good enough is a gap of at most ``target`` nats with the upper end of its interval. The first
    number is that of the look before, 0 where the first look already was; the second that of the
    first look that was, inf where none was. The end does not count: its audit is another.
    """
    after = 0.0
    for look in sorted(looks, key=lambda each: each.cpu_s):
        if look.last:
            continue
        if look.gap_hi <= target:
            return after, look.cpu_s
        after = look.cpu_s
    return after, math.inf


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
        for aim in (*(f"{target:g} √d" for target in TARGETS), "authors' best")
    ]
    order = list(dict.fromkeys(look.match for look in looks))
    return sorted(found, key=lambda pair: order.index(pair.match))


def _pair(aim: str, seed: int, authors: Sequence[Look], ours: Sequence[Look]) -> Pair:
    one = authors[0]
    best, our_best = (min(look.gap_hi for look in side) for side in (authors, ours))
    target = float(aim.split()[0]) * math.sqrt(one.dim) if aim.endswith("√d") else best
    after, by = crossing(authors, target)
    our_after, our_by = crossing(ours, target)
    # Where ours is there at its first look, nothing says how much sooner it was.
    at_most = by / our_after if our_after else math.inf
    return Pair(
        one.match, one.beta, one.rate, aim, target, seed, after, by, best, one.steps,
        our_after, our_by, our_best, after / our_by, at_most,
    )  # fmt: skip


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
    return [HEADER, *map(_line, groups.values())]


def _line(group: Sequence[Pair]) -> list[str]:
    one = group[0]
    targets = [pair.target for pair in group]
    made = [pair.authors_steps / STEPS[one.match.split("-")[0]] for pair in group]
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
