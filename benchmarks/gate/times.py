"""Times that look slower, looked at again: pairs of fresh processes, one right after the other.

Two processes that run the same code may differ in speed for as long as they live, by how their
memory happens to lie; more rounds of the same two do not show that. So what looks slower counts
only if it does so in pair after pair of new processes.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.gate.verdicts import Finding, Pair, can_still_be_slower, judge_times

PAIRS = 7
"""The fewest of which all have to be beyond the limit: by chance alone, one time in 128."""


def confirm(metric: str, pair: Callable[[int], Pair], limit: float) -> Finding:
    """The verdict of up to seven pairs; it ends as soon as they cannot say `slower` any more.

    Args:
        metric: its name.
        pair: measures the pair of a number, on fresh processes; BASE first where that is even.
        limit: HEAD / BASE that is allowed.
    """
    pairs: list[Pair] = []
    for index in range(PAIRS):
        pairs.append(pair(index))
        if not can_still_be_slower(pairs, PAIRS, limit):
            last = pairs[-1]
            return Finding(
                metric,
                "suspected",
                last.base,
                last.head,
                "s CPU",
                last.ratio,
                limit=limit,
                note=f"not confirmed: within the limit in pair {len(pairs)} of new processes",
            )
    return judge_times(metric, pairs, limit, what="pairs of new processes")
