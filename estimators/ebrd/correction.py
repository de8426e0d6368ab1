"""The network over a mixture reference: eq. (4) by importance sampling, and whether it is kept.

With q proportional to p_ref exp(-f), and p_ref, p_ref(y|x) drawn exactly,

    F(q) = log E_{p_ref} e^{-f} - E_x log E_{p_ref(y|x)} e^{-f} + F(p_ref),

whose gradient is eq. (4) with both expectations as self-normalised weights exp(-f). Where the
reference is nearly right the weights are nearly equal: no chain, no burn-in, little noise.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.settings import Settings
from rdbench.inference.energies import Correction, ReferenceSampler, cosine
from rdbench.inference.reproduction import GoOn, always
from rdbench.sources.mixture import GaussianMixture

_SHARES = (0.25, 0.5, 0.75, 1.0)
"""Of the network, by held-out F: half a correction is often better than all of its noise."""
_MARGIN = 1e-3  # nats that a network has to gain, and three standard errors of the gain
_HELD_DRAWS = 8  # of p_ref(y|x), per symbol
_MARGINAL_DRAWS = 20  # of p_ref, per symbol
_MASS_BLOCK = 20_000
_MASS_FEW = 100_000  # draws that tell what spread their weights have


@dataclass(frozen=True)
class Schedule:
    """How one training run spends its time."""

    iterations: int
    symbols: int
    draws: int
    rate: float


def train(
    correction: Correction,
    sampler: ReferenceSampler,
    draw: Callable[[int], Tensor],
    schedule: Schedule,
    config: Settings,
    generator: Generator,
    report: Callable[[float, Correction], bool],
) -> Correction:
    """Descend F, and return the running mean of the weights.

    Args:
        correction: the networks, trained in place.
        sampler: of the references.
        draw: training symbols in standard coordinates.
        schedule: iterations, symbols, draws of p_ref(y|x) per symbol, learning rate.
        config: averaging.
        generator: the source of randomness.
        report: told the fraction done and the running mean; on False training ends.
    """
    batch, n, k = len(sampler.means), schedule.symbols, schedule.draws
    optimiser = torch.optim.Adam(correction.parameters(), lr=schedule.rate, betas=(0.5, 0.999))
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: cosine(i / schedule.iterations))
    average = copy.deepcopy(correction)
    for iteration in range(schedule.iterations):
        x = draw(n).float().repeat_interleave(k, 0).expand(batch, n * k, -1)
        conditional = sampler.sample_conditional(x, generator)
        marginal = sampler.sample(n * k, generator)
        under_p, under_q = correction(torch.cat([conditional, marginal], 1)).split(n * k, 1)
        log_zx = torch.logsumexp(-under_p.reshape(batch, n, k), 2).mean(1)
        optimiser.zero_grad()
        (torch.logsumexp(-under_q, 1) - log_zx).sum().backward()
        optimiser.step()
        decay.step()
        # A plain mean at first, so that the start is forgotten at once.
        _move(average, correction, max(1.0 - config.averaging, 1.0 / (iteration + 1)))
        if not report((iteration + 1) / schedule.iterations, average):
            break
    return average


@torch.no_grad()
def _move(average: Correction, towards: Correction, by: float) -> None:
    for old, new in zip(average.parameters(), towards.parameters(), strict=True):
        old.lerp_(new, by)


@dataclass(frozen=True, eq=False)
class Scored:
    """F at some shares of the network, and what it is made of, on one set of draws."""

    lagrangian: Float[Tensor, " s"]
    distortion: Float[Tensor, " s"]
    error: Float[Tensor, " s"]
    """Standard errors of F - F(p_ref), both on these draws."""


@torch.no_grad()
def score(
    correction: Correction,
    reference: GaussianMixture,
    x: Float[Tensor, "n d"],
    beta: float,
    shares: Sequence[float],
    generator: Generator,
) -> Scored:
    """F of p_ref exp(-share f) for every share, by importance sampling; f is one network."""
    n, dim = x.shape
    f = torch.cat(
        [
            correction(part[None])[0]
            for part in reference.sample(_MARGINAL_DRAWS * n, generator).split(20_000)
        ]
    )
    y = reference.sample_conditional(x, _HELD_DRAWS, beta, generator)
    fx = correction(y.reshape(1, -1, dim))[0].reshape(n, _HELD_DRAWS)
    rho = (y - x[:, None]).square().sum(-1)
    base = -reference.log_partition(x, beta)
    rows = []
    for share in shares:
        weights = torch.exp(-share * (f - f.min()))
        log_z = float(weights.mean().log()) - share * float(f.min())
        spread = float(weights.std() / weights.mean()) / math.sqrt(len(f))
        log_zx = torch.logsumexp(-share * fx, 1) - math.log(_HELD_DRAWS)
        spent = (torch.softmax(-share * fx, 1) * rho).sum(1).mean()
        error = math.hypot(spread, float(log_zx.std()) / math.sqrt(n))
        rows.append((log_z + float((base - log_zx).mean()), float(spent), error))
    return Scored(*torch.tensor(rows, dtype=torch.float64).unbind(1))


@torch.no_grad()
def log_mass(
    tilt: Callable[[Tensor], Tensor],
    reference: GaussianMixture,
    wanted: float,
    most: int,
    generator: Generator,
    go_on: GoOn = always,
) -> tuple[float, float]:
    """log E_{p_ref} exp(-tilt) by exact draws of p_ref, and its standard error.

    Args:
        tilt: share f(y).
        reference: p_ref.
        wanted: the standard error at which no more is drawn.
        most: the most draws; where even they would not do, it ends with a few.
        generator: the source of randomness.
        go_on: asked between blocks, once there are a few; on False it ends.
    """
    n, first, second, error = 0, -math.inf, -math.inf, math.inf
    while n < most:
        part = min(_MASS_BLOCK, most - n)
        values = -tilt(reference.sample(part, generator))
        n += part
        # log sums of the weights and of their squares
        first = float(np.logaddexp(first, float(torch.logsumexp(values, 0))))
        if not math.isfinite(first):
            return math.nan, math.inf
        second = float(np.logaddexp(second, float(torch.logsumexp(2.0 * values, 0))))
        error = math.sqrt(max(0.0, math.exp(second - 2.0 * first) - 1.0 / n))
        hopeless = n * (error / wanted) ** 2 > most
        if n >= min(_MASS_FEW, most) and (error <= wanted or hopeless or not go_on()):
            break
    return first - math.log(n), error


def chosen_share(
    correction: Correction,
    reference: GaussianMixture,
    held: Float[Tensor, "n d"],
    beta: float,
    generator: Generator,
) -> float:
    """The share of the network with the least held-out F; 0 where none gains enough."""
    found = score(correction, reference, held, beta, (0.0, *_SHARES), generator)
    best = int(found.lagrangian.argmin())
    gain = float(found.lagrangian[0] - found.lagrangian[best])
    sure = math.isfinite(gain) and gain > max(_MARGIN, 3.0 * float(found.error[best]))
    return (0.0, *_SHARES)[best] if sure else 0.0
