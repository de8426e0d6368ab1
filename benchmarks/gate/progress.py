"""One line on standard error as each step begins, with the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Clock = Callable[[], float]


class Progress:
    """Steps of known weight; the pace of those that are done says how long the rest takes."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._total = seconds
        self._done = 0.0

    def more(self, seconds: float) -> None:
        """Work that was not foreseen: a suspicion to confirm."""
        self._total += seconds

    def step(self, words: str, seconds: float) -> None:
        """Say what begins now, and about how long it takes on a quiet machine."""
        gone = self._clock() - self._began
        pace = gone / self._done if self._done > 0.0 else 1.0
        left = max(self._total - self._done, seconds) * pace
        print(f"[{minutes(gone)}, about {minutes(left)} left] {words}", file=sys.stderr, flush=True)
        self._done += seconds


def minutes(seconds: float) -> str:
    """m:ss."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
