"""EBRD: one energy network per slope, trained by sampling (Wu et al.).

The reproduction marginal is q(y) = exp(-E(y)) / Z and, by Lemma 1, the test channel is
p(y|x) proportional to exp(-E(y) - beta rho(x, y)). The gradient of F(q) needs no Z (eq. 4):

    grad F = E_{x, y ~ p(y|x)} grad E(y) - E_{y ~ q} grad E(y).

``algorithm="reference"`` (default) puts an exactly drawn Gaussian mixture under the network and
moves both samples by Metropolis-adjusted Langevin steps of adapted size. ``algorithm="printed"``
is the paper's Algorithm 1: fixed Langevin steps from N(0, I), afresh at every iteration.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from rdbench.inference.em import select_mixture
from rdbench.inference.energies import ReferencedEnergy, ReferenceSampler, cosine, widened
from rdbench.inference.langevin import Potential, adapted, lemma_1, mala, unadjusted
from rdbench.inference.networks import BatchedMLP
from rdbench.inference.plug_in import appendix_a
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Claim,
    Energy,
    EstimatorInfo,
    Monitor,
    RdbenchError,
    Refusal,
    TestChannel,
    View,
)

_FLOOR = 1e-3  # smallest variance of a deconvolved reference, over the largest
_MIN_EFFECTIVE = 24.0  # effective draws per symbol that reweighting needs
_CLAIM_SYMBOLS = 2000
_CLAIM_DRAWS = 8
_PRINTED = {"squared_error": (50, 1.2e-2), "absolute_error": (80, 3.5e-2)}  # K, epsilon


@dataclass(frozen=True)
class EBRD:
    """Energy-based rate-distortion; the fields are hyper-parameters."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="energy-based model trained by Langevin sampling",
        citation="Wu, Xu, Chen, Wu, Zhang: Estimating Rate-Distortion Functions Using the "
        "Energy-Based Model",
        presets={"paper": {"algorithm": "printed", "hidden": 128, "learning_rate": 1e-3}},
        preset_notes={
            "paper": "Algorithm 1 as printed: K = 50 and epsilon = 1.2e-2 for squared error, "
            "K = 80 and 3.5e-2 for absolute error, chains from N(0, I). Not printed, our choice: "
            "the network (two SiLU layers of 128 plus |y|^2 / 200, so that q exists), N = 512, "
            "300 iterations of Adam at 1e-3, and K and epsilon for d > 1."
        },
        not_invariant=frozenset({"shift:paper", "scale:paper"}),
        colour="#0072B2",
        marker="o",
    )

    algorithm: Literal["reference", "printed"] = "reference"
    hidden: int = 64
    iterations: int = 300
    batch: int = 512
    learning_rate: float | None = None
    """Of the network; None: 7e-4 under squared error, where the reference does most of the work
    and more only adds noise, 2e-3 otherwise."""
    reference_rate: float | None = None
    """Of the reference; None: 2e-3 under squared error, 3e-2 otherwise, where the weight of
    the atom that low rates tend to has to be learned from a tenth."""
    averaging: float = 0.99
    """Decay of the running mean of the weights that is returned."""
    components: int = 8
    """Largest number of reference components; held-out likelihood chooses."""
    warm_draws: int = 20_000
    """Draws to which the reference is fitted before training."""
    marginal_steps: int = 2
    conditional_steps: int = 2
    langevin_steps: int | None = None
    """K of Algorithm 1; None: as printed for the distortion."""
    epsilon: float | None = None
    """Step size of Algorithm 1; None: as printed for the distortion."""

    def __post_init__(self) -> None:
        counts = ("hidden", "iterations", "batch", "components", "warm_draws", "langevin_steps")
        for name in (*counts, "marginal_steps", "conditional_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RdbenchError(f"ebrd: {name} must be at least 1, got {value}")
        for name in ("learning_rate", "reference_rate", "epsilon"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < math.inf:
                raise RdbenchError(f"ebrd: {name} must be positive, got {value}")
        if not 0.0 <= self.averaging < 1.0:
            raise RdbenchError(f"ebrd: averaging must lie in [0, 1), got {self.averaging}")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Train all slopes as one batch, then yield their channels."""
        supported = view.distortion.name in _PRINTED and view.alphabet is None
        reason = "ebrd needs beta > 0, R^d as reproduction space and squared or absolute error"
        positive = [beta for beta in betas if supported and beta > 0.0]
        for beta in betas:
            if beta not in positive:
                yield Refusal(beta, "unsupported", reason)
        if positive and self.algorithm == "printed":
            yield from _fit_printed(self, view, positive, generator, monitor)
        elif positive:
            yield from _fit_reference(self, view, positive, generator, monitor)


# --------------------------------------------------------------------------------------------
# the default: a mixture reference under the network


@dataclass(frozen=True, eq=False)
class _Task:
    """What the default trains on, in standard coordinates: slopes (B,) and the data."""

    config: EBRD
    view: View
    scaling: Scaling
    slopes: Float[Tensor, " B"]

    @property
    def conjugate(self) -> bool:
        """Whether p_ref(y|x) can be drawn exactly."""
        return self.view.distortion.name == "squared_error"

    def draw(self, n: int) -> Float[Tensor, "n d"]:
        """Fresh training draws."""
        return self.scaling.forward(self.view.sample(n))


def _fit_reference(
    config: EBRD, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel | Refusal]:
    warm = view.sample(config.warm_draws)
    if bool((warm == warm[0]).all()):
        yield from (Refusal(b, "unsupported", "the source is constant") for b in betas)
        return
    scaling = fit_scaling(warm, view.distortion)
    slopes = torch.tensor([scaling.beta(b) for b in betas], dtype=torch.float64, device=view.device)
    task = _Task(config, view, scaling, slopes)
    fitted = select_mixture(scaling.forward(warm), config.components, generator)
    # Taking the noise out of the fit is what the optimum does (reverse water-filling); without
    # it the low rates stay .02 to .05 nats above the truth. Absolute error has no such algebra:
    # there the reference only has to cover the tails and the atom that low rates tend to.
    starts = [
        fitted.deconvolved(0.5 / beta, _FLOOR) if task.conjugate else widened(fitted)
        for beta in slopes.tolist()
    ]
    energy = ReferencedEnergy(starts, config.hidden, generator)
    _train(task, energy, generator, monitor)
    held = view.sample(_CLAIM_SYMBOLS)
    for i, beta in enumerate(betas):
        yield _channel(task, energy.single(i), i, beta, held, generator)


def _train(task: _Task, energy: ReferencedEnergy, generator: Generator, monitor: Monitor) -> None:
    """Descend eq. (4) with persistent marginal chains, and keep the running mean of the weights."""
    config, n = task.config, task.config.batch
    network_rate = config.learning_rate or (7e-4 if task.conjugate else 2e-3)
    reference_rate = config.reference_rate or (2e-3 if task.conjugate else 3e-2)
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
    for iteration in range(iterations):
        if not monitor.advance(iteration / iterations):
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
            conditional, rate = _conditional(task, energy, sampler, x, tau_c, generator)
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
    sampler: ReferenceSampler,
    x: Float[Tensor, "n d"],
    tau: Float[Tensor, " B"],
    generator: Generator,
) -> tuple[Float[Tensor, "B n d"], Float[Tensor, " B"]]:
    """One draw of p(y|x) per slope and row of x, and the acceptance of its chain."""
    steps = task.config.conditional_steps
    wide = x.expand(len(task.slopes), *x.shape)
    target = lemma_1(energy.value_and_grad, task.view.distortion, wide, task.slopes)
    if task.conjugate:
        start = sampler.sample_conditional(wide.float(), generator)
        return mala(target, start, steps, tau, sampler.conditional_factor, generator)
    start = (wide + _noise(task, len(x), generator)).float()
    return mala(target, start, 4 * steps, tau, _noise_factor(task).float(), generator)


def _noise(task: _Task, n: int, generator: Generator) -> Float[Tensor, "B n d"]:
    """Draws of density proportional to exp(-beta rho(0, z)) for every slope."""
    rho, dim = task.view.distortion, task.view.dim
    return torch.stack([rho.noise(b, n, dim, generator) for b in task.slopes.tolist()])


def _noise_factor(task: _Task) -> Float[Tensor, "B d d"]:
    """A preconditioner of the width of exp(-beta |z|)."""
    eye = torch.eye(task.view.dim, dtype=torch.float64, device=task.view.device)
    return eye / (1.0 + task.slopes)[:, None, None]


@torch.no_grad()
def _shares(
    task: _Task, x: Float[Tensor, "n d"], marginal: Float[Tensor, "B m d"]
) -> tuple[Float[Tensor, "B m"], Bool[Tensor, " B"]]:
    """E_{p(y|x)} as weights on the marginal draws, and where chains must be used instead.

    Under absolute error reweighting is cheaper and more accurate than chains as long as it has
    enough effective draws, up to about 3 nats; under squared error exact starts win everywhere.
    """
    if task.conjugate:
        return torch.zeros_like(marginal[..., 0]), torch.ones_like(task.slopes, dtype=torch.bool)
    shares, effective = [], []
    for draws, beta in zip(marginal, task.slopes.tolist(), strict=True):
        posterior = torch.softmax(-beta * task.view.distortion.pairwise(x, draws), 1)
        effective.append((1.0 / posterior.square().sum(1)).mean())
        shares.append(posterior.mean(0))
    return torch.stack(shares).float(), torch.stack(effective) < _MIN_EFFECTIVE


def _channel(
    task: _Task,
    energy: ReferencedEnergy,
    index: int,
    beta: float,
    held: Float[Tensor, "n d"],
    generator: Generator,
) -> TestChannel:
    """Freeze one slope: its energy in float64, its samplers, its claim."""
    one = _Task(task.config, task.view, task.scaling, task.slopes[index : index + 1])
    scaling, slope = task.scaling, float(task.slopes[index])
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
        target = lemma_1(energy.value_and_grad, task.view.distortion, z[None], one.slopes)
        if task.conjugate:
            start = reference.sample_conditional(z, 1, slope, g).transpose(0, 1)
            y = settled(target, start, sampler.conditional_factor, 3, g)
        else:
            y = settled(target, z + _noise(one, len(z), g), _noise_factor(one), 20, g)
        return scaling.backward(y[0]).reshape(len(x), k, task.view.dim)

    if task.conjugate:
        rate, spent = _importance_point(energy, reference, scaling.forward(held), slope, generator)
        spent = scaling.distortion(spent)
    else:
        rate, spent = appendix_a(
            task.view.distortion, held, sample(_CLAIM_SYMBOLS, generator), beta
        )
    return TestChannel(
        beta=beta,
        marginal=Energy(sample=sample, value_and_grad=value_and_grad),
        claim=Claim(rate, spent, "estimate"),
        sample_conditional=sample_conditional,
    )


def _importance_point(
    energy: ReferencedEnergy,
    reference: GaussianMixture,
    x: Float[Tensor, "n d"],
    beta: float,
    generator: Generator,
) -> tuple[float, float]:
    """(R, D) by importance sampling from p_ref and p_ref(y|x): the weights are exp(-MLP)."""
    draws = reference.sample(10 * len(x), generator)
    log_z = torch.logsumexp(-energy.correction(draws[None])[0], 0) - math.log(len(draws))
    y = reference.sample_conditional(x, _CLAIM_DRAWS, beta, generator)
    log_w = -energy.correction(y.reshape(1, -1, x.shape[1])).reshape(len(x), _CLAIM_DRAWS)
    log_zx = reference.log_partition(x, beta) + torch.logsumexp(log_w, 1) - math.log(_CLAIM_DRAWS)
    rho = (y - x[:, None]).square().sum(-1)
    spent = float((torch.softmax(log_w, 1) * rho).sum(1).mean())
    return float(log_z - log_zx.mean()) - beta * spent, spent


# --------------------------------------------------------------------------------------------
# Algorithm 1 as printed


@dataclass(frozen=True)
class _PlainEnergy:
    """MLP(y) + |y|^2 / 200: a network alone need not have a finite Z."""

    network: BatchedMLP

    def __call__(self, y: Tensor) -> Tensor:
        out: Tensor = self.network(y) + 0.005 * y.square().sum(-1)
        return out

    def value_and_grad(self, y: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = self.network.value_and_grad(y)
        return value + 0.005 * y.square().sum(-1), grad + 0.01 * y


def _fit_printed(
    config: EBRD, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel]:
    network = BatchedMLP(len(betas), view.dim, config.hidden, generator, output_scale=1.0)
    energy = _PlainEnergy(network)
    slopes = torch.tensor(betas, dtype=torch.float64, device=view.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate or 1e-3)
    monitor.count(parameters=sum(p.numel() for p in network.parameters()))
    iterations = max(1, round(config.iterations * monitor.effort))
    shape = (len(betas), config.batch, view.dim)
    for iteration in range(iterations):
        if not monitor.advance(iteration / iterations):
            break
        x = view.sample(config.batch).expand(shape)
        target = lemma_1(energy.value_and_grad, view.distortion, x, slopes)
        conditional = _langevin(config, view, target, shape, generator)
        marginal = _langevin(config, view, energy.value_and_grad, shape, generator)
        optimiser.zero_grad()
        (energy(conditional).mean(1) - energy(marginal).mean(1)).sum().backward()
        optimiser.step()
        monitor.count(gradient_steps=1)
    held = view.sample(_CLAIM_SYMBOLS)
    for i, beta in enumerate(betas):
        yield _printed_channel(config, view, _PlainEnergy(network.single(i)), beta, held, generator)


def _langevin(
    config: EBRD, view: View, target: Potential, shape: tuple[int, int, int], generator: Generator
) -> Float[Tensor, "B n d"]:
    """K steps of size epsilon from N(0, I)."""
    steps, epsilon = _PRINTED[view.distortion.name]
    start = torch.randn(shape, generator=generator, device=view.device)
    return unadjusted(
        target, start, config.langevin_steps or steps, config.epsilon or epsilon, generator
    )


def _printed_channel(
    config: EBRD,
    view: View,
    energy: _PlainEnergy,
    beta: float,
    held: Float[Tensor, "n d"],
    generator: Generator,
) -> TestChannel:
    """The trained energy with the paper's own samplers, and its claim by Appendix A."""
    slope = torch.tensor([beta], dtype=torch.float64, device=view.device)

    def sample(n: int, g: Generator) -> Tensor:
        return _langevin(config, view, energy.value_and_grad, (1, n, view.dim), g)[0].double()

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        wide = x.repeat_interleave(k, 0)[None]
        target = lemma_1(energy.value_and_grad, view.distortion, wide, slope)
        y = _langevin(config, view, target, (1, len(x) * k, view.dim), g)
        return y.double().reshape(len(x), k, view.dim)

    def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = energy.value_and_grad(y[None].float())
        return value[0].double(), grad[0].double()

    rate, spent = appendix_a(view.distortion, held, sample(_CLAIM_SYMBOLS, generator), beta)
    return TestChannel(
        beta=beta,
        marginal=Energy(sample=sample, value_and_grad=value_and_grad),
        claim=Claim(rate, spent, "estimate"),
        sample_conditional=sample_conditional,
    )


ESTIMATOR = EBRD
