"""Reached points, tangents, and the lower convex hull."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

ROUNDING = 1e-9


@dataclass(frozen=True)
class Reached:
    """A point that a channel reaches: R(``distortion``) <= ``rate``."""

    distortion: float
    rate: float
    by: str = ""


@dataclass(frozen=True)
class Tangent:
    """A bound from below: R(D) >= ``lagrangian`` - ``beta`` D at every D."""

    beta: float
    lagrangian: float
    by: str = ""


def slack(rate: float) -> float:
    """What rounding may do to a rate."""
    return ROUNDING * (1.0 + abs(rate))


def least(tangents: Sequence[Tangent], distortion: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
    """The highest of the tangents at these distortions, or 0."""
    beta = np.array([one.beta for one in tangents])
    level = np.array([one.lagrangian for one in tangents])
    found: Float[ndarray, " k"] = np.max(
        level - np.multiply.outer(distortion, beta), axis=-1, initial=0.0
    )
    return found


def lower_hull(x: Float[ndarray, " n"], y: Float[ndarray, " n"]) -> list[int]:
    """The vertices of the largest convex function below points with rising x."""
    hull: list[int] = []
    for k in range(len(x)):
        while len(hull) > 1:
            i, j = hull[-2], hull[-1]
            if (y[j] - y[i]) * (x[k] - x[i]) <= (y[k] - y[i]) * (x[j] - x[i]):
                break
            hull.pop()
        hull.append(k)
    return hull


def unbeaten(d: Float[ndarray, " n"], r: Float[ndarray, " n"]) -> list[int]:
    """The points that no other is as good as in both distortion and rate, by rising D."""
    order: list[int] = []
    for k in np.lexsort((r, d)).tolist():
        if not order or r[k] < r[order[-1]]:
            order.append(k)
    return order


def decreasing_hull(d: Float[ndarray, " n"], r: Float[ndarray, " n"]) -> list[int]:
    """The points on the lower convex hull whose rate falls with D, by rising D."""
    order = unbeaten(d, r)
    return [order[k] for k in lower_hull(d[order], r[order])]


def hull_of(points: Sequence[Reached]) -> tuple[Reached, ...]:
    """The points on the hull, by rising distortion."""
    d = np.array([p.distortion for p in points], dtype=np.float64)
    r = np.array([p.rate for p in points], dtype=np.float64)
    return tuple(points[k] for k in decreasing_hull(d, r))
