"""The Shannon lower bound: R(D) >= h(X) - max h(noise), the dual bound of lambda = 1 / p.

With K = int exp(-beta rho(z, 0)) dz, lambda(x) = 1 / (K p(x)) has c(y) = 1 for every y, so that

    F*(beta) >= h(X) - log K        (Shannon 1959; Berger 1971, section 4.3).

Under squared error log K = (d/2) log(pi / beta), under absolute error d log(2 / beta). The source's
own density is used where it has one. Else p is a fitted Gaussian mixture: h(X) and the bound are
then estimates, and what the audit finds of that lambda, capped in the tails, is the bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.fitting import check_settings
from rdbench.fitting.duals import bounded
from rdbench.fitting.samples import Sample, draws_for_bounds
from rdbench.inference.components import choose_observed
from rdbench.inference.reproduction import fit_observed, gaussian, moments
from rdbench.types import DualBound, EstimatorInfo, Monitor, Refusal, Unsupported, View

_CHOSEN_ON, _HELD_OUT = 20_000, 10_000
_NARROWEST = 1e-6  # of the mean variance
_MOST_TERMS = 5_000_000


@dataclass(frozen=True)
class ShannonLowerBound:
    """h(X) less the entropy of the noise, exact where the density is known."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="lower bound of Shannon: h(X) less the entropy of the noise",
        citation="Shannon: Coding Theorems for a Discrete Source with a Fidelity Criterion, 1959; "
        "Berger: Rate Distortion Theory, 1971, section 4.3",
        side="lower",
        needs=frozenset({"density"}),
        distortions=("squared_error", "absolute_error"),
        alphabet=False,
        slopes="positive",
        colour="#BBBBBB",
        marker="^",
    )

    components: int = 32
    """The most Gaussians of a fitted density; held-out likelihood chooses."""
    draws: int = 200_000
    """Draws to fit a density to, and to take h(X) from, times the effort."""

    def __post_init__(self) -> None:
        check_settings("shannon_lower_bound", self, ("components", "draws"))

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[DualBound | Refusal]:
        """One density for all slopes."""
        count = max(200, round(self.draws * monitor.effort))
        x = draws_for_bounds(view, count)
        if len(x) < 2 or bool((x == x[0]).all()):
            raise Unsupported("all draws are equal: there is no density")
        if view.log_prob is not None:
            yield from self._known(view, betas, view.log_prob, x)
            return
        log_p = self._fitted(x, generator, monitor)
        judged_by = draws_for_bounds(view, count)
        sample = Sample.of(judged_by, generator, fixed=view.training is not None)
        if sample.tails is None:
            raise Unsupported("draws come again: the source has no density")
        for beta in betas:
            monitor.advance(0.5)
            volume = view.distortion.log_noise_mass(beta, view.dim)

            def log_lambda(y: Tensor, volume: float = volume) -> Tensor:
                return -log_p(y) - volume

            found = bounded(
                beta, log_lambda, sample, view.distortion, generator, made_of="1/p, p fitted"
            )
            entropy = -float(log_p(sample.x).mean())
            yield DualBound(
                beta,
                found.log_lambda,
                found.peaks,
                entropy - volume,
                found.made_of,
                claim_side="estimate",
                reason="h(X) is that of a fitted density: its claim bounds nothing",
            )

    def _known(
        self,
        view: View,
        betas: Sequence[float],
        log_prob: Callable[[Tensor], Tensor],
        x: Float[Tensor, "n d"],
    ) -> Iterator[DualBound]:
        entropy = -float(log_prob(x).double().mean())
        for beta in betas:
            volume = view.distortion.log_noise_mass(beta, view.dim)

            def log_lambda(y: Tensor, volume: float = volume) -> Tensor:
                return -log_prob(y).double() - volume

            yield DualBound(beta, log_lambda, x[:32], entropy - volume, "1/p")

    def _fitted(
        self, x: Float[Tensor, "n d"], generator: Generator, monitor: Monitor
    ) -> Callable[[Tensor], Tensor]:
        """A log density by expectation and maximisation."""
        whole = moments(x)
        least = _NARROWEST * float(whole.cov.diagonal().mean())
        first = min(_CHOSEN_ON, len(x) * 2 // 3)
        choice = choose_observed(
            x[:first],
            x[first : first + _HELD_OUT],
            least,
            self.components,
            generator,
            go_on=lambda: monitor.advance(0.1),
        )
        if choice.mixture.size == 1:
            return gaussian(whole, least).log_prob
        rows = x[: _MOST_TERMS // choice.mixture.size]
        return fit_observed(rows, choice.mixture, least, tied=choice.tied, iterations=40).log_prob


ESTIMATOR = ShannonLowerBound
