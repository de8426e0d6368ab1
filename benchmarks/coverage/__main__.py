"""``python -m benchmarks.coverage [TABLE ...]``: do the audit's intervals hold what is true?

Every channel here has an F(q) that is known by other means: closed forms, sums over dense grids,
one-dimensional quadrature. Each table is a CSV file, and Markdown beside it, in ``--out``:

    coverage   4,000 audits of one channel each: how often [gap_lo, gap_hi] holds the true gap
    heavy      1,000 audits of channels whose gap sits in rare symbols, at the default size
    upper      1,000 and more for side ``upper``: how often gap_hi lies above the true gap
    bias       audited minus exact F(q) on the same symbols, d = 10, by method and rate
    energies   the same for energies on random sources, and which of them the audit accepts
    rates      R and D of every built-in case against plain sums
    mixtures   audited minus exact F(q) of fitted mixtures in 20 and 50 dimensions

A row that is in the CSV file is not computed again: an interrupted run goes on where it was. Delete
the files to start afresh. Seeds are fixed, one thread; only CPU seconds vary.
"""

from __future__ import annotations

# ruff: noqa: E402
from benchmarks._cases import pin

pin()  # before NumPy is imported

import argparse
import csv
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from benchmarks.coverage.cases import exact_cases, heavy_cases, upper_cases
from benchmarks.coverage.rates import rates
from benchmarks.coverage.tables import Work, energies, mixtures, repeated

TABLES: dict[str, Callable[[], Work]] = {
    "heavy": partial(repeated, heavy_cases, False),
    "coverage": partial(repeated, exact_cases, False),
    "energies": energies,
    "upper": partial(repeated, upper_cases, True),
    "rates": rates,
    "mixtures": mixtures,
}


def compute(table: str, folder: Path) -> None:
    """Append the rows that the CSV file of a table lacks, then write its Markdown."""
    path = folder / f"{table}.csv"
    done = {_key(row) for row in _read(path)}
    for key, work in TABLES[table]():
        if key in done:
            continue
        rows = work()
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerows(rows)
        print(table, *rows, sep="\n", flush=True)
    if path.exists():
        (folder / f"{table}.md").write_text(markdown(_read(path)), encoding="utf-8")


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """The rows of a CSV file as a table in Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _key(row: Mapping[str, str]) -> str:
    """The name of the work that made the row: the case, and the kind of channel if it has one."""
    return " ".join(row[name] for name in ("case", "q") if name in row)


def main() -> None:
    """Compute what is missing and write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.coverage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", default=list(TABLES))
    parser.add_argument("--out", type=Path, default=Path("results/audit"))
    given = parser.parse_args()
    if unknown := set(given.tables) - set(TABLES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; valid: {', '.join(TABLES)}")
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    for table in given.tables:
        compute(table, given.out)


if __name__ == "__main__":
    main()
