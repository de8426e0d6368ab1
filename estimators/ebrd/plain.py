"""EBRD without a mixture: E(y) = MLP(w) + |w|^2 / 20, w = y whitened.

The whitening is by the covariance that q would have on a Gaussian source (`_Proposals`). The
quadratic only makes Z finite; all structure is the network's. Descent is along eq. (4) with
persistent marginal chains (Tieleman 2008) moved by Metropolis-adjusted Langevin steps of adapted
size and by leaps between modes. E under p(y|x) is taken in two ways, because neither works
everywhere:

- below about 3 nats by *reweighting*: p(y|x) = q(y) exp(-beta rho) / Z_q(x) on the marginal draws
  themselves, which needs no second chain and cancels most of the noise of the first;
- above, where too few marginal draws lie near x, by chains that start near x: from p(y|x) of a
  Gaussian with that covariance, or under absolute error from x plus noise.

The weights that are returned are a running mean, under a learning rate that decays to nothing. The
claim is the paper's Appendix A, whose rate saturates at the logarithm of its 2,000 draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.network import Network, lemma_1
from rdbench.estimators.ebrd.settings import Settings
from rdbench.fitting import NO_CLAIM, RunningMean, Task, cosine, iterate, standardised, stopped
from rdbench.inference.langevin import Potential, adapted, mala
from rdbench.inference.plug_in import appendix_a
from rdbench.types import Claim, Energy, Monitor, Refusal, TestChannel, View

_LEARNING_RATE = 4e-3
_START = 0.3  # of the step size of all chains


@dataclass(frozen=True, eq=False)
class _Group:
    """Slopes (B,) that are trained as one batch."""

    config: Settings
    task: Task
    covariance: Float[Tensor, "d d"]
    slopes: Float[Tensor, " B"]
    chained: bool
    """Whether p(y|x) is drawn by chains rather than reweighted."""

    def only(self, rows: Sequence[int], chained: bool) -> _Group:
        """The same for some of the slopes."""
        return replace(self, slopes=self.slopes[list(rows)], chained=chained)


def fit_plain(
    config: Settings, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel | Refusal]:
    """Train the slopes in two batches, reweighted and chained, and yield their channels.

    Args:
        config: the hyper-parameters.
        view: the problem, under squared or absolute error.
        betas: positive slopes.
        generator: on ``view.device``.
        monitor: the budget.
    """

    def method(task: Task) -> Iterator[TestChannel]:
        return plain_channels(config, task)

    return standardised(method, view, betas, generator, monitor, warm=config.warm_draws)


def plain_channels(config: Settings, task: Task) -> Iterator[TestChannel]:
    """The channels of a problem in standard coordinates, the reweighted ones first."""
    z = task.warm
    slopes = torch.tensor(task.betas, dtype=torch.float64, device=task.device)
    everything = _Group(config, task, _covariance(z), slopes, chained=False)
    chained = _needs_chains(everything, z)
    rows = {kind: [i for i, c in enumerate(chained) if c is kind] for kind in (False, True)}
    groups = [everything.only(found, kind) for kind, found in rows.items() if found]
    for index, group in enumerate(groups):
        energy = Network(
            _Proposals(group).marginal,
            config.hidden,
            task.generator,
            curvature=config.curvature or 0.1,
            output_scale=0.1,
        )
        size = sum(p[0].numel() for p in energy.parameters())
        task.monitor.count(parameters=size * len(slopes))
        mean, states, done = _train(group, energy, (index, len(groups)))
        x = task.draws.claim(config.claim_draws or 2000)
        for i in range(len(group.slopes)):
            made = _channel(group, mean, states, i)
            drawn = made.marginal.sample(config.claim_draws or 2000, task.generator)
            claim = Claim(*appendix_a(task.distortion, x, drawn, made.beta), "estimate")
            made = replace(made, claim=claim)
            yield made if done else stopped(made)


def _covariance(z: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    """The sample covariance, regular even where draws are few or degenerate."""
    centred = z - z.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / max(len(z) - 1, 1))
    regular: Tensor = (vectors * values.clamp(min=1e-6 * float(values[-1]))) @ vectors.T
    return regular


def _needs_chains(group: _Group, z: Float[Tensor, "n d"]) -> list[bool]:
    """Where too few of ``batch`` marginal draws would be effective; the source stands in for q."""
    cut = min(256, len(z) // 2)  # no symbol may count as its own reproduction
    x, y = z[:cut], z[cut:][-group.config.batch :]
    out = []
    for beta in group.slopes.tolist():
        posterior = torch.softmax(-beta * group.task.distortion.pairwise(x, y), 1)
        effective = float((1.0 / posterior.square().sum(1)).mean())
        out.append(effective < group.config.effective_draws)
    return out


def _train(
    group: _Group, energy: Network, part: tuple[int, int]
) -> tuple[Network, Float[Tensor, "B n d"], bool]:
    """Descend eq. (4).

    Returns:
        The running mean of the energies, the states of their chains, and whether the budget lasted.
    """
    config, task, n, batch = group.config, group.task, group.config.batch, len(group.slopes)
    generator, warm = task.generator, task.warm
    rate = config.learning_rate or _LEARNING_RATE
    optimiser = torch.optim.Adam(energy.parameters(), lr=rate, betas=(0.5, 0.999))
    iterations = max(1, round(config.iterations * task.monitor.effort))
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: cosine(i / iterations))
    average = RunningMean(energy, config.averaging)
    proposal = _Proposals(group)
    picked = torch.randint(len(warm), (batch, n), generator=generator, device=warm.device)
    marginal = warm[picked].float()
    tau_m = torch.full((batch,), _START, device=warm.device)
    tau_c = tau_m.clone()

    def step(_: int) -> bool:
        nonlocal marginal, tau_m, tau_c
        x = task.draws.sample(n)
        marginal = _leap(energy, marginal, warm, generator)
        steps, potential = config.marginal_steps, energy.value_and_grad
        marginal, accepted = mala(potential, marginal, steps, tau_m, proposal.marginal, generator)
        tau_m = adapted(tau_m, accepted)
        optimiser.zero_grad()
        if group.chained:
            wide = x.expand(batch, n, -1)
            target = lemma_1(potential, task.distortion, wide, group.slopes)
            start = proposal.near(wide, generator).float()
            steps = 2 * config.conditional_steps
            under_p, accepted = mala(target, start, steps, tau_c, proposal.conditional, generator)
            tau_c = adapted(tau_c, accepted)
            value_p, value_q = energy(torch.cat([under_p, marginal], 1)).split(n, 1)
            loss = (value_p.mean(1) - value_q.mean(1)).sum()
        else:
            loss = ((_responsibilities(group, x, marginal) - 1.0 / n) * energy(marginal)).sum()
        loss.backward()
        optimiser.step()
        decay.step()
        average.update()
        return True

    def channels() -> list[TestChannel]:
        return [_channel(group, average.mean, marginal.clone(), i) for i in range(batch)]

    done = iterate(task.monitor, iterations, step, channels, part=part)
    return average.mean, marginal, done


@torch.no_grad()
def _leap(
    energy: Network,
    y: Float[Tensor, "B n d"],
    warm: Float[Tensor, "m d"],
    generator: Generator,
) -> Float[Tensor, "B n d"]:
    """A Metropolis step by the difference of two symbols, as in ter Braak (2006).

    The proposal is symmetric, needs no density, and joins modes between which Langevin steps do
    not pass: without it nothing holds the relative masses of modes in place.
    """
    shape = (2, *y.shape[:2])
    first, second = warm[torch.randint(len(warm), shape, generator=generator, device=y.device)]
    proposal = y + (first - second).float()
    u = torch.rand(y.shape[:2], generator=generator, device=y.device)
    accept = u.log() < energy(y) - energy(proposal)
    return torch.where(accept[..., None], proposal, y)


@torch.no_grad()
def _responsibilities(
    group: _Group, x: Float[Tensor, "n d"], marginal: Float[Tensor, "B m d"]
) -> Float[Tensor, "B m"]:
    """mean_x of p(y_j|x) on the marginal draws: their weights in the first term of eq. (4)."""
    rows = [
        torch.softmax(-beta * group.task.distortion.pairwise(x, y), 1).mean(0)
        for y, beta in zip(marginal, group.slopes.tolist(), strict=True)
    ]
    return torch.stack(rows).float()


class _Proposals:
    """Starts and preconditioners (B, d, d) of the chains of every slope.

    Under squared error q has on a Gaussian source the covariance S = (C - I / 2 beta)_+ (reverse
    water-filling), and p(y|x) the mean S (S + I / 2 beta)^-1 x and the covariance
    (S^-1 + 2 beta I)^-1. Elsewhere this is no more than the right scale, which is all that a
    Metropolis-adjusted chain asks for.
    """

    def __init__(self, group: _Group) -> None:
        squared = group.task.distortion.name == "squared_error"
        self._distortion, self._slopes = group.task.distortion, group.slopes
        values, vectors = torch.linalg.eigh(group.covariance)
        slopes = self._slopes[:, None]
        noise = 0.5 / slopes if squared else slopes.reciprocal()
        # A tenth of the noise left over keeps a direction that carries no rate from freezing.
        kept = torch.maximum(values - noise, 0.1 * torch.minimum(values, noise))
        if not squared:
            kept = values.expand_as(kept)
        variance = 1.0 / (1.0 / kept + (1.0 / noise if squared else slopes.square()))
        self.marginal = (vectors * kept.sqrt()[:, None, :]).float()
        self._root = vectors * variance.sqrt()[:, None, :]
        self.conditional = self._root.float()
        gain = (kept / (kept + noise))[:, None, :]
        self._gain = (vectors * gain) @ vectors.T if squared else None

    def near(self, x: Float[Tensor, "B n d"], generator: Generator) -> Float[Tensor, "B n d"]:
        """A start near every x: under absolute error x plus noise no wider than the source."""
        if self._gain is None:
            draws = [
                self._distortion.noise(1.0 + b, x.shape[1], x.shape[2], generator)
                for b in self._slopes.tolist()
            ]
            return x + torch.stack(draws)
        z = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        start: Tensor = x @ self._gain + z @ self._root.transpose(1, 2)
        return start


def _resampled(
    group: _Group, x: Float[Tensor, "n d"], draws: Float[Tensor, "m d"], generator: Generator
) -> Float[Tensor, "n d"]:
    """One of the draws of q for every x, by their weights."""
    slope, picked = float(group.slopes[0]), []
    for rows in x.split(1000):
        weights = torch.softmax(-slope * group.task.distortion.pairwise(rows, draws), 1)
        picked.append(torch.multinomial(weights, 1, generator=generator)[:, 0])
    return draws[torch.cat(picked)]


def _channel(
    group: _Group, energies: Network, states: Float[Tensor, "B n d"], index: int
) -> TestChannel:
    """Freeze one slope, without a claim: its energy in float64 and its samplers."""
    energy, one = energies.single(index), group.only([index], group.chained)
    proposal, kept = _Proposals(one), states[index].double()

    def settled(target: Potential, y: Tensor, factor: Tensor, rounds: int, g: Generator) -> Tensor:
        tau = torch.full((1,), _START, dtype=torch.float64, device=y.device)
        for _ in range(rounds):
            y, rate = mala(target, y, 4, tau, factor.double(), g)
            tau = adapted(tau, rate)
        return y[0]

    def sample(n: int, g: Generator) -> Tensor:
        picked = torch.randint(len(kept), (n,), generator=g, device=kept.device)
        return settled(energy.value_and_grad, kept[picked][None], proposal.marginal, 12, g)

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        z = x.repeat_interleave(k, 0)[None]
        target = lemma_1(energy.value_and_grad, group.task.distortion, z, one.slopes)
        start = proposal.near(z, g) if group.chained else _resampled(one, z[0], kept, g)[None]
        y = settled(target, start, proposal.conditional, 15, g)
        return y.reshape(len(x), k, group.task.dim)

    return TestChannel(
        beta=float(one.slopes[0]),
        marginal=Energy(sample, energy.of_one),
        claim=NO_CLAIM,
        sample_conditional=sample_conditional,
    )
