"""A normalising flow that starts at the identity: rotations and monotone splines, in turn.

A layer maps y to W^-1 Q^T s(Q W (y - c)) + c, with W a fixed whitening, Q a learned rotation and
s a monotone rational-quadratic spline (Gregory and Delbourgo 1982; Durkan et al. 2019) in each
coordinate, with linear tails. Its log determinant is that of s alone, its inverse is in closed
form, and no direction is favoured: it can turn the axes of a rotated product into its own.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

_REACH = 4.0  # the knots lie in [-4, 4], in standard deviations
_LEAST = 1e-3  # of bin heights over widths, and of slopes
_START = math.log(math.expm1(1.0 - _LEAST))  # its softplus is one but for the least


class Flow(torch.nn.Module):
    """B flows h: R^d -> R^d."""

    whiten: Tensor
    unwhiten: Tensor
    centre: Tensor
    turn0: Tensor

    def __init__(
        self,
        whiten: Float[Tensor, "B d d"],
        centre: Float[Tensor, "B 1 d"],
        layers: int,
        bins: int,
        generator: Generator,
    ) -> None:
        """The identity, with the first rotations drawn at random.

        Args:
            whiten: W.
            centre: c.
            layers: how many.
            bins: of each spline.
            generator: draws the first rotations.
        """
        super().__init__()
        batch, dim = whiten.shape[:2]
        device = generator.device

        def zeros(*shape: int) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64, device=device))

        start = torch.randn(
            layers, dim, dim, generator=generator, device=device, dtype=torch.float64
        )
        turns = torch.linalg.qr(start).Q
        self.register_buffer("whiten", whiten.clone())
        self.register_buffer("unwhiten", torch.linalg.inv(whiten))
        self.register_buffer("centre", centre.clone())
        self.register_buffer("turn0", turns.repeat(batch, 1, 1, 1))
        self.skew = zeros(batch, layers, dim, dim)
        self.offset = zeros(batch, layers, dim)
        self.height = zeros(batch, layers, dim, bins)
        self.slope = zeros(batch, layers, dim, bins + 1)

    def _turns(self) -> Float[Tensor, "B l d d"]:
        lower = self.skew.tril(-1)
        turned: Tensor = self.turn0 @ torch.linalg.matrix_exp(lower - lower.transpose(-1, -2))
        return turned

    def _knots(self, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Values at the left ends and heights of the bins (B, d, bins), slopes (B, d, bins + 1)."""
        width = 2.0 * _REACH / self.height.shape[-1]
        softplus = torch.nn.functional.softplus
        height = width * (softplus(self.height[:, layer] + _START) + _LEAST)
        slope = softplus(self.slope[:, layer] + _START) + _LEAST
        # The middle knot stays but for the offset, so that heights do not shift everything.
        left = height.cumsum(-1) - height
        middle = left[..., height.shape[-1] // 2, None]
        return left - middle + self.offset[:, layer, :, None], height, slope

    def forward(
        self, y: Float[Tensor, "B n d"]
    ) -> tuple[Float[Tensor, "B n d"], Float[Tensor, "B n"]]:
        """h(y) and log |det h'(y)|."""
        t = (y - self.centre) @ self.whiten.transpose(-1, -2)
        turns = self._turns()
        log_det = torch.zeros_like(y[..., 0])
        for layer in range(turns.shape[1]):
            turn = turns[:, layer]
            t, log_slope = _spline(t @ turn.transpose(-1, -2), *self._knots(layer))
            t = t @ turn
            log_det = log_det + log_slope.sum(-1)
        return t @ self.unwhiten.transpose(-1, -2) + self.centre, log_det

    @torch.no_grad()
    def inverse(self, z: Float[Tensor, "B n d"]) -> Float[Tensor, "B n d"]:
        """y with h(y) = z."""
        t = (z - self.centre) @ self.whiten.transpose(-1, -2)
        turns = self._turns()
        for layer in reversed(range(turns.shape[1])):
            turn = turns[:, layer]
            t = _inverse_spline(t @ turn.transpose(-1, -2), *self._knots(layer)) @ turn
        return t @ self.unwhiten.transpose(-1, -2) + self.centre


def _pick(table: Float[Tensor, "B d k"], index: Tensor) -> Float[Tensor, "B n d"]:
    return table.gather(2, index.transpose(1, 2)).transpose(1, 2)


def _spline(t: Tensor, left: Tensor, height: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """s(t) and log s'(t)."""
    bins = height.shape[-1]
    width = 2.0 * _REACH / bins
    inside = t.clamp(-_REACH, _REACH)
    index = ((inside.detach() + _REACH) / width).long().clamp(max=bins - 1)
    xi = (inside + _REACH) / width - index
    h, low = _pick(height, index), _pick(left, index)
    d0, d1 = _pick(slope, index), _pick(slope, index + 1)
    s = h / width
    both = xi * (1.0 - xi)
    below = s + (d0 + d1 - 2.0 * s) * both
    value = low + h * (s * xi.square() + d0 * both) / below
    rate = s.square() * (d1 * xi.square() + 2.0 * s * both + d0 * (1.0 - xi).square())
    rate = rate / below.square()
    # In the tails xi is 0 or 1 and ``rate`` the slope at the last knot.
    return value + (t - inside) * rate, rate.log()


def _inverse_spline(v: Tensor, left: Tensor, height: Tensor, slope: Tensor) -> Tensor:
    bins = height.shape[-1]
    width = 2.0 * _REACH / bins
    ends = torch.cat([left, left[..., -1:] + height[..., -1:]], -1)
    wide = v.transpose(1, 2).contiguous()
    index = torch.searchsorted(left.contiguous(), wide, right=True).sub(1).clamp(0, bins - 1)
    index = index.transpose(1, 2)
    lowest, highest = ends[:, None, :, 0], ends[:, None, :, -1]
    inside = torch.minimum(torch.maximum(v, lowest), highest)
    h, low = _pick(height, index), _pick(left, index)
    d0, d1 = _pick(slope, index), _pick(slope, index + 1)
    s = h / width
    bend, rise = d0 + d1 - 2.0 * s, inside - low
    a, b, c = h * (s - d0) + rise * bend, h * d0 - rise * bend, -s * rise
    xi = 2.0 * c / (-b - (b.square() - 4.0 * a * c).clamp(min=0.0).sqrt())
    t = (xi + index) * width - _REACH
    below, above = v < lowest, v > highest
    t = torch.where(below, -_REACH + (v - lowest) / d0, t)
    return torch.where(above, _REACH + (v - highest) / d1, t)
