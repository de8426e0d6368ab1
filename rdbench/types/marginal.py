"""The kinds of reproduction marginals q."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor


@dataclass(frozen=True)
class Atoms:
    """q = sum_j w_j delta(y_j): points in float64 and log weights that sum to one."""

    points: Float[Tensor, "m d"]
    log_weights: Float[Tensor, " m"]

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points."""
        picked = torch.multinomial(self.log_weights.exp(), n, replacement=True, generator=generator)
        return self.points[picked]


@dataclass(frozen=True)
class Encoder:
    """A normalised density e(z|x) with its sampler: on the latent space, or on q's own.

    ``sample(x (n, d), k, generator)`` draws (n, k, l); ``log_prob(z (n, k, l), x (n, d))`` gives
    (n, k), in nats.
    """

    sample: Callable[[Tensor, int, Generator], Tensor]
    log_prob: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Density:
    """q with a normalised log density and an exact sampler.

    A ``proposal`` for p(y|x), where there is one, is an ``Encoder`` on q's own space (l = d): the
    audit importance-samples with it. It need not be exact, but where it is little noise is left.
    """

    sample: Callable[[int, Generator], Tensor]
    log_prob: Callable[[Tensor], Tensor]
    proposal: Encoder | None = None


@dataclass(frozen=True)
class Energy:
    """q(y) = exp(-E(y)) / Z with Z unknown.

    ``value_and_grad`` maps (n, d) float64 to E (n,) and its gradient (n, d) in float64;
    ``sample`` draws from q by Markov chains, so its draws are good, not exact. ``value`` is E
    alone, where that costs less: an audit on a grid needs no gradient.
    """

    sample: Callable[[int, Generator], Tensor]
    value_and_grad: Callable[[Tensor], tuple[Tensor, Tensor]]
    value: Callable[[Tensor], Tensor] | None = None

    def at(self, y: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """E(y)."""
        return self.value_and_grad(y)[0] if self.value is None else self.value(y)


@dataclass(frozen=True)
class Pushforward:
    """q is the law of ``decode(z)`` for z ~ ``prior``, by default N(0, I) of ``latent_dim``.

    ``decode`` maps (n, l) to (n, d), row by row, in float64 and differentiably. An ``encoder``,
    where there is one, proposes the z that matter for x: the audit importance-samples with it.
    """

    decode: Callable[[Tensor], Tensor]
    latent_dim: int
    prior: Density | None = None
    encoder: Encoder | None = None

    def sample_latent(self, n: int, generator: Generator) -> Float[Tensor, "n l"]:
        """Draw n latent points."""
        if self.prior is not None:
            return self.prior.sample(n, generator)
        return torch.randn(
            n, self.latent_dim, generator=generator, device=generator.device, dtype=torch.float64
        )

    def log_prior(self, z: Float[Tensor, "n l"]) -> Float[Tensor, " n"]:
        """Log density of the latent points in nats."""
        if self.prior is not None:
            return self.prior.log_prob(z)
        return -0.5 * (z.square().sum(1) + self.latent_dim * math.log(2.0 * math.pi))

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points."""
        return self.decode(self.sample_latent(n, generator))


@dataclass(frozen=True)
class Factor:
    """The law of Y in a subspace, of which the columns of ``axes`` are an orthonormal basis.

    k = 1: atoms at ``points`` along the axis, or Gaussians about them where there are
    ``variances``. k >= 2: with probability w_j the uniform law on the sphere of radius
    ``points[j]`` >= 0 about the origin. ``log_weights`` sum to one.
    """

    axes: Float[Tensor, "d k"]
    points: Float[Tensor, " m"]
    log_weights: Float[Tensor, " m"]
    variances: Float[Tensor, " m"] | None = None

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n vectors of the subspace, in the coordinates of R^d."""
        weights, dev = self.log_weights.exp(), generator.device
        labels = torch.multinomial(weights, n, replacement=True, generator=generator)
        k = self.axes.shape[1]
        out = self.points[labels][:, None]
        if k > 1 or self.variances is not None:
            u = torch.randn(n, k, generator=generator, device=dev, dtype=torch.float64)
            if self.variances is None:
                out = out * u / u.norm(dim=1, keepdim=True)
            else:
                out = out + self.variances[labels].sqrt()[:, None] * u
        return out @ self.axes.T


@dataclass(frozen=True)
class Product:
    """q is the law of ``centre`` + sum_k V_k, V_k independent, each of a factor.

    The subspaces of the factors are orthogonal and span R^d, so that squared error is a sum over
    them and Z(x) a product: sums over m^d atoms, or Gaussians, in closed form
    (`rdbench.inference.product`).
    """

    centre: Float[Tensor, " d"]
    factors: tuple[Factor, ...]

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points."""
        out = self.centre.expand(n, -1).clone()
        for factor in self.factors:
            out += factor.sample(n, generator)
        return out


@dataclass(frozen=True)
class Gaussians:
    """q = sum_k w_k N(m_k, S_k) by its parameters, float64; covariances may be singular.

    Under squared error Z(x) is in closed form (`rdbench.sources.mixture`), and the audit exact.
    """

    weights: Float[Tensor, " k"]
    means: Float[Tensor, "k d"]
    covs: Float[Tensor, "k d d"]

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points."""
        labels = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        values, vectors = torch.linalg.eigh(self.covs)
        roots = vectors * values.clamp(min=0.0).sqrt()[:, None, :]
        z = torch.randn(
            n, self.means.shape[1], generator=generator, device=generator.device,
            dtype=torch.float64,
        )  # fmt: skip
        out = self.means[labels].clone()
        for k, root in enumerate(roots):
            rows = labels == k
            out[rows] += z[rows] @ root.T
        return out


Marginal = Atoms | Density | Energy | Pushforward | Product | Gaussians
