"""EBRD's Algorithm 1 as printed: fixed Langevin steps from N(0, I)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.ebrd.settings import Settings
from rdbench.inference.langevin import Potential, lemma_1, unadjusted
from rdbench.inference.networks import BatchedMLP
from rdbench.inference.plug_in import appendix_a
from rdbench.types import Claim, Energy, Monitor, TestChannel, View

PRINTED = {"squared_error": (50, 1.2e-2), "absolute_error": (80, 3.5e-2)}
"""K and epsilon by distortion."""
_CLAIM_SYMBOLS = 2000
_FEW_STEPS = 2  # Langevin steps between two looks at the budget


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


def fit_printed(
    config: Settings, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
) -> Iterator[TestChannel]:
    """Algorithm 1, all slopes as one batch."""
    network = BatchedMLP(len(betas), view.dim, config.hidden, generator, output_scale=1.0)
    energy = _PlainEnergy(network)
    slopes = torch.tensor(betas, dtype=torch.float64, device=view.device)
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate or 1e-3)
    monitor.count(parameters=sum(p.numel() for p in network.parameters()))
    iterations = max(1, round(config.iterations * monitor.effort))
    shape = (len(betas), config.batch, view.dim)

    def channels(claimed: tuple[Tensor, Generator] | None) -> Iterator[TestChannel]:
        for i, beta in enumerate(betas):
            one = _PlainEnergy(network.single(i).double())
            yield _printed_channel(config, view, one, beta, claimed)

    for iteration in range(iterations):

        def go_on(done: float = iteration / iterations) -> bool:
            return monitor.advance(done)

        x = view.sample(config.batch).expand(shape)
        target = lemma_1(energy.value_and_grad, view.distortion, x, slopes)
        starts = torch.randn((2, *shape), generator=generator, device=view.device)
        conditional = _langevin(config, view, target, starts[0], generator, go_on)
        marginal = _langevin(config, view, energy.value_and_grad, starts[1], generator, go_on)
        if not monitor.checkpoint(lambda: list(channels(None))):
            break  # chains that were cut short must not teach
        optimiser.zero_grad()
        (energy(conditional).mean(1) - energy(marginal).mean(1)).sum().backward()
        optimiser.step()
        monitor.count(gradient_steps=1)
    yield from channels((view.sample(_CLAIM_SYMBOLS), generator))


def _langevin(
    config: Settings,
    view: View,
    target: Potential,
    start: Float[Tensor, "B n d"],
    generator: Generator,
    go_on: Callable[[], bool] = lambda: True,
) -> Float[Tensor, "B n d"]:
    """K steps of size epsilon; asked every few of them whether to go on."""
    steps, epsilon = PRINTED[view.distortion.name]
    left, y = config.langevin_steps or steps, start
    while left > 0 and go_on():
        few = min(left, _FEW_STEPS)
        y = unadjusted(target, y, few, config.epsilon or epsilon, generator)
        left -= few
    return y


def _printed_channel(
    config: Settings,
    view: View,
    energy: _PlainEnergy,
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

    def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = energy.value_and_grad(y.double()[None])
        return value[0], grad[0]

    rate = spent = math.nan
    if claimed is not None:
        held, generator = claimed
        draws = sample(_CLAIM_SYMBOLS, generator)
        rate, spent = appendix_a(view.distortion, held, draws, beta)
    return TestChannel(
        beta=beta,
        marginal=Energy(sample=sample, value_and_grad=value_and_grad),
        claim=Claim(rate, spent, "estimate"),
        sample_conditional=sample_conditional,
    )
