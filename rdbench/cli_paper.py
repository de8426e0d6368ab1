"""``rdbench paper``: run what a recipe needs and is not stored, then draw and tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """The options of ``rdbench paper`` as they were typed."""

    out: Path
    results: Path | None
    full: bool
    jobs: int
    threads: int
    dry_run: bool
    units: str


def execute(request: Request) -> int:
    """Carry the request out and return the exit code.

    Raises:
        RdbenchError: bad input, before anything runs.
    """
    raise NotImplementedError(request)
