"""A plug-in for tests: an honest estimator of a Gaussian vector, and cheats on the same data.

The honest one fits a Gaussian to training data, takes the noise of slope beta out of its
covariance, and claims F(q), R and D in closed form on held-out data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from rdbench.types import (
    Atoms,
    Claim,
    Density,
    EstimatorInfo,
    Monitor,
    Pushforward,
    TestChannel,
    View,
)

Kind = Literal[
    "honest", "training_set", "bits", "mean_distortion", "constant", "memorised_noise", "plug_in",
    "scaled_distortion", "worthless_bound",
]  # fmt: skip
TRAIN = 20_000
HELD = 2000
MEMORY = 500
"""Training symbols that become atoms, and are evaluated on."""
NOISE = 4000
"""Latent draws that the generator was fitted to, and is evaluated with."""
PLUG_IN = 1000


def normal(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def factor(cov: Tensor) -> Tensor:
    lower: Tensor = torch.linalg.cholesky(cov)
    return lower


@dataclass(frozen=True)
class Gaussian:
    """q = N(mean, cov), and its test channel at slope beta under squared error in closed form."""

    mean: Tensor
    cov: Tensor
    beta: float

    @classmethod
    def fitted(cls, x: Tensor, beta: float) -> Gaussian:
        values, vectors = torch.linalg.eigh(torch.cov(x.T))
        kept = (values - 0.5 / beta).clamp(min=1e-6)
        return cls(x.mean(0), vectors @ torch.diag(kept) @ vectors.T, beta)

    @property
    def gain(self) -> Tensor:
        """Of the posterior mean."""
        noise = torch.eye(len(self.mean), dtype=torch.float64) / (2 * self.beta)
        gain: Tensor = torch.linalg.solve(self.cov + noise, self.cov)
        return gain

    def law(self) -> torch.distributions.MultivariateNormal:
        return torch.distributions.MultivariateNormal(self.mean, self.cov)

    def draw(self, n: int, generator: Generator) -> Tensor:
        return self.mean + normal((n, len(self.mean)), generator) @ factor(self.cov).T

    def conditional(self, x: Tensor, k: int, generator: Generator) -> Tensor:
        noise = factor(self.gain / (2 * self.beta))
        z = normal((len(x), k, x.shape[1]), generator)
        return (self.mean + (x - self.mean) @ self.gain)[:, None] + z @ noise.T

    def point(self, x: Tensor) -> tuple[float, float]:
        """R and D on the symbols x."""
        spread = torch.eye(x.shape[1], dtype=torch.float64) + 2 * self.beta * self.cov
        centred = x - self.mean
        inner = (centred * torch.linalg.solve(spread, centred.T).T).sum(1)
        lagrangian = float(self.beta * inner.mean() + 0.5 * torch.logdet(spread))
        left = centred - centred @ self.gain
        d = float(left.square().sum(1).mean() + torch.trace(self.gain) / (2 * self.beta))
        return lagrangian - self.beta * d, d


def plug_in(view: View, x: Tensor, y: Tensor, beta: float) -> tuple[float, float]:
    """R and D of equal weights on y, on the symbols x: the paper's Appendix A."""
    rho = view.distortion.pairwise(x, y)
    logits = -beta * rho
    lagrangian = -float((logits.logsumexp(1) - math.log(len(y))).mean())
    d = float((logits.softmax(1) * rho).sum(1).mean())
    return lagrangian - beta * d, d


@dataclass(frozen=True)
class Memory:
    """A generator that knows its training noise by heart, and nothing else."""

    noise: Tensor
    images: Tensor
    mean: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        distance = torch.cdist(z, self.noise, compute_mode="donot_use_mm_for_euclid_dist")
        nearest, index = distance.min(1)
        return torch.where((nearest < 1e-12)[:, None], self.images[index], self.mean)


@dataclass(frozen=True)
class Cheat:
    """One honest way to answer and eight others."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(summary="honest or not", citation="none")

    kind: Kind = "honest"

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel]:
        train, held = view.sample(TRAIN), view.sample(HELD)
        for beta in betas:
            yield self.answer(view, Gaussian.fitted(train, beta), train, held, generator)
            monitor.advance(0.0)

    def answer(
        self, view: View, q: Gaussian, train: Tensor, held: Tensor, generator: Generator
    ) -> TestChannel:
        beta = q.beta
        density = Density(q.draw, q.law().log_prob)
        rate, distortion = q.point(held)
        honest = TestChannel(beta, density, Claim(rate, distortion, "estimate"), q.conditional)
        match self.kind:
            case "honest":
                return honest
            case "bits":
                return claiming(honest, rate / math.log(2.0), distortion)
            case "mean_distortion":
                return claiming(honest, rate, distortion / view.dim)
            case "scaled_distortion":
                # R + beta D is right; R and D are of no channel.
                return claiming(honest, rate + 0.95 * beta * distortion, 0.05 * distortion)
            case "worthless_bound":
                claim = Claim(rate + 100.0, distortion, "upper")
                return TestChannel(beta, density, claim, q.conditional)
            case "plug_in":
                draws = q.draw(PLUG_IN, generator)
                return claiming(honest, *plug_in(view, held, draws, beta))
            case "training_set":
                # Each symbol finds itself among the atoms.
                points = train[:MEMORY]
                claim = Claim(*plug_in(view, points, points, beta), "estimate")
                weights = torch.full((MEMORY,), -math.log(MEMORY), dtype=torch.float64)
                return TestChannel(beta, Atoms(points, weights), claim, q.conditional)
            case "constant":
                spent = float((held - q.mean).square().sum(1).mean())
                atom = Atoms(q.mean[None], torch.zeros(1, dtype=torch.float64))
                claim = Claim(0.0, spent, "estimate")
                return TestChannel(beta, atom, claim, lambda x, k, _: q.mean.expand(len(x), k, -1))
            case "memorised_noise":
                noise = normal((NOISE, view.dim), generator)
                images = q.draw(NOISE, generator)
                claim = Claim(*plug_in(view, held, images, beta), "estimate")
                pushed = Pushforward(Memory(noise, images, q.mean), view.dim)
                return TestChannel(beta, pushed, claim, q.conditional)


def claiming(honest: TestChannel, rate: float, distortion: float) -> TestChannel:
    """The same channel with another claim."""
    claim = Claim(rate, distortion, "estimate")
    return TestChannel(honest.beta, honest.marginal, claim, honest.sample_conditional)
