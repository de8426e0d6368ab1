"""Records as tidy tables: one row per point, per block, per cell, per checkpoint or per draw.

Numbers stay as they are stored: nats per symbol, summed distortion, seconds. What is not known is
empty (NaN or NA). The columns are those of `rdbench.columns`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rdbench.columns import AUDIT_S, TABLES, Column
from rdbench.outcomes import RdbenchError
from rdbench.report.claims import claim_excess, claimed_gap, verdict_in
from rdbench.report.files import write_whole
from rdbench.report.protocol import log_draws, saturated
from rdbench.report.scores import good_to
from rdbench.report.spreadsheet import literal
from rdbench.run.records import CellRecord, PointRecord, TracePoint

DERIVED: Mapping[str, Callable[[CellRecord, PointRecord], float | bool | str | None]] = {
    "claimed_gap": lambda _, point: claimed_gap(point),
    "claim_excess": lambda _, point: claim_excess(point),
    "claim": verdict_in,
    "log_n_paper_protocol": lambda _, point: log_draws(point),
    "paper_protocol_saturated": lambda _, point: saturated(point),
}
"""The columns of a point that follow from its fields."""

_DTYPES = {
    "text": "string", "mapping": "string", "whole": "Int64", "number": "float64",
    "yes or no": "boolean",
}  # fmt: skip


def compact_json(value: Mapping[str, Any]) -> str:
    """The mapping on one line, keys sorted, so that equal mappings give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def frame(records: Sequence[CellRecord], what: str = "points") -> pd.DataFrame:
    """The tidy table of ``records``.

    Args:
        records: finished cells, in any order; the rows keep it.
        what: ``points`` (one row per slope, failed ones too), ``blocks`` (one per block of the
            audit's symbols), ``cells`` (one per cell, with its traceback), ``traces`` (one per
            checkpoint) or ``draws`` (one per pair x, y that was kept: of the ``law`` p(y|x) at one
            of a few numbered symbols, or of the joint one).

    Returns:
        The columns ``TABLES[what]``, with the same types whether or not there are rows.

    Raises:
        RdbenchError: ``what`` is none of these.
    """
    if what not in TABLES:
        raise RdbenchError(f"cannot export {what!r}; choose from {', '.join(TABLES)}")
    columns = TABLES[what]
    rows = [row for record in records for row in _ROWS[what](record, columns)]
    table = pd.DataFrame(rows, columns=pd.Index([one.name for one in columns]), dtype=object)
    # Typed by hand: a column that is empty in one export and full in another must not change type.
    return table.astype({column.name: _DTYPES[column.kind] for column in columns})


def value(
    column: Column,
    record: CellRecord,
    point: PointRecord | None = None,
    checkpoint: TracePoint | None = None,
) -> Any:
    """The value of a column in a record, None where it is not known.

    Args:
        column: one of `rdbench.columns`.
        record: the cell.
        point: the slope, for columns of points.
        checkpoint: for columns of checkpoints.
    """
    holder: object
    match column.part:
        case "derived":
            make = DERIVED.get(column.name)
            return None if make is None or point is None else make(record, point)
        case "point":
            holder = point
        case "cell":
            holder = record
        case "checkpoint":
            holder = checkpoint
        case part:  # the cost or the provenance
            holder = getattr(record, part)
    found = getattr(holder, column.field or column.name, None)
    return compact_json(found) if column.kind == "mapping" and found is not None else found


def _common(record: CellRecord, columns: Iterable[Column]) -> dict[str, Any]:
    """The values that all rows of a cell have in common."""
    return {
        one.name: value(one, record)
        for one in columns
        if one.part in ("cell", "cost", "provenance")
    }


def _point_rows(record: CellRecord, columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    common = _common(record, columns)
    own = [column for column in columns if column.name not in common]
    for point in record.points:
        yield common | {column.name: value(column, record, point) for column in own}


def _block_rows(record: CellRecord, columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    for row, point in zip(_point_rows(record, columns), record.points, strict=True):
        for block, mean in enumerate(point.gap_blocks):
            yield row | {"block": block, "gap_block": mean}


def _cell_rows(record: CellRecord, columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    found = good_to(record)
    audits = [point.audit_s for point in record.points if point.audit_s is not None]
    yield _common(record, columns) | {
        "n_points": len(record.points),
        "n_ok": sum(point.status == "ok" for point in record.points),
        "good_to": None if found is None else found.rate,
        AUDIT_S.name: sum(audits) if audits else None,
    }


def _trace_rows(record: CellRecord, columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    for mark in record.trace:
        yield {one.name: value(one, record, checkpoint=mark) for one in columns}


def _draw_rows(record: CellRecord, columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    for row, point in zip(_point_rows(record, columns), record.points, strict=True):
        if point.draws is None:
            continue
        kept = point.draws
        for symbol, (x, drawn) in enumerate(zip(kept.x, kept.y, strict=True)):
            for y in drawn:
                yield row | {"law": "conditional", "symbol": symbol} | _pair(x, y)
        for x, y in zip(kept.source, kept.reproduction, strict=True):
            yield row | {"law": "joint"} | _pair(x, y)


def _pair(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """The coordinates of a symbol and its reproduction, in one or two dimensions."""
    named = (("x", x), ("y", y))
    return {f"{name}{i}": value for name, vector in named for i, value in enumerate(vector, 1)}


_ROWS = {
    "points": _point_rows, "blocks": _block_rows, "cells": _cell_rows, "traces": _trace_rows,
    "draws": _draw_rows,
}  # fmt: skip


def write(table: pd.DataFrame, format: str, out: Path | None = None) -> None:
    """Write ``table`` to ``out``, or as CSV to standard output when ``out`` is None.

    The file appears whole or not at all.

    Raises:
        RdbenchError: the format is unknown, needs a file or a package that is missing, or the
            file cannot be written.
    """
    if format not in ("csv", "parquet"):
        raise RdbenchError(f"unknown format {format!r}; choose from csv, parquet")
    if format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise RdbenchError("parquet needs pyarrow: pip install 'rdbench[parquet]'")
    if out is None:
        if format == "parquet":
            raise RdbenchError("parquet is binary and needs a file: give --out FILE")
        _without_formulas(table).to_csv(sys.stdout, index=False)
        return
    if format == "csv":
        write_whole(_without_formulas(table).to_csv(index=False).encode(), out)
    else:
        write_whole(table.to_parquet(index=False, engine="pyarrow"), out)


def _without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    texts = {
        name: column.map(literal, na_action="ignore")
        for name, column in table.items()
        if column.dtype == "string"
    }
    return table.assign(**{str(name): column for name, column in texts.items()})
