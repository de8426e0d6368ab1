"""SIGTERM ends a command as Ctrl-C does: schedulers send it, and what runs has to be put away."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def terminable() -> Iterator[None]:
    """Within the block, the first SIGTERM raises KeyboardInterrupt; the second one kills."""
    if not _may_handle():
        yield
        return

    def end(*_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
            signal.signal(signal.SIGTERM, before)


def deaf() -> None:
    """From now on neither Ctrl-C nor SIGTERM ends this process, which is about to end by itself."""
    if _may_handle():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _may_handle() -> bool:
    return threading.current_thread() is threading.main_thread()
