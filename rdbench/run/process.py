"""The process of a worker: threads, memory, temporary files."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import tempfile
from pathlib import Path

import psutil
import threadpoolctl
import torch

from rdbench.run.executors.handle import THREAD_VARIABLES

_CGROUP_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
_NO_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "status_alloc_failed",  # of cuBLAS, cuDNN and cuSOLVER
)
_LONGEST = 60
"""Characters of a folder for temporary files: the sockets that multiprocessing makes in it have
paths of 107 at most."""


def set_up(threads: int, memory_limit: int | None, scratch: Path) -> None:
    """Make this process a worker.

    Args:
        threads: how many threads the numerical libraries may use.
        memory_limit: bytes of data that may be added to what the process has now.
        scratch: a folder that is removed when it has ended.
    """
    if len(str(scratch)) <= _LONGEST:
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    # If the machine runs out of memory, this process is to go, not the one that keeps the books.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    torch.set_num_threads(threads)
    if threads > 1:  # the server has loaded every library with one
        threadpoolctl.threadpool_limits(threads)
    if memory_limit is not None:
        _limit_memory(memory_limit)


def available_memory() -> int:
    """Bytes that can still be allocated: the machine's or the container's, whichever is less."""
    available = int(psutil.virtual_memory().available)
    for limit_file, used_file in _CGROUP_LIMITS:
        try:
            left = int(limit_file.read_text()) - int(used_file.read_text())
        except (OSError, ValueError):  # absent, or "max"
            continue
        available = min(available, max(left, 0))
    return available


def is_out_of_memory(problem: BaseException) -> bool:
    """Whether an exception says that memory ran out, the machine's or a device's.

    torch says it as one of its own, libraries of a device as a RuntimeError.
    """
    if isinstance(problem, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(problem).lower()
    return isinstance(problem, RuntimeError) and any(phrase in text for phrase in _NO_MEMORY)


def lift_memory_limit() -> None:
    """Take the limit off again, so that there is room to write down that it was hit."""
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _limit_memory(extra: int) -> None:
    """So that running out is an exception with a traceback rather than a kill."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, ValueError):
        present = int(psutil.Process().memory_info().data)
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = present + extra
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
