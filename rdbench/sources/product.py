"""Independent scalar coordinates under a rotation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import Number, array, converts, settle, whole
from rdbench.sources.gaussian import rotation
from rdbench.types import HasDensity, HasTail, RdbenchError, Source


@converts
@dataclass(frozen=True, eq=False)
class ProductSource:
    """X = basis Z with independent scalar coordinates Z_i ~ marginals[i]."""

    name: str
    marginals: tuple[Source, ...]
    basis: Float[Tensor, "d d"]

    def __post_init__(self) -> None:
        marginals = tuple(self.marginals) if isinstance(self.marginals, (tuple, list)) else ()
        if not marginals or not all(isinstance(m, Source) and m.dim == 1 for m in marginals):
            raise RdbenchError("a product needs one scalar source per coordinate")
        if not all(isinstance(m, HasDensity) for m in marginals):
            raise RdbenchError("a product needs coordinates with a density")
        basis = array(self.basis, "the basis of a product", 2)
        eye = torch.eye(len(marginals), dtype=torch.float64)
        if basis.shape != eye.shape or not torch.allclose(basis.T @ basis, eye, atol=1e-9):
            raise RdbenchError("the basis of a product must be an orthogonal matrix (d, d)")
        settle(self, marginals=marginals, basis=basis)

    @property
    def dim(self) -> int:
        """d."""
        return len(self.marginals)

    @property
    def tail_index(self) -> float:
        """The least of the coordinates'; NaN where one of them does not say its own."""
        known = [m.tail_index for m in self.marginals if isinstance(m, HasTail)]
        return min(known) if len(known) == self.dim else math.nan

    def groups(self) -> Iterator[tuple[Source, list[int]]]:
        """Every different marginal with the coordinates that have it."""
        found: dict[int, tuple[Source, list[int]]] = {}
        for i, marginal in enumerate(self.marginals):
            found.setdefault(id(marginal), (marginal, []))[1].append(i)
        yield from found.values()

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n vectors."""
        z = torch.empty(n, self.dim, device=generator.device, dtype=torch.float64)
        for marginal, where in self.groups():
            z[:, where] = marginal.sample(n * len(where), generator).reshape(n, len(where))
        return z @ self.basis.to(z.device).T

    def coordinates(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """z = basis^T x."""
        return x.double() @ self.basis.to(x.device)

    def log_prob(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log density in nats, the sum over the coordinates."""
        z = self.coordinates(x)
        total = torch.zeros(len(z), device=z.device, dtype=torch.float64)
        for marginal, where in self.groups():
            assert isinstance(marginal, HasDensity)
            part = marginal.log_prob(z[:, where].reshape(-1, 1)).reshape(len(z), len(where))
            total += part.sum(1)
        return total


def rotated_product(marginal: Source, dim: Number, name: str = "") -> ProductSource:
    """``dim`` independent copies of one scalar source under the seeded rotation."""
    dim = whole(dim, "the dimension of a product", 1)
    name = name or f"{marginal.name}^{dim}, rotated"
    return ProductSource(name, (marginal,) * dim, rotation(dim))
