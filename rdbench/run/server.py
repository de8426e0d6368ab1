"""The fork server: one process that has imported torch and the audit, and forks every worker.

Nothing heavy is imported here, so that the server can be started before this process imports the
same: both work at the same time then.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def start() -> Any:
    """Start the server unless it runs, without waiting for it; the context that forks from it.

    Where the system has no fork server, the context spawns.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["__main__", "rdbench.run.worker", "rdbench.audit", "torch._dynamo"]
    )
    # The tracker unblocks signals as it starts, so it has to be there before they are blocked.
    multiprocessing.resource_tracker.ensure_running()
    # Ctrl-C reaches the whole group of processes; the server is not to die of it while it imports.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _one_thread_each():
            multiprocessing.forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """No numerical library may start threads in the server: they would not survive the fork."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
