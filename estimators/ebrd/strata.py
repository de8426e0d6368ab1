"""Sums over strata that replace chains under absolute error on the line.

A Gaussian mixture is inverted component by component in one dimension, so that draws y_j can come
one from each of m strata of equal mass of a proposal g. With log weights -E(y_j) - log g(y_j),

- q is their softmax, with far less noise than independent draws or chains would give, and
- p(y|x) the same softmax less beta |x - y_j|. The kernel factors on either side of x, so that
  Z(x) for all x, and the mean of p(y_j|x) over x for all j, are running sums along the sorted
  points: O(m + n) instead of O(m n), and thousands of symbols cost little.

Where the noise exp(-beta |z|) is finer than the strata, strata of the noise around x join them,
weighted by the balance heuristic (Veach and Guibas 1995).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.sources.mixture import GaussianMixture

_DEFENCE = 0.5  # fraction of the strata that is spread equally over the components


class Proposal:
    """The mixtures of every slope (B, K) on the line, with narrow components drawn more often."""

    def __init__(self, mixtures: Sequence[GaussianMixture]) -> None:
        weights = torch.stack([x.weights for x in mixtures])
        self._means = torch.stack([x.means[:, 0] for x in mixtures])
        self._stds = torch.stack([x.covs[:, 0, 0] for x in mixtures]).sqrt()
        self._weights = (1.0 - _DEFENCE) * weights + _DEFENCE / weights.shape[1]

    def sample(self, m: int, generator: Generator) -> Float[Tensor, "B m"]:
        """One draw from each of ``m`` strata, ascending."""
        weights = self._weights
        ends = weights.cumsum(1) / weights.sum(1, keepdim=True)
        u = _strata((len(weights), m), generator)
        label = torch.searchsorted(ends, u).clamp(max=weights.shape[1] - 1)
        within = 1.0 - (ends.gather(1, label) - u) / weights.gather(1, label)
        z = torch.special.ndtri(within.clamp(1e-12, 1.0 - 1e-12))
        y = self._means.gather(1, label) + self._stds.gather(1, label) * z
        ordered: Tensor = y.sort(1).values
        return ordered

    def log_prob(self, y: Float[Tensor, "B m"]) -> Float[Tensor, "B m"]:
        """log g, row by row."""
        total = torch.full_like(y, -math.inf)
        for share, mean, std in zip(
            self._weights.unbind(1), self._means.unbind(1), self._stds.unbind(1), strict=True
        ):
            height = share.log() - std.log() - 0.5 * math.log(2.0 * math.pi)
            z = (y - mean[:, None]) / std[:, None]
            total = torch.logaddexp(total, height[:, None] - 0.5 * z.square())
        return total


def _strata(shape: tuple[int, ...], generator: Generator) -> Float[Tensor, "*b m"]:
    """Uniform draws, one from each of the last axis's equal parts of (0, 1)."""
    u = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    return (torch.arange(shape[-1], device=u.device) + u) / shape[-1]


def _noise_strata(
    beta: Float[Tensor, " B"], n: int, count: int, generator: Generator
) -> Float[Tensor, "B n l"]:
    """Laplace(1 / beta) noise, one draw from each of ``count`` strata per row."""
    u = _strata((len(beta), n, count), generator) - 0.5
    return -u.sign() * torch.log1p(-2.0 * u.abs()).clamp(min=-700.0) / beta[:, None, None]


def log_partition(
    y: Float[Tensor, "B m"],
    log_w: Float[Tensor, "B m"],
    x: Float[Tensor, "B n"],
    beta: Float[Tensor, " B"],
) -> Float[Tensor, "B n"]:
    """log sum_j w_j exp(-beta |x_i - y_j|) for ascending y.

    Points to the left of x enter through sum_j w_j e^{beta y_j} alone and those to the right
    through sum_j w_j e^{-beta y_j}: two running sums, as logarithms, serve every x.

    Args:
        y: points, ascending in every row.
        log_w: log w_j.
        x: symbols.
        beta: the slope of every row.
    """
    b = beta[:, None]
    none = torch.full_like(y[:, :1], -math.inf)
    left = torch.cat([none, torch.logcumsumexp(log_w + b * y, 1)], 1)
    right = torch.cat([torch.logcumsumexp((log_w - b * y).flip(1), 1).flip(1), none], 1)
    place = torch.searchsorted(y, x)
    return torch.logaddexp(left.gather(1, place) - b * x, right.gather(1, place) + b * x)


def log_responsibilities(
    y: Float[Tensor, "B m"],
    log_w: Float[Tensor, "B m"],
    x: Float[Tensor, "B n"],
    beta: Float[Tensor, " B"],
) -> Float[Tensor, "B m"]:
    """log mean_i p(y_j|x_i), p(y_j|x) proportional to w_j exp(-beta |x - y_j|).

    Args:
        y: points, ascending in every row.
        log_w: log w_j.
        x: symbols, ascending in every row.
        beta: the slope of every row.
    """
    log_z = log_partition(y, log_w, x, beta)
    return log_w + log_partition(x, -log_z - math.log(x.shape[1]), y, beta)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Points for p(y|x): m strata of g, common to all x, and l of the noise around every x."""

    common: Float[Tensor, "B m"]
    near: Float[Tensor, "B n l"]
    log_g: Float[Tensor, "B m"]
    log_g_near: Float[Tensor, "B n l"]

    def log_weights(
        self,
        energy: Float[Tensor, "B m"],
        energy_near: Float[Tensor, "B n l"],
        x: Float[Tensor, "B n"],
        beta: Float[Tensor, " B"],
    ) -> tuple[Float[Tensor, "B n m"], Float[Tensor, "B n l"]]:
        """Log weights whose sum over m + l estimates the integral of exp(-E - beta |x - y|) dy.

        Each is exp(-E - beta rho) / (m g + l r), r(y|x) = (beta / 2) exp(-beta rho) the noise.

        Args:
            energy: E at the common points.
            energy_near: E at those near each x.
            x: symbols.
            beta: the slope of every row.
        """
        b = beta[:, None, None]
        count = math.log(self.common.shape[1]), math.log(self.near.shape[2])

        def one(energy: Tensor, log_g: Tensor, exponent: Tensor) -> Tensor:
            log_r = (0.5 * b).log() - exponent
            return -energy - exponent - torch.logaddexp(count[0] + log_g, count[1] + log_r)

        far = b * (self.common[:, None, :] - x[..., None]).abs()
        close = b * (self.near - x[..., None]).abs()
        return (
            one(energy[:, None, :], self.log_g[:, None, :], far),
            one(energy_near, self.log_g_near, close),
        )


def candidates(
    proposal: Proposal,
    x: Float[Tensor, "B n"],
    beta: Float[Tensor, " B"],
    sizes: tuple[int, int],
    generator: Generator,
) -> Candidates:
    """Draw points for p(y|x).

    Args:
        proposal: g.
        x: symbols.
        beta: the slope of every row.
        sizes: m strata of g, and l points around every x.
        generator: the source of randomness.
    """
    common = proposal.sample(sizes[0], generator)
    near = x[..., None] + _noise_strata(beta, x.shape[1], sizes[1], generator)
    log_near = proposal.log_prob(near.flatten(1)).reshape(near.shape)
    return Candidates(common, near, proposal.log_prob(common), log_near)
