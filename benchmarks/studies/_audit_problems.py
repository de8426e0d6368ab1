"""Channels whose F(q) is known by other means than the audit's, for `audit_coverage.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from rdbench.references.gaussian import WaterFilling
from rdbench.references.shannon import mixture_entropy
from rdbench.sources.gaussian import GaussianSource, orthogonal, vector_gaussian
from rdbench.sources.mixture import GaussianMixture, eight_modes
from rdbench.types import Density, Energy, Pushforward


@dataclass(frozen=True)
class Product:
    """q(y) proportional to exp(-sum_i e_i(u_i)), u = rotation^T y: Z and Z_x by 1-D quadrature."""

    marginals: tuple[Callable[[Tensor], tuple[Tensor, Tensor]], ...]
    rotation: Tensor
    name: str
    half_width: float = 40.0
    nodes: int = 16_001

    def _grid(self) -> Tensor:
        return torch.linspace(-self.half_width, self.half_width, self.nodes, dtype=torch.float64)

    def value_and_grad(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """E(y) and its gradient."""
        u = y @ self.rotation
        values, slopes = zip(*(e(u[:, i]) for i, e in enumerate(self.marginals)), strict=True)
        return torch.stack(values, 1).sum(1), torch.stack(slopes, 1) @ self.rotation.T

    def sample(self, n: int, generator: Generator) -> Tensor:
        """Draws by inversion of the cumulated trapezoids."""
        grid = self._grid()
        columns = [
            _inverse(grid, -e(grid)[0][None].expand(1, -1), torch.zeros(n).long(), generator)
            for e in self.marginals
        ]
        return torch.stack(columns, 1) @ self.rotation.T

    def sample_conditional(self, x: Tensor, k: int, beta: float, generator: Generator) -> Tensor:
        """Draws of p(y|x) by inversion, on a finer grid around every x."""
        u = x @ self.rotation
        offsets = torch.linspace(-1.0, 1.0, 801, dtype=torch.float64)
        reach = 9.0 / math.sqrt(2.0 * beta)
        columns = []
        for i, e in enumerate(self.marginals):
            # the Gaussian factor confines y to x + reach, unless e's slope pulls it further
            grid = u[:, i, None] + (reach + 5.0 / beta) * offsets
            log_p = -e(grid.reshape(-1))[0].reshape(grid.shape) - beta * (grid - u[:, i, None]) ** 2
            rows = torch.arange(len(x)).repeat_interleave(k)
            columns.append(_inverse(grid, log_p, rows, generator).reshape(len(x), k))
        return torch.stack(columns, 2) @ self.rotation.T

    def potential(self, x: Tensor, beta: float) -> Tensor:
        """f(x) = -log E_q exp(-beta ||x - Y||^2), exactly."""
        u = x @ self.rotation
        total = torch.zeros(len(x), dtype=torch.float64)
        grid = self._grid()
        for i, e in enumerate(self.marginals):
            log_q = -e(grid)[0]
            log_q = log_q - torch.logsumexp(log_q, 0)
            for rows in torch.arange(len(x)).split(500):
                exponent = log_q - beta * (u[rows, i, None] - grid) ** 2
                total[rows] -= torch.logsumexp(exponent, 1)
        return total


def _inverse(grid: Tensor, log_p: Tensor, rows: Tensor, generator: Generator) -> Tensor:
    """Inverse-transform draws of densities tabulated in the rows of ``log_p``."""
    p = torch.exp(log_p - log_p.amax(1, keepdim=True))
    cumulated = torch.cumsum(0.5 * (p[:, 1:] + p[:, :-1]), 1)
    cumulated = cumulated / cumulated[:, -1:]
    u = torch.rand(len(rows), generator=generator, dtype=torch.float64)
    if len(cumulated) == 1:
        cell = torch.searchsorted(cumulated[0].contiguous(), u)
        left, right = grid[cell], grid[cell + 1]
    else:
        per_row = len(rows) // len(cumulated)
        cell = torch.searchsorted(cumulated.contiguous(), u.reshape(-1, per_row))
        left = grid.gather(1, cell).reshape(-1)
        right = grid.gather(1, cell + 1).reshape(-1)
    return left + (right - left) * torch.rand(len(rows), generator=generator, dtype=torch.float64)


def smooth_laplace(scale: float) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """E = sqrt(0.1 + (u / scale)^2): a Laplacian with a rounded tip."""

    def energy(u: Tensor) -> tuple[Tensor, Tensor]:
        root = (0.1 + (u / scale) ** 2).sqrt()
        return root, u / (scale**2 * root)

    return energy


def logistic(scale: float) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """E = 2 log cosh(u / (2 scale))."""

    def energy(u: Tensor) -> tuple[Tensor, Tensor]:
        t = u / (2.0 * scale)
        value = 2.0 * (t.abs() + torch.log1p(torch.exp(-2.0 * t.abs())) - math.log(2.0))
        return value, torch.tanh(t) / scale

    return energy


def skewed(scale: float) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
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
    return Product(marginals, orthogonal(dim, seed), "rotated product")


def random_gaussian(dim: int, seed: int) -> GaussianMixture:
    """One component, eigenvalues log-uniform in [0.1, 3] under a random rotation."""
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(np.exp(rng.uniform(math.log(0.1), math.log(3.0), dim)))
    basis = orthogonal(dim, seed)
    cov = (basis * values) @ basis.T
    mean = torch.from_numpy(rng.normal(0.0, 2.0, dim))
    return GaussianMixture(torch.ones(1).double(), mean[None], cov[None], "Gaussian")


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
    return GaussianMixture(weights, means, torch.stack(covs), f"mixture of {size}")


def energy_of(q: GaussianMixture | Product) -> Energy:
    """q as an energy with an arbitrary constant, drawn exactly."""
    value_and_grad = q.energy_and_grad if isinstance(q, GaussianMixture) else q.value_and_grad

    def shifted(y: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = value_and_grad(y)
        return value + 3.7, grad

    return Energy(sample=q.sample, value_and_grad=shifted)


def density_of(q: GaussianMixture) -> Density:
    """q as a density."""
    return Density(q.sample, q.log_prob)


def pushforward_of(q: GaussianMixture) -> Pushforward:
    """A single Gaussian as a linear map of N(0, I); a mixture as its own latent law."""
    if q.size > 1:
        return Pushforward(lambda z: z, q.dim, prior=density_of(q))
    root = torch.linalg.cholesky(q.covs[0])
    return Pushforward(lambda z: q.means[0] + z @ root.T, q.dim)


def potential_of(q: GaussianMixture | Product, x: Tensor, beta: float) -> Tensor:
    """f(x), exactly."""
    if isinstance(q, Product):
        return q.potential(x, beta)
    return -q.log_partition(x, beta)


def optimal_ten(name: str, rate: float) -> tuple[GaussianSource | GaussianMixture, Any, float]:
    """A source on R^10, the optimal q at a rate (with a density everywhere), and the slope.

    Below the slope at which the eight modes' Shannon bound is tight, q is the deconvolved mixture
    at that slope: not optimal, but its F is in closed form all the same.
    """
    if name == "ramp":
        source = vector_gaussian(10)
        beta = WaterFilling(source).slope(rate)
        variances = (source.stds**2 - 0.5 / beta).clamp(min=0.0) + 1e-4
        cov = (source.basis * variances) @ source.basis.T
        return source, GaussianMixture(torch.ones(1).double(), source.mean[None], cov[None]), beta
    mixture = eight_modes(10)
    entropy = mixture_entropy(mixture)
    beta = math.pi * math.e * math.exp(2.0 * (rate - entropy) / 10.0)
    noise = min(0.5 / beta, float(mixture.variances.min()) - 1e-3)
    return mixture, mixture.deconvolved(noise), beta
