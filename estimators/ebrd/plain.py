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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.plain_energy import PlainEnergy
from rdbench.estimators.ebrd.settings import Settings
from rdbench.inference.energies import cosine
from rdbench.inference.langevin import Potential, adapted, lemma_1, mala
from rdbench.inference.plug_in import appendix_a
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.types import Claim, Energy, Monitor, Refusal, TestChannel, View

_CLAIM_SYMBOLS = 2000
_MIN_EFFECTIVE = 24.0  # effective draws per symbol that reweighting needs
_LEARNING_RATE = 4e-3
_START = 0.3  # of the step size of all chains
_NO_CLAIM = Claim(float("nan"), float("nan"), "estimate")


@dataclass(frozen=True, eq=False)
class _Task:
    """A group of slopes (B,) that are trained as one batch, in standard coordinates."""

    config: Settings
    view: View
    scaling: Scaling
    covariance: Float[Tensor, "d d"]
    slopes: Float[Tensor, " B"]
    chained: bool
    """Whether p(y|x) is drawn by chains rather than reweighted."""

    def draw(self, n: int) -> Float[Tensor, "n d"]:
        """Fresh training draws."""
        return self.scaling.forward(self.view.sample(n))

    def only(self, rows: Sequence[int], chained: bool) -> _Task:
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
    warm = view.sample(config.warm_draws)
    if bool((warm == warm[0]).all()):
        yield from (Refusal(b, "unsupported", "the source is constant") for b in betas)
        return
    scaling = fit_scaling(warm, view.distortion)
    z = scaling.forward(warm)
    slopes = torch.tensor([scaling.beta(b) for b in betas], dtype=torch.float64, device=view.device)
    task = _Task(config, view, scaling, _covariance(z), slopes, chained=False)
    chained = _needs_chains(task, z)
    groups = [[i for i, c in enumerate(chained) if c is kind] for kind in (False, True)]
    monitor.count(parameters=len(betas) * PlainEnergy.size(view.dim, config.hidden))
    done = 0
    for rows, kind in zip(groups, (False, True), strict=True):
        if rows:
            span = (done / len(betas), (done + len(rows)) / len(betas))
            part = task.only(rows, kind)
            energy = PlainEnergy(_Proposals(part).marginal, config.hidden, generator)
            own = [betas[i] for i in rows]
            states = _train(part, energy, z, span, own, generator, monitor)
            held = view.sample(_CLAIM_SYMBOLS)
            for j, i in enumerate(rows):
                yield _channel(part, energy, states, j, betas[i], held, generator)
            done += len(rows)


def _covariance(z: Float[Tensor, "n d"]) -> Float[Tensor, "d d"]:
    """The sample covariance, regular even where draws are few or degenerate."""
    centred = z - z.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / max(len(z) - 1, 1))
    regular: Tensor = (vectors * values.clamp(min=1e-6 * float(values[-1]))) @ vectors.T
    return regular


def _needs_chains(task: _Task, z: Float[Tensor, "n d"]) -> list[bool]:
    """Where too few of ``batch`` marginal draws would be effective; the source stands in for q."""
    x, y = z[:256], z[-task.config.batch :]
    out = []
    for beta in task.slopes.tolist():
        posterior = torch.softmax(-beta * task.view.distortion.pairwise(x, y), 1)
        out.append(float((1.0 / posterior.square().sum(1)).mean()) < _MIN_EFFECTIVE)
    return out


def _train(
    task: _Task,
    energy: PlainEnergy,
    warm: Float[Tensor, "m d"],
    span: tuple[float, float],
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
) -> Float[Tensor, "B n d"]:
    """Descend eq. (4); ``energy`` becomes the running mean. Returns the marginal chains' states."""
    config, n, batch = task.config, task.config.batch, len(task.slopes)
    rate = config.learning_rate or _LEARNING_RATE
    optimiser = torch.optim.Adam(energy.parameters(), lr=rate, betas=(0.5, 0.999))
    iterations = max(1, round(config.iterations * monitor.effort))
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: cosine(i / iterations))
    average = torch.optim.swa_utils.AveragedModel(energy, avg_fn=_running_mean(config.averaging))
    proposal = _Proposals(task)
    picked = torch.randint(len(warm), (batch, n), generator=generator, device=warm.device)
    marginal = warm[picked].float()
    tau_m = torch.full((batch,), _START, device=warm.device)
    tau_c = tau_m.clone()

    def build() -> list[TestChannel]:
        states = marginal.clone()
        return [
            _channel(task, cast(PlainEnergy, average.module), states, j, beta, None, None)
            for j, beta in enumerate(betas)
        ]

    for iteration in range(iterations):
        done = span[0] + (span[1] - span[0]) * iteration / iterations
        if not monitor.advance(done) or (iteration % 16 == 8 and not monitor.checkpoint(build)):
            break
        x = task.draw(n)
        marginal = _leap(energy, marginal, warm, generator)
        marginal, accepted = mala(
            energy.value_and_grad,
            marginal,
            config.marginal_steps,
            tau_m,
            proposal.marginal,
            generator,
        )
        tau_m = adapted(tau_m, accepted)
        optimiser.zero_grad()
        if task.chained:
            wide = x.expand(batch, n, -1)
            target = lemma_1(energy.value_and_grad, task.view.distortion, wide, task.slopes)
            start = proposal.near(wide, generator).float()
            steps = 2 * config.conditional_steps
            under_p, accepted = mala(target, start, steps, tau_c, proposal.conditional, generator)
            tau_c = adapted(tau_c, accepted)
            value_p, value_q = energy(torch.cat([under_p, marginal], 1)).split(n, 1)
            loss = (value_p.mean(1) - value_q.mean(1)).sum()
        else:
            loss = ((_shares(task, x, marginal) - 1.0 / n) * energy(marginal)).sum()
        loss.backward()
        optimiser.step()
        decay.step()
        average.update_parameters(energy)
        monitor.count(gradient_steps=1)
    energy.load_state_dict(average.module.state_dict())
    return marginal


@torch.no_grad()
def _leap(
    energy: PlainEnergy,
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


def _running_mean(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    def mean(old: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        # A plain mean at first, so that the start is forgotten at once.
        return torch.lerp(old, new, max(1.0 - decay, 1.0 / (int(count) + 1)))

    return mean


@torch.no_grad()
def _shares(
    task: _Task, x: Float[Tensor, "n d"], marginal: Float[Tensor, "B m d"]
) -> Float[Tensor, "B m"]:
    """mean_x of p(y_j|x) on the marginal draws: their weights in the first term of eq. (4)."""
    rows = [
        torch.softmax(-beta * task.view.distortion.pairwise(x, y), 1).mean(0)
        for y, beta in zip(marginal, task.slopes.tolist(), strict=True)
    ]
    return torch.stack(rows).float()


class _Proposals:
    """Starts and preconditioners (B, d, d) of the chains of every slope.

    Under squared error q has on a Gaussian source the covariance S = (C - I / 2 beta)_+ (reverse
    water-filling), and p(y|x) the mean S (S + I / 2 beta)^-1 x and the covariance
    (S^-1 + 2 beta I)^-1. Elsewhere this is no more than the right scale, which is all that a
    Metropolis-adjusted chain asks for.
    """

    def __init__(self, task: _Task) -> None:
        squared = task.view.distortion.name == "squared_error"
        self._task = task
        values, vectors = torch.linalg.eigh(task.covariance)
        noise = 0.5 / task.slopes[:, None] if squared else task.slopes[:, None].reciprocal()
        # A tenth of the noise left over keeps a direction that carries no rate from freezing.
        kept = torch.maximum(values - noise, 0.1 * torch.minimum(values, noise))
        if not squared:
            kept = values.expand_as(kept)
        variance = 1.0 / (1.0 / kept + (1.0 / noise if squared else task.slopes[:, None].square()))
        self.marginal = (vectors * kept.sqrt()[:, None, :]).float()
        self._root = vectors * variance.sqrt()[:, None, :]
        self.conditional = self._root.float()
        gain = (kept / (kept + noise))[:, None, :]
        self._gain = (vectors * gain) @ vectors.T if squared else None

    def near(self, x: Float[Tensor, "B n d"], generator: Generator) -> Float[Tensor, "B n d"]:
        """A start near every x."""
        if self._gain is None:
            return x + self._noise(x.shape[1], generator)
        z = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        start: Tensor = x @ self._gain + z @ self._root.transpose(1, 2)
        return start

    def _noise(self, n: int, generator: Generator) -> Float[Tensor, "B n d"]:
        """Draws of density proportional to exp(-(1 + beta) rho(0, z)): no wider than the source."""
        rho, dim, slopes = (
            self._task.view.distortion,
            self._task.view.dim,
            self._task.slopes.tolist(),
        )
        return torch.stack([rho.noise(1.0 + b, n, dim, generator) for b in slopes])


def _resampled(
    task: _Task, x: Float[Tensor, "n d"], draws: Float[Tensor, "m d"], generator: Generator
) -> Float[Tensor, "n d"]:
    """One of the draws of q for every x, by their weights."""
    slope, picked = float(task.slopes[0]), []
    for rows in x.split(1000):
        shares = torch.softmax(-slope * task.view.distortion.pairwise(rows, draws), 1)
        picked.append(torch.multinomial(shares, 1, generator=generator)[:, 0])
    return draws[torch.cat(picked)]


def _channel(
    task: _Task,
    energies: PlainEnergy,
    states: Float[Tensor, "B n d"],
    index: int,
    beta: float,
    held: Float[Tensor, "h d"] | None,
    generator: Generator | None,
) -> TestChannel:
    """Freeze one slope: its energy in float64, its samplers and, given data, its claim."""
    energy, one, scaling = energies.single(index), task.only([index], task.chained), task.scaling
    proposal, kept = _Proposals(one), states[index].double()

    def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = energy.value_and_grad(scaling.forward(y)[None])
        return value[0], grad[0] / scaling.scale

    def settled(target: Potential, y: Tensor, factor: Tensor, rounds: int, g: Generator) -> Tensor:
        tau = torch.full((1,), _START, dtype=torch.float64, device=y.device)
        for _ in range(rounds):
            y, rate = mala(target, y, 4, tau, factor.double(), g)
            tau = adapted(tau, rate)
        return y

    def sample(n: int, g: Generator) -> Tensor:
        picked = torch.randint(len(kept), (n,), generator=g, device=kept.device)
        y = settled(energy.value_and_grad, kept[picked][None], proposal.marginal, 12, g)
        return scaling.backward(y[0])

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        z = scaling.forward(x).repeat_interleave(k, 0)[None]
        target = lemma_1(energy.value_and_grad, task.view.distortion, z, one.slopes)
        start = proposal.near(z, g) if task.chained else _resampled(one, z[0], kept, g)[None]
        y = settled(target, start, proposal.conditional, 15, g)
        return scaling.backward(y[0]).reshape(len(x), k, task.view.dim)

    claim = _NO_CLAIM
    if held is not None and generator is not None:
        drawn = sample(_CLAIM_SYMBOLS, generator)
        claim = Claim(*appendix_a(task.view.distortion, held, drawn, beta), "estimate")
    return TestChannel(
        beta=beta,
        marginal=Energy(sample=sample, value_and_grad=value_and_grad),
        claim=claim,
        sample_conditional=sample_conditional,
    )
