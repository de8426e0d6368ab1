"""The monitor of the checks: it counts, it may say stop, and it may look at checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rdbench.types import TestChannel

Look = Callable[[Sequence[TestChannel]], list[str]]


class Listener:
    """What `rdbench.types.Monitor` asks for, with a memory."""

    def __init__(
        self,
        effort: float,
        stop_after: int | None = None,
        most_steps: int | None = None,
        look: Look | None = None,
    ) -> None:
        """Listen to one fit.

        Args:
            effort: what the estimator multiplies its work by.
            stop_after: say stop from this call on.
            most_steps: say stop once so many gradient steps were counted.
            look: called with what a checkpoint builds, at the first few; says what is wrong.
        """
        self._effort = effort
        self._stop_after = stop_after
        self._most_steps = most_steps
        self._look = look
        self._last = time.process_time()
        self.calls = 0
        self.offered = 0
        self.looks = 0
        self.faults: list[str] = []
        self.steps = 0
        self.parameters = 0
        self.longest_silence = 0.0
        self.stopped_at: float | None = None
        """The CPU second at which the fit was first told to stop."""
        self.calls_after_stop = 0
        self.steps_after_stop = 0

    @property
    def effort(self) -> float:
        """The multiplier of deterministic units of work."""
        return self._effort

    def advance(self, done: float) -> bool:
        """Count the call; False once it is time to stop."""
        float(done)
        return self._answer()

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
        """Build and look, where looks are wanted."""
        self.offered += 1
        if self._look is not None and self.looks < 2:
            self.looks += 1
            maker: Any = build
            if callable(maker):
                self.faults += self._look(maker())
            else:
                self.faults.append("checkpoint takes a function that makes the channels")
        return self._answer()

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        """Add gradient steps; remember the number of trained parameters."""
        self.steps += int(gradient_steps)
        if self.told_to_stop:
            self.steps_after_stop += int(gradient_steps)
        if parameters:
            self.parameters = int(parameters)

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
        enough = self._stop_after is not None and self.calls >= self._stop_after
        if enough or (self._most_steps is not None and self.steps >= self._most_steps):
            self.stopped_at = self._last
        return not self.told_to_stop
