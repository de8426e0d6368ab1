"""A kernel, and the tools that all of them need: nothing here is measured."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kernel:
    """Something to time, and whether it is right."""

    work: Callable[[], Any]
    """One measurement's worth: a few milliseconds to a few tens, the same in every call."""
    check: Callable[[Any], None]
    """Raises AssertionError if the result of ``work`` is wrong."""
    iterations: int = 1
    """How many of the named unit one call of ``work`` does."""


Prepare = Callable[[], Kernel]


def prepares(function: Prepare) -> Prepare:
    """Say NotImplementedError where the commit at hand lacks a module or a name of rdbench's.

    A package that is missing, rdbench itself included, is a broken environment and stays one.
    """

    @functools.wraps(function)
    def prepared() -> Kernel:
        try:
            return function()
        except ImportError as missing:
            if not (missing.name or "").startswith("rdbench."):
                raise
            raise NotImplementedError(f"this commit has no such kernel: {missing}") from missing

    return prepared


_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD = -4, -1, -2  # of mallopt, in glibc's malloc.h


@functools.cache
def keep_memory() -> None:
    """Have the allocator keep what is freed, so that page faults are not part of a kernel's time.

    Whether glibc gives large arrays back between two calls depends on what the process did before:
    distances of 16 MB took 3.5 ms of CPU time in one process and 17 ms in the next, the
    difference in page faults. Elsewhere than on glibc this does nothing.

    It holds until the process ends, so call it only where nothing but kernels is timed. The gate
    sets variables of the environment instead, which its fits obey.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_TOP_PAD, 64 * 2**20)
