"""The runner as an estimator sees it (`rdbench.types.Monitor`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rdbench.run.clock import FitClock
from rdbench.run.records import TracePoint
from rdbench.run.spool import SpoolWriter, Stage, Trace
from rdbench.types import TestChannel

_REPORT_EVERY_S = 0.5


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
    ) -> None:
        """Wire the monitor up.

        Args:
            effort: the multiplier of the budget.
            clock: stands still while a checkpoint is audited.
            spool: takes progress and trace.
            look: a cheap audit of one channel at (wall seconds, CPU seconds).
        """
        self._effort = effort
        self._clock = clock
        self._spool = spool
        self._look = look
        self._reported = -_REPORT_EVERY_S
        self._looking_s = 0.0
        self.gradient_steps: int | None = None
        self.parameters: int | None = None
        self.told_to_stop = False

    @property
    def effort(self) -> float:
        """The multiplier of deterministic units of work."""
        return self._effort

    def advance(self, done: float) -> bool:
        """Note the fraction done; False once the time budget is spent."""
        now = time.perf_counter()
        if now - self._reported >= _REPORT_EVERY_S:
            self._reported = now
            self._spool.write(Stage("fit", min(max(float(done), 0.0), 1.0)), sync=False)
        return self._go_on()

    def checkpoint(self, channels: Sequence[TestChannel]) -> bool:
        """Audit the channels for the trace, the clock standing still.

        A trace may cost as much time as the fit has so far, not more: where checkpoints come
        faster than that they are left out.
        """
        if self._looking_s <= self._clock.wall_s:
            wall, cpu = self._clock.wall_s, self._clock.cpu_s
            with self._clock.paused():
                began = time.perf_counter()
                for channel in channels:
                    self._spool.write(Trace(self._look(channel, wall, cpu)), sync=False)
                self._looking_s += time.perf_counter() - began
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
