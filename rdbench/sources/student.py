"""Student's t, scalar and multivariate: tails that fall like a power."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, finite, positive, settle, whole
from rdbench.sources.directional import log_sphere_area


@converts
@dataclass(frozen=True)
class StudentSource:
    """X = loc + scale Z / sqrt(G / df), Z ~ N(0, I_dim), G ~ chi^2_df; isotropic.

    Moments of order df and above are infinite: a reference that needs the variance refuses
    df <= 2, this sampler does not.
    """

    df: float = 5.0
    dim: int = 1
    scale: float = 1.0
    loc: float = 0.0

    def __post_init__(self) -> None:
        settle(self, df=positive(self.df, "Student's degrees of freedom"))
        settle(self, dim=whole(self.dim, "the dimension of Student's t", 1))
        settle(self, scale=positive(self.scale, "Student's scale"))
        settle(self, loc=finite(self.loc, "Student's loc"))

    @property
    def name(self) -> str:
        """t_df(loc, scale), with the dimension above one."""
        where = "" if self.loc == 0.0 and self.scale == 1.0 else f"({self.loc:g}, {self.scale:g})"
        return f"t{self.df:g}{where}" + (f", d={self.dim}" if self.dim > 1 else "")

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n vectors."""
        dev = generator.device
        z = torch.randn(n, self.dim, generator=generator, device=dev, dtype=torch.float64)
        half = torch.full((n, 1), 0.5 * self.df, device=dev, dtype=torch.float64)
        mixing = 2.0 * torch._standard_gamma(half, generator=generator) / self.df
        return self.loc + self.scale * z / mixing.sqrt()

    def log_prob(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log density in nats."""
        df, d = self.df, self.dim
        square = ((x.double() - self.loc) / self.scale).square().sum(1)
        constant = (
            math.lgamma(0.5 * (df + d))
            - math.lgamma(0.5 * df)
            - 0.5 * d * math.log(df * math.pi)
            - d * math.log(self.scale)
        )
        return constant - 0.5 * (df + d) * torch.log1p(square / df)

    @property
    def tail_index(self) -> float:
        """df."""
        return self.df

    def log_radius(self, s: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Log density of ||X - loc|| / scale."""
        axis = torch.zeros(len(s), self.dim, dtype=torch.float64, device=s.device)
        axis[:, 0] = self.scale * s
        area = log_sphere_area(self.dim) + (self.dim - 1) * s.log()
        return self.log_prob(self.loc + axis) + self.dim * math.log(self.scale) + area

    def from_radius(
        self, s: Float[Tensor, " n"], direction: Float[Tensor, "n d"]
    ) -> Float[Tensor, "n d"]:
        """loc + scale s u."""
        return self.loc + self.scale * s[:, None] * direction
