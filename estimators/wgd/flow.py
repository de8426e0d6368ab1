"""The particles of one slope, and the three ways in which they move."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.exponentials import log_sum_exp
from rdbench.inference.particles import posterior_sums

Algorithm = Literal["flow", "averaged", "published"]

_LEAST_MASS, _FAR = 1e-6, 100.0
_FIRST_STEPS = 5.0  # of the flow, before its steps fall


@dataclass
class Flow:
    """k blocks of n particles in standard coordinates, of weight 1/n at first.

    A block is a problem of its own: q itself, or one of the k coordinates of a product.

    ``flow``: y_j <- y_j - s grad psi(y_j), s = eta_t / (2 beta), where psi(y) = -E K(X, y) / Z(X)
    and Z is held constant. Under squared error grad psi(y_j) = 2 beta (c_j y_j - m_j); a step
    never goes beyond m_j / c_j, where the gradient is zero. eta_t = eta_0 / (1 + t / 5)^power.
    Under absolute error, whose subgradient is a sign, the unit of length is the mean distance
    E|x - Y| along the coordinate: what a Newton step would be if errors were Laplacian.

    ``averaged``: the step that ends at m_j / c_j, with c and m averaged over minibatches at the
    gain (2 + t)^-power before the division (online EM: Cappe and Moulines 2009).

    ``published``: y_j <- y_j - s_t grad psi(y_j), s_t = s_0 / sqrt(1 + 99 t / T). With ``updated``
    weights a Blahut-Arimoto step on them follows, at the new particles.
    """

    y: Float[Tensor, "k n d"]
    beta: float
    squared: bool
    algorithm: Algorithm
    updated: bool
    """Whether weights are free; else they stay equal."""
    size: float = 1.0
    """eta_0, or s_0; ``averaged`` has none."""
    power: float = 0.6
    steps: int = 1
    """T."""
    reach: float = math.inf
    """The largest coordinate of the data."""

    def __post_init__(self) -> None:
        self.log_w = torch.full_like(self.y[..., 0], -math.log(self.y.shape[1]))
        self.mass = torch.ones_like(self.log_w)
        self.width = torch.full_like(self.y[:, 0], 1.0 / self.beta)

    @property
    def diverged(self) -> bool:
        """Whether steps too long for the slope have thrown particles far beyond the data.

        Other steps end inside the convex hull of the data.
        """
        return not bool(self.y.abs().max() <= _FAR * self.reach)

    def step(self, x: Float[Tensor, "k b d"], t: int) -> None:
        """Move the particles by one batch, the t-th."""
        x = x.to(self.y.dtype)
        c, m, width = posterior_sums(x, self.y, self.log_w, self.beta, self.squared)
        if self.algorithm == "averaged":
            self._averaged(c, m, width, t)
            return
        # psi is that of K / Z, not of w K / Z
        over = torch.exp(-self.log_w)
        c, m = c * over, m * over[..., None]
        down = m - c[..., None] * self.y if self.squared else m
        if self.algorithm == "published":
            rate = self.size / math.sqrt(1.0 + 99.0 * t / self.steps)
            self.y = self.y + rate * self.beta * (2.0 if self.squared else 1.0) * down
            if self.updated:
                c, _, _ = posterior_sums(x, self.y, self.log_w, self.beta, self.squared)
                self.log_w = torch.log_softmax(torch.log(c), 1)
            return
        most = self.size / (1.0 + t / _FIRST_STEPS) ** self.power
        length = c.clamp(min=1.0 / most).reciprocal()[..., None]
        self.y = self.y + length * (down if self.squared else width[:, None] * down)

    def _averaged(
        self,
        c: Float[Tensor, "k n"],
        m: Float[Tensor, "k n d"],
        width: Float[Tensor, "k d"],
        t: int,
    ) -> None:
        gain, n = (2.0 + t) ** -self.power, self.y.shape[1]
        self.mass.lerp_(c * n, gain).clamp_(min=_LEAST_MASS)
        if self.squared:
            # as moment / mass, but where the mass is at its floor a particle stays where it is
            self.y = self.y + gain * n * (m - c[..., None] * self.y) / self.mass[..., None]
        else:
            self.width.lerp_(width, gain)
            sign = (m * n / self.mass[..., None]).clamp(-1.0, 1.0)
            self.y = self.y + gain * self.width[:, None] * sign
        if self.updated:
            self.log_w = torch.log(self.mass / self.mass.sum(1, keepdim=True))

    def cover(self, x: Float[Tensor, "k m d"]) -> None:
        """Put at most a tenth of the particles at the draws that the others serve worst.

        n draws leave out the tails, where at high rate a distance costs beta times its square.
        Only draws that need more than log n + d nats count: a particle of weight 1/n and twice
        the distortion that is usual in d dimensions would do better.
        """
        power, (_, n, d) = 2 if self.squared else 1, self.y.shape
        for y, log_w, block in zip(self.y, self.log_w, x.to(self.y.dtype), strict=True):
            rho = (torch.cdist(part, y, p=power).pow_(power) for part in block.split(1000))
            needed = torch.cat([-log_sum_exp(log_w - self.beta * r, 1) for r in rho])
            worst = torch.topk(needed, max(1, n // 10))
            chosen = worst.indices[worst.values > math.log(n) + d]
            y[: len(chosen)] = block[chosen]
