"""Lemma 1 in whitened coordinates, and what chains need beside Langevin steps: scale moves, leaps.

They run in whitened coordinates w = (x - m) A, in which rho is a weighted sum over coordinates:
under squared error A is the source's principal axes over their standard deviations, under absolute
error, which no rotation respects, the latter alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.langevin import Potential

SPREAD = 2.0
"""Of the logarithm of a Langevin step's size."""
_SCALED = 0.6  # standard deviation of the logarithm of a scale move
_LEAP = 0.7
_LEAST = 1e-6  # times the largest eigenvalue of the source: a direction in which it is constant


@dataclass(frozen=True, eq=False)
class Whitening:
    """w = (x - mean) A and rho(x, y) = sum_i |scale_i (w_i(x) - w_i(y))|^power."""

    mean: Float[Tensor, " d"]
    forward_map: Float[Tensor, "d d"]
    backward_map: Float[Tensor, "d d"]
    scale: Float[Tensor, " d"]
    power: int

    @staticmethod
    def of(x: Float[Tensor, "n d"], squared: bool) -> Whitening:
        """By the first two moments of draws."""
        mean = x.mean(0)
        covariance = (x - mean).T @ (x - mean) / max(len(x) - 1, 1)
        if squared:
            values, axes = torch.linalg.eigh(covariance)
        else:
            values, axes = covariance.diagonal(), torch.eye(x.shape[1]).to(x)
        values = values.clamp(min=_LEAST * float(values.max()))
        scale = values.sqrt()
        return Whitening(mean, axes / scale, (axes * scale).T, scale, 2 if squared else 1)

    def lemma(self, slopes: Float[Tensor, " B"]) -> Lemma1:
        """Lemma 1 at some slopes, in float32."""
        return Lemma1((slopes[:, None, None] * self.scale**self.power).float(), self.power)

    def forward(self, x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
        """To whitened coordinates."""
        return (x.double() - self.mean) @ self.forward_map

    def backward(self, w: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
        """To the source's."""
        return w.double() @ self.backward_map + self.mean


@dataclass(frozen=True, eq=False)
class Lemma1:
    """beta rho(x, y), the term that turns q into p(y|x), for B slopes in whitened coordinates."""

    weight: Float[Tensor, "B 1 d"]
    """beta scale^power of every coordinate."""
    power: int

    def rho(self, apart: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """beta rho at differences w(y) - w(x)."""
        apart = apart.square() if self.power == 2 else apart.abs()
        return (self.weight * apart).sum(-1)

    def potential(self, energy: Potential, x: Float[Tensor, "B n d"]) -> Potential:
        """E(y) + beta rho(x, y)."""

        def both(y: Tensor) -> tuple[Tensor, Tensor]:
            value, grad = energy(y)
            apart = y - x
            slope = 2.0 * self.weight * apart if self.power == 2 else self.weight * apart.sign()
            return value + self.rho(apart), grad + slope

        return both

    def spread(self, spread: Float[Tensor, "B 1 d"]) -> Float[Tensor, "B 1 d"]:
        """About the standard deviations of p(y|x), from those of q."""
        if self.power == 2:
            return (spread**-2 + 2.0 * self.weight).rsqrt()
        return 1.0 / (1.0 / spread + self.weight)

    def near(self, x: Float[Tensor, "B n d"], generator: Generator) -> Float[Tensor, "B n d"]:
        """p(y|x) were q N(0, I), under absolute error x plus noise no wider than the source."""
        if self.power == 2:
            gain = 2.0 * self.weight / (1.0 + 2.0 * self.weight)
            z = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            return x * gain + z * (1.0 + 2.0 * self.weight).rsqrt()
        u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) - 0.5
        return x - u.sign() * torch.log1p(-1.9999 * u.abs()) / (1.0 + self.weight)

    def posterior(
        self,
        x: Float[Tensor, "B n d"],
        y: Float[Tensor, "B m d"],
        log_weight: Float[Tensor, "B m"] | float = 0.0,
    ) -> Float[Tensor, "B n m"]:
        """p(y_j|x_i) on points y, of which q has these log weights."""
        if isinstance(log_weight, Tensor):
            log_weight = log_weight[:, None]
        if self.power == 2:
            # |x - y|^2 less |x|^2, which the softmax does not see
            heavy = self.weight * y
            tilt = torch.baddbmm(-(heavy * y).sum(2)[:, None], x, 2.0 * heavy.transpose(1, 2))
        else:
            tilt = -torch.cdist(x * self.weight, y * self.weight, p=1.0)
        return torch.softmax(tilt + log_weight, 2)

    def started(
        self, x: Float[Tensor, "B n d"], y: Float[Tensor, "B m d"], generator: Generator
    ) -> Float[Tensor, "B n d"]:
        """A start for the chains of p(y|x): one of draws y of q, where several are likely."""
        likely = self.posterior(x, y)
        u = torch.rand((*x.shape[:2], 1), generator=generator, device=x.device, dtype=x.dtype)
        picked = (likely.cumsum(2) < u).sum(2, keepdim=True).clamp(max=y.shape[1] - 1)
        drawn = y.gather(1, picked.expand(-1, -1, x.shape[2]))
        few = likely.amax(2, keepdim=True) > 0.5
        return torch.where(few, self.near(x, generator), drawn)


Values = Callable[[Tensor], Tensor]


@torch.no_grad()
def scaled(
    energy: Values,
    y: Float[Tensor, "B n d"],
    centre: Float[Tensor, "B 1 d"],
    generator: Generator,
) -> Float[Tensor, "B n d"]:
    """A Metropolis step y -> c + e^s (y - c), s normal, which passes between core and shells."""
    s = torch.randn(y.shape[:-1], generator=generator, device=y.device, dtype=y.dtype) * _SCALED
    proposal = centre + (y - centre) * s.exp()[..., None]
    return _chosen(energy, y, proposal, s * y.shape[-1], generator)


@torch.no_grad()
def leap(
    energy: Values,
    y: Float[Tensor, "B n d"],
    symbols: Float[Tensor, "m d"],
    generator: Generator,
) -> Float[Tensor, "B n d"]:
    """A Metropolis step by the difference of two symbols, as in ter Braak (2006).

    The proposal is symmetric, needs no density, and joins modes between which Langevin steps do
    not pass: without it nothing holds the relative masses of modes in place.
    """
    shape = (2, *y.shape[:2])
    picked = torch.randint(len(symbols), shape, generator=generator, device=y.device)
    first, second = symbols[picked]
    return _chosen(energy, y, y + (first - second), 0.0, generator)


def _chosen(
    energy: Values, y: Tensor, proposal: Tensor, volume: Tensor | float, generator: Generator
) -> Tensor:
    u = torch.rand(y.shape[:-1], generator=generator, device=y.device, dtype=y.dtype)
    accept = u.log() < energy(y) - energy(proposal) + volume
    return torch.where(accept[..., None], proposal, y)
