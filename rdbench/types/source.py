"""What a source is, and what some of them tell besides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Generator, Tensor


@runtime_checkable
class Source(Protocol):
    """A memoryless source X on R^d."""

    @property
    def name(self) -> str:
        """A short name with the parameters in it."""

    @property
    def dim(self) -> int:
        """The dimension d of one symbol."""

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """Draw n independent symbols in float64 on the generator's device."""


@runtime_checkable
class HasDensity(Protocol):
    """A source with a density with respect to Lebesgue measure."""

    def log_prob(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Log density in nats."""


@dataclass(frozen=True)
class LineTail:
    """How a density on the line falls outwards: what bounds the mass far out.

    On x <= beyond[0] and on x >= beyond[1] the density must not rise outwards, and there

    - ``log_concave``: log p is concave (Gaussian, exponential and lighter tails);
    - ``power``: |x - about|^power p(x) does not rise outwards (power laws; a little less than the
      exponent of the density, for a Student t with df degrees of freedom than df + 1). Squared
      error needs a finite variance, power > 3.
    """

    beyond: tuple[float, float]
    kind: Literal["log_concave", "power"] = "log_concave"
    power: float = math.inf
    about: float = 0.0


@runtime_checkable
class HasLineDensity(Protocol):
    """A source on the line that says of its density what certified truth takes.

    Beside ``name``, ``dim = 1`` and ``sample``. What is said is checked as far as numbers can:
    the density must integrate to one and agree with the sampler.
    """

    def log_prob(self, x: Float[Tensor, "n 1"]) -> Float[Tensor, " n"]:
        """Log density in nats, -inf where it is zero."""

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the support, infinite or not; the density may jump there."""

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """Where, inside the interval, the density jumps or is not smooth."""

    @property
    def tail(self) -> LineTail | None:
        """How it falls towards an infinite end; None where both ends are finite."""


@runtime_checkable
class HasSupport(Protocol):
    """A source on finitely many points; the audit of it is an exact sum."""

    @property
    def support(self) -> Float[Tensor, "m d"]:
        """The points."""

    @property
    def pmf(self) -> Float[Tensor, " m"]:
        """Their probabilities; they sum to one."""


@runtime_checkable
class HasHeldOut(Protocol):
    """A source known by rows alone: a fixed training set, and rows that only an audit sees."""

    @property
    def training(self) -> Float[Tensor, "n d"]:
        """The rows that estimators see; they are shown nothing else."""

    @property
    def held_out(self) -> Float[Tensor, "m d"]:
        """The rows that every audit is on, in an order that has nothing to do with the values."""

    @property
    def groups(self) -> Int[Tensor, " m"] | None:
        """For each of ``held_out`` the number of its group: rows of different groups alone are
        independent. None where all rows are.
        """


@runtime_checkable
class HasTail(Protocol):
    """A source that says how heavy its tail is: the audit trusts a standard error by it."""

    @property
    def tail_index(self) -> float:
        """Moments of ||X|| below this order are finite; infinite for exponential tails, NaN for
        what is not known.
        """


@runtime_checkable
class HasRadius(Protocol):
    """An elliptical source: X = c + A S U, U uniform on the unit sphere, S >= 0 independent of it.

    The audit draws S in strata, the tail included.
    """

    def log_radius(self, s: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Log density of S at s > 0, in nats."""

    def from_radius(
        self, s: Float[Tensor, " n"], direction: Float[Tensor, "n d"]
    ) -> Float[Tensor, "n d"]:
        """c + A s u for unit vectors u."""


@runtime_checkable
class HasComponents(Protocol):
    """A mixture that knows its components: the audit draws of the rare ones, too."""

    @property
    def weights(self) -> Float[Tensor, " k"]:
        """Probabilities of the components; they sum to one."""

    def log_joint(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """log of weight times density, for every component."""

    def sample_components(
        self, labels: Int[Tensor, " n"], generator: Generator
    ) -> Float[Tensor, "n d"]:
        """One draw of the component that each label names."""
