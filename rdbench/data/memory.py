"""What Python has in memory -> a file that any process can read: the way in for arrays."""

from __future__ import annotations

import hashlib
import inspect
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy import ndarray

from rdbench.data.table import Raw, as_text, from_frame, is_numeric
from rdbench.data.tensors import plain
from rdbench.outcomes import RdbenchError, in_words

DRAWS = 20_000
_SEED = 0  # of draws; what is fitted and audited has seeds of its own


def kept(data: Any, folder: Path, groups: Any = None, draws: int = DRAWS) -> tuple[str, str | None]:
    """The path of a file that holds the data, and the column of the groups.

    Args:
        data: the path of a file, an array, a tensor, a data frame, a torch ``Dataset`` (of items,
            or of tuples whose first part is the symbol), or a callable that draws n symbols; it is
            given a generator if it has an argument of that name.
        folder: where files are written that are not there yet.
        groups: a column's name; of data in memory also a group for every row.
        draws: how many symbols a callable draws, and the most that are taken of an endless set.

    Raises:
        RdbenchError: it is none of these, or does not give numbers.
    """
    column = groups if isinstance(groups, str) else None
    if isinstance(data, (str, Path)):
        if groups is not None and column is None:
            raise RdbenchError("the groups of a file are the name of one of its columns")
        return str(data), column
    if isinstance(data, pd.Series):
        data = data.to_frame(data.name if data.name is not None else "0")
    if isinstance(data, pd.DataFrame):
        if groups is not None and np.ndim(groups) == 0:
            column = str(groups)
        x = _records(from_frame(data))
    else:
        x = array_of(data, draws)
    if column is None and groups is not None:
        x, column = _with_groups(x, groups)
    path = _fresh(folder, _digest(x), "frame.npy" if x.dtype.names else "array.npy")
    np.save(path, x, allow_pickle=False)
    return str(path), column


def _records(raw: Raw) -> ndarray:
    """Columns as the fields of a structured array, which keeps names, numbers and text as they are.

    Raises:
        RdbenchError: two columns have one name; a text is missing.
    """
    names = [name or f"column {i + 1}" for i, name in enumerate(raw.names)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise RdbenchError(f"{names.count(twice[0])} columns are called {twice[0]!r}: rename them")
    columns = [
        column if is_numeric(column) else as_text(column, name)
        for name, column in zip(names, raw.columns, strict=True)
    ]
    kinds = [(name, column.dtype) for name, column in zip(names, columns, strict=True)]
    found: ndarray = np.empty(len(columns[0]), dtype=kinds)
    for name, column in zip(names, columns, strict=True):
        found[name] = column
    return found


def _with_groups(x: ndarray, groups: Any) -> tuple[ndarray, str]:
    """The data with a column more, the number of each row's group, and its name."""
    labels = pd.Series(np.asarray(groups).reshape(-1))
    if x.ndim == 0 or len(labels) != len(x):
        raise RdbenchError(f"{len(x) if x.ndim else 1:,} rows have {len(labels):,} groups")
    if labels.isna().any():
        raise RdbenchError(f"row {int(labels.isna().argmax()) + 1} has no group")
    numbers = np.unique(labels.to_numpy().astype(str), return_inverse=True)[1].reshape(-1)
    if x.dtype.names is None:
        flat = x.reshape(len(x), -1)
        return np.column_stack([flat, numbers]), str(flat.shape[1])
    columns = [x[name] for name in x.dtype.names]
    name = "(group)"
    return _records(Raw((*x.dtype.names, name), [*columns, numbers], "")), name


def array_of(data: Any, draws: int = DRAWS) -> ndarray:
    """The symbols as an array, from anything but a file.

    Raises:
        RdbenchError: it gives no array of numbers or of text.
    """
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 1:
        raise RdbenchError(f"draws is a number of symbols, 1 or more, got {draws!r}")
    if isinstance(data, torch.utils.data.Dataset):
        return _stacked(data, draws)
    if callable(data) and not isinstance(data, np.ndarray):
        return _drawn(data, int(draws))
    return _plain(data)


def table_of(distortion: Any, folder: Path) -> str:
    """A distortion's name; a table is written to a file.

    Raises:
        RdbenchError: neither a name nor a table of numbers.
    """
    if isinstance(distortion, (str, Path)):
        return str(distortion)
    try:
        table = _plain(distortion)
    except RdbenchError:
        table = np.empty(0)
    if table.ndim != 2 or table.dtype.kind not in "biuf":
        raise RdbenchError("a distortion is a name, FILE.py:NAME or a table (n, m) of numbers")
    path = _fresh(folder, _digest(table), "table.npy")
    np.save(path, table, allow_pickle=False)
    return str(path)


def _plain(data: Any, what: str = "the data") -> ndarray:
    if isinstance(data, torch.Tensor):
        return _values(plain(data, what), what)
    if np.ma.is_masked(data):
        raise RdbenchError(f"{what} have masked values, which are missing: remove or fill them")
    try:
        found = np.asarray(data)
    except (TypeError, ValueError, RuntimeError) as problem:
        raise RdbenchError(f"{what} are no array: {in_words(problem)}") from None
    if found.dtype.names is not None or found.dtype.kind in "biufUS":
        return found
    raise RdbenchError(
        f"{what} are a {type(data).__name__} of {found.dtype}: give an array of numbers, a tensor, "
        "a data frame, a torch Dataset, a callable that draws, or the path of a file"
    )


def _values(found: ndarray, what: str) -> ndarray:
    if found.dtype.kind == "c":
        raise RdbenchError(f"{what} are complex numbers: a source has real numbers")
    return found


def _stacked(data: Any, draws: int) -> ndarray:
    items: list[ndarray] = []
    several = range(len(data)) if hasattr(data, "__len__") else None
    try:
        for item in data if several is None else map(data.__getitem__, several):
            items.append(_plain(_symbol(item), "the items of the data set").reshape(-1))
            if several is None and len(items) >= draws:
                break
    except RdbenchError:
        raise
    except Exception as problem:
        raise RdbenchError(
            f"item {len(items)} of the data set cannot be read: {in_words(problem)}"
        ) from problem
    if not items:
        raise RdbenchError("the data set has no items")
    if len({len(item) for item in items}) > 1:
        raise RdbenchError("the items of the data set have different numbers of values")
    return np.stack(items)


def _symbol(item: Any) -> Any:
    """The first part of a tuple, which is (symbol, label); a list of numbers is a symbol itself."""
    if isinstance(item, list) and all(isinstance(one, (int, float)) for one in item):
        return item
    return item[0] if isinstance(item, (tuple, list)) and item else item


def _drawn(draw: Callable[..., Any], count: int) -> ndarray:
    """Symbols of a callable, which gets a generator if it has an argument of that name."""
    try:
        parameters: Any = inspect.signature(draw).parameters
    except (TypeError, ValueError):
        parameters = ()
    how: dict[str, Any] = {}
    if "generator" in parameters:
        how["generator"] = torch.Generator().manual_seed(_SEED)
    try:
        found = draw(count, **how)
    except Exception as problem:
        raise RdbenchError(f"drawing {count:,} symbols failed: {in_words(problem)}") from problem
    symbols = _plain(found, "the symbols that the callable drew")
    if symbols.ndim == 0 or len(symbols) != count:
        shape = symbols.shape
        raise RdbenchError(f"asked for {count:,} symbols, the callable drew the shape {shape}")
    return symbols


def _digest(x: ndarray) -> str:
    found = hashlib.sha256(repr((x.shape, str(x.dtype))).encode())
    found.update(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _fresh(folder: Path, digest: str, name: str) -> Path:
    """A file of that name in a folder of its own, named by the content."""
    inside = folder / digest[:12]
    inside.mkdir(parents=True, exist_ok=True)
    return inside / name
