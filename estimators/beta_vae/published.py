"""The authors' model of their Gaussian experiments (github.com/mandt-lab/RD-sandwich, rdub_mlp.py).

Of their two variants the one without a decoder: the latent is the reproduction, y = z. The encoder
is one affine layer, z ~ N(mu(x), diag(s(x)^2)) with s = softplus(. + log(e - 1)); the prior has
independent Gaussian coordinates of learned mean and scale ("gmm_1"). All in source coordinates.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.types import Density, Distortion

_LOG_2PI = math.log(2.0 * math.pi)
_SHIFT = math.log(math.e - 1.0)  # softplus of it is one


class FactorisedVAE(torch.nn.Module):
    """B such models on R^d, one per slope, from the same start."""

    slopes: Tensor

    def __init__(self, slopes: Float[Tensor, " B"], dim: int, generator: Generator) -> None:
        """Glorot-uniform weights, zero biases, and the prior's parameters as the authors draw them.

        Args:
            slopes: beta.
            dim: d.
            generator: draws the start.
        """
        super().__init__()
        device, batch = generator.device, len(slopes)

        def repeated(start: Tensor) -> torch.nn.Parameter:
            return torch.nn.Parameter(start.repeat(batch, *(1 for _ in start.shape[1:])))

        def draw(kind: str, *shape: int) -> Tensor:
            call = torch.rand if kind == "uniform" else torch.randn
            return call(shape, generator=generator, device=device, dtype=torch.float64)

        limit = math.sqrt(6.0 / (3 * dim))
        self.weight = repeated(limit * (2.0 * draw("uniform", 1, dim, 2 * dim) - 1.0))
        self.bias = repeated(torch.zeros(1, 1, 2 * dim, dtype=torch.float64, device=device))
        self.mean = repeated(draw("normal", 1, 1, dim))
        self.raw_scale = repeated(draw("normal", 1, 1, dim) + 2.0)
        self.register_buffer("slopes", slopes.double().to(device))

    def posterior(
        self, x: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "B n d"], Float[Tensor, "B n d"]]:
        """Mean and standard deviation of e(z|x)."""
        out = x @ self.weight + self.bias
        mean, raw = out.chunk(2, -1)
        return mean, torch.nn.functional.softplus(raw + _SHIFT)

    def log_prior(self, z: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """log p(z) in nats."""
        return _log_normal(z, self.mean, torch.nn.functional.softplus(self.raw_scale))

    def bound(
        self, x: Float[Tensor, "n d"], distortion: Distortion, generator: Generator
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n"]]:
        """log e(z|x) / p(z) and rho(x, z) at one draw z of the encoder for every symbol."""
        mean, std = self.posterior(x)
        e = torch.randn(mean.shape, generator=generator, device=x.device, dtype=torch.float64)
        z = mean + std * e
        rate = _log_normal(z, mean, std) - self.log_prior(z)
        gap = z - x
        squared = distortion.name == "squared_error"
        return rate, (gap.square() if squared else gap.abs()).sum(-1)

    @staticmethod
    def correction(z: Float[Tensor, "B n d"]) -> Float[Tensor, "B n d"]:
        """g(z) - z: there is no decoder."""
        return torch.zeros_like(z)

    def density(self) -> Density:
        """p(z) of the only slope."""
        mean = self.mean[0].detach()
        std = torch.nn.functional.softplus(self.raw_scale[0].detach())

        def sample(n: int, generator: Generator) -> Tensor:
            shape, device = (n, mean.shape[1]), generator.device
            e = torch.randn(shape, generator=generator, device=device, dtype=torch.float64)
            return mean + std * e

        return Density(sample, lambda z: _log_normal(z.double(), mean, std))

    @torch.no_grad()
    def encode(
        self, x: Float[Tensor, "n d"], k: int, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """k draws of e(z|x) of the only slope for every row of x."""
        mean, std = (part[0][:, None] for part in self.posterior(x.double()))
        e = torch.randn(
            len(x), k, x.shape[1], generator=generator, device=x.device, dtype=torch.float64
        )
        return mean + std * e

    @torch.no_grad()
    def encoded(self, z: Float[Tensor, "n k d"], x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """log e(z|x) of the only slope."""
        mean, std = (part[0][:, None] for part in self.posterior(x.double()))
        return _log_normal(z.double(), mean, std)


def learning_rate(done: float) -> float:
    """The authors' factor: times 0.2 at 1/2, 3/4 and 7/8 of the training."""
    return float(0.2 ** sum(done >= part for part in (1 / 2, 3 / 4, 7 / 8)))


def _log_normal(z: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return -0.5 * (((z - mean) / std).square() + 2.0 * std.log() + _LOG_2PI).sum(-1)
