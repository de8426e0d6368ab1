"""A closed form where it holds, certificates below."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.arrays import converts
from rdbench.references.refined import refined_rate
from rdbench.types import (
    Bracket,
    HasConditional,
    HasPotential,
    OutOfRange,
    RdbenchError,
    Reference,
    TruthPoint,
)

T = TypeVar("T")


@converts
@dataclass(frozen=True, eq=False)
class Composite:
    """``upper`` wherever it is in range, ``lower`` elsewhere; every point says which it is."""

    kind: ClassVar[str] = "certified"

    upper: Reference
    lower: Reference

    def __post_init__(self) -> None:
        if not (isinstance(self.upper, Reference) and isinstance(self.lower, Reference)):
            raise RdbenchError("a composite takes two references")

    @property
    def citation(self) -> str:
        """Where the formulas come from."""
        return f"{self.upper.citation}; elsewhere {self.lower.citation}"

    @property
    def validity(self) -> str:
        """Where the parts hold."""
        return f"{self.upper.kind} for {self.upper.validity}; elsewhere {self.lower.validity}"

    @property
    def accuracy(self) -> str:
        """That of the parts, in words."""
        below = getattr(self.lower, "accuracy", self.lower.kind)
        return f"{self.upper.kind} for {self.upper.validity}, elsewhere {below}"

    def _first(self, ask: Callable[[Reference], T]) -> T:
        try:
            return ask(self.upper)
        except OutOfRange:
            return ask(self.lower)

    def point(self, beta: float) -> TruthPoint:
        """F*, R*, D* at slope beta, with the kind of the part that knows them."""

        def ask(part: Reference) -> TruthPoint:
            found = part.point(beta)
            return dataclasses.replace(found, kind=found.kind or part.kind)

        return self._first(ask)

    def rate(self, distortion: float) -> Bracket:
        """R(D)."""
        return self._first(lambda part: part.rate(distortion))

    def refined_rate(self, distortion: float) -> Bracket:
        """R(D), from new certificates where that takes them."""
        return self._first(lambda part: refined_rate(part, distortion))

    def slope(self, rate: float) -> float:
        """The slope of a rate."""
        return self._first(lambda part: part.slope(rate))

    def potential(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """The potential of the part that covers beta."""

        def ask(part: Reference) -> Tensor:
            if not isinstance(part, HasPotential):
                raise OutOfRange("no potential is known at this slope")
            return part.potential(x, beta)

        return self._first(ask)

    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """The conditional of the part that covers beta."""

        def ask(part: Reference) -> Tensor:
            if not isinstance(part, HasConditional):
                raise OutOfRange("no conditional is known at this slope")
            return part.sample_conditional(x, k, beta, generator)

        return self._first(ask)
