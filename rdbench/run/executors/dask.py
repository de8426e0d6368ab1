"""Cells on the workers of a Dask cluster: this process hands them out and gets records back.

A worker that dies costs time alone: the scheduler gives its cells to others. A record arrives
once, however often its cell was begun, because a cell has one future, and that ends once.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from importlib import import_module
from typing import Any

from rdbench.outcomes import RdbenchError, StoreError
from rdbench.run.compose import Death, compose
from rdbench.run.executors.cluster import OwnCluster
from rdbench.run.executors.kit import difference, kit_of, needed, wanted_by
from rdbench.run.plan import Cell
from rdbench.run.provenance import gather, now, stamp
from rdbench.run.settings import Settings
from rdbench.run.spool import End, Spool, Stage
from rdbench.run.texts import encoded, said

_PER_SLOT = 2
"""Cells in flight for each that a worker runs: the next one is there when it is done."""
_ATTEMPTS = 10
_LOOKS = 3
_TASK = "rdbench.run.executors.remote"
_CONNECT_S = 30.0
_WORKERS_S = 60.0
_LOOK_S = 1.0
_CLOSE_S = 10.0
_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application")
_OF_NO_CELL = ("KilledWorker", "FutureCancelledError", "FuturesCancelledError", "CancelledError")
_GOES_ON = "what is done is kept; the same command continues"


class DaskExecutor:
    """Hands cells to a scheduler; see `rdbench.run.executors.Executor`."""

    def __init__(
        self, settings: Settings, cells: Sequence[Cell], scheduler: str | None = None
    ) -> None:
        """Connect, and compare what every worker has with what is here.

        Args:
            settings: of the run; ``jobs`` is the number of workers of a cluster of our own.
            cells: that will be submitted.
            scheduler: the address of a scheduler; None for a cluster of our own, on this machine.

        Raises:
            RdbenchError: no scheduler, no worker, or one with other code.
        """
        from distributed import Client

        from rdbench.run.executors import remote

        for name in _LOGGERS:  # problems are told here; the import has set other levels
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._remote = remote
        self._settings = settings
        self._device = cells[0].device if cells else "cpu"
        self._cluster = OwnCluster(settings.jobs) if scheduler is None else None
        self._address = scheduler if self._cluster is None else self._cluster.address
        self._run = uuid.uuid4().hex[:8]
        self._tasks: dict[Future[bytes], Any] = {}
        self._outputs: dict[str, str] = {}
        self._slots: Counter[str] = Counter()
        self._closing = False
        self._client: Any = None
        try:
            with warnings.catch_warnings(action="ignore"):
                self._client = _connected(Client, self._address)
            wanted = wanted_by(cells)
            self._way = remote.Way(settings, self._device, wanted, needed(wanted))
            self._compare()
        except BaseException:
            self.close()
            raise
        self._client.loop.add_callback(self._look)

    @property
    def width(self) -> int:
        """Twice as many cells as the workers can run at the same time."""
        return max(_PER_SLOT * sum(self._slots.values()), 1)

    def submit(self, cell: Cell) -> Future[bytes]:
        """Hand a cell to the scheduler."""
        future: Future[bytes] = Future()
        self._client.loop.add_callback(self._follow, cell, future)
        return future

    def cancel(self, future: Future[bytes]) -> None:
        """Tell the scheduler that nobody wants a cell; the worker that has it kills it."""
        if not future.done():  # first, so that nobody submits it again
            future.set_exception(CancelledError())
        task = self._tasks.pop(future, None)
        if task is not None:
            self._client.cancel([task])

    def stage(self, cell: str) -> Stage:  # noqa: ARG002
        """Nobody asks a worker where it is."""
        return Stage("away")

    def output(self, cell: str) -> str:
        """The end of what a cell has printed that has failed; given once."""
        return self._outputs.pop(cell, "")

    def close(self) -> None:
        """Cancel what runs, and leave; end the cluster, where it is ours."""
        self._closing = True
        if self._client is not None:
            try:
                left = list(self._tasks.values())
                if left and self._client.status == "running":
                    self._client.cancel(left)
                self._client.close(timeout=_CLOSE_S)
            except Exception:  # the scheduler is gone, and its cells with it
                logging.getLogger(__name__).debug("closing", exc_info=True)
        for future in list(self._tasks):
            if not future.done():
                future.set_exception(CancelledError())
        self._tasks.clear()
        if self._cluster is not None:
            self._cluster.close()

    # ----------------------------------------------------------------------------------------

    def _compare(self) -> None:
        """Refuse workers that have other code, and note how many cells each machine takes."""
        try:
            found = self._kits()
        except OSError as problem:
            raise self._lost() from problem
        for address, answer in found.items():
            if isinstance(answer, BaseException):
                raise RdbenchError(
                    f"the Dask worker {address} cannot run cells ({said(answer)}); install there "
                    "what is installed here"
                )
            if differing := difference(self._way.kit, answer):
                raise RdbenchError(_other_code(address, differing))

    def _kits(self) -> dict[str, Any]:
        """The kit of every worker, or what it raised."""
        found: dict[str, Any] = {}
        failed: dict[str, Any] = {}
        for _ in range(_LOOKS):
            self._await_workers()
            with warnings.catch_warnings(action="ignore"):
                # First what a worker without rdbench can do: to it, our own functions mean nothing.
                found = self._client.run(import_module, _TASK, on_error="return")
                failed = {k: v for k, v in found.items() if isinstance(v, BaseException)}
                if found and not failed:
                    found = self._client.run(kit_of, self._way.wanted, on_error="return")
                    failed = {k: v for k, v in found.items() if isinstance(v, BaseException)}
            if found and not any(isinstance(problem, OSError) for problem in failed.values()):
                break
            time.sleep(_LOOK_S)  # one has died meanwhile
        return failed or found

    def _await_workers(self) -> None:
        until = time.monotonic() + _WORKERS_S
        while not (info := self._client.scheduler_info(n_workers=-1)["workers"]):
            if time.monotonic() > until:
                raise RdbenchError(
                    f"the Dask scheduler at {self._address} has no workers; start some, such as "
                    f"`dask worker {self._address}`, then give the same command"
                )
            time.sleep(_LOOK_S)
        self._count(info)

    def _count(self, workers: dict[str, Any]) -> None:
        slots: Counter[str] = Counter()
        for worker in workers.values():
            slots[str(worker["host"])] += int(worker["nthreads"])
        self._slots = slots

    async def _look(self) -> None:
        """Keep count of the workers, which come and go."""
        while not self._closing:
            try:
                found = await self._client.scheduler.identity(n_workers=-1)
                self._count(found["workers"])
            except Exception:  # it may be back; if not, the futures tell
                logging.getLogger(__name__).debug("looking", exc_info=True)
            await asyncio.sleep(_LOOK_S)

    async def _follow(self, cell: Cell, future: Future[bytes]) -> None:
        """Wait for a cell, wherever it runs, as often as it takes."""
        try:
            line = await self._line(cell, future)
        except BaseException as problem:
            if not future.done():
                future.set_exception(problem)
        else:
            if not future.done():
                future.set_result(line)
        finally:
            self._tasks.pop(future, None)

    async def _line(self, cell: Cell, future: Future[bytes]) -> bytes:
        began = now()
        for attempt in range(_ATTEMPTS):
            task = self._client.submit(
                self._remote.run_here, cell, self._way, dict(self._slots),
                key=(f"cell-{self._run}-{attempt}", cell.id), pure=False,
            )  # fmt: skip
            self._tasks[future] = task
            try:
                answer = await self._client.gather(task, asynchronous=True)
            except (Exception, asyncio.CancelledError) as problem:
                if self._closing or future.done():
                    raise CancelledError from None
                self._weigh(problem)
                continue
            finally:
                task.release()
            return self._read(cell, answer)
        reason = f"the Dask workers that ran it were killed, {_ATTEMPTS} times"
        stamped = stamp(gather("cpu", self._settings.threads, self._settings.jobs), began)
        end = Spool(end=End("crashed", reason))
        return encoded(compose(cell, end, Death(None), self._settings.limits, stamped))

    def _lost(self) -> StoreError:
        return StoreError(
            f"the connection to the Dask scheduler at {self._address} is lost; {_GOES_ON}"
        )

    def _weigh(self, problem: BaseException) -> None:
        """Pass over an end that says nothing about the cell; others end the run."""
        lost = getattr(problem, "reason", "") == "scheduler-connection-lost"
        if lost or self._client.status != "running":
            raise self._lost() from problem
        if type(problem).__name__ not in _OF_NO_CELL:
            raise StoreError(f"a Dask worker cannot run cells ({said(problem)}); {_GOES_ON}")

    def _read(self, cell: Cell, answer: Any) -> bytes:
        if answer.kind == "other code":
            raise StoreError(f"{_other_code(answer.worker, answer.complaint)}; {_GOES_ON}")
        if answer.line is None:
            raise StoreError(
                f"the Dask worker {answer.worker} cannot run cells ({answer.complaint}); {_GOES_ON}"
            )
        if answer.output:
            self._outputs[cell.id] = answer.output
        line: bytes = answer.line
        return line


def _connected(kind: Any, address: str | None) -> Any:
    try:
        return kind(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as problem:
        raise RdbenchError(
            f"no Dask scheduler answers at {address!r} ({said(problem)}); give --scheduler an "
            "address such as tcp://10.0.0.1:8786"
        ) from problem


def _other_code(address: str, differing: str) -> str:
    return (
        f"the Dask worker {address} has other code: {differing}; install the same there and "
        "restart it"
    )
