"""Standard coordinates: a method trains on (x - centre) / scale, its channels are mapped back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.fitting.splits import Split, split
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.types import (
    Atoms,
    Claim,
    Density,
    Distortion,
    Encoder,
    Energy,
    Factor,
    Gaussians,
    Marginal,
    Monitor,
    Product,
    Refusal,
    TestChannel,
    Unsupported,
    View,
)

_UNRESOLVED = "its distortions are below the resolution of double precision"
_FLAT = "beta times any distortion is below the resolution of double precision: R(D) is zero there"
NO_CLAIM = Claim(math.nan, math.nan, "estimate")
"""The claim of a channel that is offered as a checkpoint: nothing reads it."""


@dataclass(frozen=True, eq=False)
class Task:
    """A problem as a method sees it: everything in standard coordinates.

    What it yields, claims included, is in these coordinates too and is mapped back afterwards.
    """

    dim: int
    distortion: Distortion
    """Homogeneous: rho(s x, s y) = s^p rho(x, y), and beta rho does not change."""
    device: torch.device
    betas: tuple[float, ...]
    """Slopes in nats per unit of distortion in standard coordinates, in the order asked for."""
    warm: Float[Tensor, "n d"]
    """The first draws to fit to, from which centre and scale were taken."""
    draws: Split
    scale: float
    """How long a unit of standard coordinates is in the source's."""
    generator: Generator
    monitor: Monitor
    """It takes channels in standard coordinates as checkpoints."""

    def go_on(self) -> bool:
        """Whether the budget lasts, asked where there is no fraction to tell."""
        return self.monitor.advance(0.0)


Method = Callable[[Task], Iterator[TestChannel | Refusal]]


def standardised(
    method: Method,
    view: View,
    betas: Sequence[float],
    generator: Generator,
    monitor: Monitor,
    *,
    warm: int,
    ahead: tuple[int, int, int] | None = None,
    scaled: bool = True,
) -> Iterator[TestChannel | Refusal]:
    """The channels of a method that works in standard coordinates, in those of the source.

    Slopes whose distortions no double can tell from zero beside the source are refused: in standard
    coordinates beta > eps^-p, eps = 2.2e-16, where p is 2 under squared and 1 under absolute error;
    and those at which beta rho is nothing at all, beta < eps^p.

    Args:
        method: yields channels and refusals with the slopes of its task.
        view: the problem.
        betas: slopes in nats per unit of distortion.
        generator: the randomness of the fit.
        monitor: progress, checkpoints and the budget.
        warm: the most draws from which centre and scale are taken, and that ``Task.warm`` holds.
        ahead: the sizes of all parts of the split where they are drawn in one go.
        scaled: False leaves the coordinates as they are.

    Raises:
        Unsupported: all draws are equal, or there are too few fixed points.
    """
    if not betas:
        return
    draws = split(view, generator, ahead)
    first = draws.distinct(warm)
    if bool((first == first[0]).all()):
        raise Unsupported("all draws to fit to are equal")
    scaling = fit_scaling(first, view.distortion)
    unit, finest = scaling.beta(1.0), torch.finfo(torch.float64).eps ** -scaling.power
    unresolved = {beta: _UNRESOLVED for beta in betas if beta * unit > finest}
    unresolved |= {beta: _FLAT for beta in betas if beta * unit < 1.0 / finest}
    yield from (Refusal(beta, "unsupported", why) for beta, why in unresolved.items())
    if not scaled:
        scaling = Scaling(torch.zeros_like(scaling.centre), 1.0, scaling.power)
    given = {scaling.beta(beta): beta for beta in betas if beta not in unresolved}
    if not given:
        return

    def back(answer: TestChannel | Refusal) -> TestChannel | Refusal:
        answer = replace(answer, beta=given[answer.beta])
        return answer if isinstance(answer, Refusal) else mapped_back(answer, scaling)

    task = Task(
        dim=view.dim,
        distortion=view.distortion,
        device=view.device,
        betas=tuple(given),
        warm=scaling.forward(first),
        draws=draws.mapped(scaling.forward),
        scale=scaling.scale,
        generator=generator,
        monitor=_MappedMonitor(monitor, back),
    )
    yield from map(back, method(task))


@dataclass(frozen=True, eq=False)
class _MappedMonitor:
    """The monitor, told of channels in the source's coordinates."""

    inner: Monitor
    back: Callable[[TestChannel], TestChannel | Refusal]

    @property
    def effort(self) -> float:
        return self.inner.effort

    def advance(self, done: float) -> bool:
        return self.inner.advance(done)

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
        def mapped() -> list[TestChannel]:
            return [c for c in map(self.back, build()) if isinstance(c, TestChannel)]

        return self.inner.checkpoint(mapped)

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        self.inner.count(gradient_steps=gradient_steps, parameters=parameters)


def mapped_back(channel: TestChannel, scaling: Scaling) -> TestChannel:
    """A channel in standard coordinates as one in the source's; its ``beta`` stays as it is."""
    forward, backward = scaling.forward, scaling.backward
    inner, claim = channel.sample_conditional, channel.claim

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        return backward(inner(forward(x), k, g))

    marginal, start = _marginal(channel.marginal, scaling), channel.start
    if start is not None:
        begun = marginal if channel.is_start else _marginal(start.marginal, scaling)
        start = replace(start, marginal=begun)
    return replace(
        channel,
        marginal=marginal,
        start=start,
        claim=replace(claim, distortion=scaling.distortion(claim.distortion)),
        sample_conditional=sample_conditional,
    )


def _scaled(factor: Factor, scale: float) -> Factor:
    spread = None if factor.variances is None else scale**2 * factor.variances
    return replace(factor, points=scale * factor.points, variances=spread)


def _marginal(q: Marginal, scaling: Scaling) -> Marginal:
    forward, backward = scaling.forward, scaling.backward
    if isinstance(q, Atoms):
        return Atoms(backward(q.points), q.log_weights)
    if isinstance(q, Product):
        return Product(backward(q.centre), tuple(_scaled(f, scaling.scale) for f in q.factors))
    if isinstance(q, Gaussians):
        return Gaussians(q.weights, backward(q.means), scaling.scale**2 * q.covs)
    if isinstance(q, Energy):
        energy, alone = q.value_and_grad, q.value

        def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
            value, grad = energy(forward(y))
            return value, grad / scaling.scale

        value = None if alone is None else lambda y: alone(forward(y))
        return Energy(_after(q.sample, backward), value_and_grad, value)
    if isinstance(q, Density):
        log_prob, proposal = q.log_prob, q.proposal
        volume = len(scaling.centre) * math.log(scaling.scale)
        return Density(
            _after(q.sample, backward),
            lambda y: log_prob(forward(y)) - volume,
            None
            if proposal is None
            else Encoder(
                lambda x, k, g: backward(proposal.sample(forward(x), k, g)),
                lambda y, x: proposal.log_prob(forward(y), forward(x)) - volume,
            ),
        )
    decode, encoder = q.decode, q.encoder
    return replace(
        q,
        decode=lambda z: backward(decode(z)),
        encoder=None
        if encoder is None
        else Encoder(
            lambda x, k, g: encoder.sample(forward(x), k, g),
            lambda z, x: encoder.log_prob(z, forward(x)),
        ),
    )


def _after(
    sample: Callable[[int, Generator], Tensor], backward: Callable[[Tensor], Tensor]
) -> Callable[[int, Generator], Tensor]:
    return lambda n, g: backward(sample(n, g))
