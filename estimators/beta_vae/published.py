"""The authors' models (github.com/mandt-lab/RD-sandwich, rdub_mlp.py), in source coordinates.

- ``FactorisedVAE``, for their Gaussian sources, of two variants the one without a decoder: y = z,
  an affine encoder z ~ N(mu(x), diag(s(x)^2)), independent Gaussian coordinates of learned mean
  and scale as prior ("gmm_1").
- ``FlowVAE``, for their banana: encoder and decoder are perceptrons with two softplus layers, the
  prior is a masked autoregressive flow (Papamakarios et al. 2017) over N(0, I).

In both s = softplus(. + log(e - 1)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.types import Density, Distortion

_LOG_2PI = math.log(2.0 * math.pi)
_SHIFT = math.log(math.e - 1.0)  # softplus of it is one


class PublishedVAE(torch.nn.Module):
    """B models with Gaussian encoders, one per slope: what the authors' two have in common."""

    slopes: Tensor

    def __init__(self, slopes: Float[Tensor, " B"], generator: Generator) -> None:
        super().__init__()
        self.register_buffer("slopes", slopes.double().to(generator.device))

    def encoder_output(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "B n 2*d"]:
        """Means of e(z|x) and scales before the softplus."""
        raise NotImplementedError

    def log_prior(self, z: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """log p(z) in nats."""
        raise NotImplementedError

    def correction(self, z: Float[Tensor, "B n d"]) -> Float[Tensor, "B n d"]:
        """g(z) - z."""
        raise NotImplementedError

    def sample_prior(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """n draws of p(z) of the only slope."""
        raise NotImplementedError

    def posterior(
        self, x: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "B n d"], Float[Tensor, "B n d"]]:
        """Mean and standard deviation of e(z|x)."""
        mean, raw = self.encoder_output(x).chunk(2, -1)
        return mean, torch.nn.functional.softplus(raw + _SHIFT)

    def bound(
        self, x: Float[Tensor, "n d"], distortion: Distortion, generator: Generator
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n"]]:
        """log e(z|x) / p(z) and rho(x, g(z)) at one draw z of the encoder for every symbol."""
        mean, std = self.posterior(x)
        e = torch.randn(mean.shape, generator=generator, device=x.device, dtype=torch.float64)
        z = mean + std * e
        rate = _log_normal(z, mean, std) - self.log_prior(z)
        gap = z + self.correction(z) - x
        squared = distortion.name == "squared_error"
        return rate, (gap.square() if squared else gap.abs()).sum(-1)

    def density(self) -> Density:
        """p(z) of the only slope."""

        @torch.no_grad()
        def log_prob(z: Tensor) -> Tensor:
            return self.log_prior(z.double()[None])[0]

        return Density(self.sample_prior, log_prob)

    @torch.no_grad()
    def encode(
        self, x: Float[Tensor, "n d"], k: int, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """k draws of e(z|x) of the only slope for every row of x."""
        mean, std = (part[0][:, None] for part in self.posterior(x.double()))
        shape = len(x), k, x.shape[1]
        return mean + std * _normal(shape, generator, x.device)

    @torch.no_grad()
    def encoded(self, z: Float[Tensor, "n k d"], x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """log e(z|x) of the only slope."""
        mean, std = (part[0][:, None] for part in self.posterior(x.double()))
        return _log_normal(z.double(), mean, std)


class FactorisedVAE(PublishedVAE):
    """Without a decoder, on R^d."""

    def __init__(self, slopes: Float[Tensor, " B"], dim: int, generator: Generator) -> None:
        """Glorot-uniform weights, zero biases, and the prior's parameters as the authors draw them.

        Args:
            slopes: beta.
            dim: d.
            generator: draws the start.
        """
        super().__init__(slopes, generator)
        device, batch = generator.device, len(slopes)
        self.weight, self.bias = _affine(batch, dim, 2 * dim, generator)
        mean = _normal((1, 1, dim), generator, device)
        raw = _normal((1, 1, dim), generator, device) + 2.0
        self.mean = torch.nn.Parameter(mean.repeat(batch, 1, 1))
        self.raw_scale = torch.nn.Parameter(raw.repeat(batch, 1, 1))

    def encoder_output(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "B n 2*d"]:
        """One affine layer."""
        return x @ self.weight + self.bias

    def log_prior(self, z: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """log p(z) in nats."""
        return _log_normal(z, self.mean, torch.nn.functional.softplus(self.raw_scale))

    def correction(self, z: Float[Tensor, "B n d"]) -> Float[Tensor, "B n d"]:
        """There is no decoder."""
        return torch.zeros_like(z)

    @torch.no_grad()
    def sample_prior(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """n draws of p(z) of the only slope."""
        std = torch.nn.functional.softplus(self.raw_scale[0])
        return self.mean[0] + std * _normal((n, std.shape[1]), generator, generator.device)


class FlowVAE(PublishedVAE):
    """With a decoder and a masked autoregressive flow; latent space R^d."""

    def __init__(
        self,
        slopes: Float[Tensor, " B"],
        dim: int,
        hidden: int,
        stacks: int,
        masked: int,
        generator: Generator,
    ) -> None:
        """Glorot-uniform weights and zero biases.

        Args:
            slopes: beta.
            dim: d.
            hidden: width of both layers of encoder and decoder.
            stacks: of the flow.
            masked: width of both layers of its masked networks.
            generator: draws the start.
        """
        super().__init__(slopes, generator)
        batch, widths = len(slopes), (dim, hidden, hidden)
        self.encoder = _Softplus(batch, (*widths, 2 * dim), generator)
        self.decoder = _Softplus(batch, (*widths, dim), generator)
        masks = _masks(dim, (masked, masked))
        sizes = (dim, masked, masked, 2 * dim)
        made = [_Softplus(batch, sizes, generator, masks) for _ in range(stacks)]
        self.made = torch.nn.ModuleList(made)

    def encoder_output(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "B n 2*d"]:
        """A perceptron."""
        out: Tensor = self.encoder(x)
        return out

    def correction(self, z: Float[Tensor, "B n d"]) -> Float[Tensor, "B n d"]:
        """g(z) - z."""
        out: Tensor = self.decoder(z) - z
        return out

    def log_prior(self, z: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """Stack i maps u to roll(y, i) with y_j = u_j exp(a_j(y_<j)) + b_j(y_<j)."""
        log_det = torch.zeros_like(z[..., 0])
        for i, made in reversed(list(enumerate(self.made))):
            z = z.roll(-i, -1)
            shift, log_scale = made(z).chunk(2, -1)
            z = (z - shift) * (-log_scale).exp()
            log_det = log_det - log_scale.sum(-1)
        return _log_normal(z, torch.zeros_like(z), torch.ones_like(z)) + log_det

    @torch.no_grad()
    def sample_prior(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """n draws of p(z) of the only slope: coordinate by coordinate."""
        dim = self.decoder.sizes[0]
        u = _normal((1, n, dim), generator, generator.device)
        for i, made in enumerate(self.made):
            y = torch.zeros_like(u)
            for j in range(dim):
                shift, log_scale = made(y).chunk(2, -1)
                y[..., j] = u[..., j] * log_scale[..., j].exp() + shift[..., j]
            u = y.roll(i, -1)
        return u[0]


class _Softplus(torch.nn.Module):
    """B perceptrons with softplus layers; masks of ones and zeros, where given, hide weights."""

    def __init__(
        self,
        batch: int,
        sizes: Sequence[int],
        generator: Generator,
        masks: Sequence[Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        layers = [_affine(batch, i, o, generator) for i, o in pairwise(sizes)]
        self.weights = torch.nn.ParameterList(weight for weight, _ in layers)
        self.biases = torch.nn.ParameterList(bias for _, bias in layers)
        self.masks = None if masks is None else [m.to(generator.device) for m in masks]

    def forward(self, x: Tensor) -> Tensor:
        """(n, i) or (B, n, i) to (B, n, o)."""
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if layer:
                x = torch.nn.functional.softplus(x)
            x = x @ (weight if self.masks is None else weight * self.masks[layer]) + bias
        return x


def _masks(dim: int, hidden: Sequence[int]) -> list[Tensor]:
    """Masks (i, o) by which outputs j and d + j depend on inputs before j alone.

    Degrees of hidden units are spread evenly over 1 .. d - 1 (Germain et al. 2015).
    """
    inputs = torch.arange(1, dim + 1)
    degrees = [inputs]
    for width in hidden:
        inner = torch.linspace(1.0, max(dim - 1.0, 1.0), width + 2, dtype=torch.float64)[1:-1]
        degrees.append(inner.ceil().long())
    masks = [a[:, None] <= b for a, b in pairwise(degrees)]
    masks.append(degrees[-1][:, None] < inputs.repeat(2))
    return [mask.double() for mask in masks]


def _affine(
    batch: int, inputs: int, outputs: int, generator: Generator
) -> tuple[torch.nn.Parameter, torch.nn.Parameter]:
    """Glorot-uniform weights (B, i, o) and zero biases (B, 1, o), the same for all slopes."""
    limit, shape = math.sqrt(6.0 / (inputs + outputs)), (1, inputs, outputs)
    device = generator.device
    uniform = torch.rand(shape, generator=generator, device=device, dtype=torch.float64)
    bias = torch.zeros(batch, 1, outputs, dtype=torch.float64, device=device)
    weight = (limit * (2.0 * uniform - 1.0)).repeat(batch, 1, 1)
    return torch.nn.Parameter(weight), torch.nn.Parameter(bias)


def learning_rate(done: float) -> float:
    """The authors' factor: times 0.2 at 1/2, 3/4 and 7/8 of the training."""
    return float(0.2 ** sum(done >= part for part in (1 / 2, 3 / 4, 7 / 8)))


def looks_gaussian(x: Float[Tensor, "n d"]) -> bool:
    """Whether the kurtosis of draws is a Gaussian's within five errors (Mardia 1970).

    E |C^(-1/2) (X - m)|^4 = d (d + 2), with the standard error sqrt(8 d (d + 2) / n).
    """
    centred = x - x.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(x))
    kept = values > 1e-10 * values[-1]
    white, dim = (centred @ vectors)[:, kept] / values[kept].sqrt(), int(kept.sum())
    kurtosis, expected = float(white.square().sum(1).square().mean()), dim * (dim + 2.0)
    return abs(kurtosis - expected) < 5.0 * math.sqrt(8.0 * expected / len(x))


def _normal(shape: Sequence[int], generator: Generator, device: torch.device) -> Tensor:
    return torch.randn(tuple(shape), generator=generator, device=device, dtype=torch.float64)


def _log_normal(z: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return -0.5 * (((z - mean) / std).square() + 2.0 * std.log() + _LOG_2PI).sum(-1)
