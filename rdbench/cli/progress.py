"""Progress of the commands that run cells, and the list of those cells."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from rdbench.cli.messages import complain
from rdbench.cli.stdout import Unbreakable
from rdbench.run.plan import Cell
from rdbench.run.pool import InFlight
from rdbench.run.progress import Flying, Forecast, clock, outcome
from rdbench.run.records import CellRecord
from rdbench.run.spool import Stage
from rdbench.run.texts import one_line_of

_SHOWN = 20
"""Lines of the output of a cell that failed."""


class Progress:
    """Progress: one live line on a terminal, plain lines elsewhere."""

    def __init__(self, cells: Sequence[Cell], jobs: int, units: str, out: Console) -> None:
        self.count = 0
        self._total = len(cells)
        self._forecast = Forecast(cells, jobs)
        self._units = units
        self._per_nat = 1.0 if units == "nats" else 1.0 / math.log(2.0)
        self._out = out
        self._began = time.perf_counter()
        self._live = Live(console=out, transient=True, auto_refresh=False)

    def __enter__(self) -> Progress:
        if self._out.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._out.is_terminal:
            self._live.stop()

    def finished(
        self, cell: Cell, record: CellRecord, seconds: float | None, output: str = ""
    ) -> None:
        """Print one cell, and what it printed where it failed."""
        self.count += 1
        self._forecast.done(cell, seconds)
        words = outcome(record, self._per_nat, self._units)
        if seconds is None:
            words += " (by another run)"
        self._say(one_line_of(f"{self._head([])}  {cell.title}: {words}"))
        if output:
            self._say("    its output ends:")
        for line in output.splitlines()[-_SHOWN:]:
            self._say(f"    | {line}")

    def _say(self, line: str) -> None:
        if self._out.is_terminal:
            self._out.print(line, markup=False, soft_wrap=True)
        else:  # rich takes a millisecond for a line
            self._out.file.write(f"{line}\n")
            self._out.file.flush()

    def tick(self, in_flight: Sequence[InFlight], stage: Callable[[str], Stage]) -> None:
        """Renew the live line."""
        if not self._out.is_terminal:
            return
        now = time.perf_counter()
        flying = [Flying(one.cell, now - one.since, stage(one.cell.id)) for one in in_flight]
        current = ", ".join(
            f"{one.cell.title} ({one.stage.name} {one.stage.done:.0%}, {clock(one.took)})"
            for one in flying
        )
        line = one_line_of(f"{self._head(flying)}  {current}")
        text = Text(line, no_wrap=True, overflow="ellipsis")
        self._live.update(text, refresh=True)

    def _head(self, flying: Sequence[Flying]) -> str:
        left = self._forecast.left_s(flying)
        return (
            f"[{self.count}/{self._total}] elapsed {clock(time.perf_counter() - self._began)}, "
            f"left {'?' if left is None else '~' + clock(left)}"
        )


def console() -> Console:
    """Standard output; in a file or a pipe nothing is cut to the width of a screen.

    It ends no run: what cannot be written is not.
    """
    stdout: Any = sys.stdout
    out: Any = Unbreakable(stdout)
    return Console(file=out, highlight=False, width=None if sys.stdout.isatty() else 10_000)


def announce(
    cells: Sequence[Cell], missing: Sequence[Cell], results: Path, out: Console, *, listed: bool
) -> None:
    """Print how many cells are stored and how many would run.

    Args:
        cells: all that were asked for.
        missing: those of them that would run.
        results: the results folder.
        out: where to.
        listed: whether each cell is listed as well.
    """
    stored = len(cells) - len(missing)
    line = f"{len(cells)} cells, {stored} stored already, {len(missing)} to run"
    out.print(one_line_of(f"{line}; results in {results}"), markup=False, soft_wrap=True)
    to_run = {cell.id for cell in missing}
    for cell in cells if listed else ():
        state = "to run" if cell.id in to_run else "stored"
        slopes = f"{len(cell.slopes)} slope{'s' if len(cell.slopes) > 1 else ''}"
        if cell.n_train is not None:
            slopes += f", {cell.n_train} training points"
        row = one_line_of(f"{cell.id}  {state}  {cell.title}  {slopes}")
        out.print(row, markup=False, soft_wrap=True)


def interrupted(done: int, total: int) -> int:
    """Say that the run was interrupted; the exit code of that."""
    line = f"interrupted, {done} of {total} cells done and kept; the same command continues"
    return complain(line, 130)
