"""The beta source on [0, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, positive, settle
from rdbench.types import RdbenchError


@converts
@dataclass(frozen=True)
class BetaSource:
    """Density x^(a-1) (1-x)^(b-1) / B(a, b) on [0, 1], a and b at least one: it is bounded."""

    a: float = 1.0
    b: float = 2.0

    dim: ClassVar[int] = 1
    tail_index: ClassVar[float] = math.inf
    interval: ClassVar[tuple[float, float]] = (0.0, 1.0)
    breakpoints: ClassVar[tuple[float, ...]] = ()
    tail: ClassVar[None] = None

    def __post_init__(self) -> None:
        a, b = (positive(value, "a parameter of a beta source") for value in (self.a, self.b))
        if a < 1.0 or b < 1.0:
            raise RdbenchError(f"a beta source needs a and b of at least 1, got {a:g} and {b:g}")
        settle(self, a=a, b=b)

    @property
    def name(self) -> str:
        """Beta(a, b)."""
        return f"Beta({self.a:g}, {self.b:g})"

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n 1"]:
        """Draw n symbols: G / (G + H) of two gamma variables."""
        make = {"device": generator.device, "dtype": torch.float64}
        shapes = (torch.full((n, 1), value, **make) for value in (self.a, self.b))  # type: ignore[call-overload]
        g, h = (torch._standard_gamma(shape, generator=generator) for shape in shapes)
        found: Tensor = g / (g + h)
        return found

    def log_prob(self, x: Float[Tensor, "n 1"]) -> Float[Tensor, " n"]:
        """Log density in nats, -inf outside of [0, 1]."""
        x = x.double()[:, 0]
        inside = (x >= 0.0) & (x <= 1.0)
        at = torch.where(inside, x, 0.5)
        constant = math.lgamma(self.a + self.b) - math.lgamma(self.a) - math.lgamma(self.b)
        found = torch.special.xlogy(torch.tensor(self.a - 1.0).double(), at)
        found = found + torch.special.xlog1py(torch.tensor(self.b - 1.0).double(), -at) + constant
        return torch.where(inside, found, -math.inf)
