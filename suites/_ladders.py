"""Rate ladders shared by the suites."""

from __future__ import annotations

import numpy as np


def geometric(lowest: float, highest: float, count: int = 8) -> tuple[float, ...]:
    """``count`` target rates (nats) from lowest to highest in equal ratios, 4 digits each."""
    return tuple(float(f"{rate:.4g}") for rate in np.geomspace(lowest, highest, count))


def gaussian_rates(dim: int) -> tuple[float, ...]:
    """From 0.05 d to min(30, 4 d) nats; to max(30, d) for d >= 20."""
    return geometric(0.05 * dim, min(30.0, 4.0 * dim) if dim < 20 else max(30.0, dim))
