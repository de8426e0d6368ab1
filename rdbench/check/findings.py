"""The result of a check: a verdict, and in words what was seen and what it usually means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "skip"]


@dataclass(frozen=True)
class Outcome:
    """A verdict with its reason."""

    verdict: Verdict
    message: str


@dataclass(frozen=True)
class Finding:
    """One line of the report of `rdbench.check.check_estimator`."""

    name: str
    verdict: Verdict
    message: str
    cpu_s: float
    """CPU seconds of this check; a fit that several checks use counts where it was first needed."""


def passed(message: str) -> Outcome:
    """Nothing is wrong."""
    return Outcome("pass", message)


def failed(message: str) -> Outcome:
    """Something is wrong."""
    return Outcome("fail", message)


def skipped(reason: str) -> Outcome:
    """The check does not apply."""
    return Outcome("skip", reason)


def judged(faults: list[str], fine: str, shown: int = 1) -> Outcome:
    """Failed with the first of these faults, or passed with the message where there is none."""
    if not faults:
        return passed(fine)
    left = len(faults) - shown
    return failed("; ".join(faults[:shown]) + (f" (and {left} more)" if left > 0 else ""))
