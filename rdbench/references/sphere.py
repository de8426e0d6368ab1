"""The uniform law on a sphere under squared error.

By symmetry q* is uniform on a concentric sphere. For radius 1,

    F*(beta) = min_r beta (1 + r^2) - log 0F1(; d/2; beta^2 r^2),

and -log Z(x) is the same for every x of the sphere. In s = r^2 the function is convex (log 0F1 is
concave in its argument), so that no other radius gives c(y) > 1. With kappa = 2 beta r and the
mean cosine A(kappa), r = A(kappa): D = 1 - r^2, R = kappa r - log 0F1(; d/2; kappa^2/4), and
kappa = 0 for beta <= d/2. The optimal channel draws directions from the von Mises-Fisher law of
concentration kappa around x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Generator, Tensor

from rdbench.arrays import converts, instance
from rdbench.references.ranges import checked_distortion, checked_rate, checked_slope
from rdbench.sources.directional import (
    log_mean_exp_cosine,
    mean_cosine,
    sample_von_mises_fisher,
)
from rdbench.sources.sphere import SphereSource
from rdbench.types import Bracket, OutOfRange, TruthPoint

_LOWEST, _HIGHEST = 1e-9, 1e9
"""Below the former beta is d/2 to rounding; beyond the latter scipy.special.ive, which the
potential needs, gives no number."""


def _cosine_deficit(dim: int, kappa: float) -> tuple[float, float]:
    """1 - A(kappa), and log 0F1(; dim/2; kappa^2/4) - kappa.

    A is close to one at large kappa, so that the difference from a computed A loses the digits
    that D and R need. There Hankel's expansion (DLMF 10.40.1), I_nu = e^kappa (2 pi kappa)^(-1/2)
    S(kappa) with S = sum_j (-1)^j a_j(nu) kappa^-j, and A = (log 0F1)' give

        1 - A = [(dim - 1) / 2 + sum_j j (-1)^j a_j kappa^-j / S] / kappa.
    """
    if kappa < max(40.0, 0.1 * dim * dim):
        scaled = float(log_mean_exp_cosine(dim, np.array([kappa]))[0])
        return 1.0 - mean_cosine(dim, kappa), scaled
    nu = 0.5 * dim - 1.0
    term, total, weighted = 1.0, 1.0, 0.0
    for j in range(1, 80):  # below j = 2 kappa the terms fall
        term *= ((2 * j - 1) ** 2 - 4.0 * nu * nu) / (8.0 * j * kappa)
        total += term
        weighted += j * term
        if j * abs(term) < 1e-18 * total:
            break
    scaled = (
        math.lgamma(nu + 1.0) + nu * math.log(2.0) - (nu + 0.5) * math.log(kappa)
        - 0.5 * math.log(2.0 * math.pi) + math.log(total)
    )  # fmt: skip
    return (0.5 * (dim - 1) + weighted / total) / kappa, scaled


@converts
@dataclass(frozen=True)
class SphereUniform:
    """R(D) of the uniform law on a sphere of radius rho, 0 < D <= rho^2."""

    kind: ClassVar[str] = "closed form"
    citation: ClassVar[str] = (
        "by symmetry and convexity, docs/truth.md; Wood (1994) for the conditional"
    )
    validity: ClassVar[str] = "every beta >= 0"

    source: SphereSource

    def __post_init__(self) -> None:
        instance(self.source, SphereSource, "the source of this closed form")

    def concentration(self, beta: float) -> float:
        """kappa: the root of kappa / (2 A(kappa)) = beta rho^2, zero up to beta rho^2 = d/2."""
        d, scaled = self.source.dim, checked_slope(beta) * self.source.radius**2
        if scaled <= 0.5 * d * (1.0 + 1e-12):
            return 0.0
        return self._root(lambda k: k / (2.0 * self._cosine(k)) - scaled, "slope")

    def _root(self, increasing: Callable[[float], float], what: str) -> float:
        if increasing(_LOWEST) >= 0.0:
            return _LOWEST
        if increasing(_HIGHEST) < 0.0:
            raise OutOfRange(f"the {what} is beyond what Bessel functions in float64 can tell")
        return float(brentq(increasing, _LOWEST, _HIGHEST, xtol=1e-300, rtol=1e-15, maxiter=300))

    def _at(self, kappa: float) -> tuple[float, float]:
        """R and D / rho^2 at a concentration."""
        if kappa == 0.0:
            return 0.0, 1.0
        deficit, scaled = _cosine_deficit(self.source.dim, kappa)
        # log 0F1 less kappa: kappa r - kappa does not cancel
        return max(0.0, -kappa * deficit - scaled), deficit * (2.0 - deficit)

    def _cosine(self, kappa: float) -> float:
        """A(kappa), to rounding at either end."""
        d = self.source.dim
        return mean_cosine(d, kappa) if kappa < 1.0 else 1.0 - _cosine_deficit(d, kappa)[0]

    def point(self, beta: float) -> TruthPoint:
        """F*, R*, D* at slope beta."""
        rate, distortion = self._at(self.concentration(beta))
        return TruthPoint.exact(beta, rate, distortion * self.source.radius**2)

    def rate(self, distortion: float) -> Bracket:
        """R(D): kappa solves A(kappa)^2 = 1 - D / rho^2."""
        checked_distortion(distortion)
        scaled = distortion / self.source.radius**2
        if scaled >= 1.0:
            return Bracket.exact(0.0)
        kappa = self._root(lambda k: scaled - self._at(k)[1], "distortion")
        return Bracket.exact(self._at(kappa)[0])

    def slope(self, rate: float) -> float:
        """beta at R* = rate; at rate 0 the largest beta at which nothing is sent."""
        checked_rate(rate)
        d, square = self.source.dim, self.source.radius**2
        if rate == 0.0:
            return 0.5 * d / square
        kappa = self._root(lambda k: self._at(k)[0] - rate, "rate")
        return kappa / (2.0 * self._cosine(kappa) * square)

    def potential(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """beta (||x|| - r)^2 - log E exp(2 beta r ||x|| (u_1 - 1)); on the sphere it is F*."""
        radius = self._radius(beta)
        s = x.double().norm(dim=1)
        kappa = (2.0 * beta * radius * s).cpu().numpy()
        angular = torch.from_numpy(log_mean_exp_cosine(x.shape[1], kappa))
        potential: Tensor = beta * (s - radius).square() - angular.to(x.device)
        return potential

    def _radius(self, beta: float) -> float:
        """The radius of q*."""
        kappa = self.concentration(beta)
        return self.source.radius * self._cosine(kappa) if kappa else 0.0

    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """r u with u von Mises-Fisher around x / ||x||, concentration 2 beta r ||x||."""
        n, d = x.shape
        radius = self._radius(beta)
        if radius == 0.0:
            return torch.zeros(n, k, d, dtype=torch.float64, device=x.device)
        s = x.double().norm(dim=1, keepdim=True)
        axes = (x.double() / s).repeat_interleave(k, 0)
        kappa = (2.0 * beta * radius * s[:, 0]).repeat_interleave(k)
        return (radius * sample_von_mises_fisher(axes, kappa, generator)).reshape(n, k, d)
