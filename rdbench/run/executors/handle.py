"""The fork server as seen from the process that asks it for workers.

Nothing heavy is imported here, so that the server can be started before this process imports what
the server does: both work at the same time then.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import subprocess
import sys
import threading
from typing import Any

from rdbench.run.executors.scratch import MARK, Scratch, end_processes

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class Handle:
    """A server that was started and imports by now, and its scratch."""

    def __init__(self) -> None:
        self.scratch = Scratch()
        self.owner = os.getpid()
        self.ready = False
        """Whether it has said that it can fork."""
        self.pipe, theirs = multiprocessing.Pipe()
        fd = theirs.fileno()
        # No numerical library may start threads in the server: they would not survive a fork.
        threads = dict.fromkeys(THREAD_VARIABLES, "1")
        serve = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            f"from rdbench.run.executors.server import main; main({fd})"
        )
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        self._process = subprocess.Popen(
            [sys.executable, *flags, "-c", serve],
            env={**os.environ, **threads, MARK: str(self.scratch.path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[fd],
            start_new_session=True,  # neither Ctrl-C nor the terminal reaches it and its workers
        )
        theirs.close()
        self._sending = threading.Lock()

    def send(self, *message: Any) -> None:
        """Say something; who is dead does not hear it, and the pipe tells that it is."""
        with self._sending, contextlib.suppress(OSError):
            self.pipe.send(message)

    def alive(self) -> bool:
        """Whether the server lives."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the server, its workers and all that they have started, at once."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        end_processes(self.scratch.path)

    def close(self) -> None:
        """Let the server end its workers and go; remove the scratch."""
        with contextlib.suppress(OSError):
            self.pipe.close()
        if not self.ready:  # nobody waits until it has imported everything to say good-bye
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10.0)
        if self.ready and self._process.returncode != 0:  # it did not end by itself, or not yet
            self.kill()
        self.scratch.close()


_handle: list[Handle] = []
_taking = threading.Lock()
_ending: list[int] = []
"""The id of this process, once it ends."""


def start() -> Handle:
    """The server of this process; started, without waiting for it, unless it runs.

    Raises:
        RuntimeError: this process is at its end: nobody would put the server away.
    """
    with _taking:
        if os.getpid() in _ending:
            raise RuntimeError("this process ends: it starts no server any more")
        if _handle and _handle[0].owner != os.getpid():
            _handle.pop()  # of the process that this one was forked from
        if _handle and not _handle[0].alive():
            _handle.pop().close()
        if not _handle:
            _handle.append(Handle())
        return _handle[0]


@atexit.register
def _close() -> None:
    """Put the server away; whoever waits for it then, such as an executor, is not to have one."""
    with _taking:
        _ending.append(os.getpid())
        if _handle and _handle[0].owner == os.getpid():
            _handle.pop().close()
