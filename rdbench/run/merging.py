"""Several results folders into one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rdbench.run.reading import Loaded, load
from rdbench.run.store import Store


@dataclass(frozen=True)
class Merged:
    """The outcome of a merge for one folder."""

    folder: Path
    read: int
    new: int
    newer: int
    skipped: int
    warnings: Sequence[str]


def merge(folders: Iterable[Path], into: Path) -> list[Merged]:
    """Append to ``into`` every cell that it lacks or holds in an older version.

    The newest by ``provenance.finished`` wins, whatever the order of the folders.
    """
    sources = [(folder, load(folder)) for folder in folders]  # all readable, before any writing
    store = Store(into)
    try:
        return [_merge_one(folder, loaded, store) for folder, loaded in sources]
    finally:
        store.close()


def _merge_one(folder: Path, loaded: Loaded, store: Store) -> Merged:
    new = newer = 0
    for cell, record in loaded.records.items():
        held = store.records.get(cell)
        if held is not None and held.provenance.finished >= record.provenance.finished:
            continue
        new += held is None
        newer += held is not None
        store.append(record)
    store.refresh()
    read = len(loaded.records)
    return Merged(folder, read, new, newer, read - new - newer, loaded.warnings)
