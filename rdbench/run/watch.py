"""The stop-watch of a worker as its parent sees it, in a file of 24 bytes.

The parent enforces the limits, because the worker may be stopped, deaf to signals, or in C code.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from pathlib import Path
from typing import NamedTuple

_LAYOUT = struct.Struct("<ddd")


class Reading(NamedTuple):
    """What the watch says."""

    fitting: bool
    """Whether the fit runs; else the case is being made, or something is audited or written."""
    since: float
    """Since when, by `time.monotonic`, which all processes of a machine share."""
    before: float
    """Seconds of fitting before that."""


class Watch:
    """The worker's end; a child that it forks notes nothing."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._owner = os.getpid()
        self.note(False, 0.0)

    def note(self, fitting: bool, before: float) -> None:
        """From now on it fits, or does not, after so many seconds of fitting."""
        if os.getpid() != self._owner:
            return
        with contextlib.suppress(OSError):  # an estimator may close what it did not open
            os.pwrite(self._fd, _LAYOUT.pack(fitting, time.monotonic(), before), 0)


def read_watch(path: Path) -> Reading | None:
    """What the watch says now; None where no worker has begun."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    if len(raw) != _LAYOUT.size:
        return None
    fitting, since, before = _LAYOUT.unpack(raw)
    return Reading(bool(fitting), since, before)
