"""A Dask cluster of this machine, in a process and a session of its own.

Neither Ctrl-C nor the terminal reaches it, and it ends when the command that started it does,
however that ends: then the pipe between them closes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from multiprocessing.connection import Connection
from typing import Any

from rdbench.outcomes import RdbenchError
from rdbench.run.executors.scratch import MARK, Scratch, end_processes, sweep
from rdbench.run.texts import said

_START_S = 120.0
_CLOSE_S = 30.0

CONFIG: dict[str, Any] = {
    # A worker has to start processes of its own.
    "distributed.worker.daemon": False,
    # Workers may be killed at random: that is no fault of the cells that they had.
    "distributed.scheduler.allowed-failures": 1000,
    # A worker holds next to nothing; the memory of cells is limited where they run.
    "distributed.worker.memory.terminate": False,
    "distributed.comm.timeouts.connect": "30s",
}


class OwnCluster:
    """The process, and the address of its scheduler."""

    def __init__(self, workers: int) -> None:
        """Start it, and wait until its workers are there.

        Raises:
            RdbenchError: it does not start.
        """
        self._pipe, theirs = multiprocessing.Pipe()
        fd = theirs.fileno()
        serve = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            f"from rdbench.run.executors.cluster import main; main({fd}, {workers})"
        )
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        self._process = subprocess.Popen(
            [sys.executable, *flags, "-c", serve],
            # The processes of its workers find what this one finds.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[fd],
            start_new_session=True,
        )
        theirs.close()
        try:
            self.address = self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> str:
        word, text = "failed", f"no answer within {_START_S:.0f} s"
        try:
            if self._pipe.poll(_START_S):
                word, text = self._pipe.recv()
        except (EOFError, OSError):
            text = f"its process ended with exit code {self._process.wait()}"
        if word != "ready":
            raise RdbenchError(f"no Dask cluster could be started on this machine: {text}")
        return str(text)

    def close(self) -> None:
        """Let it end its workers and go."""
        with contextlib.suppress(OSError):
            self._pipe.close()
        try:
            self._process.wait(timeout=_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        sweep()  # what killed workers have left


def main(fd: int, workers: int) -> None:
    """Be the cluster, until the other end of the pipe is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # its end is the end of who has started it
    pipe = Connection(fd)
    scratch = Scratch()
    os.environ[MARK] = str(scratch.path)
    try:
        _serve(pipe, workers, str(scratch.path))
    except Exception as problem:
        with contextlib.suppress(OSError):
            pipe.send(("failed", said(problem)))
    finally:
        end_processes(scratch.path)
        scratch.close()
        os._exit(0)  # nothing is to be waited for


def _serve(pipe: Connection, workers: int, folder: str) -> None:
    import dask
    import distributed

    kind: Any = distributed.LocalCluster
    warnings.simplefilter("ignore")
    with (
        dask.config.set({**CONFIG, "temporary-directory": folder}),
        kind(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=0,
            local_directory=folder,
        ) as cluster,
    ):
        cluster.wait_for_workers(workers, timeout=_START_S)
        pipe.send(("ready", cluster.scheduler_address))
        with contextlib.suppress(EOFError, OSError):
            pipe.recv()
