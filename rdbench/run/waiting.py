"""Who waits for a truth or a slope is told what for, if it takes long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_say: ContextVar[Callable[[str], None] | None] = ContextVar("_say", default=None)
_FIRST_S = 5.0


@contextmanager
def telling(say: Callable[[str], None]) -> Iterator[None]:
    """Inside, `waiting` says what takes long; elsewhere it is silent.

    Args:
        say: takes a line, from a thread of its own.
    """
    before = _say.set(say)
    try:
        yield
    finally:
        _say.reset(before)


@contextmanager
def waiting(what: str, first_s: float = _FIRST_S) -> Iterator[None]:
    """Say what is waited for after ``first_s`` seconds, and again whenever the time has doubled."""
    say = _say.get()
    if say is None:
        yield
        return
    over = threading.Event()
    started = time.monotonic()

    def tell() -> None:
        pause = first_s
        while not over.wait(pause):
            pause = time.monotonic() - started
            say(f"{what} ... {pause:.0f} s so far")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
