"""Reproduction marginals q whose F(q) is known by other means than the audit's."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor

from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import GaussianSource, orthogonal
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Atoms, Claim, Density, Energy, Marginal, TestChannel


def normal(mean: Tensor, cov: Tensor) -> GaussianMixture:
    """One component: N(mean, cov)."""
    return GaussianMixture(torch.ones(1, dtype=torch.float64), mean[None], cov[None])


def random_mixture(dim: int, seed: int) -> GaussianMixture:
    """Two to eight components with unequal weights, shapes and distances of 2 to 12."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 9))
    weights = torch.from_numpy(rng.dirichlet(np.full(size, 4.0)))
    directions = rng.normal(size=(size, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    means = torch.from_numpy(directions * rng.uniform(2.0, 8.0, (size, 1)))
    covs = []
    for k in range(size):
        basis = orthogonal(dim, 1000 * seed + k)
        values = torch.from_numpy(np.exp(rng.uniform(math.log(0.3), math.log(1.5), dim)))
        covs.append((basis * values) @ basis.T)
    return GaussianMixture(weights, means, torch.stack(covs))


def inflated(source: GaussianSource, beta: float, inflation: float) -> GaussianMixture:
    """The optimal marginal with its variances inflated, so that F(q) > F*."""
    return normal(source.mean, (source.basis * _wide(source, beta, inflation)) @ source.basis.T)


def inflated_gap(source: GaussianSource, beta: float, inflation: float) -> float:
    """sum of log(1 + 2 beta v) / 2 + beta s^2 / (1 + 2 beta v), minus F*."""
    spread = 1.0 + 2.0 * beta * _wide(source, beta, inflation)
    value = float((0.5 * spread.log() + beta * source.stds**2 / spread).sum())
    return value - WaterFilling(source).point(beta).lagrangian.mid


def _wide(source: GaussianSource, beta: float, inflation: float) -> Tensor:
    return (source.stds**2 - 0.5 / beta).clamp(min=0.0) * inflation + 1e-3


def channel(beta: float, marginal: Marginal, law: GaussianMixture | None = None) -> TestChannel:
    """A channel that claims nothing; without its law nothing may ask for draws of p(y|x)."""

    def draw(x: Tensor, k: int, generator: Generator) -> Tensor:
        assert law is not None
        return law.sample_conditional(x, k, beta, generator)

    return TestChannel(beta, marginal, Claim(0.0, 0.0, "estimate"), draw)


def energy_of(q: GaussianMixture) -> Energy:
    """q as an energy with an arbitrary constant, drawn exactly."""

    def shifted(y: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = q.energy_and_grad(y)
        return value + 3.7, grad

    return Energy(sample=q.sample, value_and_grad=shifted)


def density_of(q: GaussianMixture) -> Density:
    """q as a density."""
    return Density(q.sample, q.log_prob)


def atom_potential(atoms: Atoms, beta: float) -> Callable[[Tensor], Tensor]:
    """f(x) = -log sum_j w_j exp(-beta ||x - y_j||^2)."""

    def potential(x: Tensor) -> Tensor:
        squares = sum((x[:, i, None] - atoms.points[:, i]) ** 2 for i in range(x.shape[1]))
        return -torch.logsumexp(atoms.log_weights - beta * squares, 1)

    return potential
