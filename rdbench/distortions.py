"""Distortion measures: squared error, absolute error, Hamming, all summed over dimensions; a table.

All arithmetic is in float64 whatever the inputs are, because every value is later multiplied by
beta (up to about 3e3) and exponentiated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import array, converts, settle
from rdbench.types import RdbenchError

# Up to this dimension differences are formed one by one; above it the expanded square is much
# faster, and harmless in float64 once both arguments are centred.
_DIRECT_DIM = 3


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
        dev = generator.device
        u = torch.rand(n, dim, generator=generator, device=dev, dtype=torch.float64) - 0.5
        return -u.sign() * torch.log1p(-2.0 * u.abs()).clamp(min=-700.0) / beta

    def log_noise_mass(self, beta: float, dim: int) -> float:
        """d log(2 / beta)."""
        return dim * math.log(2.0 / beta)


class _OnLetters:
    """A distortion without a gradient, and with no noise on R^d."""

    name: ClassVar[str]

    def value_and_grad(
        self, x: Float[Tensor, "*b d"], y: Float[Tensor, "*b d"]
    ) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b d"]]:
        """Not differentiable: raises NotImplementedError."""
        raise NotImplementedError(f"{self.name} distortion has no gradient")

    def noise(self, beta: float, n: int, dim: int, generator: Generator) -> Float[Tensor, "n d"]:
        """No such noise on R^d: raises NotImplementedError."""
        raise NotImplementedError(f"{self.name} distortion has no noise density on R^d")

    def log_noise_mass(self, beta: float, dim: int) -> float:
        """Infinite on R^d: raises NotImplementedError."""
        raise NotImplementedError(f"exp(-beta rho) of {self.name} distortion has no mass on R^d")


@dataclass(frozen=True)
class Hamming(_OnLetters):
    """rho(x, y) = number of coordinates in which x and y differ."""

    name: ClassVar[str] = "hamming"

    def pairwise(self, x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
        """The number of differing coordinates."""
        total = torch.zeros(x.shape[0], y.shape[0], dtype=torch.float64, device=x.device)
        for i in range(x.shape[1]):
            total += x[:, i, None] != y[:, i]
        return total


@converts
@dataclass(frozen=True, eq=False)
class TableDistortion(_OnLetters):
    """rho(i, j) = table_ij for letters that are the numbers 0, 1, ..., as points of dimension 1.

    Row i is the source letter i, column j the reproduction letter j. Entries may be negative, and
    +inf, which forbids j to i, where every row has a finite one.

    Raises:
        RdbenchError: no matrix of numbers; NaN or -inf; a row without a finite entry.
    """

    table: Float[Tensor, "n m"]

    name: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        table = array(self.table, "a table of distortions", 2, finite=False)
        settle(self, table=table)
        if not bool((table > -math.inf).all()):
            raise RdbenchError("a table of distortions must not hold NaN or -inf")
        barred = (table == math.inf).all(1)
        if bool(barred.any()):
            row = int(barred.int().argmax())
            raise RdbenchError(
                f"a table of distortions needs a finite entry in every row: row {row} has none"
            )

    @property
    def letters(self) -> Float[Tensor, "m 1"]:
        """The reproduction letters 0, ..., m - 1."""
        return torch.arange(self.table.shape[1], dtype=torch.float64)[:, None]

    def check_letters(
        self, x: Float[Tensor, "n k"] | None, y: Float[Tensor, "m d"], dim: int
    ) -> None:
        """Refuse a source or an alphabet that the table does not fit.

        Raises:
            RdbenchError: the letters are not scalars; a point is not a letter; a finite source
                has not one letter for every row.
        """
        rows, columns = self.table.shape
        if dim != 1:
            raise RdbenchError(f"a table of distortions takes scalar letters, the source has {dim}")
        if x is not None:
            found = len(torch.unique(_fitting(self._letters, x, rows, "source")))
            if found != rows:
                raise RdbenchError(
                    f"the table has {rows} rows, the source {found} letters: give a row for every "
                    "letter of the source (it may have probability 0)"
                )
        _fitting(self._letters, y, columns, "reproduction")
        if x is not None and bool((self.pairwise(x, y) == math.inf).all(1).any()):
            raise RdbenchError("the table forbids every letter of the alphabet to a source letter")

    def pairwise(self, x: Float[Tensor, "n 1"], y: Float[Tensor, "m 1"]) -> Float[Tensor, "n m"]:
        """table[x_i, y_j].

        Raises:
            ValueError: a point is not a letter of the table.
        """
        rows = self._letters(x, self.table.shape[0], "source")
        columns = self._letters(y, self.table.shape[1], "reproduction")
        return self.table.to(x.device)[rows][:, columns.to(x.device)]

    @staticmethod
    def _letters(points: Tensor, size: int, side: str) -> Tensor:
        values = points[:, 0].double()
        letters = values.round().nan_to_num(-1.0).clamp(-1.0, size).long()
        exact = (values == letters) & (letters >= 0) & (letters < size)
        if not bool(exact.all()):
            wrong = float(values[~exact][0])
            raise ValueError(
                f"{wrong:g} is not a letter of the table: its {side} letters are 0 to {size - 1}"
            )
        return letters


def _fitting(letters: Callable[[Tensor, int, str], Tensor], *of: Any) -> Tensor:
    try:
        return letters(*of)
    except ValueError as reason:
        raise RdbenchError(str(reason)) from None
