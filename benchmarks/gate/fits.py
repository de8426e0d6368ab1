"""The CPU seconds of whole fits: one pair raises a suspicion, pairs of runs in turn confirm it."""

from __future__ import annotations

from functools import partial

from benchmarks.gate import times
from benchmarks.gate.accuracy import Cell, measure
from benchmarks.gate.sides import Side
from benchmarks.gate.verdicts import Finding, Pair, Verdict

FLOOR = 0.2
"""CPU seconds; less than this is start-up and scatter, and nobody waits for it."""


class _Untimed(Exception):
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


def confirm(
    cell: Cell, base: Side, head: Side, seed: int, budget: str, limit: float, tag: str
) -> Finding:
    """Run the cell on both sides in turn, with the same seeds.

    Args:
        tag: a name for the results' folders that no other call uses.
    """
    try:
        return times.confirm(cell.fit, partial(_pair, cell, base, head, seed, budget, tag), limit)
    except _Untimed as problem:
        blamed: Verdict = "fails now" if problem.side == "HEAD" else "suspected"
        return Finding(cell.fit, blamed, note=str(problem))


def _pair(cell: Cell, base: Side, head: Side, seed: int, budget: str, tag: str, index: int) -> Pair:
    seconds: dict[str, float] = {}
    for side in (base, head) if index % 2 == 0 else (head, base):
        found = measure(side, [cell], [seed + index], budget, f"{tag}-{index}")
        cpu = found.cpu_s.get((cell, seed + index))
        if cpu is None:
            reason = found.points[cell, 0, seed + index].reason
            raise _Untimed(side.name, reason or "another rate has no gap")
        seconds[side.name] = cpu
    return Pair(seconds["BASE"], seconds["HEAD"])
