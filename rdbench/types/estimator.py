"""What an estimator is, what it declares, and how the runner looks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from torch import Generator

from rdbench.outcomes import RdbenchError
from rdbench.types.answer import DualBound, Refusal, TestChannel
from rdbench.types.problem import View
from rdbench.types.terms import Grant


@runtime_checkable
class Monitor(Protocol):
    """The runner as an estimator sees it: progress, checkpoints and the budget.

    Its answers come from time and step budgets alone, never from an audit.
    """

    @property
    def effort(self) -> float:
        """Multiply deterministic units of work (steps, samples) by this; 1 is the default."""

    def advance(self, done: float) -> bool:
        """Report the fraction of the whole fit that is done; False means stop now."""

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
        """Offer the current channels for the accuracy trace; False means stop now.

        ``build`` makes them, cheaply, without drawing from the fit's generators; it is called only
        where a look is wanted, so that offering often costs nothing. Nothing reads their claims
        and conditionals.
        """

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        """Add gradient steps to the count; state the number of trained parameters."""


class Unsupported(RdbenchError):
    """Raised by a fit that finds only in its draws that it cannot handle the problem.

    The runner refuses every slope that is not answered yet, with this reason. What can be told
    from the problem alone is declared in `EstimatorInfo`.
    """


@dataclass(frozen=True)
class EstimatorInfo:
    """Declarations of an estimator for the runner, the tables and the figures.

    ``distortions``, ``alphabet``, ``max_dim`` and ``slopes`` say what it supports: other slopes and
    problems are refused before ``fit`` is called. The first three speak of sources on R^d: they do
    not apply where ``needs`` asks for the support and the source has one.
    """

    summary: str
    citation: str
    side: Literal["upper", "lower"] = "upper"
    """Whether it bounds R(D) from above, by channels, or from below, by dual bounds."""
    needs: frozenset[Grant] = frozenset()
    distortions: tuple[str, ...] | None = None
    """Names of the distortions it takes; None for all."""
    alphabet: bool = True
    """Whether it takes a given reproduction alphabet; else the reproduction space has to be R^d."""
    max_dim: int | None = None
    """The largest dimension it takes; None for all."""
    slopes: Literal["positive", "nonnegative"] = "nonnegative"
    """Whether it answers at beta = 0, where every reproduction marginal is optimal."""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Limits that a setting changes: ``"field=value"`` of the estimator -> fields of this class."""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preset_notes: Mapping[str, str] = field(default_factory=dict)
    not_invariant: frozenset[str] = frozenset()
    colour: str | None = None
    marker: str | None = None


@runtime_checkable
class Estimator(Protocol):
    """A frozen dataclass whose fields are its hyper-parameters, and whose ``fit`` does the work.

    ``fit`` takes the whole ladder of slopes at once, so that it may batch or warm-start them, and
    yields a channel (a dual bound, where ``info.side`` is ``lower``) or a refusal as each slope is
    done, in any order. What it yielded before a failure is audited and kept.
    """

    info: ClassVar[EstimatorInfo]

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | DualBound | Refusal]:
        """Estimate the optimal reproduction marginal at every slope of ``betas``.

        Args:
            view: all that is shown of the problem.
            betas: the slopes, nats per unit of distortion.
            generator: of all draws.
            monitor: takes progress and checkpoints; may end the fit.
        """
