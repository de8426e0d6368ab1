"""What reading and reporting cost at many cells: ``python -m benchmarks.campaign.scale``.

A results folder is made out of the committed records that have a ladder of eight slopes: so many
cases, estimators and seeds of them, every number moved a little so that no two rows are alike. Then
every command that only reads is run in a process of its own, and its CPU time and its peak memory
are taken from the system. The median of ``--repeats`` runs counts.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.campaign.plans import commit
from rdbench.run.reading import load
from rdbench.run.records import CellRecord, PointRecord

_ROOT = Path(__file__).resolve().parents[2]
_FROM = _ROOT / "results" / "paper" / "records"
_SLOPES, _ESTIMATORS, _SEEDS = 8, 10, 25
_MOVED = (
    "claimed_rate", "claimed_distortion", "rate", "distortion", "lagrangian", "gap", "gap_lo",
    "gap_hi", "ess", "rate_half", "distortion_half", "rate_error", "rate_error_lo",
    "rate_error_hi", "conditional_error", "gain", "gain_lo", "gain_hi", "audit_s",
)  # fmt: skip


class Spent(NamedTuple):
    """Of one command."""

    cpu_s: float
    peak_mb: float
    code: int


def records(cells: int) -> Iterator[CellRecord]:
    """So many cells: cases by estimators by 25 seeds, out of those that are committed."""
    found = [one for one in load(_FROM).records.values() if len(one.points) == _SLOPES]
    by_case: dict[tuple[str, int], list[CellRecord]] = {}
    for one in found:
        by_case.setdefault((one.case, one.dim), []).append(one)
    kinds = list(by_case.values())
    for number in range(cells):
        seed, rest = number % _SEEDS, number // _SEEDS
        variant, case = rest % _ESTIMATORS, rest // _ESTIMATORS
        own = kinds[case % len(kinds)]
        model = own[variant % len(own)]
        moved = 1.0 + 1e-9 * number + 0.01 * variant
        yield msgspec.structs.replace(
            model,
            cell=f"{number:032x}",
            case=f"{model.case}-{case // len(kinds)}",
            estimator=f"{model.estimator}{variant}",
            seed=seed,
            points=[_moved(point, moved) for point in model.points],
        )


def _moved(point: PointRecord, by: float) -> PointRecord:
    held = {name: getattr(point, name) for name in _MOVED}
    new = {name: value * by for name, value in held.items() if value is not None}
    blocks = [block * by for block in point.gap_blocks]
    return msgspec.structs.replace(point, gap_blocks=blocks, **new)


def store(folder: Path, cells: int) -> Path:
    """A results folder with so many cells."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "records.jsonl").open("wb") as file:
        for record in records(cells):
            file.write(msgspec.json.encode(record) + b"\n")
    return folder


def commands(results: Path, out: Path) -> dict[str, list[str]]:
    """The commands that only read, by what they do."""
    opening = "import sys; from pathlib import Path; from rdbench.run.store import Store; "
    opening += "Store(Path(sys.argv[1]), draws=False)"
    own = ["-m", "rdbench"]
    at = ["--results", str(results)]
    return {
        "opening": ["-c", opening, str(results)],
        "table": [*own, "table", *at],
        "table, by case and estimator": [*own, "table", *at, "--by", "case,estimator"],
        "export of points": [*own, "export", *at, "--out", str(out / "points.csv")],
        "export of cells": [*own, "export", *at, "--what", "cells", "--out", str(out / "c.csv")],
        "export of draws": [*own, "export", *at, "--what", "draws", "--out", str(out / "d.csv")],
        "page": [*own, "report", *at, "--out", str(out / "page.html")],
    }


def measured(arguments: Sequence[str]) -> Spent:
    """CPU seconds and peak memory of a Python process and its children."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdout=said, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Spent(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024.0, process.returncode)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and write it; 1 where a command failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[10_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", help="a command alone, by the beginning of its name")
    parser.add_argument("--out", type=Path, default=_ROOT / "results" / "campaign")
    given = parser.parse_args(arguments)
    rows, failed = [], 0
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        base = Path(folder)
        for cells in given.cells:
            results = store(base / str(cells), cells)
            size = (results / "records.jsonl").stat().st_size / 1e6
            for name, words in commands(results, base).items():
                if given.only and not name.startswith(given.only):
                    continue
                found = [measured(words) for _ in range(given.repeats)]
                failed += sum(one.code != 0 for one in found)
                cpu = statistics.median(one.cpu_s for one in found)
                peak = statistics.median(one.peak_mb for one in found)
                rows.append(f"| {cells:,} ({size:.0f} MB) | {name} | {cpu:.1f} | {peak:.0f} |")
                print(rows[-1], flush=True)
    asked = " ".join(map(str, given.cells))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    text = "\n".join(
        [
            "# Reading at scale",
            "",
            f"`python -m benchmarks.campaign.scale --cells {asked} --repeats {given.repeats}` at "
            f"{commit()}, {today}. Cells of {_SLOPES} points; medians.",
            "",
            "| cells | command | CPU s | peak MB |",
            "|---|---|---|---|",
            *rows,
        ]
    )
    if not given.only:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "scale.md").write_text(text + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
