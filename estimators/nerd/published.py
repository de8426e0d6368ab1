"""The authors' network and training (github.com/leieric/NERD-RCC), as preset ``paper``.

Their code for Gaussian sources: latents N(0, I_100), three linear layers with ReLU between them
and hidden width d, PyTorch's initial weights, Adam(0.5, 0.999), N latents that all symbols share,
drawn afresh at every step, and one network trained slope after slope, from high to low rate.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.estimators.nerd.channel import resampled
from rdbench.estimators.nerd.settings import Settings
from rdbench.estimators.nerd.training import plug_in
from rdbench.fitting import NO_CLAIM, iterate, split, stopped
from rdbench.inference.plug_in import appendix_a
from rdbench.types import (
    Atoms,
    Claim,
    Distortion,
    Monitor,
    Pushforward,
    Refusal,
    Start,
    TestChannel,
    View,
)

_LATENT_DIM = 100
_PUBLISHED = (20, 40)  # dimensions of Gaussians
_START_ATOMS = 2000
_CLAIM_DRAWS = 40_000
_CLAIM_PART = 200  # symbols between two questions whether to go on
_LATE_DRAWS = 8000  # after a stop
_POOL = 40_000


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
        y = self.sample(_POOL, generator)
        return resampled(self.distortion, self.beta, x, y, k, generator)


def fit_published(
    config: Settings,
    view: View,
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
) -> Iterator[TestChannel | Refusal]:
    """Train one network down the ladder, a copy of which is yielded at every slope.

    In the source's coordinates, as the authors do.

    Args:
        config: lengths and rates.
        view: the problem.
        betas: slopes in nats per unit of distortion.
        generator: the randomness of the fit.
        monitor: progress, checkpoints and the budget.
    """
    units = f"nothing was published for d = {view.dim}: layers of {view.dim} units"
    reason = "" if view.dim in _PUBLISHED else units
    net, draws = _network(view.dim, generator), split(view, generator)
    first = _frozen(net, view, 0.0).sample(_START_ATOMS, Generator(view.device).manual_seed(0))
    even = first.new_full((len(first),), -math.log(len(first)))
    start = Start(Atoms(first, even), "draws of a random generator")
    monitor.count(parameters=len(betas) * sum(p.numel() for p in net.parameters()))
    claimed_on = draws.claim(config.claim_draws).double()
    running, steps = True, config.steps(monitor.effort)
    for place, beta in enumerate(sorted(betas, reverse=True)):
        optimiser = torch.optim.Adam(net.parameters(), lr=config.learning_rate, betas=(0.5, 0.999))

        def step(_: int, beta: float = beta, adam: torch.optim.Optimizer = optimiser) -> bool:
            x = draws.sample(config.batch).double()
            z = torch.randn(config.draws, _LATENT_DIM, generator=generator, device=view.device)
            y, gradient = plug_in(net, x, z, beta, view.distortion)
            adam.zero_grad()
            y.backward(gradient.to(y.dtype))
            adam.step()
            return True

        def channels(beta: float = beta) -> list[TestChannel]:
            return [_channel(_frozen(net, view, beta), NO_CLAIM)]

        part = (place, len(betas))
        running = running and iterate(monitor, steps, step, channels, part=part)
        if not all(bool(p.isfinite().all()) for p in net.parameters()):
            yield Refusal(beta, "not_converged", "the weights of the network are not finite")
            continue
        frozen = _frozen(net, view, beta)
        y = frozen.sample(_CLAIM_DRAWS if running else _LATE_DRAWS, generator)
        points, weights = [], []
        for symbols in claimed_on.split(_CLAIM_PART):
            points.append(appendix_a(view.distortion, symbols, y, beta))
            weights.append(len(symbols) / _CLAIM_PART)  # the last part may be smaller
            if not monitor.advance((place + 1) / len(betas)):
                break
        rate, distortion = np.average(points, axis=0, weights=weights).tolist()
        answer = _channel(frozen, Claim(rate, distortion, draws.side))
        answer = replace(answer, start=start, reason=reason)
        yield answer if running else stopped(answer)


def _frozen(net: torch.nn.Module, view: View, beta: float) -> _Draws:
    return _Draws(copy.deepcopy(net).double().requires_grad_(False), view.distortion, beta)


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


def _channel(frozen: _Draws, claim: Claim) -> TestChannel:
    marginal = Pushforward(frozen.decode, _LATENT_DIM)
    conditional = frozen.sample_conditional
    return TestChannel(frozen.beta, marginal, claim, conditional, q_is="generator network")
