"""What an estimator answers at one slope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.types.marginal import Marginal
from rdbench.types.terms import ConditionalKind, Side


@dataclass(frozen=True)
class Claim:
    """The point an estimator states itself, by its own formula on its own data, in nats."""

    rate: float
    distortion: float
    side: Side


@dataclass(frozen=True)
class Start:
    """Where the fit of one slope began: a reproduction marginal, and what it is called.

    ``name`` is read in tables: ``N(m, C)``, ``draws of the source``, ``fitted mixture``. With warm
    starts along the ladder it is the start of the whole fit, as it would be at this slope.
    """

    marginal: Marginal
    name: str


@dataclass(frozen=True)
class TestChannel:
    """One estimate at slope beta: the reproduction marginal q, p(y|x), and what is claimed.

    Every estimator is scored by F(q), whatever its loss was. ``sample_conditional(x, k, g)``
    draws (n, k, d) of p(y|x); ``boltzmann`` means p(y|x) is proportional to
    q(y) exp(-beta rho(x, y)) (the paper, Lemma 1), ``encoder`` a density of its own.

    ``q_is`` names the family of q in a few words (``energy network``, ``product of atoms``); empty,
    it is the kind of ``marginal``. The audit takes F of ``start``, too, where there is one, and
    the row says what was gained over it; a channel whose ``marginal`` is that of its ``start``
    has learned nothing, and its row says so.
    """

    __test__ = False  # not a test class, whatever pytest makes of the name

    beta: float
    marginal: Marginal
    claim: Claim
    sample_conditional: Callable[[Tensor, int, Generator], Tensor]
    conditional_kind: ConditionalKind = "boltzmann"
    status: Literal["ok", "not_converged"] = "ok"
    reason: str = ""
    q_is: str = ""
    start: Start | None = None

    @property
    def is_start(self) -> bool:
        """Whether q is where the fit began."""
        return self.start is not None and self.start.marginal is self.marginal


@dataclass(frozen=True)
class DualBound:
    """A lower bound of F* at slope beta: a positive function lambda(x), Csiszar's dual.

    Every lambda > 0 gives, in nats (Csiszar 1974; Berger 1971, section 2.5),

        F* >= E log lambda(X) - log sup_y c(y),   c(y) = E[lambda(X) exp(-beta rho(X, y))].

    ``log_lambda`` maps (n, d) to (n,) in float64, a function of each symbol alone. The audit takes
    the mean on fresh symbols and looks for the supremum itself; ``peaks`` are where the estimator
    found c to be large, and are looked at, too. A factor in lambda cancels.
    """

    beta: float
    log_lambda: Callable[[Tensor], Tensor]
    peaks: Float[Tensor, "m d"]
    claim: float
    """F_lo as the estimator finds it itself, in nats."""
    made_of: str = ""
    """What lambda is, in a few words (``1/Z of atoms, capped``)."""
    claim_side: Side = "lower"
    """``estimate`` where the claim rests on what was fitted, and bounds nothing by itself."""
    status: Literal["ok", "not_converged"] = "ok"
    reason: str = ""


@dataclass(frozen=True)
class Refusal:
    """An estimator's answer at a slope it cannot handle."""

    beta: float
    status: Literal["unsupported", "not_converged", "error"]
    reason: str
