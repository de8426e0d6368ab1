"""Rows of CSV files as frozen dataclasses of str, int, float and bool."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, TypeVar

import msgspec

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
