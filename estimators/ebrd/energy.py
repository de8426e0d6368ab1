"""Energies of a network over a quadratic, and Lemma 1."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.langevin import Potential
from rdbench.inference.networks import BatchedMLP, single
from rdbench.types import Distortion


class NetworkEnergy(torch.nn.Module):
    """B energies E(y) = MLP(w) + (curvature / 2) |w|^2 with w = L^-1 y and C = L L^T.

    A network alone need not have a finite Z.
    """

    whiten: Tensor

    def __init__(
        self,
        roots: Float[Tensor, "B d d"],
        hidden: int,
        curvature: float,
        output_scale: float,
        generator: Generator,
    ) -> None:
        """Untrained energies.

        Args:
            roots: L of every slope.
            hidden: width of the network's layers.
            curvature: of the quadratic in w.
            output_scale: how large the network's first outputs are.
            generator: draws its first weights.
        """
        super().__init__()
        batch, dim, _ = roots.shape
        self.curvature = curvature
        self.register_buffer("whiten", torch.linalg.inv(roots.double()).transpose(1, 2).float())
        self.network = BatchedMLP(batch, dim, hidden, generator, output_scale)

    def forward(self, y: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """E(y), differentiable in the parameters."""
        w = y @ self.whiten
        out: Tensor = self.network(w) + 0.5 * self.curvature * w.square().sum(-1)
        return out

    @torch.no_grad()
    def value_and_grad(
        self, y: Float[Tensor, "B n d"]
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n d"]]:
        """E(y) and its gradient in y."""
        w = y @ self.whiten
        value, grad = self.network.value_and_grad(w)
        grad = (grad + self.curvature * w) @ self.whiten.transpose(1, 2)
        return value + 0.5 * self.curvature * w.square().sum(-1), grad

    def single(self, index: int) -> NetworkEnergy:
        """The energy of one slope, frozen, in float64."""
        return single(self, index).double()

    def of_one(self, y: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"]]:
        """E(y) and its gradient, where there is one slope."""
        value, grad = self.value_and_grad(y.double()[None])
        return value[0], grad[0]


def lemma_1(
    marginal: Potential,
    distortion: Distortion,
    x: Float[Tensor, "B n d"],
    slopes: Float[Tensor, " B"],
) -> Potential:
    """E(y) + beta rho(x, y), whose Boltzmann law is p(y|x), batched over slopes (Lemma 1).

    beta rho is formed in float64 whatever the energy's type.

    Args:
        marginal: E and its gradient.
        distortion: rho.
        x: the symbol of every state.
        slopes: beta.
    """

    def potential(y: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = marginal(y)
        rho, slope = distortion.value_and_grad(x, y)
        value = value + (slopes[:, None] * rho).to(value.dtype)
        return value, grad + (slopes[:, None, None] * slope).to(value.dtype)

    return potential
