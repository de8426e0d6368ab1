"""The network over a mixture reference: eq. (4) by importance sampling, and whether it is kept.

With q proportional to p_ref exp(-f), and p_ref, p_ref(y|x) drawn exactly,

    F(q) = log E_{p_ref} e^{-f} - E_x log E_{p_ref(y|x)} e^{-f} + F(p_ref),

whose gradient is eq. (4) with both expectations as self-normalised weights exp(-f). Where the
reference is nearly right the weights are nearly equal: no chain, no burn-in, little noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.network import Network
from rdbench.estimators.ebrd.settings import Settings
from rdbench.fitting import RunningMean, cosine
from rdbench.inference.em import matrix_root
from rdbench.inference.reproduction import GoOn, always
from rdbench.sources.mixture import GaussianMixture

_STRENGTHS = (0.25, 0.5, 0.75, 1.0)
"""Strengths of the network that are tried: half a correction often beats all of its noise."""
_CONDITIONAL_DRAWS = 8  # of p_ref(y|x), per symbol
_MARGINAL_DRAWS = 20  # of p_ref, per symbol
_BLOCK = 20_000
_FIRST = 100_000  # draws that tell what spread their weights have


class ReferenceSampler:
    """Exact draws of p_ref and of p_ref(y|x) under squared error, batched over slopes.

    In float32. References of fewer components than the largest are filled up with some of weight
    zero.
    """

    def __init__(self, mixtures: Sequence[GaussianMixture], betas: Sequence[float]) -> None:
        size = max(mixture.size for mixture in mixtures)
        mixtures = [_padded(mixture, size) for mixture in mixtures]
        covs = torch.stack([m.covs for m in mixtures])
        self.weights = torch.stack([m.weights for m in mixtures]).float()
        self.means = torch.stack([m.means for m in mixtures]).float()
        slopes = torch.tensor(betas, dtype=torch.float64, device=covs.device)
        eye = torch.eye(covs.shape[-1], dtype=torch.float64, device=covs.device)
        noisy = covs + eye / (2.0 * slopes)[:, None, None, None]
        gain = covs @ torch.linalg.inv(noisy)
        posterior = gain / (2.0 * slopes)[:, None, None, None]
        self.root = matrix_root(covs).float()
        self.gain = gain.float()
        self.posterior_root = matrix_root(0.5 * (posterior + posterior.transpose(-1, -2))).float()
        self.noisy_inverse_root = torch.linalg.inv(torch.linalg.cholesky(noisy)).float()
        self.noisy_log_det = torch.linalg.slogdet(noisy).logabsdet.float()
        pooled = (self.weights.double()[..., None, None] * covs).sum(1)
        precision = torch.linalg.inv(pooled) + 2.0 * slopes[:, None, None] * eye
        self.factor = matrix_root(pooled).float()
        """Preconditioner of marginal chains (B, d, d)."""
        self.conditional_factor = matrix_root(torch.linalg.inv(precision)).float()
        """Preconditioner of conditional chains (B, d, d)."""

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "B n d"]:
        """n draws of every p_ref."""
        batch, dim = self.means.shape[0], self.means.shape[2]
        labels = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        rows = torch.arange(batch, device=labels.device)[:, None]
        z = torch.randn(batch, n, dim, generator=generator, device=labels.device)
        return self.means[rows, labels] + _apply(self.root, labels, z)

    def sample_conditional(
        self, x: Float[Tensor, "B n d"], generator: Generator
    ) -> Float[Tensor, "B n d"]:
        """One draw of p_ref(y|x) per row of x."""
        centred = x[:, None] - self.means[:, :, None]
        z = centred @ self.noisy_inverse_root.transpose(-1, -2)
        joint = self.weights.log()[..., None] - 0.5 * z.square().sum(-1)
        joint = joint - 0.5 * self.noisy_log_det[..., None]
        u = torch.rand(joint.shape, generator=generator, device=x.device)
        labels = (joint - torch.log(-torch.log(u.clamp(1e-20, 1.0 - 1e-7)))).argmax(1)
        rows = torch.arange(x.shape[0], device=x.device)[:, None]
        means = self.means[rows, labels]
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        return (
            means
            + _apply(self.gain, labels, x - means)
            + _apply(self.posterior_root, labels, noise)
        )


def _padded(mixture: GaussianMixture, size: int) -> GaussianMixture:
    lacking = size - mixture.size
    return GaussianMixture(
        torch.cat([mixture.weights, mixture.weights.new_zeros(lacking)]),
        torch.cat([mixture.means, mixture.means[:1].expand(lacking, -1)]),
        torch.cat([mixture.covs, mixture.covs[:1].expand(lacking, -1, -1)]),
    )


def _apply(
    matrices: Float[Tensor, "B K d d"], labels: Tensor, z: Float[Tensor, "B n d"]
) -> Float[Tensor, "B n d"]:
    """matrices[b, labels[b, i]] z[b, i], without gathering n matrices when K is small."""
    out = torch.zeros_like(z)
    for k in range(matrices.shape[1]):
        product = z @ matrices[:, k].transpose(-1, -2)
        out = torch.where((labels == k)[..., None], product, out)
    return out


@dataclass(frozen=True)
class Schedule:
    """How one training run spends its time."""

    iterations: int
    symbols: int
    draws: int
    """Draws of p_ref(y|x) per symbol."""
    rate: float


def train(
    network: Network,
    sampler: ReferenceSampler,
    draw: Callable[[int], Tensor],
    schedule: Schedule,
    averaging: float,
    generator: Generator,
    report: Callable[[float, Network], bool],
) -> Network:
    """Descend F, and return the running mean of the weights.

    Args:
        network: one per slope, trained in place.
        sampler: of the references.
        draw: ``draw(n)``: n training symbols (n, d).
        schedule: iterations, symbols, draws per symbol, learning rate.
        averaging: decay of the running mean.
        generator: the source of randomness.
        report: told the fraction done and the running mean; on False training ends.
    """
    batch, n, k = len(sampler.means), schedule.symbols, schedule.draws
    optimiser = torch.optim.Adam(network.parameters(), lr=schedule.rate, betas=(0.5, 0.999))
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: cosine(i / schedule.iterations))
    average = RunningMean(network, averaging)
    for iteration in range(schedule.iterations):
        x = draw(n).float().repeat_interleave(k, 0).expand(batch, n * k, -1)
        conditional = sampler.sample_conditional(x, generator)
        marginal = sampler.sample(n * k, generator)
        under_p, under_q = network(torch.cat([conditional, marginal], 1)).split(n * k, 1)
        log_zx = torch.logsumexp(-under_p.reshape(batch, n, k), 2).mean(1)
        optimiser.zero_grad()
        (torch.logsumexp(-under_q, 1) - log_zx).sum().backward()
        optimiser.step()
        decay.step()
        average.update()
        if not report((iteration + 1) / schedule.iterations, average.mean):
            break
    return average.mean


@dataclass(frozen=True, eq=False)
class Scored:
    """F at some strengths of the network, and what it is made of, on one set of draws."""

    lagrangian: Float[Tensor, " s"]
    distortion: Float[Tensor, " s"]
    error: Float[Tensor, " s"]
    """Standard errors of F - F(p_ref), both on these draws."""


@torch.no_grad()
def score(
    network: Network,
    reference: GaussianMixture,
    x: Float[Tensor, "n d"],
    beta: float,
    strengths: Sequence[float],
    generator: Generator,
) -> Scored:
    """F of p_ref exp(-a f) for every strength a, by importance sampling.

    Args:
        network: f, one.
        reference: p_ref.
        x: symbols that F is a mean over.
        beta: the slope.
        strengths: values of a.
        generator: the source of randomness.
    """
    n, dim = x.shape
    f = torch.cat(
        [
            network(part[None])[0]
            for part in reference.sample(_MARGINAL_DRAWS * n, generator).split(_BLOCK)
        ]
    )
    y = reference.sample_conditional(x, _CONDITIONAL_DRAWS, beta, generator)
    fx = network(y.reshape(1, -1, dim))[0].reshape(n, _CONDITIONAL_DRAWS)
    rho = (y - x[:, None]).square().sum(-1)
    base = -reference.log_partition(x, beta)
    rows = []
    for a in strengths:
        weights = torch.exp(-a * (f - f.min()))
        log_z = float(weights.mean().log()) - a * float(f.min())
        spread = float(weights.std() / weights.mean()) / math.sqrt(len(f))
        log_zx = torch.logsumexp(-a * fx, 1) - math.log(_CONDITIONAL_DRAWS)
        distortion = (torch.softmax(-a * fx, 1) * rho).sum(1).mean()
        error = math.hypot(spread, float(log_zx.std()) / math.sqrt(n))
        rows.append((log_z + float((base - log_zx).mean()), float(distortion), error))
    return Scored(*torch.tensor(rows, dtype=torch.float64).unbind(1))


@torch.no_grad()
def log_partition(
    tilt: Callable[[Tensor], Tensor],
    reference: GaussianMixture,
    wanted: float,
    most: int,
    generator: Generator,
    go_on: GoOn = always,
) -> tuple[float, float]:
    """log E_{p_ref} exp(-tilt) by exact draws of p_ref, and its standard error.

    Args:
        tilt: a f(y), (n, d) to (n,).
        reference: p_ref.
        wanted: the standard error in nats at which no more is drawn.
        most: the most draws; where even they would not do, it ends with a few.
        generator: the source of randomness.
        go_on: asked between blocks, once there are a few; on False it ends.
    """
    n, first, second, error = 0, -math.inf, -math.inf, math.inf
    while n < most:
        part = min(_BLOCK, most - n)
        values = -tilt(reference.sample(part, generator))
        n += part
        # log sums of the weights and of their squares
        first = float(np.logaddexp(first, float(torch.logsumexp(values, 0))))
        if not math.isfinite(first):
            return math.nan, math.inf
        second = float(np.logaddexp(second, float(torch.logsumexp(2.0 * values, 0))))
        error = math.sqrt(max(0.0, math.exp(second - 2.0 * first) - 1.0 / n))
        hopeless = n * (error / wanted) ** 2 > most
        if n >= min(_FIRST, most) and (error <= wanted or hopeless or not go_on()):
            break
    return first - math.log(n), error


def chosen_strength(
    network: Network,
    reference: GaussianMixture,
    held_out: Float[Tensor, "n d"],
    beta: float,
    config: Settings,
    generator: Generator,
) -> float:
    """The strength of the network with the least held-out F; 0 where none gains enough.

    Args:
        network: one, in float64.
        reference: p_ref.
        held_out: symbols that fitted neither.
        beta: the slope.
        config: the gain that is enough.
        generator: the source of randomness.
    """
    strengths = (0.0, *_STRENGTHS)
    found = score(network, reference, held_out, beta, strengths, generator)
    best = int(found.lagrangian.argmin())
    gain = float(found.lagrangian[0] - found.lagrangian[best])
    enough = max(config.network_gain, 3.0 * float(found.error[best]))
    return strengths[best] if math.isfinite(gain) and gain > enough else 0.0
