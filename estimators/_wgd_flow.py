"""The particle flows of wgd, in standard coordinates.

With P_ij = p(y_j|x_i) on a minibatch of b symbols, c_j = (n / b) sum_i P_ij and
m_j = (n / b) sum_i P_ij x_i, the Wasserstein gradient of F at y_j is beta E[P grad_y rho], under
squared error 2 beta (c_j y_j - m_j) for equal weights (Yang et al. 2023, section 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

# Entries of P held at once: what fits the cache of a core, and what fills an accelerator.
_CPU_ENTRIES, _DEVICE_ENTRIES = 500_000, 50_000_000
_SINGLE_ERROR = 1e-3
_LEAST_SHARE = 1e-6
_FAR = 100.0
_POWER = 0.6  # gains (2 + t)^-power; between .5 and 1 averages converge


@dataclass
class Flow:
    """n particles at one slope and the running sums that they are moved by.

    Under squared error the gradient step of length 1 / (2 beta c_j) goes to m_j / c_j. Averaging
    c and m over minibatches with gain g_t = (2 + t)^-0.6 before the division is that step with
    the minibatch noise taken out (online EM: Cappe and Moulines 2009). Under absolute error, whose
    subgradient is a sign, the step is g_t w E[sign(x - y_j) | y_j] with w the mean distance
    E|x - Y| along the coordinate: what a Newton step would be if errors were Laplacian.
    """

    y: Float[Tensor, "n d"]
    beta: float
    squared: bool
    updated: bool
    """Whether weights follow the running mean of c_j as well."""
    diverged: ClassVar[bool] = False  # every step ends inside the convex hull of the data

    def __post_init__(self) -> None:
        self.log_w = torch.full_like(self.y[:, 0], -math.log(len(self.y)))
        self.share = torch.ones_like(self.log_w)
        self.width = torch.full_like(self.y[0], 1.0 / self.beta)

    def cover(self, x: Float[Tensor, "k d"]) -> None:
        """Put at most a tenth of the particles at the draws that the others serve worst.

        n draws leave out the tails, where at high rate a distance costs beta times its square.
        Only draws that need more than log n + d nats count: a particle of weight 1/n and twice
        the distortion that is usual in d dimensions would do better.
        """
        z = torch.cat(
            [
                torch.logsumexp(self.log_w - self.beta * _cost(part, self.y, self.squared), 1)
                for part in x.to(self.y.dtype).split(1000)
            ]
        )
        n, d = self.y.shape
        worst = torch.topk(-z, max(1, n // 10))
        chosen = worst.indices[worst.values > math.log(n) + d]
        self.y[: len(chosen)] = x[chosen].to(self.y.dtype)

    def step(self, x: Float[Tensor, "b d"], t: int) -> None:
        """Move the particles by one minibatch."""
        gain = (2.0 + t) ** -_POWER
        c, m, width = sums(x.to(self.y.dtype), self.y, self.log_w, self.beta, self.squared)
        n = len(self.y)
        self.share.lerp_(c * n, gain).clamp_(min=_LEAST_SHARE)
        if self.squared:
            # as moment / share, but where share is at its floor a particle stays where it is
            self.y = self.y + gain * n * (m - c[:, None] * self.y) / self.share[:, None]
        else:
            self.width.lerp_(width, gain)
            self.y = self.y + gain * self.width * (m * n / self.share[:, None]).clamp(-1.0, 1.0)
        if self.updated:
            self.log_w = torch.log(self.share / self.share.sum())


@dataclass
class PrintedFlow:
    """The authors' update: plain gradient steps of a given length, weights 1/n.

    y_j <- y_j - s_t grad psi(y_j), s_t = s_0 / sqrt(1 + 99 t / T), on the same draws at every
    step.
    """

    y: Float[Tensor, "n d"]
    beta: float
    squared: bool
    x: Float[Tensor, "b d"]
    learning_rate: float
    iterations: int

    def __post_init__(self) -> None:
        self.log_w = torch.full_like(self.y[:, 0], -math.log(len(self.y)))

    def step(self, _x: Float[Tensor, "b d"], t: int) -> None:
        """One gradient step; the minibatch is not used."""
        c, m, _ = sums(self.x, self.y, self.log_w, self.beta, self.squared)
        n = len(self.y)
        gradient = 2.0 * self.beta * n * (c[:, None] * self.y - m)
        if not self.squared:
            gradient = -self.beta * n * m
        rate = self.learning_rate / math.sqrt(1.0 + 99.0 * t / self.iterations)
        self.y = self.y - rate * gradient

    @property
    def diverged(self) -> bool:
        """Whether steps too long for the slope have thrown particles far beyond the data."""
        return not bool(self.y.abs().max() <= _FAR * self.x.abs().max())


def sums(
    x: Float[Tensor, "b d"],
    y: Float[Tensor, "n d"],
    log_w: Float[Tensor, " n"],
    beta: float,
    squared: bool,
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"], Float[Tensor, " d"]]:
    """mean_i P_ij; mean_i P_ij x_i, or of P_ij sign(x_i - y_j); and E|x - Y| per coordinate.

    The last is computed for absolute error alone.
    """
    c, m, width = torch.zeros_like(log_w), torch.zeros_like(y), torch.zeros_like(y[0])
    entries = _CPU_ENTRIES if x.device.type == "cpu" else _DEVICE_ENTRIES
    if not squared:
        for part in x.split(max(1, entries // len(y))):
            p = torch.softmax(log_w - beta * torch.cdist(part, y, p=1.0), 1)
            c += p.sum(0)
            for k in range(y.shape[1]):
                r = part[:, k, None] - y[:, k]
                m[:, k] += (p * r.sign()).sum(0)
                width[k] += (p * r.abs_()).sum()
        return c / len(x), m / len(x), width / len(x)
    # One product with the symbols and a column of ones gives both sums. |x|^2 is common to a row
    # of P and drops out; the factors that are left are centred and of unit scale.
    ones = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    both = y.new_zeros(x.shape[1] + 1, len(y))
    bias = log_w - beta * y.square().sum(1)
    buffer = y.new_empty(max(1, entries // len(y)), len(y))
    for part in ones.split(len(buffer)):
        p = buffer[: len(part)]
        torch.addmm(bias, part[:, :-1], y.T, alpha=2.0 * beta, out=p)
        torch.softmax(p, 1, out=p)
        both.addmm_(part.T, p)
    return both[-1] / len(x), both[:-1].T / len(x), width


def _cost(x: Tensor, y: Tensor, squared: bool) -> Tensor:
    return torch.cdist(x, y).square() if squared else torch.cdist(x, y, p=1.0)


def working_type(x: Float[Tensor, "b d"], beta: float, squared: bool) -> torch.dtype:
    """float32 where the logits, up to 2 beta max |x|^2, keep three digits behind the point."""
    largest = float(x.square().sum(1).max()) if squared else float(x.abs().sum(1).max())
    error = 2.0 * beta * largest * torch.finfo(torch.float32).eps
    return torch.float32 if error < _SINGLE_ERROR else torch.float64
