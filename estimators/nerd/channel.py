"""From a trained generator to a test channel: float64 decoder, proposals, p(y|x), the claim.

All in standard coordinates.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.nerd.generator import ResidualGenerator
from rdbench.estimators.nerd.pieces import Pieces
from rdbench.estimators.nerd.posterior import (
    LatentEncoder,
    LatentPosterior,
    blocks,
    latent_posterior,
)
from rdbench.estimators.nerd.training import Objective
from rdbench.inference.plug_in import appendix_a
from rdbench.inference.plug_in import blocks as pairwise_blocks
from rdbench.inference.reproduction import GoOn, always, parameters
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Claim, Density, Distortion, Encoder, Pushforward, TestChannel

_NEWTON_STEPS = 8
_POOL = 16  # candidates for every draw of p(y|x) where latents are proposed
_SHARED_POOL = 16_384  # candidates that all symbols share where they are not
_CLAIM_LATENTS = 64
_CLAIM_DRAWS = 16_384
_ENTRIES = 4_000_000  # of rho(x, y) held at once


@dataclass(frozen=True, eq=False)
class Finished:
    """A generator at one slope, in float64, with what is needed to draw from it."""

    net: ResidualGenerator | Pieces
    prior: GaussianMixture
    distortion: Distortion
    beta: float
    posterior: Callable[[Tensor], LatentPosterior] | None
    """e(z|x): under squared error latents are proposed symbol by symbol."""

    @property
    def proposes(self) -> bool:
        """Whether there are such proposals."""
        return self.posterior is not None

    @property
    def parameters(self) -> int:
        """How many were fitted: the mixture that the affine part makes of the prior, the network.

        A network whose last layer is zero is none.
        """
        network = sum(p.numel() for p in self.net.parameters()) if bool(self.net.w3.any()) else 0
        return network + parameters(self.prior.size, self.prior.dim, tied=False)

    @property
    def encoder(self) -> LatentEncoder:
        """e(z|x), with its draws.

        Raises:
            ValueError: there are no proposals.
        """
        if self.posterior is None:
            raise ValueError("no latents are proposed under this distortion")
        return LatentEncoder(self.net, self.prior, self.beta, self.posterior)

    def decode(self, z: Tensor) -> Tensor:
        """g(z)."""
        y: Tensor = self.net(z.double())
        return y

    @torch.no_grad()
    def draw(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draws of q."""
        return self.decode(self.prior.sample(n, generator))

    def marginal(self) -> Pushforward:
        """q."""
        prior = encoder = None
        if self.prior.size > 1:
            prior = Density(sample=self.prior.sample, log_prob=self.prior.log_prob)
        if self.proposes:
            inner = self.encoder
            encoder = Encoder(inner.sample, inner.log_prob)
        return Pushforward(self.decode, self.prior.dim, prior, encoder)

    def sample_conditional(self, x: Tensor, k: int, generator: Generator) -> Tensor:
        """Draws of p(y|x) by resampling weighted draws (Rubin 1988), a pool for every draw."""
        if self.proposes:
            encoder = self.encoder
            parts = [self._resampled(encoder, p, k, generator) for p in blocks(x, k * _POOL)]
            return torch.cat(parts)
        y = self.draw(_SHARED_POOL, generator)
        return resampled(self.distortion, self.beta, x, y, k, generator)

    def _resampled(
        self, encoder: LatentEncoder, x: Tensor, k: int, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        m = k * _POOL
        y, log_w, _ = encoder.weighted_draws(x, m, generator)
        # The prior's draws come first: deal the pools so that each has as much of both.
        order = torch.randperm(m, generator=generator, device=x.device)
        pools = torch.softmax(log_w[:, order].reshape(len(x) * k, _POOL), 1)
        pick = torch.multinomial(pools, 1, generator=generator)
        y = y[:, order].reshape(len(x) * k, _POOL, -1)
        rows = torch.arange(len(y), device=x.device)
        return y[rows, pick[:, 0]].reshape(len(x), k, -1)


def finished(
    net: ResidualGenerator, prior: GaussianMixture, distortion: Distortion, beta: float
) -> Finished:
    """A frozen copy of a generator in float64.

    Args:
        net: the generator.
        prior: the law of its latents.
        distortion: rho.
        beta: the slope in nats per unit of distortion.
    """
    frozen = copy.deepcopy(net).double()
    frozen.requires_grad_(False)

    def posterior(x: Tensor) -> LatentPosterior:
        return latent_posterior(frozen, prior, x, beta, _NEWTON_STEPS)

    squared = distortion.name == "squared_error"
    return Finished(frozen, prior, distortion, beta, posterior if squared else None)


def resampled(
    distortion: Distortion,
    beta: float,
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "m d"],
    k: int,
    generator: Generator,
) -> Float[Tensor, "n k d"]:
    """Draws of p(y|x) from a pool that all symbols share: good to about log m nats.

    Args:
        distortion: rho.
        beta: the slope in nats per unit of distortion.
        x: symbols.
        y: draws of q.
        k: draws for every symbol.
        generator: the source of randomness.
    """
    picks = [
        torch.multinomial(
            torch.softmax(-beta * distortion.pairwise(part, y), 1),
            k,
            replacement=True,
            generator=generator,
        )
        for part in x.split(_ENTRIES // len(y))
    ]
    return y[torch.cat(picks)]


def lagrangians(
    result: Finished,
    x: Float[Tensor, "n d"],
    objective: Objective,
    generator: Generator,
    few: bool = False,
    go_on: GoOn = always,
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """-log Z^(x) and E[rho | x] on symbols, by either estimate of Z(x).

    Both are unbiased estimates of Z, so the first lies above f(x) in expectation, in nats.

    Args:
        result: the generator at one slope.
        x: symbols, (n, d).
        objective: how the inner expectation is taken.
        generator: the source of randomness.
        few: with a quarter of the draws, for comparisons.
        go_on: asked between blocks of symbols; on False those so far are returned.
    """
    f, distortion = [], []
    if objective == "plug_in":
        y = result.draw(_CLAIM_DRAWS // (4 if few else 1), generator)
        for rho in pairwise_blocks(result.distortion, x, y):
            log_w = -result.beta * rho
            log_sum = torch.logsumexp(log_w, 1)
            f.append(math.log(len(y)) - log_sum)
            distortion.append((torch.exp(log_w - log_sum[:, None]) * rho).sum(1))
            if not go_on():
                break
        return torch.cat(f), torch.cat(distortion)
    latents = _CLAIM_LATENTS // (4 if few else 1)
    encoder = result.encoder
    for part in blocks(x, latents):
        _, log_w, rho = encoder.weighted_draws(part, latents, generator)
        f.append(-torch.logsumexp(log_w, 1))
        distortion.append((torch.softmax(log_w, 1) * rho).sum(1))
        if not go_on():
            break
    return torch.cat(f), torch.cat(distortion)


def rate_of(result: Finished, x: Float[Tensor, "n d"], draws: int, generator: Generator) -> float:
    """The rate in nats by the plug-in, which log ``draws`` bounds.

    Args:
        result: the generator at one slope.
        x: symbols, (n, d).
        draws: N, how many reproductions all symbols share.
        generator: the source of randomness.
    """
    return appendix_a(result.distortion, x, result.draw(draws, generator), result.beta)[0]


def channel(result: Finished, claim: Claim) -> TestChannel:
    """The test channel."""
    return TestChannel(result.beta, result.marginal(), claim, result.sample_conditional)
