"""Tidy tables as Parquet, a row group for some cells: their length needs no memory."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rdbench.outcomes import RdbenchError
from rdbench.report.csv_file import cells_at_once
from rdbench.report.export import frame
from rdbench.report.files import write_parts
from rdbench.run.records import CellRecord

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def write_parquet(records: Sequence[CellRecord], what: str, out: Path | None) -> None:
    """Write `rdbench.report.export.frame` without making all of it.

    Args:
        records: finished cells; slices of them are read, each once.
        what: as there.
        out: the file, which appears whole or not at all.

    Raises:
        RdbenchError: pyarrow or ``out`` is missing, ``what`` is unknown, or the file cannot be
            written.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise RdbenchError("parquet needs pyarrow: pip install 'rdbench[parquet]'")
    if out is None:
        raise RdbenchError("parquet is binary and needs a file: give --out FILE")
    frame([], what)  # an unknown table is told before anything is read
    write_parts(_parts(records, what), out)


class _Sink(io.RawIOBase):
    """Holds what has been written since it was last taken, and counts all of it."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: ReadableBuffer, /) -> int:
        raw = bytes(data)
        self._held.append(raw)
        self._size += len(raw)
        return len(raw)

    def take(self) -> bytes:
        raw = b"".join(self._held)
        self._held.clear()
        return raw


def _parts(records: Sequence[CellRecord], what: str) -> Iterator[bytes]:
    from pyarrow import Table
    from pyarrow.parquet import ParquetWriter

    sink, some = _Sink(), cells_at_once(what)
    schema = Table.from_pandas(frame([], what), preserve_index=False).schema
    with ParquetWriter(sink, schema) as file:
        for start in range(0, len(records), some):
            rows = frame(records[start : start + some], what)
            file.write_table(Table.from_pandas(rows, schema=schema, preserve_index=False))
            yield sink.take()
    yield sink.take()
