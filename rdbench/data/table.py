"""What was read: columns of values; and rows of numbers, or a refusal that says why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.outcomes import RdbenchError

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS = 100_000
_SHOWN = 60
_NUMBERS, _TEXT = "biuf", "US"
_LARGEST, _LEAST = 1e150, 1e-150
"""Beyond these the squares of differences overflow, or are zero."""


@dataclass(frozen=True, eq=False)
class Raw:
    """Columns by name, of any type, and the group of every row where the file itself has one."""

    names: tuple[str, ...]
    columns: list[ndarray]
    kind: str
    """The type of the values as the file has it."""
    groups: ndarray | None = None
    remarks: tuple[str, ...] = ()
    """What the reader of the file decided, in sentences."""


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

    The fields of a structured array are columns with names.

    Raises:
        RdbenchError: a single number, or values that are neither numbers nor text.
    """
    if values.ndim == 0:
        raise RdbenchError(f"{what} is a single value: rows are symbols, columns dimensions")
    if values.dtype.names is not None and values.ndim == 1 and len(values):
        fields = [values[name] for name in values.dtype.names]
        for name, field in zip(values.dtype.names, fields, strict=True):
            _known_type(field.dtype, f"field {name} of {what}")
            if field.ndim > 1:
                raise RdbenchError(f"field {name} of {what} is an array: give one value per row")
        _few_columns(len(fields))
        return Raw(tuple(values.dtype.names), fields, _kinds([one.dtype for one in fields]))
    _known_type(values.dtype, what)
    if len(values) == 0 or values.size == 0:
        raise RdbenchError(f"{what} is empty: its shape is {values.shape}")
    flat = values.reshape(len(values), -1)
    _few_columns(flat.shape[1])
    names = tuple(map(str, range(flat.shape[1])))
    return Raw(names, [flat[:, i] for i in range(flat.shape[1])], str(values.dtype))


def _known_type(dtype: np.dtype[Any], what: str) -> None:
    if dtype.kind not in _NUMBERS + _TEXT:
        kind = "complex numbers" if dtype.kind == "c" else f"values of type {dtype}"
        raise RdbenchError(f"{what} holds {kind}: a source has real numbers")


def _kinds(dtypes: Iterable[Any]) -> str:
    return ", ".join(sorted({str(dtype) for dtype in dtypes}))


def from_frame(frame: pd.DataFrame) -> Raw:
    """The columns of a data frame.

    Raises:
        RdbenchError: it has no rows or no columns.
    """
    if frame.shape[0] == 0 or frame.shape[1] == 0:
        raise RdbenchError(f"it has {frame.shape[0]} rows and {frame.shape[1]} columns of data")
    _few_columns(frame.shape[1])
    columns = [_values(frame.iloc[:, i]) for i in range(frame.shape[1])]
    return Raw(tuple(map(str, frame.columns)), columns, _kinds(frame.dtypes))


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
    if raw.names.count(column) > 1:
        raise RdbenchError(f"{raw.names.count(column)} columns are called {column!r}: rename them")
    if len(raw.names) == 1:
        raise RdbenchError(f"beside the groups ({column}) there are no data")
    names = tuple(n for i, n in enumerate(raw.names) if i != at)
    rest = [c for i, c in enumerate(raw.columns) if i != at]
    groups = _as_letters(raw.columns[at], column).astype(str)
    return replace(raw, names=names, columns=rest, groups=groups)


def numbers(raw: Raw) -> Rows:
    """The columns as float64.

    Raises:
        RdbenchError: text in a column; values that are missing or not finite, or so large or so
            close to each other that their squared distances are no numbers.
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
    _refuse_scale(x)
    return Rows(x, raw.names, raw.kind, raw.groups)


def as_letters(raw: Raw) -> Rows:
    """Every column as letters 0, 1, ..., in the order of its sorted values.

    Raises:
        RdbenchError: a value is missing.
    """
    x = np.empty((len(raw.columns[0]), len(raw.columns)))
    letters = []
    for i, (name, column) in enumerate(zip(raw.names, raw.columns, strict=True)):
        values, x[:, i] = np.unique(_as_letters(column, name), return_inverse=True)
        letters.append(tuple(map(str, values.tolist())))
    return Rows(x, raw.names, raw.kind, raw.groups, tuple(letters))


def _as_letters(column: ndarray, name: str) -> ndarray:
    """Numbers as they are, all else as text.

    Raises:
        RdbenchError: a value is missing or not finite.
    """
    if not is_numeric(column):
        return as_text(column, name)
    _refuse_not_finite(np.asarray(column, dtype=float)[:, None], (name,))
    return column


def as_text(column: ndarray, name: str) -> ndarray:
    """The values of a column as text.

    Raises:
        RdbenchError: a value is missing.
    """
    if column.dtype.kind == "S":
        return np.char.decode(column, "latin-1")
    import pandas as pd

    missing = np.flatnonzero(pd.isna(column))
    if len(missing):
        raise RdbenchError(
            f"a value is missing in column {name}, row {int(missing[0]) + 1} (in a file also NA, "
            "NaN, None and empty text are missing values): remove or name it"
        )
    nested = next((v for v in column if isinstance(v, (list, tuple, dict, np.ndarray))), None)
    if nested is not None:
        raise RdbenchError(
            f"column {name} holds a {type(nested).__name__} in every row: give one value per row"
        )
    return column.astype(str)


def is_numeric(column: ndarray) -> bool:
    """Whether a column is of numbers, or of truth values."""
    return column.dtype.kind in _NUMBERS


def _refuse_not_finite(x: Float[ndarray, "n d"], names: tuple[str, ...]) -> None:
    bad = ~np.isfinite(x)
    if bad.any():
        rows = np.flatnonzero(bad.any(1))
        column = int(np.flatnonzero(bad[rows[0]])[0])
        raise RdbenchError(
            f"{len(rows):,} of {len(x):,} rows have values that are missing or not finite, the "
            f"first in row {int(rows[0]) + 1}, column {names[column]}: remove or fill them"
        )


def _refuse_scale(x: Float[ndarray, "n d"]) -> None:
    largest = float(np.abs(x).max())
    if largest > _LARGEST:
        raise RdbenchError(
            f"values up to {largest:.3g}: their squares overflow; give the data in larger units"
        )
    spread = float(np.ptp(x, axis=0).max())
    if 0.0 < spread < _LEAST:
        raise RdbenchError(
            f"the rows differ by {spread:.3g} at most: squares of that are zero; give the data in "
            "smaller units"
        )


def _example(raw: Raw, name: str) -> str:
    column = raw.columns[raw.names.index(name)]
    value = next((v for v in column if not _is_number(v)), column[0])
    shown = " ".join(str(value).split())
    return repr(shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "...")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
