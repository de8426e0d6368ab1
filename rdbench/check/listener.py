"""The monitor of the checks: it counts, it may say stop, and it may look at checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rdbench.types import TestChannel

Look = Callable[[Sequence[TestChannel]], list[str]]


@dataclass(eq=False)
class Listener:
    """A `rdbench.types.Monitor` with a memory.

    Args:
        effort: what the estimator multiplies its work by.
        stop_after: say stop from this call on.
        most_steps: say stop once so many gradient steps were counted.
        look: called with what a checkpoint builds, at the first few; says what is wrong.
    """

    effort: float
    stop_after: int | None = None
    most_steps: int | None = None
    look: Look | None = None
    calls: int = 0
    offered: int = 0
    looks: int = 0
    faults: list[str] = field(default_factory=list)
    steps: int = 0
    longest_silence: float = 0.0
    stopped_at: float | None = None
    """The CPU second at which the fit was first told to stop."""
    calls_after_stop: int = 0
    steps_after_stop: int = 0
    _last: float = field(default_factory=time.process_time)

    def advance(self, done: float) -> bool:
        """Count the call; False once it is time to stop."""
        float(done)
        return self._answer()

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
        """Build and look, where looks are wanted."""
        self.offered += 1
        if self.look is not None and self.looks < 2:
            self.looks += 1
            maker: Any = build
            if callable(maker):
                self.faults += self.look(maker())
            else:
                self.faults.append("checkpoint takes a function that makes the channels")
        return self._answer()

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:  # noqa: ARG002
        """Add gradient steps."""
        self.steps += int(gradient_steps)
        if self.told_to_stop:
            self.steps_after_stop += int(gradient_steps)

    @property
    def told_to_stop(self) -> bool:
        """Whether a call was answered with False."""
        return self.stopped_at is not None

    def heard(self) -> None:
        """Note the end of a silence: a call, an answer, the end."""
        now = time.process_time()
        self.longest_silence = max(self.longest_silence, now - self._last)
        self._last = now

    def resumed(self) -> None:
        """The fit goes on after what was not its own work."""
        self._last = time.process_time()

    def _answer(self) -> bool:
        self.heard()
        self.calls += 1
        if self.told_to_stop:
            self.calls_after_stop += 1
            return False
        enough = self.stop_after is not None and self.calls >= self.stop_after
        if enough or (self.most_steps is not None and self.steps >= self.most_steps):
            self.stopped_at = self._last
        return not self.told_to_stop
