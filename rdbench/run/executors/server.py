"""The fork server: it has imported torch and the audit, forks a worker for a cell, and buries it.

Whatever a worker has started goes with it. The worker leads a session and a process group of its
own, which is killed at its end; what has left the group becomes a child of the worker when its
parent dies, and of this process when the worker has ended, and is killed then. As every living
worker keeps its own, a child of this process that is no worker belongs to nobody.

It speaks through one pipe. It gets ("start", key, job), ("kill", key) and ("import", modules); it
says ("ready",), ("imported",), ("started", key, pid) and ("ended", key, exit code). It ends when
the pipe does.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

PRELOADED = ("rdbench.run.worker", "rdbench.audit", "rdbench.audit.possible")
_OPTIMISERS = "torch.optim"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_PATIENCE_S = 5.0


class Server:
    """The workers that live, by process id."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._workers: dict[int, int] = {}
        self._bell, self._rope = os.pipe()
        for end in (self._bell, self._rope):
            os.set_blocking(end, False)
        # A child that ends rings: select wakes up.
        signal.set_wakeup_fd(self._rope, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Work until nobody listens any more; then no worker is left."""
        try:
            while True:
                ready, _, _ = select.select([self._pipe.fileno(), self._bell], [], [])
                with contextlib.suppress(BlockingIOError):
                    os.read(self._bell, 4096)
                self._bury()
                if self._pipe.fileno() in ready:
                    self._obey(self._pipe.recv())
        except (EOFError, OSError):
            pass
        finally:
            for pid in self._workers:
                kill_group(pid)
            self._bury(tell=False, wait=True)

    def _obey(self, message: tuple[Any, ...]) -> None:
        match message:
            case ("start", key, job):
                own = os.getpid()
                pid = os.fork()
                if pid == 0:
                    # Since Python 3.12 asyncio, where imported, has unset it in the child before.
                    signal.set_wakeup_fd(-1)
                    _work(job, own, [self._pipe.fileno(), self._bell, self._rope])
                self._workers[pid] = key
                self._pipe.send(("started", key, pid))
            case ("kill", key):
                for pid in [pid for pid, held in self._workers.items() if held == key]:
                    kill_group(pid)
            case ("import", modules):
                preload(modules)
                self._pipe.send(("imported",))

    def _bury(self, *, tell: bool = True, wait: bool = False) -> None:
        """Bury the workers that have ended, with all they leave behind."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            found = _ended()
            if found is None:
                if not (wait and self._workers and time.monotonic() < until):
                    return
                time.sleep(0.005)
                continue
            key = self._workers.get(found)
            if key is not None:
                kill_group(found)  # while its number is still its own
            _, status = os.waitpid(found, 0)
            if key is None:
                continue
            del self._workers[found]
            self._kill_orphans()
            if tell:
                self._pipe.send(("ended", key, os.waitstatus_to_exitcode(status)))

    def _kill_orphans(self) -> None:
        """Kill the children that are no workers, and theirs, until there are none."""
        until = time.monotonic() + _PATIENCE_S  # one that sleeps in the kernel may take its time
        while time.monotonic() < until:
            orphans = [pid for pid in children() if pid not in self._workers]
            if not orphans:
                return
            for pid in orphans:
                kill_group(pid)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.002)


def _ended() -> int | None:
    """A child that has ended and waits to be buried."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid


def kill_group(pid: int) -> None:
    """Kill a process and, where it leads one, its group."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def children() -> list[int]:
    """The children of this process."""
    own = os.getpid()
    try:
        return [int(pid) for pid in Path(f"/proc/{own}/task/{own}/children").read_text().split()]
    except OSError:
        import psutil

        return [child.pid for child in psutil.Process().children()]


def preload(modules: Iterable[str]) -> None:
    """Import what every worker would import; what cannot be imported is the worker's to tell."""
    for name in modules:
        with contextlib.suppress(Exception):
            if _OPTIMISERS in _source(importlib.import_module(name)):
                # What an optimiser imports when it is first made takes two CPU seconds.
                importlib.import_module("torch._dynamo")


def _source(module: ModuleType) -> str:
    """The text of a module, of a package that of all its files."""
    file = Path(module.__file__ or "")
    files = file.parent.glob("*.py") if file.name == "__init__.py" else [file]
    return "".join(one.read_text() for one in files)


def _control(option: int, value: int) -> None:
    """One call of prctl, which Linux alone has."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _work(job: Any, parent: int, inherited: Iterable[int]) -> NoReturn:
    """Run a job in this process, which was just forked, and end it."""
    code = 1
    try:
        _become_a_worker(job.output, parent, inherited)
        from rdbench.run.worker import run_cell

        run_cell(job)
        code = 0
    except BaseException as problem:  # of what surrounds a cell, which tells its own
        with contextlib.suppress(BaseException):
            _tell(job.spool, problem)
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)  # no atexit, no threads to wait for: nobody may hold the slot


def _tell(spool: Path, problem: BaseException) -> None:
    from rdbench.run.spool import End, SpoolWriter
    from rdbench.run.texts import said

    SpoolWriter(spool).write(End("error", said(problem), traceback.format_exc()))


def _become_a_worker(output: Path, parent: int, inherited: Iterable[int]) -> None:
    os.setsid()
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:  # it died before it could be told that we care
        os._exit(1)
    for fd in inherited:
        os.close(fd)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    # Appending, so that the file may be cut while it is written to.
    fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for standard in (1, 2):
        os.dup2(fd, standard)
    os.close(fd)
    faulthandler.enable(2)


def main(fd: int) -> None:
    """Serve at the other end of a pipe."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever asks for work says when it ends
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    pipe = Connection(fd)
    preload(PRELOADED)
    with contextlib.suppress(Exception):
        importlib.import_module("rdbench.registry").remember()
    gc.collect()
    gc.freeze()  # a collection in a worker would touch, and so copy, every page
    with contextlib.suppress(OSError):
        pipe.send(("ready",))
    Server(pipe).serve()
