"""The runner as an estimator sees it (`rdbench.types.Monitor`)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rdbench.run.clock import FitClock
from rdbench.run.records import TracePoint
from rdbench.run.spool import SpoolWriter, Stage, Trace
from rdbench.types import TestChannel

_REPORT_EVERY_S = 0.5
_FIRST_LOOK_S = 0.05
_LOOK_SPACING = 1.25  # CPU seconds of one look over those of the one before


@dataclass(frozen=True)
class TryMonitor:
    """The monitor of a fit that is made to see what it costs."""

    effort: float

    def advance(self, done: float) -> bool:  # noqa: ARG002
        """Go on."""
        return True

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:  # noqa: ARG002
        """Look at nothing, and go on."""
        return True

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        """Count nothing."""


class CellMonitor:
    """Progress, checkpoints and the budget of one cell.

    Its answers come from the clock alone, never from what an audit found.
    """

    def __init__(
        self,
        effort: float,
        clock: FitClock,
        spool: SpoolWriter,
        look: Callable[[TestChannel, float, float], TracePoint],
        traced: bool = False,
    ) -> None:
        """Wire the monitor up.

        Args:
            effort: the multiplier of the budget.
            clock: stands still while a checkpoint is audited.
            spool: takes progress and trace.
            look: a cheap audit of one channel at (wall seconds, CPU seconds).
            traced: whether checkpoints are looked at.
        """
        self.effort = effort
        """The multiplier of deterministic units of work."""
        self._clock = clock
        self._spool = spool
        self._look = look
        self._reported = -_REPORT_EVERY_S
        self._next_look_s = _FIRST_LOOK_S if traced else math.inf
        self.gradient_steps: int | None = None
        self.parameters: int | None = None
        self.told_to_stop = False

    def advance(self, done: float) -> bool:
        """Note the fraction done; False once the time budget is spent."""
        now = time.perf_counter()
        if now - self._reported >= _REPORT_EVERY_S:
            self._reported = now
            self._spool.write(Stage("fit", min(max(float(done), 0.0), 1.0)), sync=False)
        return self._go_on()

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
        """Audit the channels for the trace, the clock standing still.

        Looks are spaced geometrically in CPU time. The clock runs while ``build`` works: what it
        does is work of the fit, and no estimator can train there unseen.
        """
        if self._clock.cpu_s >= self._next_look_s:
            channels = build()
            wall, cpu = self._clock.wall_s, self._clock.cpu_s
            self._next_look_s = _LOOK_SPACING * cpu
            with self._clock.paused():
                for channel in channels:
                    self._spool.write(Trace(self._look(channel, wall, cpu)), sync=False)
        return self._go_on()

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        """Add gradient steps; remember the number of trained parameters."""
        if gradient_steps:
            self.gradient_steps = (self.gradient_steps or 0) + int(gradient_steps)
        if parameters:
            self.parameters = int(parameters)

    def _go_on(self) -> bool:
        if self._clock.spent:
            self.told_to_stop = True
        return not self.told_to_stop
