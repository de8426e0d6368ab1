"""Tidy tables as CSV, some cells at a time: a table of any length needs no memory of its length.

The text is that of `pandas.DataFrame.to_csv` of the same table.
"""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from rdbench.columns import TABLES, Kind
from rdbench.outcomes import RdbenchError
from rdbench.report.files import write_parts
from rdbench.report.rows import Rows, repeated, rows_of
from rdbench.report.spreadsheet import literal
from rdbench.run.records import CellRecord

AT_ONCE = 500
"""Cells."""
_AT_ONCE_OF_DRAWS = 50
"""Those of a cell may be a hundred times as many as its points."""


def write_csv(records: Sequence[CellRecord], what: str, out: Path | None = None) -> None:
    """Write the CSV of `rdbench.report.export.frame` without making that: some cells at a time.

    Args:
        records: finished cells; slices of them are read, each once.
        what: as there.
        out: the file, which appears whole or not at all; standard output where None.

    Raises:
        RdbenchError: ``what`` is unknown, or the file cannot be written.
    """
    if what not in TABLES:
        raise RdbenchError(f"cannot export {what!r}; choose from {', '.join(TABLES)}")
    parts = csv_parts(records, what)
    if out is None:
        for part in parts:
            sys.stdout.write(part)
    else:
        write_parts((part.encode() for part in parts), out)


def cells_at_once(what: str) -> int:
    """The cells whose rows of this table are made together."""
    return min(AT_ONCE, _AT_ONCE_OF_DRAWS) if what == "draws" else AT_ONCE


def csv_parts(records: Sequence[CellRecord], what: str) -> Iterator[str]:
    """The table ``TABLES[what]`` of records as CSV, part by part; the first is its header."""
    yield ",".join(column.name for column in rows_of([], what).columns) + "\n"
    known: dict[str, str] = {}
    some = cells_at_once(what)
    for start in range(0, len(records), some):
        rows = rows_of(records[start : start + some], what)
        yield "".join(f"{line}\n" for line in _lines(rows, known))


def _lines(rows: Rows, known: dict[str, str]) -> Iterator[str]:
    pieces = []
    # What neighbouring columns say of a whole cell is put together once.
    for common, run in groupby(rows.columns, lambda column: column.name in rows.common):
        values = rows.common if common else rows.own
        texts = [_texts(one.kind, values[one.name], known) for one in run]
        if common:
            joined = [",".join(fields) for fields in zip(*texts, strict=True)]
            pieces.append(repeated(joined, rows.counts))
        else:
            pieces += texts
    return map(",".join, zip(*pieces, strict=True))


def _texts(kind: Kind, values: Sequence[Any], known: dict[str, str]) -> list[str]:
    if kind == "number":
        return number_texts(values)
    if kind in ("text", "mapping"):
        return ["" if value is None else known.get(value) or _quoted(value, known)
                for value in values]  # fmt: skip
    return ["" if value is None else str(value) for value in values]


def _quoted(text: str, known: dict[str, str]) -> str:
    """The text as a field, which `literal` and the quotes of CSV make safe."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([literal(text), ""])
    known[text] = line.getvalue()[:-2]
    return known[text]


def number_texts(values: Sequence[float | None]) -> list[str]:
    """Every number as Python writes it, with all digits; empty where there is none."""
    if not values:
        return []
    if not {float, type(None)}.issuperset(map(type, values)):
        return list(map(_number, values))  # of whole ones JSON has no point
    raw = msgspec.json.encode(values).decode()
    if raw.count("null") != values.count(None):
        return list(map(_number, values))  # JSON has no infinite ones
    texts = raw.replace("null", "")[1:-1].split(",")
    if "e" in raw or "0.0000" in raw:  # JSON spells large and small ones in its own way
        return [
            _number(value) if "e" in text or "0.0000" in text else text
            for text, value in zip(texts, values, strict=True)
        ]
    return texts


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))
