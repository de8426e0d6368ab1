"""A curved surface in R^d under Gaussian noise: X = g(Z) + s N, Z ~ N(0, I) in the plane.

g is a fixed random network with one hidden layer, g(z) = (A sin(W z + b) - mean) / scale, with

    W ~ N(0, 1) (32, 2),   b ~ U[0, 2 pi) (32),   A ~ N(0, 1) (d, 32),

mean and scale such that E g(Z) = 0 and E |g(Z)|^2 = 1. No small Gaussian mixture, no product and no
radial law is near it.

The density is an integral over z by the trapezoidal rule, which converges geometrically for such
integrands: on a lattice within |z| <= 6 it is good to 1e-6 nats at draws of X. Given x few parts
of the lattice matter; the others are left out by tiles of 8 by 8 nodes.
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

from rdbench.arrays import converts, positive, settle, whole
from rdbench.sources.points import draw_labels, log_terms
from rdbench.types import RdbenchError

_HIDDEN = 32
_REACH = 6.0
_TILE = 8
# Nats below the best tile's centre at which a tile is left out: far more than the exponent grows
# from the centre of a tile, 9 noises wide, to its corner.
_NEGLIGIBLE = 100.0
_MOVES = 8
_LEAST_NOISE = 0.02  # below, the lattice has more than a million nodes


@converts
@dataclass(frozen=True)
class CurvedSource:
    """X = g(Z) + noise N in R^dim; ``seed`` is that of the network."""

    dim: int
    noise: float = 0.1
    seed: int = 1

    tail_index: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        settle(self, dim=whole(self.dim, "the dimension of a curved source", 2))
        settle(self, noise=positive(self.noise, "the noise of a curved source"))
        if self.noise < _LEAST_NOISE:
            raise RdbenchError(
                f"a curved source takes a noise of {_LEAST_NOISE} or more, got {self.noise:g}"
            )
        settle(self, seed=whole(self.seed, "a seed", 0))

    @property
    def name(self) -> str:
        """The dimension and the noise."""
        return f"curved surface in R^{self.dim} plus N(0, {self.noise:g}^2 I)"

    @cached_property
    def _weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """W, b, A / scale and mean / scale."""
        rng = np.random.RandomState(self.seed)  # its stream is frozen
        w = torch.from_numpy(rng.standard_normal((_HIDDEN, 2)))
        b = torch.from_numpy(2.0 * math.pi * rng.random_sample(_HIDDEN))
        a = torch.from_numpy(rng.standard_normal((self.dim, _HIDDEN)))
        z, log_w = lattice(0.1)
        raw, p = torch.sin(z @ w.T + b) @ a.T, log_w.exp()
        mean = p @ raw
        scale = math.sqrt(float(p @ (raw - mean).square().sum(1)))
        return w, b, a / scale, mean / scale

    def surface(self, z: Float[Tensor, "n 2"]) -> Float[Tensor, "n d"]:
        """g(z)."""
        w, b, a, mean = (part.to(z.device) for part in self._weights)
        out: Tensor = torch.sin(z @ w.T + b) @ a.T - mean
        return out

    @cached_property
    def step(self) -> float:
        """Of the lattice: what the surface stretches to 1.1 noise where it stretches most."""
        w, b, a, _ = self._weights
        z, _ = lattice(0.1)
        jacobians = torch.einsum("dh,nh,hi->ndi", a, torch.cos(z @ w.T + b), w)
        stretch = float(torch.linalg.svdvals(jacobians)[:, 0].max())
        return min(1.1 * self.noise / stretch, 0.5)

    @cached_property
    def _tiles(self) -> tuple[Tensor, Tensor]:
        """Nodes of the lattice on the surface (tiles, 64, d), and their log weights (tiles, 64)."""
        z, log_w = lattice(self.step, _TILE)
        return self.surface(z).reshape(-1, _TILE**2, self.dim), log_w.reshape(-1, _TILE**2)

    def sample_signal(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n points of the surface."""
        dev = generator.device
        z = torch.randn(n, 2, generator=generator, device=dev, dtype=torch.float64)
        return self.surface(z)

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n symbols."""
        v = self.sample_signal(n, generator)
        z = torch.randn(v.shape, generator=generator, device=v.device, dtype=torch.float64)
        return v + self.noise * z

    def log_prob(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log density in nats."""
        rows = [self._log_prob(r) for r in x.double().split(20_000)]
        return torch.cat(rows) - 0.5 * self.dim * math.log(2.0 * math.pi * self.noise**2)

    def _log_prob(self, x: Tensor) -> Tensor:
        nodes, log_w = (part.to(x.device) for part in self._tiles)
        middle = _TILE**2 // 2 + _TILE // 2
        rough = log_terms(x, nodes[:, middle], log_w[:, middle], self.noise)
        top = rough.max(1).values
        near = rough > top[:, None] - _NEGLIGIBLE
        total = torch.zeros_like(top)
        for tile in near.any(0).nonzero()[:, 0].tolist():
            rows = near[:, tile].nonzero()[:, 0]
            terms = log_terms(x[rows], nodes[tile], log_w[tile], self.noise)
            total[rows] += torch.exp(terms - top[rows, None]).sum(1)
        return top + total.log()

    def signal_given(
        self, x: Float[Tensor, "n d"], k: int, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """k draws of g(Z) given every row of x.

        Z starts as a node of the lattice, drawn by its weight and spread evenly over its cell; some
        Metropolis moves with proposals of the same kind take out what is left of the cells.
        """
        n, dev = len(x), x.device
        nodes, log_w = lattice(self.step)
        nodes, log_w, v = nodes.to(dev), log_w.to(dev), self.surface(nodes).to(dev)
        count = k * (_MOVES + 1)
        labels = draw_labels(x, v, log_w, self.noise, count, generator).reshape(-1)
        jitter = torch.rand(n * count, 2, generator=generator, device=dev, dtype=torch.float64)
        z = nodes[labels] + self.step * (jitter - 0.5)
        y = self.surface(z)
        symbols = x.double().repeat_interleave(count, 0)

        def log_posterior(z: Tensor, y: Tensor) -> Tensor:
            misfit = (symbols - y).square().sum(1) / self.noise**2
            return -0.5 * (misfit + z.square().sum(1))

        log_ratio = log_posterior(z, y) - log_posterior(nodes[labels], v[labels])
        log_ratio, y = log_ratio.reshape(n, _MOVES + 1, k), y.reshape(n, _MOVES + 1, k, self.dim)
        kept, at = log_ratio[:, 0], y[:, 0]
        uniform = torch.rand(n, _MOVES, k, generator=generator, device=dev, dtype=torch.float64)
        for move in range(_MOVES):
            new = log_ratio[:, move + 1]
            accepted = uniform[:, move].log() < new - kept
            kept = torch.where(accepted, new, kept)
            at = torch.where(accepted[..., None], y[:, move + 1], at)
        return at


def lattice(step: float, tile: int = 1) -> tuple[Float[Tensor, "m 2"], Float[Tensor, " m"]]:
    """Nodes z with |z| <= 6 or just beyond, in whole tiles, and log weights: p(z) step^2."""
    half = math.ceil(_REACH / (step * tile))
    corner = step * tile * torch.arange(-half, half, dtype=torch.float64)
    inner = step * torch.arange(tile, dtype=torch.float64)
    corners, offsets = torch.cartesian_prod(corner, corner), torch.cartesian_prod(inner, inner)
    centre = 0.5 * step * (tile - 1)
    corners = corners[(corners + centre).norm(dim=1) <= _REACH + step * tile]
    z = (corners[:, None] + offsets).reshape(-1, 2)
    log_p = -0.5 * z.square().sum(1) - math.log(2.0 * math.pi)
    return z, log_p + 2.0 * math.log(step)
