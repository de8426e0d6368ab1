"""A bent Gaussian in the plane: unimodal, curved, with a density in closed form."""

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
class BananaSource:
    """X1 ~ N(0, spread^2), X2 | X1 ~ N(bend (X1^2 - spread^2), noise^2); the mean is zero."""

    spread: float = 1.0
    bend: float = 0.5
    noise: float = 0.5

    dim: ClassVar[int] = 2
    tail_index: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        spread, noise = (
            positive(v, f"a banana's {name}")
            for name, v in (("spread", self.spread), ("noise", self.noise))
        )
        settle(self, spread=spread, bend=finite(self.bend, "a banana's bend"), noise=noise)

    @property
    def name(self) -> str:
        """Banana(spread, bend, noise)."""
        return f"banana({self.spread:g}, {self.bend:g}, {self.noise:g})"

    def _ridge(self, first: Tensor) -> Tensor:
        return self.bend * (first.square() - self.spread**2)

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n 2"]:
        """Draw n points."""
        z = torch.randn(n, 2, generator=generator, device=generator.device, dtype=torch.float64)
        first = self.spread * z[:, 0]
        return torch.stack([first, self._ridge(first) + self.noise * z[:, 1]], 1)

    def log_prob(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """Log density in nats."""
        x = x.double()
        along = x[:, 0] / self.spread
        across = (x[:, 1] - self._ridge(x[:, 0])) / self.noise
        constant = math.log(2.0 * math.pi * self.spread * self.noise)
        return -0.5 * (along.square() + across.square()) - constant
