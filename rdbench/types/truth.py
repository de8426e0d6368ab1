"""The truth of a problem, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.bracket import Bracket


class OutOfRange(ValueError):
    """A reference was asked about a slope or a distortion that it does not cover."""


@dataclass(frozen=True)
class TruthPoint:
    """The optimum at slope beta: F*(beta) = R* + beta D*, each as a bracket, in nats."""

    beta: float
    lagrangian: Bracket
    rate: Bracket
    distortion: Bracket
    kind: str = ""
    """How this point is known, where it differs from the reference's ``kind``."""

    @classmethod
    def exact(cls, beta: float, rate: float, distortion: float) -> TruthPoint:
        """A point in closed form."""
        e = Bracket.exact
        return cls(beta, e(rate + beta * distortion), e(rate), e(distortion))


@runtime_checkable
class Reference(Protocol):
    """The truth of one problem: R(D), as far as it is known."""

    kind: ClassVar[str]
    """"closed form", "certified" (a proof, up to rounding), "certified (numerical)" (the same for
    a quadrature of the source, widened by its observed error), "bounds" (far apart) or "unknown"
    (nothing: it raises, and gaps are blank)."""

    @property
    def citation(self) -> str:
        """Where the formula comes from."""

    @property
    def validity(self) -> str:
        """For which slopes it holds, in words."""

    def point(self, beta: float) -> TruthPoint:
        """F*, R* and D* at slope beta.

        Raises:
            OutOfRange: the reference does not cover beta (it never extrapolates).
        """

    def rate(self, distortion: float) -> Bracket:
        """R(D) in nats.

        Raises:
            OutOfRange: the reference does not cover this distortion.
        """

    def slope(self, rate: float) -> float:
        """The slope beta at which R* equals ``rate``.

        Raises:
            OutOfRange: the reference does not cover this rate.
        """


@runtime_checkable
class HasRefinedRate(Protocol):
    """A reference that can narrow R(D) by computing more; ``rate`` makes do with what it has."""

    def refined_rate(self, distortion: float) -> Bracket:
        """R(D) in nats, as narrow as the reference can make it; may take seconds or minutes.

        Raises:
            OutOfRange: the reference does not cover this distortion.
        """


@runtime_checkable
class HasPotential(Protocol):
    """A reference that knows the optimal potential: the control variate of the audit."""

    def potential(self, x: Float[Tensor, "n d"], beta: float) -> Float[Tensor, " n"]:
        """f*(x) = -log Z*(x) = -log E_{q*} exp(-beta rho(x, Y)).

        Its mean is the upper end of ``point(beta).lagrangian``: of a bracket, it belongs to the q
        that was found. Of a closed form it is the optimum's own, and its mean is F*, wherever in
        the bracket that lies.
        """


@runtime_checkable
class HasConditional(Protocol):
    """A reference that can draw from the optimal test channel."""

    def sample_conditional(
        self, x: Float[Tensor, "n d"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k d"]:
        """k draws of p*(y|x) for every row of x.

        Args:
            x: the symbols (n, d).
            k: draws for each of them.
            beta: the slope, nats per unit of distortion.
            generator: of all draws.
        """
