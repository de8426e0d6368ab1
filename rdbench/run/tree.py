"""What the processes below a process use: an estimator may start some, and they are part of a fit.

Linux keeps both in /proc; elsewhere nothing is found, and only the process itself counts.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def below(pid: int) -> Iterator[int]:
    """The processes that a process has started and that live, theirs too."""
    for child in _children(pid):
        yield child
        yield from below(child)


def cpu_s_of_children() -> float:
    """CPU seconds of what this process has started: of what has ended and of what lives."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + sum(map(_cpu_s, below(os.getpid())))


def memory_mb(pid: int) -> float | None:
    """The memory of a process and of all below it now; None where there is nothing below it.

    Pages that several of them share count once (their proportional set sizes are summed).
    """
    members = list(below(pid))
    return sum(map(_pss_mb, (pid, *members))) if members else None


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except (OSError, ValueError):  # it has ended, or the kernel does not say
        pass
    return found


def _cpu_s(pid: int) -> float:
    """Its own, and of what it has started and buried."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
        # The name before the last bracket may hold anything; the 14th field on is the 12th after.
        return sum(map(int, text.rpartition(")")[2].split()[11:15])) / _TICKS
    except (OSError, ValueError):
        return 0.0


def _pss_mb(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024.0
    except (OSError, ValueError, IndexError):
        pass
    return 0.0
