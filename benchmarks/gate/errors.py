"""The two ways in which the gate ends without a verdict."""

from __future__ import annotations


class BadInput(ValueError):
    """Something that does not exist was asked for; one line says what is valid. Exit code 2."""


class Broken(RuntimeError):
    """Nothing can be said about the commits, because what they run in does not work. Exit code 3.

    Args:
        side: ``BASE``, ``HEAD`` or ``both sides``.
        step: what was tried.
        detail: the last lines of what it said.
    """

    def __init__(self, side: str, step: str, detail: str) -> None:
        super().__init__(f"{side}: {step}\n{detail.strip()}")


def last_lines(text: str, count: int = 8) -> str:
    """The last lines that are not empty."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])
