"""The records of a results folder, with warnings of what could not be read."""

from __future__ import annotations

from pathlib import Path

from rdbench.cli.messages import warn
from rdbench.run.records import CellRecord
from rdbench.run.store import load


def stored(results: Path) -> list[CellRecord]:
    """The newest record of every cell.

    Raises:
        RdbenchError: there are no results in the folder.
    """
    loaded = load(results)
    for line in loaded.warnings:
        warn(line)
    return list(loaded.records.values())
