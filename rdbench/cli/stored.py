"""The records of a results folder, with warnings of what could not be read."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from rdbench.cli.messages import warn
from rdbench.run.reading import Loaded, drawn
from rdbench.run.records import CellRecord
from rdbench.run.store import load


def stored(
    results: Path, *, draws: bool = False, blocks: bool = True
) -> tuple[list[CellRecord], list[str]]:
    """The newest record of every cell, and the warnings, which are told as well.

    Args:
        results: the folder.
        draws: whether the draws that rows keep are read, too.
        blocks: whether the means over blocks of symbols are.

    Raises:
        RdbenchError: there are no results in the folder.
    """
    return _told(load(results, draws=draws, blocks=blocks))


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


def stored_with_draws(results: Path) -> Sequence[CellRecord]:
    """The newest record of every cell; those of a slice are read with their draws when asked for.

    Raises:
        RdbenchError: there are no results in the folder.
    """
    loaded = load(results, draws=False, blocks=False)
    _told(loaded)
    return _Drawn(results, loaded)


class _Drawn(Sequence[CellRecord]):
    """Records of which no more are in memory with their draws than a slice has."""

    def __init__(self, results: Path, loaded: Loaded) -> None:
        self._results, self._loaded = results, loaded
        self._records = list(loaded.records.values())

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> CellRecord: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[CellRecord]: ...

    def __getitem__(self, index: int | slice) -> CellRecord | Sequence[CellRecord]:
        if isinstance(index, int):
            return self[index : index + 1 or None][0]
        some = self._records[index]
        told = len(self._loaded.warnings)
        found = drawn(self._results, self._loaded, [record.cell for record in some])
        for line in self._loaded.warnings[told:]:
            warn(line)
        return [found.get(record.cell, record) for record in some]


def _told(loaded: Loaded) -> tuple[list[CellRecord], list[str]]:
    for line in loaded.warnings:
        warn(line)
    gc.freeze()  # of thousands of records, a look for garbage takes as long as the work on them
    return list(loaded.records.values()), loaded.warnings
