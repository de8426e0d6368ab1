"""Reproduction marginals q whose F(q) is known by other means than the audit's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import GaussianSource, orthogonal
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Atoms, Claim, Density, Energy, Marginal, TestChannel

Shape = Callable[[Tensor], tuple[Tensor, Tensor]]
"""An energy on the line and its derivative."""


def normal(mean: Tensor, cov: Tensor) -> GaussianMixture:
    """One component: N(mean, cov)."""
    return GaussianMixture(torch.ones(1, dtype=torch.float64), mean[None], cov[None])


@dataclass(frozen=True)
class Product:
    """q(y) proportional to exp(-sum_i e_i(u_i)), u = rotation^T y: Z and Z_x by 1-D quadrature."""

    marginals: tuple[Shape, ...]
    rotation: Tensor
    half_width: float = 40.0
    nodes: int = 16_001

    def _grid(self) -> Tensor:
        return torch.linspace(-self.half_width, self.half_width, self.nodes, dtype=torch.float64)

    def energy_and_grad(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """E(y) and its gradient."""
        u = y @ self.rotation
        values, slopes = zip(*(e(u[:, i]) for i, e in enumerate(self.marginals)), strict=True)
        return torch.stack(values, 1).sum(1), torch.stack(slopes, 1) @ self.rotation.T

    def sample(self, n: int, generator: Generator) -> Tensor:
        """Draws by inversion of the cumulated trapezoids."""
        grid = self._grid()
        columns = [
            _inverse(grid.expand(1, -1), -e(grid)[0][None], n, generator) for e in self.marginals
        ]
        return torch.stack(columns, 1) @ self.rotation.T

    def sample_conditional(self, x: Tensor, k: int, beta: float, generator: Generator) -> Tensor:
        """Draws of p(y|x) by inversion, on a finer grid around every x."""
        u = x @ self.rotation
        offsets = torch.linspace(-1.0, 1.0, 801, dtype=torch.float64)
        # the Gaussian factor confines y to x + reach, unless e's slope pulls it further
        reach = 9.0 / math.sqrt(2.0 * beta) + 5.0 / beta
        columns = []
        for i, e in enumerate(self.marginals):
            grid = u[:, i, None] + reach * offsets
            log_p = -e(grid.reshape(-1))[0].reshape(grid.shape) - beta * (grid - u[:, i, None]) ** 2
            columns.append(_inverse(grid, log_p, k, generator).reshape(len(x), k))
        return torch.stack(columns, 2) @ self.rotation.T

    def log_partition(self, x: Tensor, beta: float) -> Tensor:
        """log E_q exp(-beta ||x - Y||^2), exactly."""
        u = x @ self.rotation
        total = torch.zeros(len(x), dtype=torch.float64)
        grid = self._grid()
        for i, e in enumerate(self.marginals):
            log_q = -e(grid)[0]
            log_q = log_q - torch.logsumexp(log_q, 0)
            for rows in torch.arange(len(x)).split(500):
                exponent = log_q - beta * (u[rows, i, None] - grid) ** 2
                total[rows] += torch.logsumexp(exponent, 1)
        return total


Law = GaussianMixture | Product


def _inverse(grid: Tensor, log_p: Tensor, k: int, generator: Generator) -> Tensor:
    """k draws of each of the densities tabulated in the rows of ``log_p``, one after the other."""
    p = torch.exp(log_p - log_p.amax(1, keepdim=True))
    cumulated = torch.cumsum(0.5 * (p[:, 1:] + p[:, :-1]), 1)
    cumulated = cumulated / cumulated[:, -1:]
    n = len(grid) * k
    u = torch.rand(n, generator=generator, dtype=torch.float64)
    cell = torch.searchsorted(cumulated.contiguous(), u.reshape(-1, k))
    left, right = (grid.gather(1, index).reshape(-1) for index in (cell, cell + 1))
    return left + (right - left) * torch.rand(n, generator=generator, dtype=torch.float64)


def smooth_laplace(scale: float) -> Shape:
    """E = sqrt(0.1 + (u / scale)^2): a Laplacian with a rounded tip."""

    def energy(u: Tensor) -> tuple[Tensor, Tensor]:
        root = (0.1 + (u / scale) ** 2).sqrt()
        return root, u / (scale**2 * root)

    return energy


def logistic(scale: float) -> Shape:
    """E = 2 log cosh(u / (2 scale))."""

    def energy(u: Tensor) -> tuple[Tensor, Tensor]:
        t = u / (2.0 * scale)
        value = 2.0 * (t.abs() + torch.log1p(torch.exp(-2.0 * t.abs())) - math.log(2.0))
        return value, torch.tanh(t) / scale

    return energy


def skewed(scale: float) -> Shape:
    """E = exp(u / scale) - 1.5 u / scale: the logarithm of a gamma variable."""

    def energy(u: Tensor) -> tuple[Tensor, Tensor]:
        t = (u / scale).clamp(max=100.0)
        return t.exp() - 1.5 * t, (t.exp() - 1.5) / scale

    return energy


def random_product(dim: int, seed: int) -> Product:
    """A rotated product of shapes and scales drawn from ``seed``."""
    rng = np.random.default_rng(seed)
    shapes = (smooth_laplace, logistic, skewed)
    marginals = tuple(shapes[rng.integers(3)](float(rng.uniform(0.4, 1.2))) for _ in range(dim))
    return Product(marginals, orthogonal(dim, seed))


def random_gaussian(dim: int, seed: int) -> GaussianMixture:
    """One component, eigenvalues log-uniform in [0.1, 3] under a random rotation."""
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(np.exp(rng.uniform(math.log(0.1), math.log(3.0), dim)))
    basis = orthogonal(dim, seed)
    return normal(torch.from_numpy(rng.normal(0.0, 2.0, dim)), (basis * values) @ basis.T)


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


def channel(beta: float, marginal: Marginal, law: Law | None = None) -> TestChannel:
    """A channel that claims nothing; without its law nothing may ask for draws of p(y|x)."""

    def draw(x: Tensor, k: int, generator: Generator) -> Tensor:
        assert law is not None
        return law.sample_conditional(x, k, beta, generator)

    return TestChannel(beta, marginal, Claim(0.0, 0.0, "estimate"), draw)


def energy_of(q: Law) -> Energy:
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
