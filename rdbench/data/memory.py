"""What Python has in memory -> a file that any process can read: the way in for arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from rdbench.outcomes import RdbenchError, in_words

DRAWS = 20_000


def kept(data: Any, folder: Path, groups: Any = None, draws: int = DRAWS) -> tuple[str, str | None]:
    """The path of a file that holds the data, and the column of the groups.

    Args:
        data: the path of a file, an array, a tensor, a data frame, a torch ``Dataset`` (of items,
            or of tuples whose first part is the symbol), or a callable that draws n symbols.
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
    if hasattr(data, "to_csv") and hasattr(data, "columns"):
        if groups is not None and column is None:
            data, column = data.assign(**{"(group)": np.asarray(groups)}), "(group)"
        text = data.to_csv(index=False)
        path = _fresh(folder, hashlib.sha256(text.encode()).hexdigest(), "frame.csv")
        path.write_text(text)
        return str(path), column
    x = array_of(data, draws)
    if column is None and groups is not None:
        labels = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
        if len(labels) != len(x):
            raise RdbenchError(f"{len(x):,} rows have {len(labels):,} groups")
        x = np.column_stack([x.reshape(len(x), -1), labels])
        column = str(x.shape[1] - 1)
    path = _fresh(folder, _digest(x), "array.npy")
    np.save(path, x, allow_pickle=False)
    return str(path), column


def array_of(data: Any, draws: int = DRAWS) -> ndarray:
    """The symbols as an array, from anything but a file.

    Raises:
        RdbenchError: it gives no array of numbers or of text.
    """
    if isinstance(data, torch.Tensor):
        return _plain(data.detach().cpu())
    if isinstance(data, torch.utils.data.Dataset):
        return _stacked(data, draws)
    if callable(data) and not isinstance(data, np.ndarray):
        return _drawn(data, draws)
    return _plain(data)


def table_of(distortion: Any, folder: Path) -> str:
    """A distortion's name; a table is written to a file.

    Raises:
        RdbenchError: neither a name nor a table of numbers.
    """
    if isinstance(distortion, (str, Path)):
        return str(distortion)
    table = _plain(distortion)
    if table.ndim != 2:
        raise RdbenchError("a distortion is a name, FILE.py:NAME or a table (n, m) of numbers")
    path = _fresh(folder, _digest(table), "table.npy")
    np.save(path, table, allow_pickle=False)
    return str(path)


def _plain(data: Any) -> ndarray:
    try:
        if isinstance(data, torch.Tensor):
            data = data.float() if data.dtype in (torch.bfloat16, torch.float16) else data
            data = data.numpy()
        found = np.asarray(data)
    except (TypeError, ValueError, RuntimeError) as problem:
        raise RdbenchError(f"the data are no array: {in_words(problem)}") from None
    if found.dtype.kind not in "biufUS":
        raise RdbenchError(
            f"the data are a {type(data).__name__} of {found.dtype}: give an array of numbers, a "
            "tensor, a data frame, a torch Dataset, a callable that draws, or the path of a file"
        )
    return found


def _stacked(data: Any, draws: int) -> ndarray:
    items: list[ndarray] = []
    several = range(len(data)) if hasattr(data, "__len__") else None
    for item in data if several is None else map(data.__getitem__, several):
        if several is None and len(items) >= draws:
            break
        symbol = item[0] if isinstance(item, Sequence) and not isinstance(item, str) else item
        items.append(_plain(symbol).reshape(-1))
    if not items:
        raise RdbenchError("the data set has no items")
    if len({len(item) for item in items}) > 1:
        raise RdbenchError("the items of the data set have different numbers of values")
    return np.stack(items)


def _drawn(draw: Callable[[int], Any], count: int) -> ndarray:
    try:
        found = draw(count)
    except Exception as problem:
        raise RdbenchError(f"drawing {count:,} symbols failed: {in_words(problem)}") from problem
    symbols = _plain(found.detach().cpu() if isinstance(found, torch.Tensor) else found)
    if symbols.ndim == 0 or len(symbols) != count:
        shape = symbols.shape
        raise RdbenchError(f"asked for {count:,} symbols, the callable drew the shape {shape}")
    return symbols


def _digest(x: ndarray) -> str:
    found = hashlib.sha256(repr((x.shape, str(x.dtype))).encode())
    found.update(np.ascontiguousarray(x).data)
    return found.hexdigest()


def _fresh(folder: Path, digest: str, name: str) -> Path:
    """A file of that name in a folder of its own, named by the content."""
    inside = folder / digest[:12]
    inside.mkdir(parents=True, exist_ok=True)
    return inside / name
