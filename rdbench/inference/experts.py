"""An energy on R^d: a heavy-tailed base, experts at several scales, a network.

With z = e^stretch (w - centre), w whitened coordinates,

    E(w) = 1/2 (a + d) log(1 + |z|^2 / a)                    a Student t, at first with a = 3,
         + sum_m r_m log(1 + |z|^2 / (d s_m^2))              radial experts,
         + sum_jk v_jk log(1 + (u_j . z + b_j)^2 / t_k^2)    ridges, as products of experts have,
         + MLP(z / sqrt(1 + |z|^2 / 25 d)) + 1e-4 |w|^2 / 2.

The MLP sees a bounded input and a quadratic is left over, so that Z is finite whatever the weights.
All starts at zero but the base: q is the Student t of unit scale about the mean of the source.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import Parameter
from torch.nn.functional import silu

from rdbench.inference.networks import single

DEGREES = 3.0
"""Degrees of freedom a at the start."""
_RADII = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
_WIDTHS = (0.06, 0.2, 0.7, 2.5)
_REACH = 5.0  # sqrt(d) times it: where the network's input saturates
_CURVATURE = 1e-4


class Experts(torch.nn.Module):
    """B such energies, one per slope; they start from the same weights."""

    radii: Tensor
    widths: Tensor

    def __init__(
        self, batch: int, dim: int, hidden: int, generator: Generator, *, axes: bool = False
    ) -> None:
        """Untrained energies.

        Args:
            batch: B.
            dim: d.
            hidden: width of the two layers.
            generator: draws the first weights.
            axes: the ridges start along the coordinates rather than along random directions.
        """
        super().__init__()
        dev = generator.device

        def start(rows: int, columns: int, std: float) -> Parameter:
            w = std * torch.randn(1, rows, columns, generator=generator, device=dev)
            return Parameter(w.repeat(batch, 1, 1))

        def zero(*shape: int) -> Parameter:
            return Parameter(torch.zeros(batch, *shape, device=dev))

        self.reach = 1.0 / (_REACH**2 * dim)
        radii, widths = torch.tensor(_RADII, device=dev), torch.tensor(_WIDTHS, device=dev)
        self.register_buffer("radii", (radii.square() * dim).expand(batch, 1, -1))
        self.register_buffer("widths", widths.square()[:, None].expand(batch, 1, -1, 1))
        self.centre, self.stretch = zero(1, dim), zero(1, dim)
        self.log_degrees = Parameter(torch.full((batch, 1), math.log(DEGREES), device=dev))
        self.radial, self.ridges = zero(1, len(_RADII)), zero(len(_WIDTHS), dim)
        turned = torch.randn(dim, dim, generator=generator, device=dev)
        first = torch.eye(dim, device=dev) if axes else torch.linalg.qr(turned)[0]
        self.directions, self.offsets = Parameter(first.repeat(batch, 1, 1)), zero(1, dim)
        self.w1, self.b1 = start(dim, hidden, 1.5 / math.sqrt(dim)), start(1, hidden, 1.0)
        self.w2, self.b2 = start(hidden, hidden, hidden**-0.5), start(1, hidden, 0.1)
        self.skip, self.out = zero(hidden, 1), zero(hidden, 1)

    def coefficients(self) -> Iterator[Parameter]:
        """The parameters in which E is nearly linear: they bear a larger learning rate."""
        yield from (self.log_degrees, self.radial, self.ridges, self.stretch)

    def forward(self, w: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """E(w), differentiable in the parameters."""
        dim, a = w.shape[-1], self.log_degrees.exp()
        z = (w - self.centre) * self.stretch.exp()
        r2 = z.square().sum(-1)
        out = 0.5 * (a + dim) * torch.log1p(r2 / a) + 0.5 * _CURVATURE * w.square().sum(-1)
        out = out + (torch.log1p(r2[..., None] / self.radii) * self.radial).sum(-1)
        u2 = torch.baddbmm(self.offsets, z, self.directions).square()
        ridges = torch.log1p(u2[..., None, :] / self.widths).flatten(2)
        h1 = silu(
            torch.baddbmm(self.b1, z * torch.rsqrt(1.0 + self.reach * r2)[..., None], self.w1)
        )
        h2 = silu(torch.baddbmm(self.b2, h1, self.w2))
        total: Tensor = (
            out
            + (ridges @ self.ridges.flatten(1)[..., None] + h1 @ self.skip + h2 @ self.out)[..., 0]
        )
        return total

    @torch.no_grad()
    def value_and_grad(
        self, w: Float[Tensor, "B n d"]
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n d"]]:
        """E(w) and its gradient in w, written out as `BatchedMLP` has it, and for the reason."""
        dim, a, scale = w.shape[-1], self.log_degrees.exp(), self.stretch.exp()
        z = (w - self.centre) * scale
        r2 = z.square().sum(-1)
        wide = r2[..., None]
        value = 0.5 * (a + dim) * torch.log1p(r2 / a) + 0.5 * _CURVATURE * w.square().sum(-1)
        value = value + (torch.log1p(wide / self.radii) * self.radial).sum(-1)
        inward = (a + dim) / (a + r2) + (2.0 * self.radial / (self.radii + wide)).sum(-1)
        u = torch.baddbmm(self.offsets, z, self.directions)
        u2 = u.square()[..., None, :]
        value = (
            value
            + (torch.log1p(u2 / self.widths).flatten(2) @ self.ridges.flatten(1)[..., None])[..., 0]
        )
        pull = (self.ridges[:, None] / (self.widths + u2)).sum(-2)
        grad = inward[..., None] * z + (2.0 * u * pull) @ self.directions.transpose(1, 2)
        shrink = torch.rsqrt(1.0 + self.reach * wide)
        s = z * shrink
        a1 = torch.baddbmm(self.b1, s, self.w1)
        d1 = torch.sigmoid(a1)
        h1 = a1 * d1
        d1.add_(h1 * (1.0 - d1))  # the derivative of SiLU
        a2 = torch.baddbmm(self.b2, h1, self.w2)
        d2 = torch.sigmoid(a2)
        h2 = a2 * d2
        d2.add_(h2 * (1.0 - d2)).mul_(self.out.transpose(1, 2))
        value = value + (h1 @ self.skip + h2 @ self.out)[..., 0]
        inner = (d2 @ self.w2.transpose(1, 2) + self.skip.transpose(1, 2)).mul_(d1)
        inner = inner @ self.w1.transpose(1, 2)
        inner = shrink * (inner - self.reach * s * (s * inner).sum(-1, keepdim=True))
        return value, (grad + inner) * scale + _CURVATURE * w

    def single(self, index: int) -> Experts:
        """The energy of one slope, frozen, in float64."""
        return single(self, index).double()
