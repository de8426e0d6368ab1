"""The committed tables of the experiments: rows of dataclasses as CSV, with every digit."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pandas as pd

from rdbench.report.export import write as write_table

FOLDER = Path(__file__).parent / "data"
Row = TypeVar("Row")


def read(path: Path, kind: type[Row]) -> tuple[Row, ...]:
    """The rows of a table; an empty cell is None."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]
    return msgspec.convert(rows, tuple[kind, ...], strict=False)  # type: ignore[valid-type]


def write(rows: Sequence[Any], path: Path) -> None:
    """Write a table, the whole file or none."""
    write_table(pd.DataFrame(msgspec.to_builtins(list(rows))), "csv", path)
