"""The Laplacian source under absolute error.

For beta >= 1/b the Shannon lower bound is tight: R = log(b beta), D = 1/beta, and the optimal
marginal is (b beta)^-2 delta_loc + (1 - (b beta)^-2) Laplace(loc, b). Below 1/b nothing is sent.
(Berger, Rate Distortion Theory, 1971, section 4.3.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, instance
from rdbench.references.ranges import checked_distortion, checked_rate, checked_slope, finite_slope
from rdbench.sources.laplacian import LaplacianSource
from rdbench.types import Bracket, TruthPoint


@converts
@dataclass(frozen=True)
class LaplacianAbsolute:
    """R(D) = log(b / D) for 0 < D <= b."""

    kind: ClassVar[str] = "closed form"
    citation: ClassVar[str] = "Berger, Rate Distortion Theory (1971), section 4.3"
    validity: ClassVar[str] = "every beta >= 0"

    source: LaplacianSource

    def __post_init__(self) -> None:
        instance(self.source, LaplacianSource, "the source of this closed form")

    def point(self, beta: float) -> TruthPoint:
        """F*, R*, D* at slope beta."""
        checked_slope(beta)
        b = self.source.scale
        if b * beta <= 1.0:
            return TruthPoint.exact(beta, 0.0, b)
        return TruthPoint.exact(beta, math.log(b * beta), 1.0 / beta)

    def rate(self, distortion: float) -> Bracket:
        """max(0, log(b / D))."""
        checked_distortion(distortion)
        if distortion >= self.source.scale:
            return Bracket.exact(0.0)
        return Bracket.exact(math.log(self.source.scale) - math.log(distortion))

    def slope(self, rate: float) -> float:
        """exp(R) / b."""
        checked_rate(rate)
        return finite_slope(rate - math.log(self.source.scale), rate)

    def potential(self, x: Float[Tensor, "n 1"], beta: float) -> Float[Tensor, " n"]:
        """-log p(x) - log(2 / beta) where the bound is tight, beta |x - loc| below."""
        if self.source.scale * checked_slope(beta) <= 1.0:
            return beta * (x.double()[:, 0] - self.source.loc).abs()
        return -self.source.log_prob(x) - math.log(2.0 / beta)

    def sample_conditional(
        self, x: Float[Tensor, "n 1"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k 1"]:
        """p*(y|x), exactly: an atom at loc and three exponential pieces, by inversion.

        With s = |x - loc| the pieces of exp(-|t|/b - beta |s - t|) are t < 0, 0 < t < s and
        t > s; their masses below share the factor exp(-s/b), which cancels.
        """
        b = self.source.scale
        checked_slope(beta)
        n, dev = x.shape[0], x.device
        signed = x.double() - self.source.loc
        if b * beta <= 1.0:
            return torch.full((n, k, 1), self.source.loc, dtype=torch.float64, device=dev)
        s = signed.abs().expand(n, k)
        a, r = 1.0 / b, beta
        atom = (b * beta) ** -2
        fade = torch.exp(-(r - a) * s)
        weight = (1.0 - atom) / (2.0 * b)
        masses = torch.stack(
            [
                atom * fade,
                weight * fade / (a + r),
                weight * (1.0 - fade) / (r - a),
                torch.full_like(s, weight / (a + r)),
            ],
            -1,
        )
        piece = torch.multinomial(masses.reshape(n * k, 4), 1, generator=generator).reshape(n, k)
        u = torch.rand(n, k, generator=generator, device=dev, dtype=torch.float64)
        below = torch.log1p(-u) / (a + r)
        # density proportional to exp((r - a) t) on (0, s), measured from its heavy end
        between = s + torch.log(fade + u * (1.0 - fade)) / (r - a)
        above = s - torch.log1p(-u) / (a + r)
        t = torch.where(piece == 1, below, torch.zeros_like(s))
        t = torch.where(piece == 2, between, t)
        t = torch.where(piece == 3, above, t)
        sign = torch.where(signed < 0, -1.0, 1.0)
        return (self.source.loc + sign * t)[..., None]
