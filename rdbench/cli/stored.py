"""The records of a results folder, with warnings of what could not be read."""

from __future__ import annotations

import gc
from pathlib import Path

from rdbench.cli.messages import warn
from rdbench.run.reading import Loaded, drawn
from rdbench.run.records import CellRecord
from rdbench.run.store import load


def stored(results: Path, *, draws: bool = False) -> tuple[list[CellRecord], list[str]]:
    """The newest record of every cell, and the warnings, which are told as well.

    Args:
        results: the folder.
        draws: whether the draws that rows keep are read, too.

    Raises:
        RdbenchError: there are no results in the folder.
    """
    return _told(load(results, draws=draws))


def stored_for_page(results: Path) -> tuple[list[CellRecord], list[str]]:
    """The newest record of every cell, and the warnings; draws of the cells of a page alone.

    Raises:
        RdbenchError: there are no results in the folder.
    """
    from rdbench.report.page.kept import kept

    loaded = load(results, draws=False)
    records = list(loaded.records.values())
    shown = [records[place].cell for place in kept(records).places]
    loaded.records.update(drawn(results, loaded, shown))
    return _told(loaded)


def _told(loaded: Loaded) -> tuple[list[CellRecord], list[str]]:
    for line in loaded.warnings:
        warn(line)
    gc.freeze()  # of thousands of records, a look for garbage takes as long as the work on them
    return list(loaded.records.values()), loaded.warnings
