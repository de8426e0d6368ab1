"""Points under isotropic Gaussian noise: X = V + s N, V one of finitely many points of R^d.

The density is (2 pi s^2)^(-d/2) sum_j w_j exp(-|x - v_j|^2 / (2 s^2)).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from rdbench.exponentials import log_sum_exp

# Pairs of a symbol and a point that are held at a time.
_BLOCK = 4_000_000


def log_terms(
    x: Float[Tensor, "n d"],
    points: Float[Tensor, "m d"],
    log_weights: Float[Tensor, " m"],
    noise: float,
) -> Float[Tensor, "n m"]:
    """log w_j - |x_i - v_j|^2 / (2 s^2), by one matrix product about the points' mean."""
    centre = points.mean(0)
    x, v, scale = x.double() - centre, points - centre, 0.5 / noise**2
    columns = log_weights - scale * v.square().sum(1)
    rows = scale * x.square().sum(1, keepdim=True)
    return torch.addmm(columns, x, v.T, alpha=2.0 * scale) - rows


def log_density(
    x: Float[Tensor, "n d"],
    points: Float[Tensor, "m d"],
    log_weights: Float[Tensor, " m"],
    noise: float,
) -> Float[Tensor, " n"]:
    """log p(x) in nats."""
    points, log_weights = points.to(x.device), log_weights.to(x.device)
    rows = x.split(max(1, _BLOCK // len(points)))
    sums = [log_sum_exp(log_terms(r, points, log_weights, noise), 1) for r in rows]
    return torch.cat(sums) - 0.5 * x.shape[1] * math.log(2.0 * math.pi * noise**2)


def draw_labels(
    x: Float[Tensor, "n d"],
    points: Float[Tensor, "m d"],
    log_weights: Float[Tensor, " m"],
    noise: float,
    k: int,
    generator: Generator,
) -> Int[Tensor, "n k"]:
    """k independent draws of the point behind every row of x."""
    points, log_weights = points.to(x.device), log_weights.to(x.device)
    drawn = [
        torch.multinomial(
            torch.softmax(log_terms(r, points, log_weights, noise), 1),
            k,
            replacement=True,
            generator=generator,
        )
        for r in x.split(max(1, _BLOCK // len(points)))
    ]
    return torch.cat(drawn)
