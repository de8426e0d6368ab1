"""The uniform law on a sphere of R^d, alone and under Gaussian noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, positive, settle, whole
from rdbench.sources.directional import log_mean_exp_cosine, sample_von_mises_fisher


@converts
@dataclass(frozen=True)
class SphereSource:
    """Uniform on the sphere of a given radius about the origin of R^dim; it has no density."""

    dim: int
    radius: float = 1.0

    tail_index: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        settle(self, dim=whole(self.dim, "a sphere's dimension", 2))
        settle(self, radius=positive(self.radius, "a sphere's radius"))

    @property
    def name(self) -> str:
        """The dimension of the space and the radius."""
        return f"sphere of radius {self.radius:g} in R^{self.dim}"

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points."""
        return self.radius * _directions(n, self.dim, generator)


@converts
@dataclass(frozen=True)
class NoisySphereSource:
    """X = radius U + noise Z, U uniform on the unit sphere, Z ~ N(0, I)."""

    dim: int
    radius: float = 1.0
    noise: float = 0.2

    tail_index: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        settle(self, dim=whole(self.dim, "a sphere's dimension", 2))
        settle(self, radius=positive(self.radius, "a sphere's radius"))
        settle(self, noise=positive(self.noise, "a sphere's noise"))

    @property
    def name(self) -> str:
        """The dimension of the space, the radius and the noise."""
        return f"sphere of radius {self.radius:g} in R^{self.dim} plus N(0, {self.noise:g}^2 I)"

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points."""
        v = self.sample_signal(n, generator)
        z = torch.randn(n, self.dim, generator=generator, device=v.device, dtype=torch.float64)
        return v + self.noise * z

    def sample_signal(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points of the sphere."""
        return self.radius * _directions(n, self.dim, generator)

    def signal_given(
        self, x: Float[Tensor, "n d"], k: int, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """k points of the sphere given every row of x: U is von Mises-Fisher around x, with the
        concentration radius ||x|| / noise^2.
        """
        n, d = x.shape
        length = x.double().norm(dim=1)
        axes = (x.double() / length[:, None]).repeat_interleave(k, 0)
        kappa = (self.radius * length / self.noise**2).repeat_interleave(k)
        return self.radius * sample_von_mises_fisher(axes, kappa, generator).reshape(n, k, d)

    def log_prob(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log density in nats: -(r - radius)^2 / (2 noise^2) + log E exp(kappa (u_1 - 1)) less the
        normalisation of the noise, with r = ||x|| and kappa = r radius / noise^2.
        """
        r = x.double().norm(dim=1)
        kappa = (r * self.radius / self.noise**2).cpu().numpy()
        angular = torch.from_numpy(log_mean_exp_cosine(self.dim, kappa)).to(r.device)
        constant = 0.5 * self.dim * math.log(2.0 * math.pi * self.noise**2)
        log_p: Tensor = angular - 0.5 * ((r - self.radius) / self.noise).square() - constant
        return log_p


def _directions(n: int, dim: int, generator: Generator) -> Tensor:
    z = torch.randn(n, dim, generator=generator, device=generator.device, dtype=torch.float64)
    out: Tensor = z / z.norm(dim=1, keepdim=True)
    return out
