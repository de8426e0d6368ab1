"""Records from the lines of a results folder; what cannot be read is named and left out."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from rdbench.outcomes import RdbenchError
from rdbench.run.records import OLDEST, SCHEMA, CellRecord
from rdbench.run.texts import decoded

RECORDS = "records.jsonl"


class _Head(msgspec.Struct):
    schema: int


@dataclass
class Loaded:
    """The newest record of every cell, and what had to be left out."""

    records: dict[str, CellRecord] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Where the lines of records whose draws were left out lie in the file: start and length."""


def load(folder: Path, *, draws: bool = True, blocks: bool = True) -> Loaded:
    """Read a results folder, line by line; the newest record of a cell wins.

    Args:
        folder: the results folder.
        draws: whether the draws that rows keep for pictures are read: two thirds of the bytes.
            `drawn` reads those of some cells later.
        blocks: whether, of records without draws, the means over blocks of symbols are read, by
            which estimators are compared: most of the rest.

    Raises:
        RdbenchError: there are no results.
    """
    path = folder / RECORDS
    loaded = Loaded()
    try:
        with path.open("rb") as file:
            if draws:
                take(file, path, 0, loaded)
            else:
                _take_without_draws(file, path, loaded, blocks)
    except OSError as problem:
        raise RdbenchError(
            f"no results in {folder} ({problem.strerror}: {path.name}); give a folder that "
            "`rdbench run` wrote by --results"
        ) from problem
    return loaded


def drawn(folder: Path, loaded: Loaded, cells: Iterable[str]) -> dict[str, CellRecord]:
    """The records of those of the cells that keep draws, with them.

    Args:
        folder: the results folder.
        loaded: what `load` read of it without draws; it is told what cannot be read.
        cells: their ids.

    Raises:
        RdbenchError: the file is gone.
    """
    path, again = folder / RECORDS, Loaded()
    wanted = [cell for cell in cells if cell in loaded.places]
    try:
        with path.open("rb") as file, _without_collections():
            for cell in wanted:
                start, length = loaded.places[cell]
                file.seek(start)
                _take_one(file.read(length), f"{path}, the draws of cell {cell}", False, again)
    except OSError as problem:
        raise RdbenchError(f"cannot read {path}: {problem.strerror}") from problem
    loaded.warnings += again.warnings
    return {cell: again.records[cell] for cell in wanted if cell in again.records}


def take(texts: Iterable[bytes], path: Path, lines: int, loaded: Loaded) -> int:
    """Read lines into ``loaded``; ``lines`` counts those before. Returns the new count."""
    with _without_collections():
        for text in texts:
            torn = not text.endswith(b"\n")
            where = f"{path} line {lines + 1}"
            lines += not torn
            if text.strip():
                _take_one(text, where, torn, loaded)
    return lines


def without_draws(text: bytes) -> bytes:
    """A line without the draws that its rows keep; the same one where they keep none."""
    return _without(text, b'"draws":{', b"}", b'"draws":null')


def _without_blocks(text: bytes) -> bytes:
    """A line without the means over blocks of symbols that its rows keep."""
    return _without(text, b'"gap_blocks":[', b"]", b'"gap_blocks":[]')


def _without(text: bytes, opening: bytes, closing: bytes, instead: bytes) -> bytes:
    """A line whose parts from ``opening`` to ``closing`` are replaced; nested ones stay.

    A quote within a text has a backslash before it: no text of a record is taken for such a part.
    """
    start = text.find(opening)
    if start < 0:
        return text
    parts, done = [], 0
    while start >= 0:
        inside = start + len(opening)
        end = text.find(closing, inside)
        if end >= 0 and text.find(opening[-1:], inside, end) < 0:  # else no line of ours
            parts += [text[done:start], instead]
            done = end + 1
        start = text.find(opening, inside)
    return b"".join((*parts, text[done:]))


def _take_without_draws(texts: Iterable[bytes], path: Path, loaded: Loaded, blocks: bool) -> None:
    start = 0
    with _without_collections():
        for number, text in enumerate(texts, 1):
            short = without_draws(text)
            if text.strip():
                where, torn = f"{path} line {number}", not text.endswith(b"\n")
                least = short if blocks else _without_blocks(short)
                record = _take_one(least, where, torn, loaded)
                if record is not None:
                    loaded.places.pop(record.cell, None)
                    if short is not text:
                        loaded.places[record.cell] = (start, len(text))
            start += len(text)


def _take_one(text: bytes, where: str, torn: bool, loaded: Loaded) -> CellRecord | None:
    """Hold the record of a line, and give it; None where there is none."""
    record = None
    try:
        if text.startswith(_OURS):  # the rest of it is most of the work: it is read once
            with contextlib.suppress(ValueError):
                record = decoded(text, CellRecord)
        schema = decoded(text, _Head).schema if record is None else record.schema
        if not OLDEST <= schema <= SCHEMA:
            age = "newer" if schema > SCHEMA else "older"
            loaded.warnings.append(
                f"{where}: its schema {schema} is {age} than this version's {SCHEMA}; skipped"
            )
            return None
        record = decoded(text, CellRecord) if record is None else record
        if schema != SCHEMA:
            record = msgspec.structs.replace(record, schema=SCHEMA)
    except ValueError as problem:
        what = "torn last line" if torn else "not a record"
        loaded.warnings.append(f"{where}: {what} ({problem}); skipped")
        return None
    hold(record, loaded)
    return record


_OURS = b'{"schema":'
"""How a line begins that we have written."""


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Records hold no cycles, and looking for them in thousands takes most of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def hold(record: CellRecord, loaded: Loaded) -> None:
    """Let a record be the newest of its cell."""
    loaded.records.pop(record.cell, None)  # so that the order is that of the newest records
    loaded.records[record.cell] = record
