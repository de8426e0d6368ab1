"""The inner loops that everything else is made of: what asv, pytest-benchmark and the gate time.

``KERNELS[name]()`` prepares a kernel from a fixed seed and raises ``NotImplementedError`` where the
commit at hand has none; ``.work()`` is what is timed, ``.check(result)`` asserts that it is right,
against something computed in another way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kernel:
    """Something to time, and whether it is right."""

    work: Callable[[], Any]
    """One measurement's worth: a few milliseconds to a few tens."""
    check: Callable[[Any], None]
    """Raises AssertionError if the result of ``work`` is wrong."""
    iterations: int = 1
    """How many of the named unit one call of ``work`` does."""


KERNELS: dict[str, Callable[[], Kernel]] = {}
