"""Gaussian vectors under squared error: reverse water-filling.

At slope beta the water level is lambda = 1 / (2 beta); component i gets D_i = min(lambda,
sigma_i^2) and R_i = (1/2) log(sigma_i^2 / D_i). The optimal marginal is N(mean, basis diag(v)
basis^T) with v_i = sigma_i^2 - D_i. Directions of variance zero take no part: what is said is that
of the Gaussian without them. (Cover and Thomas, Elements of Information Theory, 10.3.3.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts, instance
from rdbench.references.ranges import checked_distortion, checked_rate, checked_slope, finite_slope
from rdbench.sources.gaussian import GaussianSource
from rdbench.types import Bracket, OutOfRange, TruthPoint

_ROUNDING = 1e-13


@converts
@dataclass(frozen=True, eq=False)
class WaterFilling:
    """The rate-distortion function of a Gaussian vector, every quantity in closed form."""

    kind: ClassVar[str] = "closed form"
    citation: ClassVar[str] = "Cover and Thomas, Elements of Information Theory, section 10.3.3"
    validity: ClassVar[str] = "every beta >= 0"

    source: GaussianSource

    def __post_init__(self) -> None:
        instance(self.source, GaussianSource, "the source of reverse water-filling")

    @cached_property
    def _variances(self) -> np.ndarray:
        """sigma_i^2, descending."""
        return np.sort(self.source.stds.numpy() ** 2)[::-1].copy()

    def _at_level(self, level: float) -> tuple[float, float]:
        """Rate and distortion at a water level."""
        s2 = self._variances
        active = s2 > level
        rate = 0.5 * float(np.sum(np.log(s2[active]) - math.log(level))) if active.any() else 0.0
        return rate, float(np.minimum(s2, level).sum())

    def point(self, beta: float) -> TruthPoint:
        """F*, R*, D* at slope beta."""
        checked_slope(beta)
        rate, distortion = self._at_level(math.inf if beta == 0.0 else 0.5 / beta)
        return TruthPoint.exact(beta, rate, distortion)

    def rate(self, distortion: float) -> Bracket:
        """R(D); the level solves k lambda + sum of the inactive variances = D."""
        s2 = self._variances[self._variances > 0.0]
        if distortion >= s2.sum():
            return Bracket.exact(0.0)
        checked_distortion(distortion)
        # With the k largest variances active, the level is (D - sum of the rest) / k; the right
        # k is the first whose level covers the next variance.
        rest = s2.sum() - np.cumsum(s2)
        levels = (distortion - rest) / np.arange(1, len(s2) + 1)
        following = np.append(s2[1:], 0.0)
        k = int(np.argmax(levels >= following))
        return Bracket.exact(self._at_level(float(levels[k]))[0])

    def slope(self, rate: float) -> float:
        """beta at R* = rate; at rate 0 the largest beta at which nothing is sent."""
        checked_rate(rate)
        s2 = self._variances[self._variances > 0.0]
        if not len(s2):
            raise OutOfRange(
                f"{self.source.name} is a constant: the largest rate, at every slope, is 0 nats"
            )
        log_s2 = np.log(s2)
        log_levels = (np.cumsum(log_s2) - 2.0 * rate) / np.arange(1, len(log_s2) + 1)
        following = np.append(log_s2[1:], -np.inf)
        k = int(np.argmax(log_levels >= following))
        return finite_slope(-log_levels[k] - math.log(2.0), rate)

    def _reproduction(self, beta: float, device: torch.device) -> Tensor:
        """v_i, the variances of the optimal marginal along the principal axes."""
        checked_slope(beta)
        s2 = self.source.stds.to(device).square()
        return (s2 - 0.5 / beta).clamp(min=0.0) if beta > 0.0 else torch.zeros_like(s2)

    def potential(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """f*(x) = sum_i [log(1 + 2 beta v_i) / 2 + beta z_i^2 / (1 + 2 beta v_i)]."""
        v = self._reproduction(beta, x.device)
        spread = 1.0 + 2.0 * beta * v
        z = self.source.principal(x)
        flat = self.source.stds.to(x.device) == 0.0
        if bool(flat.any()):
            # Draws lie off the subspace by rounding, which a large beta would make much of.
            size = x.double().norm(dim=1) + self.source.mean.norm().to(x.device)
            z = torch.where(flat & (z.abs() <= _ROUNDING * size[:, None]), 0.0, z)
        return beta * (z.square() / spread).sum(1) + 0.5 * spread.log().sum()

    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """p*(y|x): independent along the principal axes, N(g_i z_i, g_i / (2 beta)), g_i = 1 -
        D_i / sigma_i^2.
        """
        s2 = self.source.stds.to(x.device).square()
        gain = self._reproduction(beta, x.device) / torch.where(s2 > 0.0, s2, 1.0)
        z = self.source.principal(x)[:, None, :] * gain
        if beta > 0.0:
            noise = torch.randn(
                x.shape[0], k, x.shape[1], generator=generator, device=x.device, dtype=torch.float64
            )
            z = z + noise * (gain * (0.5 / beta)).sqrt()
        else:
            z = z.expand(-1, k, -1)
        return self.source.mean.to(x.device) + z @ self.source.basis.to(x.device).T
