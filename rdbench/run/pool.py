"""Cells side by side, each in a process of its own that may die without harm to the others."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pebble import concurrent as pebble

from rdbench.run import server
from rdbench.run.compose import FINAL, compose
from rdbench.run.plan import Cell
from rdbench.run.process import available_memory
from rdbench.run.provenance import now, stamp
from rdbench.run.records import CellRecord, Provenance
from rdbench.run.spool import Stage, read_spool
from rdbench.run.store import Store
from rdbench.run.worker import Job, run_cell

_TICK_S = 0.5
_AUDIT_ALLOWANCE_S = 1800.0
"""Per slope. The timeout counts fitting alone; this only ends a worker that will never end."""


@dataclass(frozen=True)
class Settings:
    """How cells are run; no part of their identity."""

    provenance: Provenance
    jobs: int = 1
    threads: int = 1
    timeout: float | None = None
    trace: bool = False
    """Whether checkpoints are audited."""
    draws: int = 0
    """How many draws of p(y|x) are kept with every row, for pictures."""


@dataclass
class InFlight:
    """A cell that is being run."""

    cell: Cell
    spool: Path
    started: str
    since: float
    stage: Stage


@runtime_checkable
class Reporter(Protocol):
    """Who is told how it goes."""

    def finished(self, cell: Cell, record: CellRecord, seconds: float | None) -> None:
        """A cell is done and stored; ``seconds`` is None where another run did it."""

    def tick(self, in_flight: Sequence[InFlight]) -> None:
        """Called about twice a second."""


def is_done(record: CellRecord | None, *, retry: bool = False) -> bool:
    """Whether a stored record answers its cell."""
    if record is None or record.status not in FINAL:
        return False
    return not (retry and any(p.status == "not_converged" for p in record.points))


def run_cells(cells: Sequence[Cell], store: Store, settings: Settings, reporter: Reporter) -> None:
    """Run the cells and append a record of each to the store.

    A cell that another run finishes meanwhile is taken from the store; one that another run is
    at work on is left to it for as long as that run lives.

    Raises:
        KeyboardInterrupt: after the workers are gone; all finished cells are stored.
        StoreError: a record could not be written.
    """
    at_start = {cell.id: store.records.get(cell.id) for cell in cells}
    waiting = deque(cells)
    running: dict[Future[None], InFlight] = {}
    context = server.start()
    with tempfile.TemporaryDirectory(prefix="rdbench-") as scratch:
        try:
            while waiting or running:
                turned_away = 0
                while waiting and len(running) < settings.jobs and turned_away < len(waiting):
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
                    flight = _take_off(cell, Path(scratch))
                    running[_launch(flight, settings, context)] = flight
                if running:
                    done, _ = wait(running, timeout=_TICK_S, return_when=FIRST_COMPLETED)
                else:
                    done = set()
                    time.sleep(_TICK_S)
                for future in done:
                    _land(future, running.pop(future), store, settings, reporter)
                for flight in running.values():
                    flight.stage = read_spool(flight.spool).stage
                reporter.tick(list(running.values()))
        finally:
            for future in running:
                future.cancel()
            # cancelling is asynchronous: leave no worker behind that writes into the scratch
            _await_workers(running)


def _take_off(cell: Cell, scratch: Path) -> InFlight:
    return InFlight(cell, scratch / f"{cell.id}.jsonl", now(), time.perf_counter(), Stage("start"))


def _launch(flight: InFlight, settings: Settings, context: Any) -> Future[None]:
    cell = flight.cell
    limit = available_memory() // settings.jobs if cell.device == "cpu" else None
    job = Job(
        cell,
        flight.spool,
        settings.threads,
        settings.timeout,
        settings.trace,
        settings.draws,
        memory_limit=limit,
    )
    backstop = None
    if settings.timeout is not None:
        backstop = settings.timeout + _AUDIT_ALLOWANCE_S * (1 + len(cell.betas))
    process: Any = pebble.process
    start = process(
        name=f"rdbench {cell.id}",
        daemon=False,  # an estimator may have processes of its own
        timeout=backstop,
        mp_context=context,
        context=context,  # pebble 5.2 documents the one and reads the other
    )
    future: Future[None] = start(run_cell)(job)
    return future


def _land(
    future: Future[None], flight: InFlight, store: Store, settings: Settings, reporter: Reporter
) -> None:
    spool = read_spool(flight.spool)
    record = compose(
        flight.cell,
        spool,
        future.exception(),
        settings.timeout,
        stamp(settings.provenance, flight.started),
    )
    store.append(record)
    store.release(flight.cell.id)
    flight.spool.unlink(missing_ok=True)
    reporter.finished(flight.cell, record, time.perf_counter() - flight.since)


def _await_workers(running: dict[Future[None], InFlight]) -> None:
    names = {f"rdbench {flight.cell.id}" for flight in running.values()}
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        if not any(p.name in names and p.is_alive() for p in multiprocessing.active_children()):
            return
        time.sleep(0.05)
