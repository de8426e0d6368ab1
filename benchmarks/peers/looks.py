"""Accuracy against CPU seconds of both sides, and when each first is good enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.plan import MATCHES, SEEDS, SIDES
from rdbench.run.records import CellRecord, TracePoint
from rdbench.run.store import load


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
    """What the fit ended with, audited with more symbols than the others."""
    steps: int
    """Gradient steps of the whole fit."""
    status: str
    commit: str


@dataclass(frozen=True)
class Crossing:
    """Between which CPU seconds a fit became good enough: it is known at the looks only."""

    after_s: float
    """The look before, not good enough yet; 0 where the first already was."""
    by_s: float
    """The first look that was; inf where none was."""

    @property
    def reached(self) -> bool:
        """Whether any look was good enough."""
        return math.isfinite(self.by_s)


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


def on_the_way(looks: Sequence[Look]) -> list[Look]:
    """The looks before the end, in order: one size of audit for all, so that they compare.

    Raises:
        ValueError: there is none.
    """
    found = sorted((look for look in looks if not look.last), key=lambda each: each.cpu_s)
    if not found:
        raise ValueError("a fit without a look on the way")
    return found


def crossing(looks: Sequence[Look], target: float) -> Crossing:
    """The first look whose gap is at most ``target`` with the upper end of its interval.

    Raises:
        ValueError: there is no look on the way.
    """
    after = 0.0
    for look in on_the_way(looks):
        if look.gap_hi <= target:
            return Crossing(after, look.cpu_s)
        after = look.cpu_s
    return Crossing(after, math.inf)


def best(looks: Sequence[Look]) -> float:
    """The smallest upper end that a fit was seen with."""
    return min(look.gap_hi for look in on_the_way(looks))
