"""The Laplacian source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, finite, positive, settle


@converts
@dataclass(frozen=True)
class LaplacianSource:
    """Density exp(-|x - loc| / scale) / (2 scale) on the real line."""

    loc: float = 0.0
    scale: float = 1.0

    dim: ClassVar[int] = 1
    tail_index: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        settle(self, loc=finite(self.loc, "a Laplacian's loc"))
        settle(self, scale=positive(self.scale, "a Laplacian's scale"))

    @property
    def name(self) -> str:
        """Laplace(loc, scale)."""
        return f"Laplace({self.loc:g}, {self.scale:g})"

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n 1"]:
        """Draw n symbols: an exponential magnitude with a random sign."""
        dev = generator.device
        magnitude = torch.empty(n, 1, device=dev, dtype=torch.float64)
        magnitude.exponential_(generator=generator)
        coin = torch.rand(n, 1, generator=generator, device=dev, dtype=torch.float64)
        return self.loc + self.scale * torch.where(coin < 0.5, -magnitude, magnitude)

    def log_prob(self, x: Float[Tensor, "n 1"]) -> Float[Tensor, " n"]:
        """Log density in nats."""
        return -(x.double()[:, 0] - self.loc).abs() / self.scale - math.log(2.0 * self.scale)
