"""``rdbench report``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """The options of ``rdbench report`` as they were typed."""

    results: Path
    out: Path
    title: str | None
    units: str


def execute(request: Request) -> int:
    """Write the page and return the exit code.

    Raises:
        RdbenchError: bad input, or a page that cannot be written.
    """
    raise NotImplementedError(request)
