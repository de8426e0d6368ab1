"""A Dask scheduler and its workers as one starts them by hand: they outlive the commands."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_START_S = 120.0
_ADDRESS = re.compile(r"Scheduler at:\s+(tcp://\S+)")
_SETTINGS = {
    "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1000",
}
"""Those of docs/many-machines.md."""


@contextmanager
def started_by_hand(workers: int, scratch: Path) -> Iterator[str]:
    """``dask scheduler`` and so many ``dask worker``; gives the address of the scheduler.

    Args:
        workers: each runs one cell at a time.
        scratch: where they have their temporary files.
    """
    environment = {**os.environ, **_SETTINGS, "TMPDIR": str(scratch)}
    log = scratch / "scheduler.log"
    started = [_begin("scheduler", environment, log, "--host", "127.0.0.1", "--port", "0")]
    try:
        address = _address_in(log)
        options = ("--nthreads", "1", "--memory-limit", "0", "--local-directory", str(scratch))
        for number in range(workers):
            file = scratch / f"worker-{number}.log"
            started.append(_begin("worker", environment, file, address, *options))
        yield address
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGINT)
            process.wait(timeout=_START_S)
        for file in scratch.glob("*.log"):
            file.unlink()
        shutil.rmtree(scratch / "dask-scratch-space", ignore_errors=True)  # Dask's own, it stays


def _begin(
    name: str, environment: Mapping[str, str], log: Path, *options: str
) -> subprocess.Popen[bytes]:
    module = f"distributed.cli.dask_{name}"
    with log.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", module, *options, "--no-dashboard"],
            env=dict(environment),
            stdout=said,
            stderr=said,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )


def _address_in(log: Path) -> str:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if found := _ADDRESS.search(log.read_text()):
            return found[1]
        time.sleep(0.2)
    raise RuntimeError(f"the scheduler does not start:\n{log.read_text()}")
