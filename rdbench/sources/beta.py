"""The beta law on the unit interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, settle, whole
from rdbench.types import LineTail


@converts
@dataclass(frozen=True)
class BetaSource:
    """Density x^(a-1) (1-x)^(b-1) / B(a, b) on [0, 1], a and b positive integers."""

    a: int = 1
    b: int = 2

    dim: ClassVar[int] = 1
    tail_index: ClassVar[float] = math.inf
    interval: ClassVar[tuple[float, float]] = (0.0, 1.0)
    breakpoints: ClassVar[tuple[float, ...]] = ()
    tail: ClassVar[LineTail | None] = None

    def __post_init__(self) -> None:
        settle(self, a=whole(self.a, "the a of a beta law", 1))
        settle(self, b=whole(self.b, "the b of a beta law", 1))

    @property
    def name(self) -> str:
        """Beta(a, b)."""
        return f"Beta({self.a}, {self.b})"

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n 1"]:
        """Draw n symbols: the a-th smallest of a + b - 1 uniform numbers."""
        count, device = self.a + self.b - 1, generator.device
        u = torch.rand(n, count, generator=generator, device=device, dtype=torch.float64)
        return u.sort(1).values[:, self.a - 1 : self.a]

    def log_prob(self, x: Float[Tensor, "n 1"]) -> Float[Tensor, " n"]:
        """Log density in nats, -inf outside the interval."""
        u = x.double()[:, 0]
        constant = math.lgamma(self.a + self.b) - math.lgamma(self.a) - math.lgamma(self.b)
        inside = (u >= 0.0) & (u <= 1.0)
        v = u.clamp(0.0, 1.0)
        powers = torch.xlogy(self.a - 1.0, v) + torch.xlogy(self.b - 1.0, 1.0 - v)
        return torch.where(inside, constant + powers, -math.inf)
