"""Cells go to an executor, their records to the store: the one place that writes them."""

from __future__ import annotations

import gc
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rdbench.run.compose import FINAL
from rdbench.run.executors import Executor
from rdbench.run.executors.local import LocalExecutor
from rdbench.run.plan import Cell
from rdbench.run.reading import without_draws
from rdbench.run.records import CellRecord
from rdbench.run.settings import Settings as Settings
from rdbench.run.spool import Stage
from rdbench.run.store import Store, StoreError
from rdbench.run.texts import decoded

_TICK_S = 0.5


@dataclass(frozen=True)
class InFlight:
    """A cell that is being run."""

    cell: Cell
    since: float
    """When it began, by `time.perf_counter`."""


@runtime_checkable
class Reporter(Protocol):
    """Who is told how it goes."""

    def finished(
        self, cell: Cell, record: CellRecord, seconds: float | None, output: str = ""
    ) -> None:
        """A cell is done and stored.

        Args:
            cell: the cell.
            record: its record.
            seconds: how long it took; None where another run did it.
            output: the end of what it printed, where it failed.
        """

    def tick(self, in_flight: Sequence[InFlight], stage: Callable[[str], Stage]) -> None:
        """Called about twice a second; ``stage`` tells where a cell is, by its id."""


def is_done(record: CellRecord | None, *, retry: bool = False) -> bool:
    """Whether a stored record answers its cell."""
    if record is None or record.status not in FINAL:
        return False
    return not (retry and any(p.status == "not_converged" for p in record.points))


def run_cells(
    cells: Sequence[Cell],
    store: Store,
    settings: Settings,
    reporter: Reporter,
    executor: Executor | None = None,
) -> None:
    """Run the cells and append a record of each to the store.

    A cell that another run finishes meanwhile is taken from the store; one that another run is
    at work on is left to it for as long as that run lives.

    Args:
        cells: the cells.
        store: where their records go.
        settings: how they are run on this machine.
        reporter: is told how it goes.
        executor: who runs them, and is closed at the end; None for this machine.

    Raises:
        KeyboardInterrupt: after the workers are gone; all finished cells are stored.
        StoreError: a record could not be written.
    """
    at_start = {cell.id: store.records.get(cell.id) for cell in cells}
    waiting = deque(cells)
    running: dict[Future[bytes], InFlight] = {}
    executor = executor or LocalExecutor(settings, cells)
    gc.freeze()  # what has been imported is no garbage: to look for some there takes most of a turn
    try:
        while waiting or running:
            turned_away = 0
            while waiting and len(running) < executor.width and turned_away < len(waiting):
                cell = waiting.popleft()
                if not store.claim(cell.id):
                    waiting.append(cell)
                    turned_away += 1
                    continue
                store.refresh()
                record = store.records.get(cell.id)
                if record is not at_start[cell.id] and is_done(record):
                    assert record is not None
                    store.release(cell.id)
                    reporter.finished(cell, record, None)
                    continue
                running[_submit(executor, cell)] = InFlight(cell, time.perf_counter())
            if running:
                done, _ = wait(running, timeout=_TICK_S, return_when=FIRST_COMPLETED)
            else:
                done = set()
                time.sleep(_TICK_S)
            for future in done:
                _land(future, running.pop(future), store, executor, reporter)
            reporter.tick(list(running.values()), executor.stage)
    finally:
        gc.unfreeze()
        executor.close()
        for flight in running.values():
            store.release(flight.cell.id)


def _submit(executor: Executor, cell: Cell) -> Future[bytes]:
    try:
        return executor.submit(cell)
    except OSError as problem:
        raise StoreError(
            f"cannot write in {tempfile.gettempdir()}: {problem.strerror or problem}; TMPDIR names "
            "another folder"
        ) from problem


def _land(
    future: Future[bytes], flight: InFlight, store: Store, executor: Executor, reporter: Reporter
) -> None:
    cell = flight.cell
    line = future.result()
    record = decoded(line if store.draws else without_draws(line), CellRecord)
    store.append(record, line)
    store.release(cell.id)
    seconds = time.perf_counter() - flight.since
    reporter.finished(cell, record, seconds, executor.output(cell.id))
