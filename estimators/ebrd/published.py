"""EBRD's Algorithm 1 as published: fixed Langevin steps from N(0, I)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.network import Network, lemma_1
from rdbench.estimators.ebrd.settings import Settings
from rdbench.fitting import NO_CLAIM, split, stopped
from rdbench.inference.langevin import Potential
from rdbench.inference.plug_in import appendix_a
from rdbench.types import Claim, Energy, Monitor, Refusal, TestChannel, View

_PUBLISHED = {"squared_error": (50, 1.2e-2), "absolute_error": (80, 3.5e-2)}
"""K and epsilon by distortion."""
_FEW_STEPS = 2  # Langevin steps between two questions to the budget


@torch.no_grad()
def unadjusted(
    potential: Potential,
    y: Float[Tensor, "*b n d"],
    steps: int,
    epsilon: float,
    generator: Generator,
) -> Float[Tensor, "*b n d"]:
    """y <- y - (epsilon^2 / 2) grad + epsilon z, ``steps`` times (the paper, Algorithm 1).

    The total Langevin time is steps epsilon^2 / 2; exp(-U) is left invariant only as it is cut
    into ever smaller steps.

    Args:
        potential: U and its gradient.
        y: the states.
        steps: how many transitions.
        epsilon: their size.
        generator: the source of randomness.
    """
    for _ in range(steps):
        z = torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype)
        y = y - 0.5 * epsilon**2 * potential(y)[1] + epsilon * z
    return y


def fit_published(
    config: Settings, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel | Refusal]:
    """Algorithm 1, all slopes as one batch, in the source's own coordinates.

    Args:
        config: the hyper-parameters.
        view: the problem, under squared or absolute error.
        betas: positive slopes.
        generator: on ``view.device``.
        monitor: the budget.
    """
    draws = split(view, generator)
    eye = torch.eye(view.dim, device=view.device).expand(len(betas), -1, -1)
    energy = Network(
        eye, config.hidden, generator, curvature=config.curvature or 0.01, output_scale=1.0
    )
    slopes = torch.tensor(betas, dtype=torch.float64, device=view.device)
    optimiser = torch.optim.Adam(energy.parameters(), lr=config.learning_rate or 1e-3)
    monitor.count(parameters=sum(p.numel() for p in energy.parameters()))
    iterations = max(1, round(config.iterations * monitor.effort))
    shape = (len(betas), config.batch, view.dim)

    def channels(claimed: tuple[Tensor, Generator] | None) -> Iterator[TestChannel]:
        for i, beta in enumerate(betas):
            yield _channel(config, view, energy.single(i), beta, claimed)

    going = True
    for iteration in range(iterations):

        def go_on(done: float = iteration / iterations) -> bool:
            return monitor.advance(done)

        x = draws.sample(config.batch).expand(shape)
        target = lemma_1(energy.value_and_grad, view.distortion, x, slopes)
        starts = torch.randn((2, *shape), generator=generator, device=view.device)
        conditional = _langevin(config, view, target, starts[0], generator, go_on)
        marginal = _langevin(config, view, energy.value_and_grad, starts[1], generator, go_on)
        going = monitor.checkpoint(lambda: list(channels(None)))
        if not going:
            break  # chains that were cut short must not teach
        optimiser.zero_grad()
        (energy(conditional).mean(1) - energy(marginal).mean(1)).sum().backward()
        optimiser.step()
        monitor.count(gradient_steps=1)
    for made in channels((draws.claim(config.claim_draws or 2000), generator)):
        if math.isfinite(made.claim.rate):
            yield made if going else stopped(made)
        else:
            yield Refusal(made.beta, "not_converged", "the claim is not finite: steps too long")


def _langevin(
    config: Settings,
    view: View,
    target: Potential,
    start: Float[Tensor, "B n d"],
    generator: Generator,
    go_on: Callable[[], bool] = lambda: True,
) -> Float[Tensor, "B n d"]:
    """K steps of size epsilon; asked every few of them whether to go on."""
    steps, epsilon = _PUBLISHED[view.distortion.name]
    epsilon = config.epsilon or epsilon
    if config.epsilon_is == "time":  # e^2 / 2 is the time of a step of size e
        epsilon = math.sqrt(2.0 * epsilon)
    left, y = config.langevin_steps or steps, start
    while left > 0 and go_on():
        few = min(left, _FEW_STEPS)
        y = unadjusted(target, y, few, epsilon, generator)
        left -= few
    return y


def _channel(
    config: Settings,
    view: View,
    energy: Network,
    beta: float,
    claimed: tuple[Float[Tensor, "n d"], Generator] | None,
) -> TestChannel:
    """The trained energy with the paper's own samplers, and its claim by Appendix A."""
    slope = torch.tensor([beta], dtype=torch.float64, device=view.device)

    def start(n: int, g: Generator) -> Tensor:
        return torch.randn((1, n, view.dim), generator=g, device=g.device, dtype=torch.float64)

    def sample(n: int, g: Generator) -> Tensor:
        return _langevin(config, view, energy.value_and_grad, start(n, g), g)[0]

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        wide = x.double().repeat_interleave(k, 0)[None]
        target = lemma_1(energy.value_and_grad, view.distortion, wide, slope)
        y = _langevin(config, view, target, start(len(x) * k, g), g)
        return y.reshape(len(x), k, view.dim)

    claim = NO_CLAIM
    if claimed is not None:
        x, generator = claimed
        drawn = sample(config.claim_draws or 2000, generator)
        claim = Claim(*appendix_a(view.distortion, x, drawn, beta), "estimate")
    return TestChannel(
        beta=beta,
        marginal=Energy(sample, energy.of_one),
        claim=claim,
        sample_conditional=sample_conditional,
        q_is="energy network",
    )
