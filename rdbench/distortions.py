"""Distortion measures: squared error, absolute error, Hamming, all summed over dimensions; a table.

All arithmetic is in float64 whatever the inputs are, because every value is later multiplied by
beta (up to about 3e3) and exponentiated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.types import RdbenchError

# Up to this dimension differences are formed one by one; above it the expanded square is much
# faster, and harmless in float64 once both arguments are centred.
_DIRECT_DIM = 3


def _uniform(n: int, dim: int, generator: Generator) -> Tensor:
    return torch.rand(n, dim, generator=generator, device=generator.device, dtype=torch.float64)


@dataclass(frozen=True)
class SquaredError:
    """rho(x, y) = ||x - y||^2."""

    name: ClassVar[str] = "squared_error"

    def pairwise(self, x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
        """||x_i - y_j||^2, safe for data far from the origin."""
        x, y = x.double(), y.double()
        if x.shape[1] <= _DIRECT_DIM:
            total = (x[:, 0, None] - y[:, 0]).square_()
            for i in range(1, x.shape[1]):
                total += (x[:, i, None] - y[:, i]).square_()
            return total
        centre = y.mean(0)
        x, y = x - centre, y - centre
        squares = x.square().sum(1)[:, None] + y.square().sum(1)
        return torch.addmm(squares, x, y.T, alpha=-2.0).clamp_(min=0.0)

    def value_and_grad(
        self, x: Float[Tensor, "*b d"], y: Float[Tensor, "*b d"]
    ) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b d"]]:
        """||x - y||^2 and 2 (y - x)."""
        r = y.double() - x.double()
        return r.square().sum(-1), 2.0 * r

    def noise(self, beta: float, n: int, dim: int, generator: Generator) -> Float[Tensor, "n d"]:
        """N(0, I / (2 beta))."""
        z = torch.randn(n, dim, generator=generator, device=generator.device, dtype=torch.float64)
        return z / math.sqrt(2.0 * beta)

    def log_noise_mass(self, beta: float, dim: int) -> float:
        """(d/2) log(pi / beta)."""
        return 0.5 * dim * math.log(math.pi / beta)


@dataclass(frozen=True)
class AbsoluteError:
    """rho(x, y) = ||x - y||_1."""

    name: ClassVar[str] = "absolute_error"

    def pairwise(self, x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
        """||x_i - y_j||_1."""
        return torch.cdist(x.double(), y.double(), p=1.0)

    def value_and_grad(
        self, x: Float[Tensor, "*b d"], y: Float[Tensor, "*b d"]
    ) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b d"]]:
        """||x - y||_1 and sign(y - x), a subgradient (0 where a coordinate agrees)."""
        r = y.double() - x.double()
        return r.abs().sum(-1), r.sign()

    def noise(self, beta: float, n: int, dim: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Independent Laplace(1 / beta) coordinates."""
        u = _uniform(n, dim, generator) - 0.5
        return -u.sign() * torch.log1p(-2.0 * u.abs()).clamp(min=-700.0) / beta

    def log_noise_mass(self, beta: float, dim: int) -> float:
        """d log(2 / beta)."""
        return dim * math.log(2.0 / beta)


@dataclass(frozen=True)
class Hamming:
    """rho(x, y) = number of coordinates in which x and y differ."""

    name: ClassVar[str] = "hamming"

    def pairwise(self, x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
        """The number of differing coordinates."""
        total = torch.zeros(x.shape[0], y.shape[0], dtype=torch.float64, device=x.device)
        for i in range(x.shape[1]):
            total += x[:, i, None] != y[:, i]
        return total

    def value_and_grad(
        self, x: Float[Tensor, "*b d"], y: Float[Tensor, "*b d"]
    ) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b d"]]:
        """Not differentiable: raises NotImplementedError."""
        raise NotImplementedError("Hamming distortion has no gradient")

    def noise(self, beta: float, n: int, dim: int, generator: Generator) -> Float[Tensor, "n d"]:
        """No such noise on R^d: raises NotImplementedError."""
        raise NotImplementedError("Hamming distortion has no noise density on R^d")

    def log_noise_mass(self, beta: float, dim: int) -> float:
        """Infinite on R^d: raises NotImplementedError."""
        raise NotImplementedError("exp(-beta rho) of Hamming distortion has infinite mass on R^d")


@dataclass(frozen=True, eq=False)
class TableDistortion:
    """rho(i, j) = table_ij for letters that are the numbers 0, 1, ..., as points of dimension 1."""

    table: Float[Tensor, "n m"]

    name: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        if self.table.numel() == 0 or not bool(
            (self.table >= 0).all() & self.table.isfinite().all()
        ):
            raise RdbenchError("a table of distortions must be finite and non-negative")

    def pairwise(self, x: Float[Tensor, "n 1"], y: Float[Tensor, "m 1"]) -> Float[Tensor, "n m"]:
        """table[x_i, y_j].

        Raises:
            ValueError: a point is no letter of the table.
        """
        rows, columns = (self._letters(p, n) for p, n in zip((x, y), self.table.shape, strict=True))
        return self.table.to(x.device).double()[rows][:, columns]

    @staticmethod
    def _letters(points: Tensor, size: int) -> Tensor:
        letters = points[:, 0].double().round().long()
        exact = (points[:, 0].double() == letters) & (letters >= 0) & (letters < size)
        if not bool(exact.all()):
            raise ValueError(f"a point is no letter of the table: they are 0 to {size - 1}")
        return letters

    def value_and_grad(
        self, x: Float[Tensor, "*b d"], y: Float[Tensor, "*b d"]
    ) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b d"]]:
        """Not differentiable: raises NotImplementedError."""
        raise NotImplementedError("a table of distortions has no gradient")

    def noise(self, beta: float, n: int, dim: int, generator: Generator) -> Float[Tensor, "n d"]:
        """No such noise on R^d: raises NotImplementedError."""
        raise NotImplementedError("a table of distortions has no noise density on R^d")

    def log_noise_mass(self, beta: float, dim: int) -> float:
        """No mass on R^d: raises NotImplementedError."""
        raise NotImplementedError("a table of distortions has no noise density on R^d")
