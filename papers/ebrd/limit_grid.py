"""Densities on a product grid in one or two dimensions, and Gaussian smoothing of them.

Under squared error Z_q(x) = E_q exp(-beta |x - Y|^2) is, up to a constant, q smoothed by
N(0, I / (2 beta)). On a grid of step h that is a matrix per axis. Where the kernel is wider than
the step its nodes are the matrix; where it is narrower, the smoothing is the heat flow for a time
1 / (4 beta), with the Laplacian by differences of order eight: its entries fall off faster than
exponentially, so that the tails of Z keep their relative accuracy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

_LAPLACIAN = (-205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560)
"""Differences of order eight: the weights at distance 0, 1, 2, 3 and 4."""
_TERMS = 40


@dataclass(frozen=True, eq=False)
class Grid:
    """A product of uniform axes of one step; functions on it are vectors over ``nodes``."""

    axes: tuple[Tensor, ...]
    step: float

    @property
    def nodes(self) -> Float[Tensor, "n d"]:
        """All nodes, the last axis varying fastest."""
        return torch.cartesian_prod(*self.axes).reshape(-1, len(self.axes))

    def masses(self, log_density: Float[Tensor, "*b n"]) -> Float[Tensor, "*b n"]:
        """Probabilities of the nodes, normalised on the grid."""
        return torch.softmax(log_density, -1)


def grid_over(lower: list[float], upper: list[float], step: float) -> Grid:
    """Nodes ``step`` apart over a box."""
    axes = tuple(
        a + step * torch.arange(math.floor((b - a) / step) + 1, dtype=torch.float64)
        for a, b in zip(lower, upper, strict=True)
    )
    return Grid(axes, step)


class Smoothing:
    """The operators K_beta of several slopes, one per item of a batch; infinity is the identity."""

    def __init__(self, grid: Grid, betas: tuple[float, ...]) -> None:
        self.betas = betas
        self._shape = tuple(len(axis) for axis in grid.axes)
        self._kernels = [
            torch.stack([torch.from_numpy(kernel(len(axis), grid.step, beta)) for beta in betas])
            for axis in grid.axes
        ]

    def __call__(self, f: Float[Tensor, "B n"], transposed: bool = False) -> Float[Tensor, "B n"]:
        """K_beta f for every item, or K_beta^T f."""
        out = f.reshape(len(f), *self._shape)
        first = self._kernels[0].mT if transposed else self._kernels[0]
        if len(self._shape) == 1:
            return torch.bmm(first, out[..., None])[..., 0]
        second = self._kernels[1] if transposed else self._kernels[1].mT
        return torch.bmm(torch.bmm(first, out), second).reshape(f.shape)

    def positive_phase(
        self, p: Float[Tensor, " n"], q: Float[Tensor, "B n"]
    ) -> Float[Tensor, "B n"]:
        """Masses of P_Y = integral of p(x) p(y|x), p(y|x) ~ q(y) exp(-beta |x - y|^2).

        That is q K^T (p / K q); for beta = infinity it is p, the data themselves.
        """
        z = self(q).clamp(min=1e-300)
        return q * self(p / z, transposed=True)


def kernel(n: int, step: float, beta: float) -> Float[np.ndarray, "n n"]:
    """Smoothing by N(0, 1 / (2 beta)) on n nodes ``step`` apart; the identity at infinity.

    Raises:
        ValueError: beta is not positive.
    """
    if not beta > 0.0:
        raise ValueError(f"smoothing needs beta > 0, got {beta}")
    if math.isinf(beta):
        return np.eye(n)
    if step * math.sqrt(2.0 * beta) <= 1.0:
        distance = step * np.subtract.outer(np.arange(n), np.arange(n))
        return step * math.sqrt(beta / math.pi) * np.exp(-beta * distance**2)
    generator = np.zeros((n, n))
    for away, weight in enumerate(_LAPLACIAN):
        for k in {away, -away}:
            generator += weight / (4.0 * beta * step**2) * np.eye(n, k=k)
    # By its series: the norm is below 4, and far entries stay far below rounding, where a general
    # matrix exponential would leave noise that drowns the tails of Z.
    term = total = np.eye(n)
    for order in range(1, _TERMS):
        term = term @ generator / order
        total = total + term
    return total


def divergence(p: Float[Tensor, "*b n"], q: Float[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
    """KL(p || q) in nats of masses on the same nodes."""
    terms = torch.where(p > 0.0, p * (p.log() - q.log()), 0.0)
    return terms.sum(-1)


def total_variation(p: Float[Tensor, "*b n"], q: Float[Tensor, "*b n"]) -> Float[Tensor, "*b"]:
    """Half of sum |p - q|, between 0 and 1."""
    return 0.5 * (p - q).abs().sum(-1)
