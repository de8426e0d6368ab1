"""Times that look slower, looked at again: pairs of fresh processes, one right after the other.

Two processes that run the same code may differ in speed for as long as they live, by how their
memory happens to lie; more rounds of the same two do not show that. So what looks slower counts
only if it does so over pairs of new processes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from benchmarks.gate.verdicts import Finding, Pair, can_still_be_slower, judge_times

PAIRS = 11
"""Odd. Ten of them have to be slower at all: by chance alone, 12 times in 2048."""


def confirm(metric: str, pair: Callable[[int], Pair], limit: float) -> Finding:
    """The verdict of up to eleven pairs; it ends as soon as they cannot say `slower` any more.

    Args:
        metric: its name.
        pair: measures the pair of a number, on fresh processes; BASE first where that is even.
        limit: HEAD / BASE that is allowed.
    """
    pairs: list[Pair] = []
    for index in range(PAIRS):
        pairs.append(pair(index))
        if not can_still_be_slower(pairs, PAIRS, limit):
            return Finding(
                metric,
                "suspected",
                statistics.median(one.base for one in pairs),
                statistics.median(one.head for one in pairs),
                "s CPU",
                statistics.median(one.ratio for one in pairs),
                limit=limit,
                note=f"not confirmed by {len(pairs)} pairs of new processes",
            )
    return judge_times(metric, pairs, limit, what="pairs of new processes")
