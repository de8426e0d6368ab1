"""A Gaussian mixture as reproduction marginal, fitted by EM: no rate saturates.

Under squared error Z(x) = E_q exp(-beta ||x - Y||^2) of q = sum_k w_k N(m_k, S_k) is

    Z(x) = sum_k w_k |I + 2 beta S_k|^(-1/2)
                 exp(-beta (x - m_k)^T (I + 2 beta S_k)^(-1) (x - m_k)),

and p(y|x) is a mixture as well. Minimising F(q) = -E log Z(X) is fitting by maximum likelihood
the *observed* mixture, of q plus the noise N(0, v I), v = 1 / (2 beta):
``rdbench.inference.reproduction`` does it by EM with an exact M-step. Sources that are mixtures
of Gaussians no narrower than the noise are reached exactly, others as well as mixtures can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.components import Choice, choose_observed
from rdbench.inference.reproduction import fit_observed, gaussian, moments, pooled, raised
from rdbench.inference.scaling import Scaling, fit_scaling
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Claim,
    Density,
    EstimatorInfo,
    Monitor,
    RdbenchError,
    Refusal,
    Side,
    TestChannel,
    View,
)

# The least variance of q in units of v: with none q has no density. In a direction that gets no
# rate it costs at most _FLOOR / 2 nats, 2.5e-4 if there are 50 of them.
_FLOOR = 1e-5
_FIRST_DRAWS = 20_000  # choose the number of components
_HELD_DRAWS = 10_000  # compare them
_CLAIM_DRAWS = 20_000
_MOST_NUMBERS = 1 << 25  # of the draws that are kept for EM
_MOST_SHARES = 5_000_000  # of components in draws, for every one of which EM takes an exponential
_BLOCK = 1 << 20


@dataclass(frozen=True)
class MixtureEM:
    """q = sum_k w_k N(m_k, S_k), the observed mixture fitted by EM (squared error only).

    Args:
        components: the most components; held-out likelihood chooses, at the largest slope.
        excess: nats that the fit may cost: p parameters are fitted to p / (2 excess) draws.
        draws: the most training draws.
        iterations: the most EM iterations at a slope, which starts from the one before.
    """

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="Gaussian mixture with Z(x) in closed form, fitted by EM",
        citation="Dempster, Laird, Rubin: Maximum Likelihood from Incomplete Data via the EM "
        "Algorithm, J. R. Stat. Soc. B 39(1), 1977",
        colour="#56B4E9",
        marker="P",
    )

    components: int = 32
    excess: float = 3e-4
    draws: int = 1_250_000
    iterations: int = 40

    def __post_init__(self) -> None:
        for name in ("components", "draws", "iterations"):
            if getattr(self, name) < 1:
                raise RdbenchError(f"mixture_em: {name} must be at least 1")
        if not 0.0 < self.excess < 1.0:
            raise RdbenchError(f"mixture_em: excess must lie in (0, 1), got {self.excess}")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """From the largest slope down, each fit from the one before."""
        reason = "mixture_em needs squared error, R^d as reproduction space and beta > 0"
        fits = view.distortion.name == "squared_error" and view.alphabet is None
        ladder = sorted((beta for beta in betas if fits and beta > 0.0), reverse=True)
        yield from (Refusal(b, "unsupported", reason) for b in betas if b not in ladder)
        if not ladder:
            return
        draws = _split(view, monitor.effort, generator)
        if bool((draws.train == draws.train[0]).all()):
            yield from (Refusal(b, "unsupported", "the source is constant") for b in ladder)
            return
        scaling = fit_scaling(draws.train, view.distortion)
        go_on = _Progress(monitor)
        observed = gaussian(moments(scaling.forward(draws.train)), _least(scaling, ladder[0]))

        def channels() -> list[TestChannel]:
            return [_channel(observed, scaling, beta, None, "estimate") for beta in ladder]

        monitor.checkpoint(channels)
        choice = choose_observed(
            scaling.forward(draws.train),
            scaling.forward(draws.held),
            _least(scaling, ladder[0]),
            self.components,
            generator,
            go_on=go_on,
        )
        observed = choice.mixture
        monitor.count(parameters=choice.parameters)
        monitor.checkpoint(channels)
        climb = self._climber(view, scaling, draws, choice, monitor.effort, go_on)
        claim = scaling.forward(draws.claim)
        for rung, beta in enumerate(ladder):
            go_on.done = 0.3 + 0.7 * rung / len(ladder)
            least = _least(scaling, beta)
            # Where nothing has to be raised, the fit before is the fit here.
            if go_on() and (rung == 0 or float(observed.variances.min()) < least):
                observed = climb(observed, least)
                monitor.checkpoint(channels)
            yield _channel(observed, scaling, beta, claim, draws.side)

    def _climber(
        self,
        view: View,
        scaling: Scaling,
        draws: _Split,
        choice: Choice,
        effort: float,
        go_on: _Progress,
    ) -> Callable[[GaussianMixture, float], GaussianMixture]:
        """The fit at one slope, from a start and the least eigenvalue, to all training draws."""
        wanted = min(choice.parameters / (2.0 * self.excess), self.draws)
        count = max(len(draws.train), round(effort * wanted))
        if choice.mixture.size > 1:
            most = min(_MOST_NUMBERS // view.dim, _MOST_SHARES // choice.mixture.size)
            count = min(count, most)
        blocks = _blocks(view, scaling, draws, count, go_on)
        if choice.mixture.size == 1:
            overall = moments(next(blocks))
            for block in blocks:  # the draws need not be kept
                overall = pooled(overall, moments(block))
            return lambda _, least: gaussian(overall, least)
        x = torch.cat(list(blocks))
        return lambda start, least: fit_observed(
            x,
            start,
            least,
            tied=choice.tied,
            iterations=self.iterations,
            tolerance=0.05 * self.excess,
            go_on=go_on,
        )


ESTIMATOR = MixtureEM


class _Progress:
    """Reports what is done when asked whether to go on; a stop stays a stop."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._stopped = False
        self.done = 0.0

    def __call__(self) -> bool:
        self._stopped = self._stopped or not self._monitor.advance(self.done)
        return not self._stopped


@dataclass(frozen=True, eq=False)
class _Split:
    """Draws that fit, draws that choose, draws for the claim; ``fixed`` if there are no more."""

    train: Float[Tensor, "n d"]
    held: Float[Tensor, "m d"]
    claim: Float[Tensor, "l d"]
    side: Side
    fixed: bool


def _split(view: View, effort: float, generator: Generator) -> _Split:
    if view.n_train is not None:
        # Draws with replacement miss a point in eight times as many with probability exp(-8).
        points = torch.unique(view.sample(8 * view.n_train), dim=0)
        points = points[torch.randperm(len(points), generator=generator, device=points.device)]
        tenth = len(points) // 10
        letters = 2 * len(points) < view.n_train  # every fit has seen all of them, how often counts
        if tenth > 0 and not letters:
            claim, held, train = points.split([tenth, tenth, len(points) - 2 * tenth])
            return _Split(train, held, claim, "estimate", fixed=True)
        if not letters:
            return _Split(points, points, points, "estimate", fixed=True)
    sizes = [max(2, round(effort * n)) for n in (_FIRST_DRAWS, _HELD_DRAWS, _CLAIM_DRAWS)]
    train, held, claim = view.sample(sum(sizes)).split(sizes)
    return _Split(train, held, claim, "upper" if view.n_train is None else "estimate", fixed=False)


def _blocks(
    view: View, scaling: Scaling, draws: _Split, count: int, go_on: _Progress
) -> Iterator[Float[Tensor, "n d"]]:
    """The training draws, in standard coordinates: the first ones, then fresh ones."""
    yield scaling.forward(draws.train)
    left = 0 if draws.fixed else count - len(draws.train)
    while left > 0 and go_on():
        rows = min(left, max(1, _BLOCK // view.dim))
        yield scaling.forward(view.sample(rows))
        left -= rows


def _least(scaling: Scaling, beta: float) -> float:
    """The least variance of the observed mixture at slope beta."""
    return (1.0 + _FLOOR) * 0.5 / scaling.beta(beta)


def _channel(
    observed: GaussianMixture,
    scaling: Scaling,
    beta: float,
    claim: Float[Tensor, "n d"] | None,
    side: Side,
) -> TestChannel:
    """The channel at beta: the observed mixture less the noise, back in the source's units."""
    noise = 0.5 / scaling.beta(beta)
    covs = raised(observed.covs, _least(scaling, beta))
    observed = GaussianMixture(observed.weights, observed.means, covs)
    q = observed.deconvolved(noise)
    q = GaussianMixture(q.weights, scaling.backward(q.means), q.covs * scaling.scale**2)

    def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
        return q.sample_conditional(x, k, beta, g)

    rate, spent = (math.nan, math.nan) if claim is None else _point(observed, claim, noise)
    return TestChannel(
        beta=beta,
        marginal=Density(q.sample, q.log_prob, q.proposal(beta)),
        claim=Claim(rate, scaling.distortion(spent), side),
        sample_conditional=sample_conditional,
    )


def _point(observed: GaussianMixture, x: Float[Tensor, "n d"], noise: float) -> tuple[float, float]:
    """R and D of p(y|x) on the draws, in closed form.

    Given x and the component k, y - x has the mean -v C_k^-1 (x - m_k) and the covariance
    v I - v^2 C_k^-1; R = -E log Z - beta D.
    """
    joint = observed.log_joint(x)
    shares = torch.softmax(joint, 1)
    spent = 0.0
    for k, precision in enumerate(torch.linalg.inv(observed.covs)):
        shift = noise * (x - observed.means[k]) @ precision
        within = noise * observed.dim - noise**2 * float(precision.trace())
        spent += float((shares[:, k] * (shift.square().sum(1) + within)).mean())
    log_mass = 0.5 * observed.dim * math.log(2.0 * math.pi * noise)
    log_z = float(torch.logsumexp(joint, 1).mean()) + log_mass
    # beta = 1 / (2 v); a rate is a divergence, and rounding alone can make it negative. In this
    # order max keeps NaN.
    return max(-log_z - spent / (2.0 * noise), 0.0), spent
