"""From a trained generator to a test channel: float64 decoder, proposals, p(y|x), the claim."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.nerd.generator import ResidualGenerator
from rdbench.estimators.nerd.posterior import LatentEncoder, blocks, weighted_draws
from rdbench.estimators.nerd.training import Objective
from rdbench.inference.plug_in import appendix_a
from rdbench.inference.plug_in import blocks as pairwise_blocks
from rdbench.inference.reproduction import GoOn, always, parameters
from rdbench.inference.scaling import Scaling
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Claim, Density, Distortion, Encoder, Pushforward, TestChannel

_POOL = 16  # candidates for every draw of p(y|x) where latents are proposed
_SHARED_POOL = 16_384  # candidates that all symbols share where they are not
_CLAIM_LATENTS = 64
_CLAIM_DRAWS = 16_384
_ROWS = 4_000_000


@dataclass(frozen=True, eq=False)
class Finished:
    """A generator at one slope, in float64, with what is needed to draw from it."""

    net: ResidualGenerator
    prior: GaussianMixture
    scaling: Scaling
    distortion: Distortion
    beta: float
    """In the source's coordinates."""

    @property
    def slope(self) -> float:
        """beta in standard coordinates."""
        return self.scaling.beta(self.beta)

    @property
    def proposes(self) -> bool:
        """Whether latents are proposed symbol by symbol: squared error alone has the algebra."""
        return self.distortion.name == "squared_error"

    @property
    def parameters(self) -> int:
        """How many were fitted: the mixture that the affine part makes of the prior, the network.

        A network whose last layer is zero is none.
        """
        network = sum(p.numel() for p in self.net.parameters()) if bool(self.net.w3.any()) else 0
        return network + parameters(self.prior.size, self.prior.dim, tied=False)

    def decode(self, z: Tensor) -> Tensor:
        """g(z) in the source's coordinates."""
        return self.scaling.backward(self.net(z.double()))

    @torch.no_grad()
    def draw(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draws of q in standard coordinates."""
        y: Tensor = self.net(self.prior.sample(n, generator))
        return y

    def marginal(self) -> Pushforward:
        """q in the source's coordinates."""
        prior = None
        if self.prior.size > 1:
            prior = Density(sample=self.prior.sample, log_prob=self.prior.log_prob)
        return Pushforward(self.decode, self.prior.dim, prior, self.encoder())

    def encoder(self) -> Encoder | None:
        """Proposals from symbols in the source's coordinates."""
        if not self.proposes:
            return None
        inner, forward = LatentEncoder(self.net, self.prior, self.slope), self.scaling.forward
        return Encoder(
            sample=lambda x, m, g: inner.sample(forward(x), m, g),
            log_prob=lambda z, x: inner.log_prob(z, forward(x)),
        )

    def sample_conditional(self, x: Tensor, k: int, generator: Generator) -> Tensor:
        """Draws of p(y|x) by resampling weighted draws (Rubin 1988), a pool for every draw."""
        z = self.scaling.forward(x)
        if self.proposes:
            encoder = LatentEncoder(self.net, self.prior, self.slope)
            parts = [self._resampled(encoder, p, k, generator) for p in blocks(z, k * _POOL)]
            return self.scaling.backward(torch.cat(parts))
        y = self.draw(_SHARED_POOL, generator)
        picks = [
            torch.multinomial(
                torch.softmax(-self.slope * self.distortion.pairwise(part, y), 1),
                k,
                replacement=True,
                generator=generator,
            )
            for part in z.split(_ROWS // _SHARED_POOL)
        ]
        return self.scaling.backward(y[torch.cat(picks)])

    def _resampled(
        self, encoder: LatentEncoder, x: Tensor, k: int, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        m = k * _POOL
        y, log_w, _ = weighted_draws(self.net, self.prior, encoder, x, self.slope, m, generator)
        # The prior's draws come first: deal the pools so that each has its share of both.
        order = torch.randperm(m, generator=generator, device=x.device)
        pools = torch.softmax(log_w[:, order].reshape(len(x) * k, _POOL), 1)
        pick = torch.multinomial(pools, 1, generator=generator)
        y = y[:, order].reshape(len(x) * k, _POOL, -1)
        rows = torch.arange(len(y), device=x.device)
        return y[rows, pick[:, 0]].reshape(len(x), k, -1)


def finished(
    net: ResidualGenerator,
    prior: GaussianMixture,
    scaling: Scaling,
    distortion: Distortion,
    beta: float,
) -> Finished:
    """A frozen copy of ``net`` in float64."""
    frozen = copy.deepcopy(net).double()
    frozen.requires_grad_(False)
    return Finished(frozen, prior, scaling, distortion, beta)


def lagrangians(
    result: Finished,
    x: Float[Tensor, "n d"],
    objective: Objective,
    generator: Generator,
    few: bool = False,
    go_on: GoOn = always,
) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
    """-log Z^(x) and E[rho | x] on symbols in standard coordinates, by either estimate of Z(x).

    Both are unbiased estimates of Z, so the first lies above f(x) in expectation. ``few``: with
    a quarter of the draws, for comparisons. ``go_on`` is asked between blocks of symbols; on False
    those so far are returned.
    """
    f, spent = [], []
    if objective == "plug_in":
        y = result.draw(_CLAIM_DRAWS // (4 if few else 1), generator)
        for rho in pairwise_blocks(result.distortion, x, y):
            log_w = -result.slope * rho
            log_sum = torch.logsumexp(log_w, 1)
            f.append(math.log(len(y)) - log_sum)
            spent.append((torch.exp(log_w - log_sum[:, None]) * rho).sum(1))
            if not go_on():
                break
        return torch.cat(f), torch.cat(spent)
    latents = _CLAIM_LATENTS // (4 if few else 1)
    encoder = LatentEncoder(result.net, result.prior, result.slope)
    for part in blocks(x, latents):
        _, log_w, rho = weighted_draws(
            result.net, result.prior, encoder, part, result.slope, latents, generator
        )
        f.append(-torch.logsumexp(log_w, 1))
        spent.append((torch.softmax(log_w, 1) * rho).sum(1))
        if not go_on():
            break
    return torch.cat(f), torch.cat(spent)


def rate_of(result: Finished, x: Float[Tensor, "n d"], draws: int, generator: Generator) -> float:
    """The rate by the plug-in, which log ``draws`` bounds."""
    return appendix_a(result.distortion, x, result.draw(draws, generator), result.slope)[0]


def channel(result: Finished, claim: Claim, reason: str = "") -> TestChannel:
    """The test channel; ``reason`` says why training did not run to its end."""
    return TestChannel(
        beta=result.beta,
        marginal=result.marginal(),
        claim=claim,
        sample_conditional=result.sample_conditional,
        status="not_converged" if reason else "ok",
        reason=reason,
    )
