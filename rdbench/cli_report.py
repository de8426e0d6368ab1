"""``rdbench report``: one page of everything that is stored."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from rdbench import cli_parse as parse
from rdbench.cli_progress import looks_of


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
    from rdbench.cli_truth import TruthSources
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
    page = render(
        records, request.title, request.units, looks_of(records), warnings, TruthSources()
    )
    size = write(page, request.out)
    points = sum(len(record.points) for record in records)
    print(f"page: {request.out} ({_size(size)}; {len(records)} cells, {points} points)")
    return 0


def _size(n: int) -> str:
    return f"{n / 1e6:.2f} MB" if n >= 1e6 else f"{n / 1e3:.0f} kB"
