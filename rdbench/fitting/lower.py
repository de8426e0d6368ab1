"""A lower bound from every upper one: lambda(x) = 1 / Z(x), Z(x) = E_q exp(-beta rho(x, Y)).

At the optimal q this is the optimal dual function: c(y) <= 1 everywhere, and both bounds meet
(Csiszar 1974). A good q has a good one. What log Z is to the last digit for atoms and products is
estimated for other laws: by importance sampling where the channel has a proposal, else by a fixed
set of draws of q. An estimate of Z is as good as Z: every lambda gives a bound.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.fitting.duals import Sample, bounded, draws_for_bounds
from rdbench.inference.plug_in import blocks, tilt
from rdbench.inference.product import exact_sums
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Atoms,
    Density,
    Distortion,
    DualBound,
    Gaussians,
    Marginal,
    Monitor,
    Product,
    Pushforward,
    Refusal,
    TestChannel,
    View,
)

DRAWS = 100_000
"""Draws on which a bound is capped and claimed, times the effort."""
_LEAST_DRAWS = 4_000
_PLUG_IN = 4_096
_PROPOSED = 32  # draws per symbol of a proposal
_MOST_PEAKS = 200
_ROWS = 4_096
_MOST_TERMS = 400_000_000  # atoms times draws
_ENTRIES = 400_000  # of a block of the kernel matrix: it stays in the cache
_LIGHTEST = -16.0  # log weight of an atom, less the largest
_TRIED_AT, _TRIED, _EXACT = 64, 4, 1e-6

LogPartition = Callable[[Tensor], Tensor]


def lowered(upper: Any) -> Any:
    """The class of the lower twin of an estimator: the same fields, the same fit, 1 / Z of its q.

    Each of the channels becomes a `DualBound`, whose cap, peaks and claim come from draws of the
    training stream; refusals are passed on.
    """
    return _lowered(upper)


@functools.cache
def _lowered(upper: Any) -> Any:
    info = replace(upper.info, side="lower", summary=f"the lower bound 1/Z of {upper.info.summary}")

    def fit(
        self: Any, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[DualBound | Refusal]:
        """The dual bound of every channel of the fit."""
        sample: Sample | None = None
        for answer in upper.fit(self, view, betas, generator, _Unseen(monitor)):
            if not isinstance(answer, TestChannel):
                yield answer
                continue
            if sample is None:
                count = max(_LEAST_DRAWS, round(DRAWS * monitor.effort))
                draws = draws_for_bounds(view, count)
                stream = Generator(device=view.device).manual_seed(0)
                sample = Sample.of(draws, stream, fixed=view.training is not None)
            yield dual_of(answer, view, sample)
            monitor.advance(0.0)

    members = {
        "info": info,
        "fit": fit,
        "upper": upper,
        "__module__": upper.__module__,
        "__qualname__": upper.__qualname__,
        "__doc__": upper.__doc__,
    }
    return type(upper.__name__, (upper,), members)


@dataclass(frozen=True, eq=False)
class _Unseen:
    """A monitor whose checkpoints build nothing: the trace is of lower bounds, not of channels."""

    inner: Monitor

    @property
    def effort(self) -> float:
        return self.inner.effort

    def advance(self, done: float) -> bool:
        return self.inner.advance(done)

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:  # noqa: ARG002
        return self.inner.checkpoint(lambda: ())

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        self.inner.count(gradient_steps=gradient_steps, parameters=parameters)


def dual_of(channel: TestChannel, view: View, sample: Sample) -> DualBound:
    """The dual bound 1 / Z of a channel's q, capped by the sample.

    Args:
        channel: its q and slope.
        view: the problem; its distortion and alphabet.
        sample: draws that choose the cap.
    """
    beta, q = channel.beta, channel.marginal
    stream = Generator(device=view.device).manual_seed(0)
    log_z, what = log_partition(q, view.distortion, beta, stream)
    if isinstance(q, Atoms):
        sample = sample.first(max(_LEAST_DRAWS, _MOST_TERMS // len(q.points)))
    draws = q.sample(_MOST_PEAKS, stream).detach().double()
    found = bounded(
        beta,
        lambda x: -log_z(x),
        sample,
        view.distortion,
        stream,
        alphabet=view.alphabet,
        peaks=draws,
        made_of=f"1/Z of {what}",
    )
    return replace(found, status=channel.status, reason=channel.reason)


def log_partition(
    q: Marginal, distortion: Distortion, beta: float, generator: Generator
) -> tuple[LogPartition, str]:
    """log Z of q, (n, d) -> (n,), and in words what it is of.

    Args:
        q: the reproduction marginal.
        distortion: rho.
        beta: the slope.
        generator: of the draws of q that stand for it where nothing better is known.
    """
    if isinstance(q, Product) and distortion.name == "squared_error":
        product = q
        return lambda x: exact_sums(product, x, beta)[0], "a product of atoms"
    if isinstance(q, Gaussians) and distortion.name == "squared_error":
        mixture = GaussianMixture(q.weights, q.means, q.covs)
        return lambda x: mixture.log_partition(x, beta), "a Gaussian mixture"
    if isinstance(q, Density) and q.proposal is not None:
        tried = q.sample(_PLUG_IN, generator)[:_TRIED_AT].detach().double()
        return _proposed(q, distortion, beta, tried), "a density"
    if isinstance(q, Pushforward) and q.encoder is not None:
        return _encoded(q, distortion, beta), "a generator"
    if isinstance(q, Atoms):
        # Atoms with next to no mass cost time and say nothing but in the tails.
        kept = q.log_weights > float(q.log_weights.max()) + _LIGHTEST
        return _of_atoms(q.points[kept], q.log_weights[kept], distortion, beta), "atoms"
    points = q.sample(_PLUG_IN, generator).detach().double()
    weights = points.new_full((_PLUG_IN,), -math.log(_PLUG_IN))
    return _of_atoms(points, weights, distortion, beta), f"{_PLUG_IN} draws of q"


def _of_atoms(
    points: Float[Tensor, "m d"], log_weights: Float[Tensor, " m"], rho: Distortion, beta: float
) -> LogPartition:
    points, log_weights = points.detach().double().clone(), log_weights.detach().double().clone()
    if rho.name == "squared_error":
        return _of_squares(points, log_weights, beta)

    def log_z(x: Tensor) -> Tensor:
        found = [torch.logsumexp(log_weights - tilt(r, beta), 1) for r in blocks(rho, x, points)]
        return torch.cat(found)

    return log_z


def _of_squares(
    points: Float[Tensor, "m d"], log_weights: Float[Tensor, " m"], beta: float
) -> LogPartition:
    """The same under squared error by one product of matrices, without a copy."""
    centre = points.mean(0)
    y = points - centre
    ahead = (2.0 * beta * y).T.contiguous()
    base = log_weights - beta * y.square().sum(1)
    rows = max(1, _ENTRIES // len(y))

    def log_z(x: Tensor) -> Tensor:
        found = []
        for part in (x - centre).split(rows):
            terms = torch.addmm(base, part, ahead)
            top = terms.max(1, keepdim=True).values
            total = terms.sub_(top).exp_().sum(1)
            found.append(total.log() + top[:, 0] - beta * part.square().sum(1))
        return torch.cat(found)

    return log_z


def _proposed(q: Density, rho: Distortion, beta: float, at: Float[Tensor, "n d"]) -> LogPartition:
    """log mean_k q(y_k) exp(-beta rho(x, y_k)) / e(y_k|x), y_k ~ e; the same noise every time."""
    proposal = q.proposal
    assert proposal is not None
    draws = _PROPOSED

    def log_z(x: Tensor) -> Tensor:
        g = Generator(device=x.device).manual_seed(0)
        found = []
        for part in x.split(_ROWS):
            terms = of_draws(part, draws, g)
            found.append(torch.logsumexp(terms, 1) - math.log(terms.shape[1]))
        return torch.cat(found).detach()

    def of_draws(x: Tensor, k: int, g: Generator) -> Tensor:
        y = proposal.sample(x, k, g).detach().double()
        n, k, d = y.shape
        spent, _ = rho.value_and_grad(x[:, None].expand(n, k, d), y)
        log_q = q.log_prob(y.reshape(-1, d)).reshape(n, k)
        return log_q - beta * spent - proposal.log_prob(y, x)

    stream = Generator(device=at.device).manual_seed(0)
    if float(of_draws(at, _TRIED, stream).std(1).max()) < _EXACT:
        draws = 1  # the proposal is p(y|x) itself: any draw gives Z
    return log_z


def _encoded(q: Pushforward, rho: Distortion, beta: float) -> LogPartition:
    """The same on the latent space of a generator."""
    encoder = q.encoder
    assert encoder is not None

    def log_z(x: Tensor) -> Tensor:
        g = Generator(device=x.device).manual_seed(0)
        found = []
        for part in x.split(_ROWS):
            z = encoder.sample(part, _PROPOSED, g).detach().double()
            n, k, width = z.shape
            flat = z.reshape(-1, width)
            y = q.decode(flat).detach().double().reshape(n, k, -1)
            spent, _ = rho.value_and_grad(part[:, None].expand_as(y), y)
            terms = q.log_prior(flat).reshape(n, k) - beta * spent - encoder.log_prob(z, part)
            found.append(torch.logsumexp(terms, 1) - math.log(k))
        return torch.cat(found).detach()

    return log_z
