"""Sums of exp(-beta ||x - y||^2) in the plane, on products of coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def gaussians(
    y: Float[ndarray, " k"], x: Float[ndarray, " n"], beta: float
) -> Float[ndarray, "k n"]:
    """exp(-beta (y - x)^2)."""
    return cast(ndarray, np.exp(-beta * (y[:, None] - x) ** 2))


Field = Callable[[ndarray, ndarray], ndarray]
"""c on the product of first and second coordinates: (k1,), (k2,) -> (k1, k2)."""


@dataclass(frozen=True)
class Scattered:
    """Masses at any points."""

    x: Float[ndarray, "n 2"]
    mass: Float[ndarray, " n"]
    beta: float

    def __call__(
        self, first: Float[ndarray, " k1"], second: Float[ndarray, " k2"]
    ) -> Float[ndarray, "k1 k2"]:
        """c on the product of the two coordinates."""
        left = gaussians(first, self.x[:, 0], self.beta) * self.mass
        return cast(ndarray, left @ gaussians(second, self.x[:, 1], self.beta).T)


@dataclass(frozen=True)
class OnGrid:
    """Masses (g1, g2) on a product grid: three small matrices instead of one sum per point."""

    first: Float[ndarray, " g1"]
    second: Float[ndarray, " g2"]
    mass: Float[ndarray, "g1 g2"]
    beta: float

    def __call__(
        self, first: Float[ndarray, " k1"], second: Float[ndarray, " k2"]
    ) -> Float[ndarray, "k1 k2"]:
        """c on the product of the two coordinates."""
        left = gaussians(first, self.first, self.beta) @ self.mass
        return cast(ndarray, left @ gaussians(second, self.second, self.beta).T)
