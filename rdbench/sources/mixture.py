"""Gaussian mixtures: a source, and the algebra under squared error that several parts share.

If q = sum_k w_k N(m_k, S_k), then with v = 1 / (2 beta)

    Z(x) = E_q exp(-beta ||x - Y||^2) = (pi / beta)^(d/2) sum_k w_k N(x; m_k, S_k + v I),

and p(y|x), proportional to q(y) exp(-beta ||x - y||^2), is again a mixture: component k has
weight proportional to w_k N(x; m_k, S_k + v I), mean m_k + G_k (x - m_k) and covariance v G_k
with the gain G_k = S_k (S_k + v I)^-1. Everything is computed in the eigenbasis of S_k, so that
singular covariances (atoms, inactive directions) need no special case.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from rdbench.arrays import Array, Number, array, converts, positive, probabilities, settle, whole
from rdbench.exponentials import log_sum_exp
from rdbench.sources.gaussian import orthogonal
from rdbench.types import Encoder, Gaussians, RdbenchError

LOG_2PI = math.log(2.0 * math.pi)


@converts
@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """sum_k weights_k N(means_k, covs_k) on R^d, float64; covariances may be singular."""

    weights: Float[Tensor, " k"]
    means: Float[Tensor, "k d"]
    covs: Float[Tensor, "k d d"]
    name: str = "Gaussian mixture"

    tail_index: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        weights = probabilities(self.weights, "the weights of a mixture")
        means = array(self.means, "the means of a mixture", 2)
        covs = array(self.covs, "the covariances of a mixture", 3)
        k, d = means.shape
        if len(weights) != k or covs.shape != (k, d, d):
            raise RdbenchError(
                "a mixture needs weights (k,), means (k, d) and covariances (k, d, d), got "
                f"{tuple(weights.shape)}, {tuple(means.shape)} and {tuple(covs.shape)}"
            )
        settle(self, weights=weights, means=means, covs=covs)

    @property
    def dim(self) -> int:
        """d."""
        return self.means.shape[1]

    @property
    def size(self) -> int:
        """The number of components."""
        return self.means.shape[0]

    @cached_property
    def _eigen(self) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(self.covs)
        return values.clamp(min=0.0), vectors

    @property
    def variances(self) -> Float[Tensor, "k d"]:
        """Eigenvalues of the covariances, ascending."""
        return self._eigen[0]

    def to(self, device: torch.device) -> GaussianMixture:
        """The same mixture on another device."""
        if self.means.device == device:
            return self
        return GaussianMixture(
            self.weights.to(device), self.means.to(device), self.covs.to(device), self.name
        )

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points."""
        weights = self.weights.to(generator.device)
        labels = torch.multinomial(weights, n, replacement=True, generator=generator)
        return self.sample_components(labels, generator)

    def sample_components(
        self, labels: Int[Tensor, " n"], generator: Generator
    ) -> Float[Tensor, "n d"]:
        """One draw of the component that each label names."""
        mixture = self.to(generator.device)
        z = _randn(len(labels), self.dim, generator)
        values, vectors = mixture._eigen
        out = torch.empty_like(z)
        for k in range(self.size):
            rows = labels == k
            out[rows] = mixture.means[k] + (z[rows] * values[k].sqrt()) @ vectors[k].T
        return out

    def log_prob(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log density in nats."""
        return log_sum_exp(self.log_joint(x), 1)

    def log_joint(self, x: Float[Tensor, "n d"], noise: float = 0.0) -> Float[Tensor, "n k"]:
        """log w_k N(x; m_k, S_k + noise I)."""
        mixture = self.to(x.device)
        values, vectors = mixture._eigen
        x = x.double()
        columns = []
        for k in range(self.size):
            total = values[k] + noise
            z = (x - mixture.means[k]) @ vectors[k]
            quadratic = (z.square() / total).sum(1) + total.log().sum() + self.dim * LOG_2PI
            columns.append(mixture.weights[k].log() - 0.5 * quadratic)
        return torch.stack(columns, 1)

    def energy_and_grad(
        self, y: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"]]:
        """-log q(y) and its gradient."""
        joint = self.log_joint(y)
        responsibilities = torch.softmax(joint, 1)
        mixture = self.to(y.device)
        values, vectors = mixture._eigen
        grad = torch.zeros_like(y)
        for k in range(self.size):
            z = ((y - mixture.means[k]) @ vectors[k]) / values[k]
            grad += responsibilities[:, k, None] * (z @ vectors[k].T)
        return -log_sum_exp(joint, 1), grad

    def log_partition(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """log E_q exp(-beta ||x - Y||^2)."""
        if beta == 0.0:
            return torch.zeros(x.shape[0], dtype=torch.float64, device=x.device)
        joint = self.log_joint(x, noise=0.5 / beta)
        return log_sum_exp(joint, 1) + 0.5 * self.dim * math.log(math.pi / beta)

    def mean_distortion(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """E[||x - Y||^2 | x] under p(y|x): given the component, of mean and spread."""
        mixture, x = self.to(x.device), x.double()
        values, vectors = mixture._eigen
        responsibilities = torch.softmax(mixture.log_joint(x, noise=0.5 / beta), 1)
        out = torch.zeros_like(x[:, 0])
        for k in range(self.size):
            shrink = 1.0 / (1.0 + 2.0 * beta * values[k])
            z = ((x - mixture.means[k]) @ vectors[k]) * shrink
            of_k = z.square().sum(1) + (values[k] * shrink).sum()
            out += responsibilities[:, k] * of_k
        return out

    def as_marginal(self) -> Gaussians:
        """The mixture as a reproduction marginal."""
        return Gaussians(self.weights, self.means, self.covs)

    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """k exact draws of p(y|x), proportional to q(y) exp(-beta ||x - y||^2), per row of x."""
        n = x.shape[0]
        if beta == 0.0:
            return self.sample(n * k, generator).reshape(n, k, self.dim)
        mixture = self.to(x.device)
        x = x.double()
        v = 0.5 / beta
        responsibilities = torch.softmax(self.log_joint(x, noise=v), 1)
        labels = torch.multinomial(responsibilities, k, replacement=True, generator=generator)
        rows = torch.arange(n, device=x.device)[:, None].expand(n, k).reshape(-1)
        labels = labels.reshape(-1)
        z = _randn(n * k, self.dim, generator)
        values, vectors = mixture._eigen
        out = torch.empty_like(z)
        for j in range(self.size):
            chosen = labels == j
            gain = values[j] / (values[j] + v)
            centred = (x[rows[chosen]] - mixture.means[j]) @ vectors[j]
            local = centred * gain + z[chosen] * (v * gain).sqrt()
            out[chosen] = mixture.means[j] + local @ vectors[j].T
        return out.reshape(n, k, self.dim)

    def log_conditional(
        self, y: Float[Tensor, "n k d"], x: Float[Tensor, "n d"], beta: float
    ) -> Float[Tensor, "n k"]:
        """log p(y|x) = log q(y) - beta ||x - y||^2 - log Z(x)."""
        rho = (y.double() - x.double()[:, None]).square().sum(2)
        log_q = self.log_prob(y.reshape(-1, self.dim)).reshape(rho.shape)
        return log_q - beta * rho - self.log_partition(x, beta)[:, None]

    def proposal(self, beta: float) -> Encoder:
        """p(y|x) as a density with its exact sampler."""
        return Encoder(
            lambda x, k, g: self.sample_conditional(x, k, beta, g),
            lambda y, x: self.log_conditional(y, x, beta),
        )

    def deconvolved(self, noise: float, floor: float = 0.0) -> GaussianMixture:
        """The mixture with ``noise`` I taken out of every covariance.

        Eigenvalues are clipped from below at ``floor`` times the largest eigenvalue of all.
        """
        values, vectors = self._eigen
        clipped = (values - noise).clamp(min=floor * float(values.max()))
        covs = (vectors * clipped[:, None, :]) @ vectors.transpose(1, 2)
        return GaussianMixture(self.weights, self.means, covs, self.name)


def _randn(n: int, dim: int, generator: Generator) -> Tensor:
    return torch.randn(n, dim, generator=generator, device=generator.device, dtype=torch.float64)


def isotropic_mixture(
    means: Array, std: Number = 1.0, name: str = "Gaussian mixture"
) -> GaussianMixture:
    """Equal weights and covariances std^2 I around the given means (k, d)."""
    means, std = array(means, "the means of a mixture", 2), positive(std, "a standard deviation")
    size, dim = means.shape
    return GaussianMixture(
        weights=torch.full((size,), 1.0 / size, dtype=torch.float64),
        means=means,
        covs=(std**2 * torch.eye(dim, dtype=torch.float64)).expand(size, dim, dim).clone(),
        name=name,
    )


def paper_mixture() -> GaussianMixture:
    """The EBRD paper's section IV-C: three unit-variance components on a circle of radius 6."""
    angles = 2.0 * math.pi * torch.arange(3, dtype=torch.float64) / 3.0
    means = 6.0 * torch.stack([angles.cos(), angles.sin()], 1)
    return isotropic_mixture(means, 1.0, "three components on a circle of radius 6")


def two_modes() -> GaussianMixture:
    """Unit-variance components at -3 and 3 on the line."""
    means = torch.tensor([[-3.0], [3.0]], dtype=torch.float64)
    return isotropic_mixture(means, 1.0, "two components at -3 and 3")


def lifted_mixture(dim: Number) -> GaussianMixture:
    """The paper's three components in a rotated plane of R^dim, unit noise in every direction."""
    dim = whole(dim, "the dimension of three components", 2)
    plane = orthogonal(dim)[:, :2]
    return isotropic_mixture(paper_mixture().means @ plane.T, 1.0, f"three components in R^{dim}")


_EIGHT = (
    (6.2, 0.7, 2.0), (-0.6, -0.9, -2.0), (-4.6, 1.6, 0.6), (0.2, 0.8, -8.3),
    (-0.7, -3.7, 0.5), (-5.4, 5.7, 2.4), (4.4, 2.0, 3.3), (0.5, -6.3, 1.4),
)  # fmt: skip
"""The edges of the minimum spanning tree are 2.6, 3.0, 3.8, 4.5, 5.4, 6.6 and 7.8 long."""


def eight_modes(dim: Number) -> GaussianMixture:
    """Eight unit-variance components in a rotated 3-dimensional subspace of R^dim.

    Neighbours are 2.6 to 7.8 standard deviations apart: some modes overlap, some are isolated.
    """
    dim = whole(dim, "the dimension of eight modes", 3)
    means = torch.tensor(_EIGHT, dtype=torch.float64) @ orthogonal(dim)[:, :3].T
    return isotropic_mixture(means, 1.0, f"eight components in R^{dim}")
