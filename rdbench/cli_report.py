"""``rdbench report``: one page of everything that is stored."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rdbench import cli_parse as parse

if TYPE_CHECKING:
    from rdbench.report.style import Look
    from rdbench.run.records import CellRecord


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
    parse.one_of("--units", request.units, ("nats", "bits"))
    from rdbench.report.page.render import render, writable, write
    from rdbench.run.store import RECORDS, load
    from rdbench.types import RdbenchError

    writable(request.out)
    stored = request.results / RECORDS
    if request.out.exists() and stored.exists() and request.out.samefile(stored):
        raise RdbenchError(f"cannot write {request.out}: it holds the records")
    loaded = load(request.results)
    for line in loaded.warnings:
        print(f"rdbench: warning: {line}", file=sys.stderr)
    records = list(loaded.records.values())
    # The page may travel further than the folder: it does not say where that was.
    warnings = [line.replace(f"{request.results}/", "") for line in loaded.warnings]
    page = render(records, request.title, request.units, _looks(records), warnings)
    size = write(page, request.out)
    points = sum(len(record.points) for record in records)
    print(f"page: {request.out} ({_size(size)}; {len(records)} cells, {points} points)")
    return 0


def _size(n: int) -> str:
    return f"{n / 1e6:.2f} MB" if n >= 1e6 else f"{n / 1e3:.0f} kB"


def _looks(records: Iterable[CellRecord]) -> dict[str, Look]:
    """What the registrations ask for; an estimator that is not installed here asks for nothing."""
    from rdbench import registry
    from rdbench.report.style import Look
    from rdbench.types import RdbenchError

    looks = {}
    for name in sorted({record.estimator for record in records}):
        try:
            info = registry.load_estimator(name).info
        except RdbenchError:
            continue
        looks[name] = Look(info.colour, info.marker)
    return looks
