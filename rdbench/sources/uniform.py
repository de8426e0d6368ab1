"""The uniform source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, finite, settle
from rdbench.types import RdbenchError


@converts
@dataclass(frozen=True)
class UniformSource:
    """Density 1 / (hi - lo) on the interval [lo, hi]."""

    lo: float = -1.0
    hi: float = 1.0

    dim: ClassVar[int] = 1
    tail_index: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        lo, hi = (finite(end, "an end of a uniform source") for end in (self.lo, self.hi))
        if not lo < hi:
            raise RdbenchError(f"a uniform source needs lo < hi, got [{lo}, {hi}]")
        settle(self, lo=lo, hi=hi)

    @property
    def name(self) -> str:
        """U[lo, hi]."""
        return f"U[{self.lo:g}, {self.hi:g}]"

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n 1"]:
        """Draw n symbols."""
        u = torch.rand(n, 1, generator=generator, device=generator.device, dtype=torch.float64)
        return self.lo + (self.hi - self.lo) * u

    def log_prob(self, x: Float[Tensor, "n 1"]) -> Float[Tensor, " n"]:
        """Log density in nats, -inf outside the interval."""
        x = x.double()[:, 0]
        inside = (x >= self.lo) & (x <= self.hi)
        height = torch.full_like(x, -math.log(self.hi - self.lo))
        return torch.where(inside, height, -math.inf)
