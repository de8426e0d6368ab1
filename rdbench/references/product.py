"""Independent coordinates under a rotation: rates and distortions of the scalars add up.

For squared error rho(x, y) is the sum over the coordinates along any orthogonal basis, so that at
one slope F*, R*, D* and the potential are sums of the scalar ones, and p*(y|x) is a product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Generator, Tensor

from rdbench.arrays import converts, instance, settle
from rdbench.references.refined import rate_from_points, refined_rate
from rdbench.sources.product import ProductSource
from rdbench.types import (
    Bracket,
    HasConditional,
    HasPotential,
    OutOfRange,
    RdbenchError,
    Reference,
    TruthPoint,
)

_CLOSE = 1e-9


@converts
@dataclass(frozen=True, eq=False)
class ProductReference:
    """The sum of scalar references, one for every different marginal of the source.

    ``scalars`` are in the order of ``source.groups()``.
    """

    kind: ClassVar[str] = "certified"

    source: ProductSource
    scalars: tuple[Reference, ...]

    def __post_init__(self) -> None:
        instance(self.source, ProductSource, "the source of a product")
        given = (self.scalars,) if isinstance(self.scalars, Reference) else self.scalars
        scalars = tuple(given) if isinstance(given, (tuple, list)) else ()
        known = all(isinstance(s, Reference) for s in scalars)
        if not known or len(scalars) != len(list(self.source.groups())):
            raise RdbenchError("a product needs one reference for every different marginal")
        settle(self, scalars=scalars)

    @property
    def citation(self) -> str:
        """Where the formula comes from."""
        return f"a sum over independent coordinates; each: {self.scalars[0].citation}"

    @property
    def validity(self) -> str:
        """The slopes of all scalars."""
        return "; ".join(dict.fromkeys(scalar.validity for scalar in self.scalars))

    @property
    def accuracy(self) -> str:
        """That of the scalars, in words."""
        each = [getattr(s, "accuracy", s.kind) for s in self.scalars]
        return f"{self.source.dim} coordinates, each {'; '.join(dict.fromkeys(each))}"

    def _parts(self) -> list[tuple[Reference, list[int]]]:
        groups = self.source.groups()
        return [(s, where) for s, (_, where) in zip(self.scalars, groups, strict=True)]

    def point(self, beta: float) -> TruthPoint:
        """F*, R*, D* at slope beta: sums."""
        points = [(scalar.point(beta), len(where)) for scalar, where in self._parts()]
        return TruthPoint(
            beta,
            _sum([(p.lagrangian, n) for p, n in points]),
            _sum([(p.rate, n) for p, n in points]),
            _sum([(p.distortion, n) for p, n in points]),
            points[0][0].kind or self.scalars[0].kind,
        )

    def rate(self, distortion: float) -> Bracket:
        """R(D); of different marginals where all are closed forms, else ``refined_rate`` has it.

        Raises:
            OutOfRange: the scalar references do not cover D, or would have to be solved anew.
        """
        if len(self.scalars) > 1:
            if any(scalar.kind != "closed form" for scalar in self.scalars):
                raise OutOfRange(
                    "R(D) of a product of different marginals takes new certificates: ask for "
                    "refined_rate"
                )
            return self.refined_rate(distortion)
        return _sum([(self.scalars[0].rate(distortion / self.source.dim), self.source.dim)])

    def refined_rate(self, distortion: float) -> Bracket:
        """R(D), of different marginals from slopes at which the D*_i nearly add up to D.

        Raises:
            OutOfRange: the scalar references do not cover D.
        """
        if len(self.scalars) > 1:
            return rate_from_points(
                self.point, distortion, 0.5 * self.source.dim / distortion, _CLOSE
            )
        each = refined_rate(self.scalars[0], distortion / self.source.dim)
        return _sum([(each, self.source.dim)])

    def slope(self, rate: float) -> float:
        """The slope at which the rates add up to ``rate``."""
        if len(self.scalars) == 1:
            return self.scalars[0].slope(rate / self.source.dim)
        # The slopes that would give each group the whole rate, or its equal share, enclose it.
        ends = [
            scalar.slope(rate / share)
            for scalar, where in self._parts()
            for share in (len(where), self.source.dim)
        ]

        def excess(t: float) -> float:
            return self.point(math.exp(t)).rate.mid - rate

        low, high = math.log(min(ends)), math.log(max(ends))
        return math.exp(float(brentq(excess, low, high, xtol=1e-9))) if low < high else ends[0]

    def potential(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """The sum of the scalar potentials along the basis."""
        z = self.source.coordinates(x)
        total = torch.zeros(len(z), dtype=torch.float64, device=z.device)
        for scalar, where in self._parts():
            if not isinstance(scalar, HasPotential):
                raise OutOfRange("a scalar reference knows no potential")
            part = scalar.potential(z[:, where].reshape(-1, 1), beta)
            total += part.reshape(len(z), len(where)).sum(1)
        return total

    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """Independent coordinates along the basis."""
        z = self.source.coordinates(x)
        y = torch.empty(len(z), k, self.source.dim, dtype=torch.float64, device=z.device)
        for scalar, where in self._parts():
            if not isinstance(scalar, HasConditional):
                raise OutOfRange("a scalar reference knows no conditional")
            flat = scalar.sample_conditional(z[:, where].reshape(-1, 1), k, beta, generator)
            y[:, :, where] = flat.reshape(len(z), len(where), k).transpose(1, 2)
        return y @ self.source.basis.to(z.device).T


def _sum(parts: list[tuple[Bracket, int]]) -> Bracket:
    return Bracket(sum(b.lo * n for b, n in parts), sum(b.hi * n for b, n in parts))
