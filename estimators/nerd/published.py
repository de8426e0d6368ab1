"""The authors' network and training (github.com/leieric/NERD-RCC), as preset ``paper``.

Their code for Gaussian sources: latents N(0, I_100), three linear layers with ReLU between them
and hidden width d, PyTorch's initial weights, Adam(0.5, 0.999), N latents that all symbols share,
drawn afresh at every step, and one network trained slope after slope, from high to low rate.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.nerd.training import Schedule, plug_in
from rdbench.inference.plug_in import appendix_a
from rdbench.types import Claim, Distortion, Monitor, Pushforward, Side, TestChannel, View

_LATENT_DIM = 100
_CLAIM_SYMBOLS = 2000
_CLAIM_DRAWS = 40_000
_CLAIM_PART = 200  # symbols between two questions whether to go on
_LATE_DRAWS = 8000  # after a stop
_POOL = 40_000
_ROWS = 100  # symbols whose pools are weighted at once


@dataclass(frozen=True, eq=False)
class _Draws:
    """Draws of q and of p(y|x) by the network, frozen in float64."""

    net: torch.nn.Module
    distortion: Distortion
    beta: float

    def decode(self, z: Float[Tensor, "n l"]) -> Float[Tensor, "n d"]:
        y: Tensor = self.net(z.double())
        return y

    @torch.no_grad()
    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        z = torch.randn(n, _LATENT_DIM, generator=generator, device=generator.device)
        return self.decode(z)

    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """Resampling of a pool that all symbols share: good to about log(pool) nats."""
        y = self.sample(_POOL, generator)
        picks = [
            torch.multinomial(
                torch.softmax(-self.beta * self.distortion.pairwise(part, y), 1),
                k,
                replacement=True,
                generator=generator,
            )
            for part in x.split(_ROWS)
        ]
        return y[torch.cat(picks)]


def fit_published(
    view: View,
    betas: Sequence[float],
    schedule: Schedule,
    generator: Generator,
    monitor: Monitor,
) -> Iterator[TestChannel]:
    """Train one network down the ladder, a copy of which is yielded at every slope."""
    net = _network(view.dim, generator)
    optimiser: torch.optim.Optimizer
    monitor.count(parameters=len(betas) * sum(p.numel() for p in net.parameters()))
    held = view.sample(_CLAIM_SYMBOLS).double()
    side: Side = "upper" if view.n_train is None else "estimate"
    running = True
    for place, beta in enumerate(sorted(betas, reverse=True)):
        optimiser = torch.optim.Adam(
            net.parameters(), lr=schedule.learning_rate, betas=(0.5, 0.999)
        )
        for i in range(schedule.iterations):
            running = running and monitor.advance((place + i / schedule.iterations) / len(betas))
            if not running:
                break
            _step(net, view, beta, schedule, optimiser, generator)
            monitor.count(gradient_steps=1)
            if i % 20 == 19:
                running = monitor.checkpoint(_builder(net, view, beta))
        frozen = _Draws(copy.deepcopy(net).double().requires_grad_(False), view.distortion, beta)
        y = frozen.sample(_CLAIM_DRAWS if running else _LATE_DRAWS, generator)
        points = []
        for part in held.split(_CLAIM_PART):
            points.append(appendix_a(view.distortion, part, y, beta))
            if not monitor.advance((place + 1) / len(betas)):
                break
        rate, spent = (sum(each) / len(points) for each in zip(*points, strict=True))
        yield _channel(frozen, Claim(rate, spent, side), running)


def _network(dim: int, generator: Generator) -> torch.nn.Sequential:
    """Linear layers with PyTorch's initial law, U(-1, 1) / sqrt(inputs), from ``generator``."""
    layers: list[torch.nn.Module] = []
    for inputs in (_LATENT_DIM, dim, dim):
        # skip_init leaves the global generator alone
        layer = torch.nn.utils.skip_init(torch.nn.Linear, inputs, dim, device=generator.device)
        with torch.no_grad():
            for p in layer.parameters():
                u = torch.rand(p.shape, generator=generator, device=generator.device)
                p.copy_((2.0 * u - 1.0) / math.sqrt(inputs))
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def _step(
    net: torch.nn.Module,
    view: View,
    beta: float,
    schedule: Schedule,
    optimiser: torch.optim.Optimizer,
    generator: Generator,
) -> None:
    x = view.sample(schedule.batch).double()
    z = torch.randn(schedule.draws, _LATENT_DIM, generator=generator, device=view.device)
    y, gradient = plug_in(net, x, z, beta, view.distortion)
    optimiser.zero_grad()
    y.backward(gradient.to(y.dtype))
    optimiser.step()


def _builder(net: torch.nn.Module, view: View, beta: float) -> Callable[[], list[TestChannel]]:
    def build() -> list[TestChannel]:
        frozen = _Draws(copy.deepcopy(net).double().requires_grad_(False), view.distortion, beta)
        return [_channel(frozen, Claim(math.nan, math.nan, "estimate"), True)]

    return build


def _channel(frozen: _Draws, claim: Claim, ended: bool) -> TestChannel:
    return TestChannel(
        beta=frozen.beta,
        marginal=Pushforward(frozen.decode, _LATENT_DIM),
        claim=claim,
        sample_conditional=frozen.sample_conditional,
        status="ok" if ended else "not_converged",
        reason="" if ended else "stopped before the end of training",
    )
