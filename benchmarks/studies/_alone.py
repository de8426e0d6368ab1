"""A monitor of a fit that nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rdbench.types import TestChannel


@dataclass(frozen=True)
class Alone:
    """Never stops the fit, and counts nothing."""

    effort: float = 1.0

    def advance(self, done: float) -> bool:  # noqa: ARG002
        """Go on."""
        return True

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:  # noqa: ARG002
        """Go on."""
        return True

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        """Nothing."""
