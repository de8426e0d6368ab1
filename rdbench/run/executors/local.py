"""Cells on this machine, each in a process of its own that may die without harm to the others.

A thread listens to the fork server and looks at the watches of the workers: whoever is over a limit
is killed. A server that does not answer is killed as well, and a new one takes over: what its
workers had not finished begins again, once.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import wait
from pathlib import Path

import msgspec

from rdbench.registry import modules_of
from rdbench.run.compose import FINAL, Death, compose
from rdbench.run.executors import handle
from rdbench.run.limits import Over, over
from rdbench.run.plan import Cell
from rdbench.run.process import available_memory
from rdbench.run.provenance import now, stamp
from rdbench.run.records import Cost
from rdbench.run.settings import Settings
from rdbench.run.spool import Stage, last_stage, read_spool
from rdbench.run.texts import bounded, encoded, printable
from rdbench.run.tree import memory_mb
from rdbench.run.watch import read_watch
from rdbench.run.worker import Job

_TICK_S = 0.25
_ANSWER_S = 30.0
"""A server that lives says within this time that it has forked, or buried."""
_CLOSE_S = 10.0
_IMPORT_S = 600.0
_ATTEMPTS = 2
_MOST_OUTPUT = 64 << 20
"""Bytes that a cell may print; what is before them is forgotten."""
_SHOWN = 4000
_keys = count()


@dataclass
class _Flight:
    """A cell whose worker lives, or is to be forked."""

    cell: Cell
    future: Future[bytes]
    folder: Path
    job: Job
    how: Settings
    started: str
    submitted: float
    watch: Path
    output: Path
    """Those of the job, which it makes anew each time: they are looked at all the time."""
    attempt: int = 1
    worker: int | None = None
    """The id of its process, once it is forked."""
    peak_mb: float = 0.0
    """Of all its processes together, as far as they have been seen during the fit."""
    unwanted: bool = False
    killed: tuple[Over, float] | None = None
    """The limit that it has passed, and when it was found to have."""


class LocalExecutor:
    """As many processes as there are jobs; see `rdbench.run.executors.Executor`."""

    def __init__(self, settings: Settings, cells: Sequence[Cell] = ()) -> None:
        """Start a server unless there is one.

        Args:
            settings: of the run.
            cells: that will be submitted: what they import, the server imports once for all.
        """
        self.width = settings.jobs
        self._imports = dict.fromkeys(_modules(cells))
        self._settings = settings
        self._importing = 0
        self._take_server()
        self._lock = threading.RLock()
        self._flights: dict[int, _Flight] = {}
        self._outputs: dict[str, str] = {}
        self._closing = False
        self._measured = -math.inf, 0
        self._weighed = -math.inf
        self._thread = threading.Thread(target=self._watch, name="rdbench executor", daemon=True)
        self._thread.start()

    def submit(self, cell: Cell, how: Settings | None = None) -> Future[bytes]:
        """Fork a worker for a cell, as soon as the server can.

        Args:
            cell: the cell.
            how: settings of this cell alone; None for those of the run.
        """
        future: Future[bytes] = Future()
        with self._lock:
            more = [name for name in _modules([cell]) if name not in self._imports]
            if more:
                self._imports |= dict.fromkeys(more)
                self._import(more)
            self._launch(cell, future, how or self._settings, 1)
        return future

    def cancel(self, future: Future[bytes]) -> None:
        """Kill the worker of a cell; its future is cancelled when it is gone."""
        with self._lock:
            for key, flight in self._flights.items():
                if flight.future is future:
                    flight.unwanted = True
                    self._server.send("kill", key)

    def stage(self, cell: str) -> Stage:
        """What the spool says."""
        with self._lock:
            found = [one.job.spool for one in self._flights.values() if one.cell.id == cell]
        return last_stage(found[0]) if found else Stage("start")

    def output(self, cell: str) -> str:
        """The end of what a cell has printed that has failed; given once."""
        with self._lock:
            return self._outputs.pop(cell, "")

    def close(self) -> None:
        """Kill what runs, wait until it is gone, and leave the server to who comes next."""
        with self._lock:
            self._closing = True
            if self._flights and not self._server.ready:
                self._server.kill()
            for key in self._flights:
                self._server.send("kill", key)
        self._thread.join(_CLOSE_S)
        with self._lock:
            if self._flights:
                self._server.kill()
            self._give_up(CancelledError())

    # ----------------------------------------------------------------------------------------
    # all below holds the lock

    def _take_server(self) -> None:
        self._server = handle.start()
        self._importing = 0
        self._import(self._imports)

    def _import(self, modules: Iterable[str]) -> None:
        self._server.send("import", list(modules))
        self._importing += 1
        self._ready_by = time.monotonic() + _IMPORT_S

    def _launch(self, cell: Cell, future: Future[bytes], how: Settings, attempt: int) -> None:
        key = next(_keys)
        folder = self._server.scratch.folder()
        limit = self._memory() // how.jobs if cell.device == "cpu" else None
        spool = folder / "spool.jsonl"
        job = Job(cell, spool, how.threads, how.timeout, how.trace, how.draws, limit)
        begun = now(), time.monotonic()
        self._flights[key] = _Flight(
            cell, future, folder, job, how, *begun, job.watch, job.output, attempt
        )
        self._server.send("start", key, job)

    def _memory(self) -> int:
        """Bytes that can still be allocated, as of a second ago at most."""
        moment = time.monotonic()
        if moment > self._measured[0] + 1.0:
            self._measured = moment, available_memory()
        return self._measured[1]

    def _watch(self) -> None:
        try:
            while not self._closing or self._flights:
                pipe = self._server.pipe
                ready = wait([pipe], self._pause())
                with self._lock:
                    try:
                        if ready:
                            self._hear(pipe.recv())
                    except (EOFError, OSError):
                        self._server_died()
                    self._enforce()
        except BaseException as problem:  # nobody may wait for ever
            with self._lock:
                self._give_up(problem)

    def _give_up(self, problem: BaseException) -> None:
        for flight in self._flights.values():
            flight.future.set_exception(problem)
            shutil.rmtree(flight.folder, ignore_errors=True)
        self._flights.clear()

    def _pause(self) -> float:
        """Seconds until a limit may be passed, at most a tick."""
        with self._lock:
            if self._importing:
                return _TICK_S
            moment = time.monotonic()
            left = [self._left(flight, moment) for flight in self._flights.values()]
        return min(max(min(left, default=_TICK_S), 0.005), _TICK_S)

    def _left(self, flight: _Flight, moment: float) -> float:
        if flight.killed is not None:
            return flight.killed[1] + _ANSWER_S - moment
        return flight.how.limits.left(read_watch(flight.watch), flight.submitted, moment)

    def _hear(self, message: tuple[object, ...]) -> None:
        match message:
            case ("ready",):
                self._server.ready = True
            case ("imported",):
                self._importing -= 1
                for flight in self._flights.values():
                    flight.submitted = time.monotonic()
            case ("started", int(key), int(pid)) if key in self._flights:
                self._flights[key].worker = pid
            case ("ended", int(key), int(code)) if key in self._flights:
                flight = self._flights.pop(key)
                self._finish(flight, Death(code, flight.killed and flight.killed[0]))

    def _enforce(self) -> None:
        moment = time.monotonic()
        weigh = moment > self._weighed + _TICK_S
        if weigh:
            self._weighed = moment
        for key, flight in self._flights.items():
            if self._importing:
                if moment > self._ready_by:
                    self._server.kill()
                continue
            if weigh and flight.worker is not None:
                flight.peak_mb = max(flight.peak_mb, _seen_mb(flight.worker, flight.watch))
            mute = flight.worker is None and moment > flight.submitted + _ANSWER_S
            if self._left(flight, moment) < 0.0 or mute:
                if flight.killed is not None or mute:
                    self._server.kill()  # its end closes the pipe, which is heard
                    return
                flight.killed = over(read_watch(flight.watch)), moment
                self._server.send("kill", key)
            with contextlib.suppress(OSError):
                if os.stat(flight.output).st_size > _MOST_OUTPUT:
                    os.truncate(flight.output, 0)

    def _server_died(self) -> None:
        self._server.kill()
        lost, self._flights = self._flights, {}
        again = []
        for flight in lost.values():
            done = read_spool(flight.job.spool).end is not None
            ended = done or flight.killed or flight.unwanted
            if self._closing or ended or flight.attempt == _ATTEMPTS:
                self._finish(flight, Death(None, flight.killed and flight.killed[0]))
            else:
                again.append(flight)
        if self._closing:
            return
        self._take_server()  # the scratch of the other one goes with it
        for flight in again:
            try:
                self._launch(flight.cell, flight.future, flight.how, flight.attempt + 1)
            except OSError as problem:
                flight.future.set_exception(problem)

    def _finish(self, flight: _Flight, death: Death) -> None:
        try:
            if flight.unwanted:
                raise CancelledError
            stamped = stamp(flight.how.provenance, flight.started)
            spool = read_spool(flight.job.spool)
            spool.cost = _with_peak(spool.cost, flight.peak_mb)
            record = compose(flight.cell, spool, death, flight.how.limits, stamped)
            if record.status not in FINAL:
                self._outputs[flight.cell.id] = _end_of(flight.output)
            flight.future.set_result(encoded(record))
        except Exception as problem:
            flight.future.set_exception(problem)
        _remove(flight.folder)


def _seen_mb(worker: int, watch: Path) -> float:
    """The memory of a worker and all that it has started; 0 where it is alone or does not fit."""
    found = memory_mb(worker)
    if found is None:
        return 0.0
    reading = read_watch(watch)
    return found if reading is not None and reading.fitting else 0.0


def _with_peak(cost: Cost, seen_mb: float) -> Cost:
    """The cost, with the memory that was seen of all processes where that is more."""
    if seen_mb <= (cost.peak_rss_mb or 0.0):
        return cost
    return msgspec.structs.replace(cost, peak_rss_mb=seen_mb)


def _remove(folder: Path) -> None:
    try:
        for entry in os.scandir(folder):
            os.unlink(entry.path)
        os.rmdir(folder)
    except OSError:  # there are folders in it
        shutil.rmtree(folder, ignore_errors=True)


def _modules(cells: Iterable[Cell]) -> list[str]:
    """What cells import that the server can import for them."""
    held = list(cells)
    suites = modules_of("suite", (cell.suite for cell in held))
    return [*suites, *modules_of("estimator", (cell.estimator for cell in held))]


def _end_of(output: Path) -> str:
    try:
        with output.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _SHOWN, 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return printable(bounded(text, _SHOWN)).strip()
