"""Finite sources on which Blahut-Arimoto of two packages is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray


@dataclass(frozen=True, eq=False)
class Problem:
    """n letters that are source and reproduction alphabet at once, and one slope."""

    p: Float[ndarray, " n"]
    rho: Float[ndarray, "n n"]
    beta: float
    """-dR/dD in nats."""

    @property
    def n(self) -> int:
        """The number of letters."""
        return len(self.p)


def zipf(n: int, beta: float) -> Problem:
    """p ~ 1 / k under Hamming distortion."""
    p = 1.0 / np.arange(1, n + 1)
    return Problem(p / p.sum(), 1.0 - np.eye(n), beta)


def gaussian(n: int, beta: float) -> Problem:
    """A standard Gaussian on a grid of +-6.5, squared error: q* is spread over the grid."""
    x = np.linspace(-6.5, 6.5, n)
    p = np.exp(-0.5 * x**2)
    return Problem(p / p.sum(), (x[:, None] - x) ** 2, beta)


def uniform(n: int, beta: float) -> Problem:
    """Uniform on a grid of [-1, 1], squared error: q* is a few atoms."""
    x = np.linspace(-1.0, 1.0, n)
    return Problem(np.full(n, 1.0 / n), (x[:, None] - x) ** 2, beta)


def table(n: int, beta: float) -> Problem:
    """Equal probabilities, distortions drawn independently from U(0, 1)."""
    return Problem(np.full(n, 1.0 / n), np.random.default_rng(0).random((n, n)), beta)


PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    "zipf-10": lambda: zipf(10, 3.0),
    "gaussian-100": lambda: gaussian(100, 20.0),
    "uniform-100": lambda: uniform(100, 20.0),
    "gaussian-500": lambda: gaussian(500, 20.0),
    "uniform-500": lambda: uniform(500, 20.0),
    "table-500": lambda: table(500, 20.0),
    "gaussian-2000": lambda: gaussian(2000, 20.0),
    "uniform-2000": lambda: uniform(2000, 20.0),
}
"""By name; the name ends with n."""
