"""A cell on a Dask worker: what is called there, and what comes back.

Each process of a Dask worker has one `LocalExecutor`, so that a cell runs in a process of its own
there too, with the same limits, and is killed when nobody wants it any more.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import Any, Literal

from distributed import get_worker

from rdbench.run.executors.kit import Kit, Wanted, difference, kit_of
from rdbench.run.executors.local import LocalExecutor
from rdbench.run.plan import Cell
from rdbench.run.provenance import gather
from rdbench.run.records import Provenance
from rdbench.run.settings import Settings
from rdbench.run.texts import said

_TICK_S = 0.25
_taking = threading.Lock()
_local: list[LocalExecutor] = []


@dataclass(frozen=True)
class Way:
    """How the cells of a run are run, wherever; small, it goes with every cell."""

    settings: Settings
    """Those of the command; who runs a cell puts its own provenance in their place."""
    device: str
    wanted: Wanted
    kit: Kit
    """What the command has; nobody who has another may run its cells."""


@dataclass(frozen=True)
class Answer:
    """What a Dask worker has to say about a cell."""

    worker: str
    line: bytes | None = None
    """The record; None where the worker cannot run cells."""
    output: str = ""
    complaint: str = ""
    kind: Literal["record", "other code", "cannot run"] = "record"


def run_here(cell: Cell, way: Way, slots: Mapping[str, int]) -> Answer:
    """Run a cell in a process of its own on the machine of this Dask worker.

    Args:
        cell: the cell.
        way: how.
        slots: cells at a time by machine (its address), over all the Dask workers that it has.
    """
    worker: Any = get_worker()
    address = str(worker.address)
    try:
        if found := difference(way.kit, kit_of(way.wanted)):
            return Answer(address, complaint=found, kind="other code")
        jobs = slots.get(worker.ip, worker.state.nthreads)
        provenance = _provenance(way.device, way.settings.threads, jobs)
        how = replace(way.settings, provenance=provenance, jobs=jobs)
        local = _executor(how)
        future = local.submit(cell, how)
        key = worker.get_current_task()
        while True:
            try:
                line = future.result(timeout=_TICK_S)
                return Answer(address, line, local.output(cell.id))
            except TimeoutError:
                if not _is_wanted(worker, key):
                    local.cancel(future)
            except CancelledError:
                return Answer(address, complaint="nobody wants it", kind="cannot run")
    except Exception as problem:  # of this machine, such as a full disk
        return Answer(address, complaint=said(problem), kind="cannot run")


def _executor(settings: Settings) -> LocalExecutor:
    """The one of this process."""
    with _taking:
        if not _local:
            _local.append(LocalExecutor(settings))
        return _local[0]


@functools.cache
def _provenance(device: str, threads: int, jobs: int) -> Provenance:
    return gather(device, threads, jobs)


def _is_wanted(worker: Any, key: Any) -> bool:
    """Whether anybody waits for a task: its command lives and has not cancelled it."""
    task = worker.state.tasks.get(key)
    return task is not None and task.state != "cancelled"
