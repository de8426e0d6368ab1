"""The moments of means over blocks of the audit's symbols, of many pairs of points at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.run.records import PointRecord

Z95 = 1.959963984540054


class Moments(NamedTuple):
    """Of the differences of two points, block by block, in nats."""

    blocks: int
    mean: float
    variance: float
    """Of one block, by n - 1."""
    tail: float
    """By how much the end on the side of the long tail moves out, as for the audited gap itself:
    g (2 z^2 + 1) / (6 sqrt(m)) standard errors, g the skewness, at most one (Hall 1992)."""
    stds: tuple[float, float]
    """The standard deviations of all blocks of either point, by n - 1."""


def paired_moments(
    pairs: Sequence[tuple[PointRecord, PointRecord] | None],
) -> list[Moments | None]:
    """The moments of every pair that was audited in two blocks or more on the same symbols.

    Args:
        pairs: None where the symbols are not the same.
    """
    found: list[Moments | None] = [None] * len(pairs)
    counts: dict[int, list[tuple[int, PointRecord, PointRecord]]] = {}
    points: dict[int, PointRecord] = {}
    for place, pair in enumerate(pairs):
        if pair is None or None in (pair[0].gap_common_se, pair[1].gap_common_se):
            continue
        count = min(len(pair[0].gap_blocks), len(pair[1].gap_blocks))
        if count > 1:
            counts.setdefault(count, []).append((place, *pair))
            points.update({id(one): one for one in pair})
    stds = _stds(points)
    for count, members in counts.items():
        blocks = np.subtract(
            np.array([a.gap_blocks[:count] for _, a, _ in members]),
            np.array([b.gap_blocks[:count] for _, _, b in members]),
        )
        columns = (blocks.mean(axis=1), blocks.var(axis=1, ddof=1), _tails(blocks))
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for (place, a, b), (mean, variance, tail) in zip(members, rows, strict=True):
            found[place] = Moments(count, mean, variance, tail, (stds[id(a)], stds[id(b)]))
    return found


def _stds(points: dict[int, PointRecord]) -> dict[int, float]:
    """The standard deviation of the blocks of every point."""
    counts: dict[int, list[int]] = {}
    for key, point in points.items():
        counts.setdefault(len(point.gap_blocks), []).append(key)
    found: dict[int, float] = {}
    for keys in counts.values():
        values = np.std(np.array([points[key].gap_blocks for key in keys]), axis=1, ddof=1)
        found |= zip(keys, values.tolist(), strict=True)
    return found


def _tails(blocks: Float[ndarray, "n m"]) -> Float[ndarray, " n"]:
    centred = blocks - blocks.mean(axis=1, keepdims=True)
    std = np.sqrt(np.mean(centred**2, axis=1))
    root = math.sqrt(blocks.shape[1])
    safe = np.where(std > 0.0, std, 1.0)
    skewness = np.mean((centred / safe[:, None]) ** 3, axis=1)
    moved = skewness * (2.0 * Z95**2 + 1.0) / (6.0 * root)
    tails: Float[ndarray, " n"] = np.clip(moved, -1.0, 1.0) * std / root
    return np.where(std > 0.0, tails, 0.0)
