"""The CPU seconds of whole fits: one pair raises a suspicion, pairs of runs in turn confirm it."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from benchmarks.gate.accuracy import Cell, measure
from benchmarks.gate.sides import Side
from benchmarks.gate.verdicts import Finding, Pair, Verdict, can_still_be_slower, judge_times

FLOOR = 0.2
"""CPU seconds; less than this is start-up and scatter, and nobody waits for it."""
PAIRS = 11
"""Odd. Ten of them have to be slower at all: by chance alone, 12 times in 2048."""


class Untimed(Exception):
    """A fit that did not end as it should, and on which side."""

    def __init__(self, side: str, reason: str) -> None:
        super().__init__(f"not timed on {side}: {reason}")
        self.side = side


def first_look(cell: Cell, base: float | None, head: float | None, limit: float) -> Finding:
    """The verdict of one fit on each side; ``suspected`` asks for pairs.

    Args:
        cell: what was fitted.
        base: CPU seconds, or None if a rate has no gap.
        head: the same.
        limit: HEAD / BASE that is allowed.
    """
    if base is None:
        verdict: Verdict = "both fail" if head is None else "mended"
        return Finding(cell.fit, verdict, base, head, "s CPU", note="BASE has a rate without a gap")
    if head is None:
        note = "HEAD has a rate without a gap"
        return Finding(cell.fit, "suspected", base, head, "s CPU", note=note)
    slow = head > limit * base and head - base > FLOOR
    verdict = "suspected" if slow else "ok"
    return Finding(cell.fit, verdict, base, head, "s CPU", head / base, limit=limit, note="1 fit")


def pair(cell: Cell, base: Side, head: Side, seed: int, index: int) -> Pair:
    """Fit with the same seed on both sides, BASE first where ``index`` is even.

    Args:
        cell: what to fit.
        base: one side.
        head: the other.
        seed: of the first pair; each pair has its own.
        index: the number of the pair.

    Raises:
        Untimed: a rate has no gap.
    """
    seconds: dict[str, float] = {}
    for side in (base, head) if index % 2 == 0 else (head, base):
        folder = f"pairs-{cell.case.name}-{cell.estimator}-{index}"
        found = measure(side, [cell], [seed + index], folder)
        cpu = found.cpu_s.get((cell, seed + index))
        if cpu is None:
            reason = found.points[cell, 0, seed + index].reason
            raise Untimed(side.name, reason or "another rate has no gap")
        seconds[side.name] = cpu
    return Pair(seconds["BASE"], seconds["HEAD"])


def confirm(metric: str, take: Callable[[int], Pair], limit: float) -> Finding:
    """The verdict of up to eleven pairs; it ends as soon as they cannot say `slower` any more.

    Args:
        metric: its name.
        take: measures the pair of a number.
        limit: HEAD / BASE that is allowed.
    """
    pairs: list[Pair] = []
    try:
        for index in range(PAIRS):
            pairs.append(take(index))
            if not can_still_be_slower(pairs, PAIRS, limit):
                break
    except Untimed as problem:
        blamed: Verdict = "fails now" if problem.side == "HEAD" else "suspected"
        return Finding(metric, blamed, note=str(problem))
    if len(pairs) == PAIRS:
        return judge_times(metric, pairs, limit)
    return Finding(
        metric,
        "suspected",
        statistics.median(one.base for one in pairs),
        statistics.median(one.head for one in pairs),
        "s CPU",
        statistics.median(one.ratio for one in pairs),
        limit=limit,
        note=f"not confirmed by {len(pairs)} pairs of fits",
    )
