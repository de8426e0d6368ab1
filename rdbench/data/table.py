"""What was read: columns of values; and rows of numbers, or a refusal that says why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.outcomes import RdbenchError

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS = 100_000
_SHOWN = 60


@dataclass(frozen=True, eq=False)
class Raw:
    """Columns by name, of any type, and the group of every row where the file itself has one."""

    names: tuple[str, ...]
    columns: list[ndarray]
    kind: str
    """The type of the values as the file has it."""
    groups: ndarray | None = None


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of numbers: symbols (n, d). Of letters, ``letters`` has the values of every column."""

    x: Float[ndarray, "n d"]
    names: tuple[str, ...]
    kind: str
    groups: ndarray | None = None
    letters: tuple[tuple[str, ...], ...] | None = None


def from_array(values: ndarray, what: str) -> Raw:
    """An array (n,) or (n, d); of more axes, all but the first are the columns.

    Raises:
        RdbenchError: a single number, or values that are neither numbers nor text.
    """
    if values.ndim == 0:
        raise RdbenchError(f"{what} is a single value: rows are symbols, columns dimensions")
    if values.dtype.kind not in "biufUS":
        kind = "complex numbers" if values.dtype.kind == "c" else f"values of type {values.dtype}"
        raise RdbenchError(f"{what} holds {kind}: a source has real numbers")
    if len(values) == 0 or values.size == 0:
        raise RdbenchError(f"{what} is empty: its shape is {values.shape}")
    flat = values.reshape(len(values), -1)
    _few_columns(flat.shape[1])
    names = tuple(map(str, range(flat.shape[1])))
    return Raw(names, [flat[:, i] for i in range(flat.shape[1])], str(values.dtype))


def from_frame(frame: pd.DataFrame) -> Raw:
    """The columns of a data frame.

    Raises:
        RdbenchError: it has no rows or no columns.
    """
    if frame.shape[0] == 0 or frame.shape[1] == 0:
        raise RdbenchError(f"it has {frame.shape[0]} rows and {frame.shape[1]} columns of data")
    _few_columns(frame.shape[1])
    kinds = sorted({str(kind) for kind in frame.dtypes})
    columns = [_values(frame.iloc[:, i]) for i in range(frame.shape[1])]
    return Raw(tuple(map(str, frame.columns)), columns, ", ".join(kinds))


def _values(column: pd.Series[Any]) -> ndarray:
    """A column as an array; missing numbers are NaN."""
    if column.dtype.kind in "biuf":  # pandas' own types, which may have missing values, too
        return column.to_numpy(dtype=float, na_value=np.nan)
    return column.to_numpy()


def _few_columns(count: int) -> None:
    if count > MOST_COLUMNS:
        raise RdbenchError(
            f"it has {count:,} columns: rows are symbols and columns dimensions, at most "
            f"{MOST_COLUMNS:,} of them (should it be transposed?)"
        )


def without_groups(raw: Raw, column: str | None) -> Raw:
    """The data without the column that says which rows belong together.

    Raises:
        RdbenchError: there is no such column, or there would be nothing beside it.
    """
    if column is None:
        return raw
    if column not in raw.names:
        listed = ", ".join(raw.names[:12]) + (", ..." if len(raw.names) > 12 else "")
        raise RdbenchError(f"there is no column {column!r} to group by; there are: {listed}")
    at = raw.names.index(column)
    if len(raw.names) == 1:
        raise RdbenchError(f"beside the groups ({column}) there are no data")
    names = tuple(n for i, n in enumerate(raw.names) if i != at)
    rest = [c for i, c in enumerate(raw.columns) if i != at]
    return Raw(names, rest, raw.kind, np.asarray(raw.columns[at]).astype(str))


def numbers(raw: Raw) -> Rows:
    """The columns as float64.

    Raises:
        RdbenchError: text in a column; values that are missing or not finite.
    """
    text = [name for name, c in zip(raw.names, raw.columns, strict=True) if not is_numeric(c)]
    if text:
        raise RdbenchError(
            f"text in column {_listed(text)}: {_example(raw, text[0])}; give numbers, or "
            "--distortion hamming, which takes every column as letters"
        )
    x = np.empty((len(raw.columns[0]), len(raw.columns)))
    for i, column in enumerate(raw.columns):
        x[:, i] = column
    _refuse_not_finite(x, raw.names)
    return Rows(x, raw.names, raw.kind, raw.groups)


def as_letters(raw: Raw) -> Rows:
    """Every column as letters 0, 1, ..., in the order of its sorted values.

    Raises:
        RdbenchError: a value is missing.
    """
    x = np.empty((len(raw.columns[0]), len(raw.columns)))
    letters = []
    for i, (name, column) in enumerate(zip(raw.names, raw.columns, strict=True)):
        if is_numeric(column):
            _refuse_not_finite(np.asarray(column, dtype=float)[:, None], (name,))
        elif any(value is None or value != value for value in column):
            raise RdbenchError(f"a value is missing in column {name}")
        else:
            column = column.astype(str)
        values, x[:, i] = np.unique(column, return_inverse=True)
        letters.append(tuple(map(str, values.tolist())))
    return Rows(x, raw.names, raw.kind, raw.groups, tuple(letters))


def is_numeric(column: ndarray) -> bool:
    """Whether a column is of numbers, or of truth values."""
    return column.dtype.kind in "biuf"


def _refuse_not_finite(x: Float[ndarray, "n d"], names: tuple[str, ...]) -> None:
    bad = ~np.isfinite(x)
    if bad.any():
        rows = np.flatnonzero(bad.any(1))
        column = int(np.flatnonzero(bad[rows[0]])[0])
        raise RdbenchError(
            f"{len(rows):,} of {len(x):,} rows have values that are missing or not finite, the "
            f"first in row {int(rows[0]) + 1}, column {names[column]}: remove or fill them"
        )


def _example(raw: Raw, name: str) -> str:
    value = raw.columns[raw.names.index(name)][0]
    shown = " ".join(str(value).split())
    return repr(shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "...")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
