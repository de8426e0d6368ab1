"""Tables: rows of CSV files as frozen dataclasses, and numbers as people read them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from pathlib import Path
from typing import Any, TypeVar

import msgspec

Table = list[list[str]]
"""A header and the lines below it."""
Row = TypeVar("Row")


class BadFile(ValueError):
    """A file without the columns that are asked for."""


def write(path: Path, kind: type[Any], rows: Iterable[Any]) -> None:
    """Rows of ``kind`` with a header; floats with four digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [[f"{v:.4g}" if isinstance(v, float) else v for v in astuple(row)] for row in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        header = [field.name for field in fields(kind)]
        csv.writer(file, lineterminator="\n").writerows([header, *texts])


def read(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of a file that `write` made.

    Raises:
        BadFile: it cannot be read as one.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return msgspec.convert(list(csv.DictReader(file)), list[kind], strict=False)  # type: ignore[valid-type]
    except (OSError, msgspec.ValidationError) as error:
        raise BadFile(f"{path}: not a table of {kind.__name__} rows ({error!r})") from error


def digits(value: float, count: int = 2) -> str:
    """So many significant digits, without an exponent below a million."""
    return f"{float(f'{value:.{count}g}'):g}"


def among(values: Sequence[float], count: int = 2) -> str:
    """Least–largest, or the one value."""
    low, high = digits(min(values), count), digits(max(values), count)
    return low if low == high else f"{low}–{high}"


def between(low: float, high: float) -> str:
    """Two ends of two digits, rounded outwards; an end that is no limit (0, inf) is left out."""
    least = f"{float(Context(2, ROUND_FLOOR).create_decimal_from_float(low)):g}"
    if math.isinf(high):
        return f"≥ {least}" if low > 0.0 else "–"
    most = f"{float(Context(2, ROUND_CEILING).create_decimal_from_float(high)):g}"
    return f"{least} to {most}" if low > 0.0 else f"≤ {most}"


def middle(value: float, values: Sequence[float], what: str) -> str:
    """A middle of the values and their range, or how few there are: ``what`` is one of them."""
    if len(values) == 1:
        return f"{digits(value)} (1 {what})"
    return f"{digits(value)} [{digits(min(values))}, {digits(max(values))}]"


def markdown(table: Sequence[Sequence[str]]) -> str:
    """The table in Markdown, without a line break at its end."""
    header, *rows = table
    return "\n".join("| " + " | ".join(r) + " |" for r in (header, ["---"] * len(header), *rows))
