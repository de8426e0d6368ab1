"""The columns of a table of results, for who reads it without the package."""

from __future__ import annotations

from rdbench.columns import TABLES, Column, Kind

_TYPES: dict[Kind, str] = {
    "text": "text",
    "mapping": "JSON",
    "whole": "integer",
    "number": "float",
    "yes or no": "boolean",
}
_HEAD = """# Data dictionary: {table}

Made by `python -m benchmarks.published` from the table that the code reads, `rdbench/columns.py`.

The columns of `points.parquet`, in order: a row is one slope of one estimator on one case. In
Parquet, text and JSON (a mapping, on one line) are strings, integers have 64 bits, floats double
precision. What is not known is null. The columns of the other tables of `rdbench export` are in
[How to read the tables](../../docs/tables.md).

Units: `nats` per source symbol; `as rho`, that of the distortion measure, summed over dimensions;
`nats per rho`, of a slope; `s`, seconds; `MB`, 2²⁰ bytes; `fraction`, a number without unit.

| column | type | unit | meaning |
|---|---|---|---|
"""


def dictionary(table: str) -> str:
    """Markdown with a row per column: its name, type, unit and meaning."""
    return _HEAD.format(table=table) + "".join(map(_row, TABLES[table]))


def _row(column: Column) -> str:
    return f"| `{column.name}` | {_TYPES[column.kind]} | {column.unit} | {column.meaning} |\n"
