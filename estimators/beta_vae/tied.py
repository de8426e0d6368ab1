"""A beta-VAE with a tied encoder: independent coordinates after a learned rotation, no networks.

The prior is a product of mixtures, p(z) = prod_i sum_k w_ik N(z_i; m_ik, s_ik^2), the decoder an
orthogonal map y = c + O z. The encoder has one component for every component of the prior, with the
conjugate shares and means; under squared error that is p(z|x) itself, and the bound is

    F = -sum_i log sum_k w_ik N(t_i; m_ik, s_ik^2 + v) - (d/2) log(2 pi v),   t = O^T (x - c),

v = 1 / (2 beta), without noise. All of it is trained by gradients, O = O0 exp(S - S^T) from S = 0.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.product import Coordinates
from rdbench.types import Factor, Product

_REACH, _WIDTH = 2.0, 0.5  # of the start, in standard deviations of each coordinate
_LEAST = 1e-5  # variance of a component in units of v: costs half of it per coordinate, in nats


class TiedVAE(torch.nn.Module):
    """One such model."""

    centre: Tensor
    axes0: Tensor
    unit: Tensor

    def __init__(
        self, start: Coordinates, x: Float[Tensor, "n d"], size: int, generator: Generator
    ) -> None:
        """Equal weights, means from -2 to 2 and deviations of .5, in units of each coordinate's.

        Args:
            start: c and O0.
            x: draws of the source, for the units alone.
            size: components of each coordinate.
            generator: moves the means a little, so that no two coordinates are alike.
        """
        super().__init__()
        unit = start.forward(x).std(0)
        self.register_buffer("centre", start.centre.clone())
        self.register_buffer("axes0", start.basis.clone())
        self.register_buffer("unit", unit.clamp(min=1e-12 * float(unit.max()))[:, None])
        shape, dim = (len(unit), size), len(unit)
        e = torch.randn(shape, generator=generator, device=unit.device, dtype=torch.float64)
        reach = _REACH if size > 1 else 0.0
        grid = torch.linspace(-reach, reach, size, dtype=torch.float64, device=unit.device)
        width = _WIDTH if size > 1 else 1.0
        self.skew = torch.nn.Parameter(torch.zeros_like(start.basis))
        self.means = torch.nn.Parameter(grid + 0.02 * e)
        self.log_widths = torch.nn.Parameter(e.new_full(shape, math.log(width)))
        self.logits = torch.nn.Parameter(e.new_zeros(dim, size))

    def rates(self, rate: float) -> list[tuple[list[torch.nn.Parameter], float]]:
        """Parameters with their learning rates: the rotation is a tenth as fast."""
        return [([self.means, self.log_widths, self.logits], rate), ([self.skew], 0.1 * rate)]

    def loss(self, x: Float[Tensor, "n d"], beta: float) -> Tensor:
        """The mean of ``potential``."""
        return self.potential(x, beta).mean()

    def axes(self) -> Float[Tensor, "d d"]:
        """O."""
        turned: Tensor = self.axes0 @ torch.linalg.matrix_exp(self.skew - self.skew.T)
        return turned

    def _terms(self, beta: float) -> tuple[Tensor, Tensor, Tensor]:
        """log w, m and s^2, (d, K)."""
        variances = (self.unit * self.log_widths.clamp(-30.0, 30.0).exp()).square()
        log_weights = torch.log_softmax(self.logits, 1)
        return log_weights, self.unit * self.means, variances + _LEAST * 0.5 / beta

    def potential(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """-log E_q exp(-beta ||x - Y||^2)."""
        t = (x - self.centre) @ self.axes()
        log_weights, means, variances = self._terms(beta)
        total = variances + 0.5 / beta
        joint = log_weights - 0.5 * (2.0 * beta * total).log()
        exponent = joint - 0.5 * (t[..., None] - means).square() / total
        return -torch.logsumexp(exponent, -1).sum(-1)

    @torch.no_grad()
    def law(self, beta: float) -> Product:
        """q, frozen: the law of c + O z."""
        columns = self.axes().T
        factors = [
            Factor(axis[:, None], m, w, v)
            for axis, w, m, v in zip(columns, *self._terms(beta), strict=True)
        ]
        return Product(self.centre, tuple(factors))
