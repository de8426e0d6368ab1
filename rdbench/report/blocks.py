"""The means over blocks of the audit's symbols: of many points, and of many pairs of them at once.

Rows of points that are compared again and again are turned into arrays once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from rdbench.report.numbers import Numbers
from rdbench.run.records import PointRecord

Z95 = 1.959963984540054

Places = Int[ndarray, " n"]
"""Of points in a list."""


class Moments(NamedTuple):
    """Of the differences of pairs of points, block by block, in nats; NaN where there are none."""

    blocks: Numbers
    """How many both have; at least two, else there is nothing of a pair."""
    mean: Numbers
    variance: Numbers
    """Of one block, by n - 1."""
    tail: Numbers
    """By how much the end on the side of the long tail moves out, as for the audited gap itself:
    g (2 z^2 + 1) / (6 sqrt(m)) standard errors, g the skewness, at most one (Hall 1992)."""


class Blocks:
    """The blocks of points, in arrays of equal length."""

    def __init__(self, points: Sequence[PointRecord]) -> None:
        """Stack them.

        Args:
            points: each with as many blocks as it has, or none.
        """
        self.counts: Places = np.array([len(one.gap_blocks) for one in points], dtype=np.intp)
        self.stds: Numbers = np.full(len(points), np.nan)
        """The standard deviations of all blocks of every point, by n - 1; NaN of fewer than two."""
        self._rows: Places = np.zeros(len(points), dtype=np.intp)
        self._stacked: dict[int, Float[ndarray, "n m"]] = {}
        for count in np.unique(self.counts).tolist():
            places = np.flatnonzero(self.counts == count)
            self._rows[places] = np.arange(len(places))
            stacked = np.array([points[place].gap_blocks for place in places.tolist()])
            self._stacked[count] = stacked.reshape(len(places), count)
            if count > 1:
                self.stds[places] = np.std(stacked, axis=1, ddof=1)

    def paired(self, a: Places, b: Places) -> Moments:
        """The moments of the pairs (a_i, b_i) that have two blocks or more in common."""
        common = np.minimum(self.counts[a], self.counts[b])
        found = Moments(*(np.full(len(a), np.nan) for _ in Moments._fields))
        for count in np.unique(common[common > 1]).tolist():
            where = np.flatnonzero(common == count)
            blocks = np.subtract(self._first(a[where], count), self._first(b[where], count))
            found.blocks[where] = count
            found.mean[where] = blocks.mean(axis=1)
            found.variance[where] = blocks.var(axis=1, ddof=1)
            found.tail[where] = _tails(blocks)
        return found

    def _first(self, places: Places, count: int) -> Float[ndarray, "n {count}"]:
        """The first blocks of points that have at least so many."""
        own = self.counts[places]
        found = np.empty((len(places), count))
        for held in np.unique(own).tolist():
            where = own == held
            found[where] = self._stacked[held][self._rows[places[where]], :count]
        return found


def _tails(blocks: Float[ndarray, "n m"]) -> Numbers:
    centred = blocks - blocks.mean(axis=1, keepdims=True)
    std = np.sqrt(np.mean(centred**2, axis=1))
    root = math.sqrt(blocks.shape[1])
    safe = np.where(std > 0.0, std, 1.0)
    skewness = np.mean((centred / safe[:, None]) ** 3, axis=1)
    moved = skewness * (2.0 * Z95**2 + 1.0) / (6.0 * root)
    tails: Float[ndarray, " n"] = np.clip(moved, -1.0, 1.0) * std / root
    return np.where(std > 0.0, tails, 0.0)
