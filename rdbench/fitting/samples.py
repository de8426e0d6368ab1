"""Draws to judge a dual function by, and a density that stands for what they cannot show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from rdbench.inference.components import choose_observed
from rdbench.inference.reproduction import fit_observed, gaussian, moments, raised
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import View

_FOLDS = 4  # a fifth of the rows judges what the other four are fitted to
_DRAWN = 16_000  # of the density
_LEAST_FIT, _FIT, _COMPONENTS, _ROUNDS = 200, 12_000, 16, 6
_NARROWEST = 1e-6  # of the mean variance
_WIDE, _MORE, _HEAVY = 0.005, 0.05, 1.15
_DF, _SPREAD = 5, 4.0


@dataclass(frozen=True, eq=False)
class Sample:
    """Draws to judge a dual function by, and a density that stands for what they cannot show."""

    x: Float[Tensor, "n d"]
    """Draws, equal ones together."""
    log_p: Float[Tensor, " n"]
    """The log of how frequent each is."""
    tails: Callable[[Tensor], Tensor] | None
    """A log density of the source, heavier in the tails than what was seen; None where draws come
    again, so that they are the source."""
    draw: Float[Tensor, "k d"]
    """Draws of that density."""
    folds: tuple[Int[Tensor, " m"], ...] = ()
    """Of a fixed set of rows: which of ``x`` each of four parts of it holds."""

    @classmethod
    def of(
        cls, draws: Float[Tensor, "n d"], generator: Generator, *, fixed: bool = False
    ) -> Sample:
        """Draws, those that are equal as one point, and a fitted mixture with the tails of a t.

        Args:
            draws: of the source.
            generator: of the fit of the mixture, and of its draws.
            fixed: they are rows, and there are no others but those that judge.
        """
        n = len(draws)
        points, place, counts = torch.unique(draws, dim=0, return_inverse=True, return_counts=True)
        if len(points) < n or n < _LEAST_FIT:
            log_p = counts.double().log() - math.log(n)
            return cls(points, log_p, None, points[:0], place.chunk(_FOLDS) if fixed else ())
        tails = _Tails.fitted(draws, generator)
        log_p = draws.new_full((n,), -math.log(n))
        folds = torch.arange(n, device=draws.device).chunk(_FOLDS) if fixed else ()
        return cls(draws, log_p, tails.log_prob, tails.sample(_DRAWN, generator), folds)

    def first(self, most: int) -> Sample:
        """The first so many of fresh draws; all of rows, and of what comes again."""
        if self.tails is None or self.folds or most >= len(self.x):
            return self
        log_p = self.x.new_full((most,), -math.log(most))
        return replace(self, x=self.x[:most], log_p=log_p)

    def mean(self, values: Float[Tensor, " n"]) -> float:
        """The mean of a function over the draws."""
        return float(self.log_p.exp() @ values)


@dataclass(frozen=True, eq=False)
class _Tails:
    """A fitted Gaussian mixture and, with a small weight, a t law of twice its spread."""

    mixture: GaussianMixture
    mean: Float[Tensor, " d"]
    root: Float[Tensor, "d d"]
    """Lower triangular, of the scale matrix of the t law."""
    wide: float
    """The weight of the t law."""

    @classmethod
    def fitted(cls, x: Float[Tensor, "n d"], generator: Generator) -> _Tails:
        found = moments(x)
        variance = float(found.cov.diagonal().mean())
        least = _NARROWEST * max(variance, 1e-300)
        first, held_out = x[:_FIT], x[_FIT : _FIT + _FIT // 2]
        choice = choose_observed(first, held_out, least, _COMPONENTS, generator, restarts=4)
        # In the tails a variance that is off by 1% is off by r^2 / 200: all draws are needed.
        mixture = gaussian(found, least)
        if choice.mixture.size > 1:
            start, rounds = choice.mixture, _ROUNDS
            mixture = fit_observed(x, start, least, tied=choice.tied, iterations=rounds)
        cov = raised(found.cov, least) * _SPREAD * (_DF - 2.0) / _DF
        root = torch.linalg.cholesky(cov)
        z = torch.linalg.solve_triangular(root, (x - found.mean).T, upper=False).square().sum(0)
        d = x.shape[1]
        # Mardia's kurtosis, one for a Gaussian: of exponential tails a mixture shows too little.
        heavy = float(z.square().mean() / z.mean().square()) * d / (d + 2) > _HEAVY
        return cls(mixture, found.mean, root, _MORE if heavy else _WIDE)

    def log_prob(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log density in nats."""
        d = x.shape[1]
        z = torch.linalg.solve_triangular(self.root, (x - self.mean).T, upper=False)
        constant = math.lgamma(0.5 * (_DF + d)) - math.lgamma(0.5 * _DF)
        constant -= 0.5 * d * math.log(_DF * math.pi) + float(self.root.diagonal().log().sum())
        wide = constant - 0.5 * (_DF + d) * torch.log1p(z.square().sum(0) / _DF)
        return torch.logaddexp(
            self.mixture.log_prob(x) + math.log1p(-self.wide), wide + math.log(self.wide)
        )

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draws, in any order."""
        wide = max(1, round(self.wide * n))
        made = {"generator": generator, "device": generator.device, "dtype": torch.float64}
        z = torch.randn(wide, len(self.mean), **made)  # type: ignore[call-overload]
        halves = torch.randn(wide, _DF, **made).square().sum(1, keepdim=True)  # type: ignore[call-overload]
        far = self.mean + (z * (_DF / halves).sqrt()) @ self.root.T
        found = torch.cat([far, self.mixture.sample(n - wide, generator)])
        return found[torch.randperm(n, generator=generator, device=generator.device)]


def draws_for_bounds(view: View, count: int) -> Float[Tensor, "n d"]:
    """So many fresh draws, or all of a fixed training set, at most so many."""
    return view.sample(count).double() if view.training is None else view.training[:count].double()
