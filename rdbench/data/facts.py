"""What was read, in words: rows, columns, type, duplicates, constants, rates that can be told."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.data.table import Rows
from rdbench.outcomes import RdbenchError


@dataclass(frozen=True)
class Facts:
    """Counts of what was read."""

    rows: int
    columns: int
    kind: str
    duplicates: int
    """Rows that equal one before them."""
    constant: tuple[str, ...]
    """Columns with one value."""

    def lines(self, title: str) -> list[str]:
        """Sentences for a person."""
        plural = "" if self.columns == 1 else "s"
        found = [f"{title}: {self.rows:,} rows, {self.columns:,} column{plural}, {self.kind}"]
        if self.duplicates:
            share = 100.0 * self.duplicates / self.rows
            found.append(f"{self.duplicates:,} rows ({share:.3g}%) repeat one before them")
        if self.constant:
            names = ", ".join(self.constant[:5]) + (", ..." if len(self.constant) > 5 else "")
            found.append(f"{len(self.constant)} constant columns cost no rate: {names}")
        return found


def facts_of(rows: Rows) -> Facts:
    """Count.

    Raises:
        RdbenchError: one row alone, or rows that are all the same.
    """
    x = rows.x
    if len(x) == 1:
        raise RdbenchError("the data are one row: a source has at least two symbols")
    different = len(distinct(x)[0])
    if different == 1:
        raise RdbenchError(f"all {len(x):,} rows are the same: R(D) = 0 for every D >= 0")
    constant = tuple(n for n, same in zip(rows.names, (x == x[0]).all(0), strict=True) if same)
    return Facts(len(x), x.shape[1], rows.kind, len(x) - different, constant)


def distinct(x: Float[ndarray, "n d"]) -> tuple[Float[ndarray, "m d"], Float[ndarray, " m"]]:
    """The different rows, in a fixed order, and how often each occurs."""
    x = np.ascontiguousarray(x) + 0.0  # -0.0 is 0.0
    bytes_ = x.view(np.dtype((np.void, x.dtype.itemsize * x.shape[1]))).ravel()
    _, first, counts = np.unique(bytes_, return_index=True, return_counts=True)
    return x[first], counts.astype(float)


def most_rate(count: int) -> float:
    """The rate in nats above which so many rows tell nothing: log n."""
    return math.log(count)
