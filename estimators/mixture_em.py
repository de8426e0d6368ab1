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
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.fitting import NO_CLAIM, Progress, Task, check_settings, not_seeded, standardised
from rdbench.inference.components import Choice, choose_observed
from rdbench.inference.reproduction import fit_observed, gaussian, moments, pooled, raised
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Claim,
    EstimatorInfo,
    Monitor,
    Refusal,
    Start,
    TestChannel,
    View,
)

_MOST_NUMBERS = 1 << 25  # of the draws that are kept for EM
_MOST_TERMS = 5_000_000  # components times draws: EM takes an exponential for each
_BLOCK = 1 << 20


@dataclass(frozen=True)
class MixtureEM:
    """q = sum_k w_k N(m_k, S_k), the observed mixture fitted by EM (squared error only)."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="Gaussian mixture with Z(x) in closed form, fitted by EM",
        citation="Dempster, Laird, Rubin: Maximum Likelihood from Incomplete Data via the EM "
        "Algorithm, J. R. Stat. Soc. B 39(1), 1977",
        distortions=("squared_error",),
        alphabet=False,
        slopes="positive",
        colour="#56B4E9",
        marker="P",
    )

    components: int = 32
    """The most components; held-out likelihood chooses, at the largest slope."""
    excess: float = 3e-4
    """Nats that the fit may cost: p parameters are fitted to p / (2 excess) fresh draws."""
    draws: int = 1_250_000
    """The most draws to fit to; of a fixed training set all are, up to so many."""
    iterations: int = 40
    """The most EM iterations at a slope, which starts from the one before."""
    floor: float = not_seeded(1e-5)
    """The least variance of q in units of v = 1 / (2 beta): with none q has no density. In a
    direction that gets no rate it costs at most floor / 2 nats, 2.5e-4 if there are 50 of them."""
    first_draws: int = not_seeded(20_000)
    """Draws on which the number of components is chosen, times the effort."""
    held_out_draws: int = not_seeded(10_000)
    """Draws that compare them, times the effort."""
    claim_draws: int = not_seeded(20_000)
    """Draws on which R and D are claimed, times the effort."""

    def __post_init__(self) -> None:
        sizes = ("first_draws", "held_out_draws", "claim_draws")
        counts = ("components", "draws", "iterations", *sizes)
        check_settings("mixture_em", self, counts, ("excess", "floor"), ("excess",))

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """From the largest slope down, each fit from the one before."""
        ahead, ladder = self._sizes(monitor.effort), sorted(betas, reverse=True)
        return standardised(self._fit, view, ladder, generator, monitor, warm=ahead[0], ahead=ahead)

    def _sizes(self, effort: float) -> tuple[int, int, int]:
        """Draws to choose the number of components on, to compare them on, and to claim on."""
        first, held_out, claim = (
            max(2, round(effort * n))
            for n in (self.first_draws, self.held_out_draws, self.claim_draws)
        )
        return first, held_out, claim

    def _fit(self, task: Task) -> Iterator[TestChannel]:
        _, held_out_draws, claim_draws = self._sizes(task.monitor.effort)
        go_on = Progress(task.monitor)
        one = observed = gaussian(moments(task.warm), self._least(task.betas[0]))

        def channel(beta: float, x: Float[Tensor, "n d"] | None) -> TestChannel:
            start = Start(self._channel(task, one, beta, None).marginal, "one Gaussian")
            found = replace(self._channel(task, observed, beta, x), start=start)
            same = torch.equal(observed.means, one.means) and torch.equal(observed.covs, one.covs)
            return replace(found, marginal=start.marginal) if same else found

        def channels() -> list[TestChannel]:
            return [channel(beta, None) for beta in task.betas]

        task.monitor.checkpoint(channels)
        held_out = task.draws.held_out(held_out_draws)
        least, generator = self._least(task.betas[0]), task.generator
        choice = choose_observed(
            task.warm, held_out, least, self.components, generator, go_on=go_on
        )
        observed = choice.mixture
        task.monitor.count(parameters=choice.parameters)
        task.monitor.checkpoint(channels)
        climb = self._climber(task, choice, go_on)
        claimed_on = task.draws.claim(claim_draws)
        for rung, beta in enumerate(task.betas):
            go_on.done = 0.3 + 0.7 * rung / len(task.betas)
            least = self._least(beta)
            # Where no variance has to be raised, the fit at the slope before serves here too.
            if go_on() and (rung == 0 or float(observed.variances.min()) < least):
                observed = climb(observed, least)
                task.monitor.checkpoint(channels)
            yield channel(beta, claimed_on)

    def _climber(
        self, task: Task, choice: Choice, go_on: Progress
    ) -> Callable[[GaussianMixture, float], GaussianMixture]:
        """The fit at one slope, from a start and the least eigenvalue, to all training draws."""
        fixed, count = task.draws.fixed, self.draws
        if fixed is None:
            wanted = min(choice.parameters / (2.0 * self.excess), self.draws)
            count = max(len(task.warm), round(task.monitor.effort * wanted))
        if choice.mixture.size > 1:
            count = min(count, _MOST_NUMBERS // task.dim, _MOST_TERMS // choice.mixture.size)
        blocks = _blocks(task, count, go_on)
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

    def _least(self, beta: float) -> float:
        """The least variance of the observed mixture at slope beta."""
        return (1.0 + self.floor) * 0.5 / beta

    def _channel(
        self, task: Task, observed: GaussianMixture, beta: float, x: Float[Tensor, "n d"] | None
    ) -> TestChannel:
        """The channel at beta, with R and D on the symbols x where there are some.

        q is the observed mixture less the noise.
        """
        covs, noise = raised(observed.covs, self._least(beta)), 0.5 / beta
        observed = GaussianMixture(observed.weights, observed.means, covs)
        claim = NO_CLAIM if x is None else Claim(*_point(observed, x, noise), task.draws.side)
        q = observed.deconvolved(noise)

        def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
            return q.sample_conditional(x, k, beta, g)

        return TestChannel(beta, q.as_marginal(), claim, sample_conditional, q_is="mixture")


ESTIMATOR = MixtureEM


def _blocks(task: Task, count: int, go_on: Progress) -> Iterator[Float[Tensor, "n d"]]:
    """At most ``count`` training draws: the first ones and fresh ones, or distinct fixed points."""
    fixed = task.draws.fixed
    yield task.draws.distinct(count) if fixed else task.warm
    left = 0 if fixed else count - len(task.warm)
    while left > 0 and go_on():
        rows = min(left, max(1, _BLOCK // task.dim))
        yield task.draws.sample(rows)
        left -= rows


def _point(observed: GaussianMixture, x: Float[Tensor, "n d"], noise: float) -> tuple[float, float]:
    """R and D of p(y|x) on the draws, in closed form.

    Given x and the component k, y - x has the mean -v C_k^-1 (x - m_k) and the covariance
    v I - v^2 C_k^-1; R = -E log Z - beta D.
    """
    joint = observed.log_joint(x)
    responsibilities = torch.softmax(joint, 1)
    distortion = 0.0
    for k, precision in enumerate(torch.linalg.inv(observed.covs)):
        shift = noise * (x - observed.means[k]) @ precision
        within = noise * observed.dim - noise**2 * float(precision.trace())
        distortion += float((responsibilities[:, k] * (shift.square().sum(1) + within)).mean())
    volume = 0.5 * observed.dim * math.log(2.0 * math.pi * noise)
    log_z = float(torch.logsumexp(joint, 1).mean()) + volume
    # beta = 1 / (2 v); a rate is a divergence, and rounding alone can make it negative. In this
    # order max keeps NaN.
    return max(-log_z - distortion / (2.0 * noise), 0.0), distortion
