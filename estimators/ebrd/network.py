"""The network of every energy on R^d, one per slope, and Lemma 1."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.inference.langevin import Potential
from rdbench.inference.networks import BatchedMLP, items, single
from rdbench.types import Distortion


class Network(torch.nn.Module):
    """B functions f(y) = MLP(w) + (curvature / 2) |w|^2, w = L^-1 (y - centre).

    A network alone need not have a finite Z: as an energy of its own it takes a curvature.
    """

    centre: Tensor
    whiten: Tensor

    def __init__(
        self,
        roots: Float[Tensor, "B d d"],
        hidden: int,
        generator: Generator,
        *,
        centre: Float[Tensor, " d"] | None = None,
        curvature: float = 0.0,
        output_scale: float = 0.01,
    ) -> None:
        """Untrained networks.

        Args:
            roots: L of every slope.
            hidden: width of the two layers.
            generator: draws the first weights.
            centre: zero if None.
            curvature: of the quadratic in w.
            output_scale: the size of the first outputs.
        """
        super().__init__()
        batch, dim, _ = roots.shape
        self.curvature = curvature
        centre = roots.new_zeros(dim) if centre is None else centre
        self.register_buffer("centre", centre.expand(batch, 1, -1).float())
        self.register_buffer("whiten", torch.linalg.inv(roots.double()).transpose(1, 2).float())
        self.network = BatchedMLP(batch, dim, hidden, generator, output_scale)

    def forward(self, y: Float[Tensor, "B n d"]) -> Float[Tensor, "B n"]:
        """f(y), differentiable in the parameters."""
        w = (y - self.centre) @ self.whiten
        out: Tensor = self.network(w) + 0.5 * self.curvature * w.square().sum(-1)
        return out

    @torch.no_grad()
    def value_and_grad(
        self, y: Float[Tensor, "B n d"]
    ) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B n d"]]:
        """f(y) and its gradient in y."""
        w = (y - self.centre) @ self.whiten
        value, grad = self.network.value_and_grad(w)
        grad = (grad + self.curvature * w) @ self.whiten.transpose(1, 2)
        return value + 0.5 * self.curvature * w.square().sum(-1), grad

    def of_one(self, y: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"]]:
        """f(y) and its gradient, where there is one slope."""
        value, grad = self.value_and_grad(y.double()[None])
        return value[0], grad[0]

    def single(self, index: int) -> Network:
        """The network of one slope, frozen, in float64."""
        return single(self, index).double()

    def repeated(self, batch: int) -> Network:
        """The first network as the start of ``batch`` of them."""
        return items(self, [0] * batch)


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
