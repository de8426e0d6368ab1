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

from rdbench.sources.mixture import GaussianMixture
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


def fitted(x: Tensor, beta: float) -> GaussianMixture:
    """The Gaussian of the draws less the noise of slope beta."""
    values, vectors = torch.linalg.eigh(torch.cov(x.T))
    kept = (values - 0.5 / beta).clamp(min=1e-6)
    one = torch.ones(1, dtype=torch.float64)
    return GaussianMixture(one, x.mean(0)[None], ((vectors * kept) @ vectors.T)[None])


def point(q: GaussianMixture, x: Tensor, beta: float) -> tuple[float, float]:
    """R and D of the Gaussian q on the symbols x, under squared error."""
    noise = 0.5 / beta * torch.eye(q.dim, dtype=torch.float64)
    gain = torch.linalg.solve(q.covs[0] + noise, q.covs[0])
    centred = x - q.means[0]
    left = centred - centred @ gain
    d = float(left.square().sum(1).mean() + torch.trace(noise @ gain))
    return -float(q.log_partition(x, beta).mean()) - beta * d, d


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
            yield self.answer(view, beta, train, held, generator)
            monitor.advance(0.0)

    def answer(
        self, view: View, beta: float, train: Tensor, held: Tensor, generator: Generator
    ) -> TestChannel:
        q = fitted(train, beta)

        def conditional(x: Tensor, k: int, g: Generator) -> Tensor:
            return q.sample_conditional(x, k, beta, g)

        density = Density(q.sample, q.log_prob)
        rate, distortion = point(q, held, beta)
        honest = TestChannel(beta, density, Claim(rate, distortion, "estimate"), conditional)
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
                return TestChannel(beta, density, claim, conditional)
            case "plug_in":
                draws = q.sample(PLUG_IN, generator)
                return claiming(honest, *plug_in(view, held, draws, beta))
            case "training_set":
                # Each symbol finds itself among the atoms.
                points = train[:MEMORY]
                claim = Claim(*plug_in(view, points, points, beta), "estimate")
                weights = torch.full((MEMORY,), -math.log(MEMORY), dtype=torch.float64)
                return TestChannel(beta, Atoms(points, weights), claim, conditional)
            case "constant":
                variance = float((held - q.means).square().sum(1).mean())
                atom = Atoms(q.means, torch.zeros(1, dtype=torch.float64))
                claim = Claim(0.0, variance, "estimate")
                return TestChannel(beta, atom, claim, lambda x, k, _: q.means.expand(len(x), k, -1))
            case "memorised_noise":
                noise = torch.randn(NOISE, view.dim, generator=generator, dtype=torch.float64)
                images = q.sample(NOISE, generator)
                claim = Claim(*plug_in(view, held, images, beta), "estimate")
                pushed = Pushforward(Memory(noise, images, q.means[0]), view.dim)
                return TestChannel(beta, pushed, claim, conditional)


def claiming(honest: TestChannel, rate: float, distortion: float) -> TestChannel:
    """The same channel with another claim."""
    claim = Claim(rate, distortion, "estimate")
    return TestChannel(honest.beta, honest.marginal, claim, honest.sample_conditional)
