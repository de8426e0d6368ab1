"""The seconds that the parts of a cell may take, and which of them is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rdbench.run.watch import Reading

Over = Literal["fit", "rest"]
"""Which limit a cell has passed."""

AUDIT_TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Limits:
    """No part of a cell's identity."""

    fit: float | None = None
    """Seconds of fitting, over the whole ladder; None for no limit."""
    rest: float = AUDIT_TIMEOUT_S
    """Seconds that one audit may take, or the case to be made."""

    def left(self, reading: Reading | None, submitted: float, now: float) -> float:
        """Seconds until the limit of what the cell does now is passed; negative after that.

        Args:
            reading: the watch of its worker; None where none has begun.
            submitted: when the cell was handed over.
            now: `time.monotonic`.
        """
        if reading is None:
            return submitted + self.rest - now
        if not reading.fitting:
            return reading.since + self.rest - now
        if self.fit is None:
            return float("inf")
        return reading.since + self.fit - reading.before - now


def over(reading: Reading | None) -> Over:
    """The limit that applied."""
    return "fit" if reading is not None and reading.fitting else "rest"
