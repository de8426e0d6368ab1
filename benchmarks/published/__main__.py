"""The reference run as data: python -m benchmarks.published.

From ``results/reference/records.jsonl`` it makes, beside it, ``points.parquet`` (a row per point),
``dictionary.md`` (its columns) and ``manifest.json`` (versions, counts, checksums), and in the
package the file that ``rdbench.load("reference")`` reads.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.published.dictionary import dictionary
from benchmarks.published.manifest import manifest
from rdbench import shipped
from rdbench.outcomes import RdbenchError
from rdbench.report.files import write_whole
from rdbench.report.parquet_file import write_parquet
from rdbench.run.store import load

ROOT = Path(__file__).resolve().parents[2]
NAME = "reference"
FOLDER = ROOT / "results" / NAME
MOST = 1_500_000
"""Bytes that the package may carry."""


def publish(folder: Path, file: Path) -> None:
    """Make the data files of a results folder.

    Args:
        folder: with the records; all files but one are written here.
        file: the one that goes into the package.

    Raises:
        RdbenchError: there are no records, lines of them cannot be read, or they are too large.
    """
    loaded = load(folder, draws=False)
    if loaded.warnings:
        raise RdbenchError(loaded.warnings[0])
    records = list(loaded.records.values())
    content = shipped.packed(records)
    if len(content) > MOST:
        raise RdbenchError(
            f"{file.name} would have {len(content):,} bytes, and the package carries {MOST:,} at "
            "most; leave the block means out of it, or let rdbench.load read a checkout only"
        )
    write_whole(content, file)
    write_parquet(records, "points", folder / "points.parquet")
    write_whole(dictionary("points").encode(), folder / "dictionary.md")
    write_whole(manifest(folder, records).encode(), folder / "manifest.json")


def main() -> int:
    """Make the files; 2 and one line where that cannot be done."""
    try:
        publish(FOLDER, shipped.file_of(NAME))
    except RdbenchError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
