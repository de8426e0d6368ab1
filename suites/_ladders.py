"""Rate ladders shared by the suites."""

from __future__ import annotations

import numpy as np


def geometric(lowest: float, highest: float, count: int = 8) -> tuple[float, ...]:
    """``count`` target rates (nats) from lowest to highest in equal ratios, 4 digits each."""
    return tuple(float(f"{rate:.4g}") for rate in np.geomspace(lowest, highest, count))


def gaussian_rates(dim: int) -> tuple[float, ...]:
    """From 0.05 d to min(30, 4 d) nats; to max(30, d) for d >= 20."""
    return geometric(0.05 * dim, most(dim))


def most(dim: int) -> float:
    """The highest rate of a ladder in d dimensions."""
    return min(30.0, 4.0 * dim) if dim < 20 else max(30.0, dim)


def per_coordinate(rates: tuple[float, ...], dim: int) -> tuple[float, ...]:
    """The ladder of a product of ``dim`` copies whose slopes are those of the scalar ladder."""
    return tuple(dim * rate for rate in rates if dim * rate <= most(dim))
