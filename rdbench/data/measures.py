"""The words after ``--distortion`` -> a distortion measure, and the letters that it takes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from rdbench.data.own_measure import check_values, own_measure
from rdbench.data.spec import digest_of_file
from rdbench.data.table import Raw, Rows, as_letters, is_numeric, numbers
from rdbench.distortions import AbsoluteError, Hamming, SquaredError, TableDistortion
from rdbench.outcomes import RdbenchError, unknown
from rdbench.types import Distortion

NAMES = ("squared_error", "absolute_error", "hamming")
_MOST_WORDS = 4096


def measure(distortion: str) -> tuple[Distortion, str]:
    """The distortion measure of a name, a table or FILE.py:NAME, and the digest of its file.

    Raises:
        RdbenchError: there is none of that name or in that file.
    """
    if distortion == "squared_error":
        return SquaredError(), ""
    if distortion == "absolute_error":
        return AbsoluteError(), ""
    if distortion == "hamming":
        return Hamming(), ""
    if distortion.endswith(".npy"):
        return TableDistortion(torch.from_numpy(_table(Path(distortion)))), digest_of_file(
            Path(distortion)
        )
    if ".py:" in distortion:
        module, _, attribute = distortion.rpartition(":")
        return own_measure(module, attribute), digest_of_file(Path(module))
    raise unknown("distortion", distortion, (*NAMES, "FILE.npy", "FILE.py:NAME"))


def _table(path: Path) -> ndarray:
    if not path.is_file():
        raise RdbenchError(f"there is no file {path}")
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError):
        raise RdbenchError(f"{path} holds no plain array of distortions") from None
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise RdbenchError(
            f"{path.name} must be a table of numbers, a row for every letter of the source and a "
            f"column for every letter of the reproduction; it has the shape {values.shape}"
        )
    if (values < 0).any():
        raise RdbenchError(
            f"{path.name} has negative entries: a distortion is 0 or more; what is added to a row "
            "changes D by a constant alone"
        )
    return np.asarray(values, dtype=float)


def symbols(raw: Raw, distortion: Distortion) -> Rows:
    """The rows as symbols of a distortion measure: letters under Hamming and a table, else numbers.

    Raises:
        RdbenchError: text that is no letters; letters that a table does not have.
    """
    if isinstance(distortion, Hamming):
        return as_letters(raw)
    if not isinstance(distortion, TableDistortion):
        return numbers(raw)
    if len(raw.columns) != 1:
        raise RdbenchError(
            f"a table of distortions takes one column of letters, the data have {len(raw.columns)}"
        )
    count = len(distortion.table)
    if not is_numeric(raw.columns[0]):
        rows = as_letters(raw)
        assert rows.letters is not None
        if len(rows.letters[0]) != count:
            raise RdbenchError(
                f"the table has {count} rows, the data {len(rows.letters[0])} letters, in the "
                f"order of their names: {', '.join(rows.letters[0][:8])}"
            )
        return rows
    rows = numbers(raw)
    letters = rows.x[:, 0]
    strange = letters[(letters != np.round(letters)) | (letters < 0) | (letters >= count)]
    if len(strange):
        raise RdbenchError(
            f"{strange[0]:g} is no letter of the table: its {count} rows are the letters 0 to "
            f"{count - 1}"
        )
    return rows


def check_measure(distortion: Distortion, x: ndarray, words: Tensor | None) -> None:
    """Try a measure of the user's own on a few rows, with rows or words as reproductions.

    Raises:
        RdbenchError: it raises, or gives no distortions.
    """
    if isinstance(distortion, (SquaredError, AbsoluteError, Hamming, TableDistortion)):
        return
    symbols = torch.from_numpy(x)
    check_values(distortion, symbols, symbols.flip(0) if words is None else words)


def alphabet_of(rows: Rows, distortion: Distortion) -> tuple[Tensor | None, str]:
    """The reproduction words of letters, and what they are; None where a word is any point.

    All combinations of the letters of the columns, or, where these are too many, the rows that
    occur: then R(D) is that of reproductions among the rows.

    Raises:
        RdbenchError: too many of either.
    """
    if not isinstance(distortion, Hamming):
        return None, ""
    assert rows.letters is not None
    sizes = [len(column) for column in rows.letters]
    if math.prod(sizes) <= _MOST_WORDS:
        axes = [torch.arange(size, dtype=torch.float64) for size in sizes]
        words = torch.cartesian_prod(*axes).reshape(-1, len(sizes))
        return words, f"all {len(words):,} combinations of letters"
    seen = torch.from_numpy(np.unique(rows.x, axis=0))
    if len(seen) > _MOST_WORDS:
        raise RdbenchError(
            f"{len(seen):,} different rows of letters are more than can be solved: at most "
            f"{_MOST_WORDS:,}; give fewer columns"
        )
    return seen, f"the {len(seen):,} rows that occur (their combinations are too many)"
