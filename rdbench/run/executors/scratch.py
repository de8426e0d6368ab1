"""The folder in which a run and its workers write until a cell is done.

It is locked as long as the process that made it lives, so that those of runs that were killed can
be told from others, and swept, with the processes that they left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
from pathlib import Path

import psutil

MARK = "RDBENCH_SCRATCH"
"""The environment variable that every process of a run inherits: the path of its scratch."""
_PREFIX, _UNNAMED, _LOCK = "rdbench-", ".rdbench-new-", ".lock"


class Scratch:
    """A folder of our own; locked until `close`, or until this process ends in whatever way."""

    def __init__(self) -> None:
        sweep()
        unnamed = Path(tempfile.mkdtemp(prefix=_UNNAMED))
        self._lock = os.open(unnamed / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: it will not be swept
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Locked before it has the name that others look for.
        self.path = unnamed.rename(unnamed.with_name(_PREFIX + unnamed.name.removeprefix(_UNNAMED)))
        self._given = 0

    def folder(self) -> Path:
        """A new folder in it; names are short, as sockets in it have paths of 107 bytes at most."""
        self._given += 1
        made = self.path / str(self._given)
        made.mkdir()
        return made

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)


def sweep() -> None:
    """Remove the scratch of runs that are dead, and end the processes that they left behind."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):
            fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused where the run lives
                end_processes(lock.parent)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(fd)


def end_processes(scratch: Path) -> None:
    """Kill what carries the mark of a run: its server, workers, and all that they started."""
    own = os.getpid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != own and process.environ().get(MARK) == str(scratch):
                process.send_signal(signal.SIGKILL)
