"""Standard output that may be closed, full or gone: ``| head``, ``> /dev/full``, ``>&-``."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from io import TextIOBase
from typing import Any, TypeGuard

from rdbench.cli.messages import warn

_GONE = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def prepare() -> None:
    """Open what was closed, and let no character be one that cannot be written."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the shell closed it
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def is_gone(problem: BaseException) -> TypeGuard[OSError]:
    """Whether an exception says that standard output takes no more; files have names."""
    return isinstance(problem, OSError) and problem.filename is None and problem.errno in _GONE


def silence() -> None:
    """Let standard output take, and forget, whatever is still to come, at the end of Python too."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Unbreakable:
    """A stream for what is said during work that has to go on: it falls silent instead of failing.

    Args:
        stream: standard output.
    """

    def __init__(self, stream: TextIOBase) -> None:
        self._stream = stream
        self._silent = False

    def write(self, text: str) -> int:
        """Write, or forget."""
        if not self._silent:
            try:
                return self._stream.write(text)
            except (OSError, ValueError) as problem:
                self._fail(problem)
        return len(text)

    def flush(self) -> None:
        """Flush, or forget."""
        if not self._silent:
            try:
                self._stream.flush()
            except (OSError, ValueError) as problem:
                self._fail(problem)

    def _fail(self, problem: Exception) -> None:
        self._silent = True
        silence()
        if not isinstance(problem, BrokenPipeError):  # who closes a pipe has seen enough
            why = getattr(problem, "strerror", None) or problem
            warn(f"cannot write to standard output ({why}); the work goes on")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
