"""The energy of EBRD without a mixture."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.networks import BatchedMLP, single

_WEAK = 0.1  # curvature of the quadratic where the source has unit variance


class PlainEnergy(torch.nn.Module):
    """B energies E(y) = MLP(w) + 0.05 |w|^2 with w = L^-1 y and C = L L^T."""

    whiten: Tensor

    def __init__(self, roots: Float[Tensor, "B d d"], hidden: int, generator: Generator) -> None:
        super().__init__()
        batch, dim, _ = roots.shape
        self.register_buffer("whiten", torch.linalg.inv(roots.double()).transpose(1, 2).float())
        self.network = BatchedMLP(batch, dim, hidden, generator, output_scale=0.1)

    @staticmethod
    def size(dim: int, hidden: int) -> int:
        """The number of trained parameters of one energy."""
        return hidden * (dim + hidden + 3)

    def forward(self, y: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """E(y), differentiable in the parameters."""
        w = y @ self.whiten
        out: Tensor = self.network(w) + 0.5 * _WEAK * w.square().sum(-1)
        return out

    @torch.no_grad()
    def value_and_grad(
        self, y: Float[Tensor, "B n d"]
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n d"]]:
        """E(y) and its gradient in y."""
        w = y @ self.whiten
        value, grad = self.network.value_and_grad(w)
        grad = (grad + _WEAK * w) @ self.whiten.transpose(1, 2)
        return value + 0.5 * _WEAK * w.square().sum(-1), grad

    def single(self, index: int) -> PlainEnergy:
        """The energy of one slope, frozen, in float64."""
        return single(self, index).double()
