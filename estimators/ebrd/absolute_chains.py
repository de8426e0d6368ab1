"""EBRD under absolute error for dependent coordinates: a mixture reference and chains.

The reference starts wider than a fit to the source, with narrow components at the median: there is
no algebra that takes the noise out of it, as there is under squared error, and p_ref(y|x) is not
conjugate. Marginal chains are persistent, moved by jumps to draws of p_ref and by Langevin steps.
E under p(y|x) is reweighting of the marginal draws as long as enough of them are effective, up to
about 3 nats, and above it chains that start at x plus the noise exp(-beta |z|).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.settings import Settings
from rdbench.inference.em import select_mixture
from rdbench.inference.energies import ReferencedEnergy, ReferenceSampler, cosine, widened
from rdbench.inference.langevin import Potential, adapted, lemma_1, mala
from rdbench.inference.plug_in import appendix_a
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.types import Claim, Energy, Monitor, TestChannel, View

_CLAIM_SYMBOLS = 2000
_MIN_EFFECTIVE = 24.0  # effective draws per symbol that reweighting needs
_POOL = 4000  # draws of q among which chains of the finished channel start
_NO_CLAIM = Claim(math.nan, math.nan, "estimate")


@dataclass(frozen=True, eq=False)
class _Task:
    """What the default trains on, in standard coordinates: slopes (B,) and the data."""

    config: Settings
    view: View
    scaling: Scaling
    slopes: Float[Tensor, " B"]

    def draw(self, n: int) -> Float[Tensor, "n d"]:
        """Fresh training draws."""
        return self.scaling.forward(self.view.sample(n))


def fit_chains(
    config: Settings,
    view: View,
    warm: Float[Tensor, "n d"],
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
) -> Iterator[TestChannel]:
    """Train all slopes as one batch, then yield their channels.

    Args:
        config: the hyper-parameters.
        view: the problem, under absolute error.
        warm: draws to which the reference is fitted.
        betas: positive slopes.
        generator: on ``view.device``.
        monitor: the budget.
    """
    scaling = fit_scaling(warm, view.distortion)
    slopes = torch.tensor([scaling.beta(b) for b in betas], dtype=torch.float64, device=view.device)
    task = _Task(config, view, scaling, slopes)
    fitted = select_mixture(scaling.forward(warm), config.components, generator)
    # There is no algebra that takes the noise out of the fit, as there is under squared error: the
    # reference only has to cover the tails and the atom that low rates tend to.
    starts = [widened(fitted) for _ in betas]
    energy = ReferencedEnergy(starts, config.hidden, generator)
    _train(task, energy, betas, generator, monitor)
    held = view.sample(_CLAIM_SYMBOLS)
    for i, beta in enumerate(betas):
        channel = _channel(task, energy.single(i), i, beta, _NO_CLAIM)
        drawn = channel.marginal.sample(_CLAIM_SYMBOLS, generator)
        found = appendix_a(view.distortion, held, drawn, beta)
        yield replace(channel, claim=Claim(*found, "estimate"))


def _train(
    task: _Task,
    energy: ReferencedEnergy,
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
) -> None:
    """Descend eq. (4) with persistent marginal chains, and keep the running mean of the weights."""
    config, n = task.config, task.config.batch
    network_rate = config.learning_rate or 2e-3
    reference_rate = config.reference_rate or 3e-2
    groups = [
        {"params": energy.reference_parameters, "lr": reference_rate},
        {"params": list(energy.network.parameters()), "lr": network_rate},
    ]
    optimiser = torch.optim.Adam(groups, betas=(0.5, 0.999))
    iterations = max(1, round(config.iterations * monitor.effort))
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: cosine(i / iterations))
    average = torch.optim.swa_utils.AveragedModel(energy, avg_fn=_running_mean(config.averaging))
    monitor.count(parameters=sum(p.numel() for p in energy.parameters()))
    marginal = ReferenceSampler(energy.mixtures(), task.slopes).sample(n, generator)
    tau_m = torch.full_like(task.slopes, 0.3, dtype=torch.float32)
    tau_c = tau_m.clone()

    def build() -> list[TestChannel]:
        mean = cast(ReferencedEnergy, average.module)
        return [_channel(task, mean.single(i), i, b, _NO_CLAIM) for i, b in enumerate(betas)]

    for iteration in range(iterations):
        if not monitor.advance(iteration / iterations):
            break
        if iteration % 16 == 8 and not monitor.checkpoint(build):
            break
        x = task.draw(n)
        sampler = ReferenceSampler(energy.mixtures(), task.slopes)
        marginal = _jump(energy, marginal, sampler.sample(n, generator), generator)
        marginal, rate = mala(
            energy.value_and_grad, marginal, config.marginal_steps, tau_m, sampler.factor, generator
        )
        tau_m = adapted(tau_m, rate)
        shares, chained = _shares(task, x[: n // 2 + 1], marginal)
        conditional = marginal
        if bool(chained.any()):
            conditional, rate = _conditional(task, energy, x, tau_c, generator)
            tau_c = adapted(tau_c, rate)
        optimiser.zero_grad()
        under_p, under_q = energy(torch.cat([conditional, marginal], 1)).split(n, 1)
        mean_p = torch.where(chained, under_p.mean(1), (shares * under_q).sum(1))
        (mean_p - under_q.mean(1)).sum().backward()
        optimiser.step()
        decay.step()
        average.update_parameters(energy)
        monitor.count(gradient_steps=1)
    energy.load_state_dict(average.module.state_dict())


def _running_mean(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    def mean(old: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        # A plain mean at first, so that the start is forgotten at once.
        return torch.lerp(old, new, max(1.0 - decay, 1.0 / (int(count) + 1)))

    return mean


@torch.no_grad()
def _jump(
    energy: ReferencedEnergy,
    y: Float[Tensor, "B n d"],
    proposal: Float[Tensor, "B n d"],
    generator: Generator,
) -> Float[Tensor, "B n d"]:
    """Independence Metropolis with proposals from p_ref: only the network enters the ratio."""
    log_ratio = energy.correction(y) - energy.correction(proposal)
    u = torch.rand(log_ratio.shape, generator=generator, device=y.device, dtype=y.dtype)
    return torch.where((u.log() < log_ratio)[..., None], proposal, y)


def _conditional(
    task: _Task,
    energy: ReferencedEnergy,
    x: Float[Tensor, "n d"],
    tau: Float[Tensor, " B"],
    generator: Generator,
) -> tuple[Float[Tensor, "B n d"], Float[Tensor, " B"]]:
    """One draw of p(y|x) per slope and row of x, and the acceptance of its chain."""
    steps = task.config.conditional_steps
    wide = x.expand(len(task.slopes), *x.shape)
    target = lemma_1(energy.value_and_grad, task.view.distortion, wide, task.slopes)
    start = (wide + _noise(task, len(x), generator)).float()
    return mala(target, start, 4 * steps, tau, _noise_factor(task).float(), generator)


def _noise(task: _Task, n: int, generator: Generator) -> Float[Tensor, "B n d"]:
    """Draws of density proportional to exp(-(1 + beta) rho(0, z)): no wider than the source."""
    rho, dim = task.view.distortion, task.view.dim
    return torch.stack([rho.noise(1.0 + b, n, dim, generator) for b in task.slopes.tolist()])


def _noise_factor(task: _Task) -> Float[Tensor, "B d d"]:
    """A preconditioner of the width of exp(-beta |z|)."""
    eye = torch.eye(task.view.dim, dtype=torch.float64, device=task.view.device)
    return eye / (1.0 + task.slopes)[:, None, None]


@torch.no_grad()
def _shares(
    task: _Task, x: Float[Tensor, "n d"], marginal: Float[Tensor, "B m d"]
) -> tuple[Float[Tensor, "B m"], Bool[Tensor, " B"]]:
    """E_{p(y|x)} as weights on the marginal draws, and where chains must be used instead.

    Reweighting is cheaper and more accurate than chains as long as it has enough effective draws,
    up to about 3 nats.
    """
    shares, effective = [], []
    for draws, beta in zip(marginal, task.slopes.tolist(), strict=True):
        posterior = torch.softmax(-beta * task.view.distortion.pairwise(x, draws), 1)
        effective.append((1.0 / posterior.square().sum(1)).mean())
        shares.append(posterior.mean(0))
    return torch.stack(shares).float(), torch.stack(effective) < _MIN_EFFECTIVE


def _resampled(
    task: _Task, x: Float[Tensor, "n d"], draws: Float[Tensor, "m d"], generator: Generator
) -> Float[Tensor, "n d"] | None:
    """One of the draws of q for every x, by their weights; ``None`` where too few are effective."""
    slope, picked, effective = float(task.slopes[0]), [], 0.0
    for rows in x.split(1000):
        shares = torch.softmax(-slope * task.view.distortion.pairwise(rows, draws), 1)
        effective += float((1.0 / shares.square().sum(1)).sum())
        picked.append(torch.multinomial(shares, 1, generator=generator)[:, 0])
    return draws[torch.cat(picked)] if effective >= _MIN_EFFECTIVE * len(x) else None


def _channel(
    task: _Task,
    energy: ReferencedEnergy,
    index: int,
    beta: float,
    claim: Claim,
) -> TestChannel:
    """Freeze one slope: its energy in float64 and its samplers."""
    one = _Task(task.config, task.view, task.scaling, task.slopes[index : index + 1])
    scaling = task.scaling
    reference = energy.mixtures()[0]
    sampler = ReferenceSampler([reference], one.slopes)

    def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = energy.value_and_grad(scaling.forward(y)[None])
        return value[0], grad[0] / scaling.scale

    def settled(target: Potential, y: Tensor, factor: Tensor, rounds: int, g: Generator) -> Tensor:
        tau = torch.full((1,), 0.3, dtype=torch.float64, device=y.device)
        for _ in range(rounds):
            y, rate = mala(target, y, 4, tau, factor.double(), g)
            tau = adapted(tau, rate)
        return y

    def sample(n: int, g: Generator) -> Tensor:
        y = reference.sample(n, g)[None]
        for _ in range(6):
            y = _jump(energy, y, reference.sample(n, g)[None], g)
            y = settled(energy.value_and_grad, y, sampler.factor, 1, g)
        return scaling.backward(y[0])

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        z = scaling.forward(x).repeat_interleave(k, 0)
        start = _resampled(one, z, scaling.forward(sample(_POOL, g)), g)
        if start is None:
            start = z + _noise(one, len(z), g)[0]
        target = lemma_1(energy.value_and_grad, task.view.distortion, z[None], one.slopes)
        y = settled(target, start[None], _noise_factor(one), 20, g)
        return scaling.backward(y[0]).reshape(len(x), k, task.view.dim)

    return TestChannel(
        beta=beta,
        marginal=Energy(sample=sample, value_and_grad=value_and_grad),
        claim=claim,
        sample_conditional=sample_conditional,
    )
