"""Comma-separated values -> columns, with a line of names or without."""

from __future__ import annotations

import csv
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rdbench.data.table import Raw, from_frame, is_numeric
from rdbench.outcomes import RdbenchError

if TYPE_CHECKING:
    import pandas as pd

_OTHERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv(path: Path) -> Raw:
    """The columns; the first line has their names, unless it is all numbers.

    A first line 0, 1, 2, ... is names as well, as data frames without names have them, where it
    cannot well be a row: there are at least three columns, or other values are no integers.

    Raises:
        RdbenchError: another separator, another encoding than UTF-8, rows with more values than
            names, or a first column without a name that numbers the rows.
    """
    try:
        head = _head(path)
        bare = all(map(_is_number, head))
        frame = _frame(path, header=not bare)
    except UnicodeDecodeError:
        raise RdbenchError(f"{path} is no text in UTF-8: save it with this encoding") from None
    remarks: tuple[str, ...] = ()
    if len(head) == frame.shape[1]:
        if bare:
            if _counts(head) and (len(head) > 2 or not _integers(frame.iloc[1:])):
                frame = frame.iloc[1:]
                remarks = (f"its first line, {', '.join(head[:3])}..., is taken as names",)
        else:  # as they are: pandas numbers a name that comes twice
            frame.columns = [own or new for own, new in zip(head, frame.columns, strict=True)]
    found = from_frame(frame)
    if not head[0] and len(found.names) > 1 and _numbers_rows(found.columns[0]):
        raise RdbenchError(
            f"the first column of {path.name} has no name and numbers the rows: it is no data; "
            "remove it (to_csv writes none with index=False)"
        )
    return replace(found, remarks=remarks)


def _head(path: Path) -> list[str]:
    """The fields of the first line that is not blank."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.reader(file, skipinitialspace=True):
            if any(field.strip() for field in row):
                break
        else:
            raise RdbenchError(f"{path} is empty")
    used = [sep for sep in _OTHERS if len(row) == 1 and sep in row[0]]
    if used:
        raise RdbenchError(
            f"{path.name} separates values by {_OTHERS[used[0]]}: save it with commas, and decimal "
            "points"
        )
    return [field.strip() for field in row]


def _frame(path: Path, *, header: bool) -> pd.DataFrame:
    import pandas as pd

    # numbers as they were written: the readers before pandas 3 err in the last digit
    exact: Any = {} if int(pd.__version__.split(".")[0]) >= 3 else {"float_precision": "round_trip"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            # one look at all lines (low_memory) and no column as the index, which pandas may guess
            frame: pd.DataFrame = pd.read_csv(
                path, header=0 if header else None, skipinitialspace=True, index_col=False,
                low_memory=False, **exact,
            )  # fmt: skip
        except pd.errors.ParserWarning:
            raise RdbenchError(
                f"rows of {path.name} have more values than its first line"
            ) from None
    return frame


def _counts(head: list[str]) -> bool:
    return head == [str(i) for i in range(len(head))]


def _integers(frame: pd.DataFrame) -> bool:
    return all(is_numeric(c) and bool((c % 1 == 0).all()) for c in from_frame(frame).columns)


def _numbers_rows(column: np.ndarray) -> bool:
    if not is_numeric(column):
        return False
    rows = np.arange(len(column))
    return bool((column == rows).all() or (column == rows + 1).all())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
