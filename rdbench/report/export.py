"""Records as tidy tables: one row per point, per block, per cell, per checkpoint or per draw.

Numbers stay as they are stored: nats per symbol, summed distortion, seconds. What is not known is
empty (NaN or NA). The columns are those of `rdbench.columns`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rdbench.columns import TABLES, Kind
from rdbench.outcomes import RdbenchError
from rdbench.report.files import write_whole
from rdbench.report.rows import rows_of
from rdbench.report.spreadsheet import literal
from rdbench.report.values import DERIVED as DERIVED
from rdbench.report.values import compact_json as compact_json
from rdbench.report.values import value as value
from rdbench.run.records import CellRecord

_DTYPES: dict[str, Any] = {
    "text": "string",
    "mapping": "string",
    "whole": "Int64",
    "yes or no": "boolean",
}


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
    rows = rows_of(records, what)
    places = np.repeat(np.arange(len(records)), rows.counts)
    table = {
        one.name: _typed(rows.own[one.name], one.kind)
        if one.name in rows.own
        else _typed(rows.common[one.name], one.kind).take(places)
        for one in rows.columns
    }
    return pd.DataFrame(table, columns=pd.Index([one.name for one in rows.columns]))


def _typed(values: Sequence[Any], kind: Kind) -> Any:
    """A column with its type, whatever is in it: one that is empty must not change type."""
    if kind == "number":
        return np.array(values, dtype=np.float64)
    return pd.array(values, dtype=_DTYPES[kind])


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
