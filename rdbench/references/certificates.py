"""Certificates of one problem: shipped, in the user's cache, or solved when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from rdbench.arrays import converts, instance, number, settle
from rdbench.certify import store
from rdbench.certify.certificate import Certificate
from rdbench.certify.identity import certificate_key, problem_digest
from rdbench.certify.rates import Known, side_step
from rdbench.certify.rungs import slope_of_rate
from rdbench.certify.solve import Method, certify, method_of
from rdbench.references.shipped import Table, shipped, shipped_file
from rdbench.types import OutOfRange, Problem

# What a slope is searched with, as a multiple of the tolerance.
_ROUGH = 10.0
_CLOSELY, LOOSELY = 2e-4, 0.1


@converts
@dataclass(frozen=True, eq=False)
class Certificates:
    """Brackets of F* of a problem that has a solver, each about ``tolerance`` nats wide.

    A certificate is looked for in the table that is shipped under the name ``case``, if there is
    one, then in the user's cache, then computed (and cached).

    Args:
        problem: the source, the distortion and the alphabet.
        tolerance: the width of a bracket that is asked for, in nats.
        case: the name of the shipped table.

    Raises:
        RdbenchError, ValueError: no problem, or no positive tolerance.
    """

    kind: ClassVar[str] = "certified"

    problem: Problem
    tolerance: float
    case: str = ""
    _solved: dict[float, Certificate] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        instance(self.problem, Problem, "what is certified")
        settle(self, tolerance=number(self.tolerance, "a tolerance"))
        if not 0.0 < self.tolerance < math.inf:
            raise ValueError(f"a tolerance must be positive, got {self.tolerance}")

    @property
    def parts(self) -> tuple[Any, ...]:
        """All that the numbers pass through beside this class: the solver, the shipped table."""
        return (*self.method.parts, *shipped_file(self.case))

    @property
    def table(self) -> Table:
        """The shipped values of this case."""
        return shipped(self.case)

    @cached_property
    def _digest(self) -> str:
        return problem_digest(self.problem)

    @cached_property
    def method(self) -> Method:
        """The solver of this problem.

        Raises:
            RdbenchError: there is none.
        """
        return method_of(self.problem)

    def key(self, beta: float, tolerance: float | None = None) -> str:
        """The content key of the certificate at beta."""
        return certificate_key(self._digest, beta, tolerance or self.tolerance)

    def certificate(self, beta: float) -> Certificate:
        """The certificate at beta, whether or not it reached the tolerance.

        Raises:
            OutOfRange: the solver does not cover beta.
        """
        if not (0.0 < beta < math.inf):
            raise OutOfRange(f"beta must be finite and positive, got {beta}")
        if beta not in self._solved:
            stored = self.table.centres.get(self.key(beta))
            self._solved[beta] = stored or self._cached(beta, self.tolerance)
        return self._solved[beta]

    def solve(self, beta: float, tolerance: float | None = None) -> Certificate:
        """A fresh certificate, from no table and no cache.

        Raises:
            OutOfRange: the solver does not cover beta.
        """
        try:
            return certify(self.method, beta, tolerance or self.tolerance, self._nearest(beta))
        except ValueError as reason:
            raise OutOfRange(str(reason)) from None

    def _cached(self, beta: float, tolerance: float) -> Certificate:
        """A certificate from the user's cache, or solved and put there."""
        key = self.key(beta, tolerance)
        found = store.recall(key)
        # The key is a digest of both; a file that says otherwise is not what was asked for.
        if found is None or (found.beta, found.tolerance) != (beta, tolerance):
            found = self.solve(beta, tolerance)
            store.remember(key, found)
        return found

    def _nearest(self, beta: float) -> Certificate | None:
        """The nearest solution that is close enough to start from."""
        near = [c for b, c in self._solved.items() if 0.95 * beta <= b <= 1.05 * beta]
        return min(near, key=lambda c: abs(c.beta - beta), default=None)

    @property
    def rough(self) -> float:
        """The tolerance of what a slope is searched with; bounds are no quicker for a wider one."""
        return self.tolerance if self.kind == "bounds" else _ROUGH * self.tolerance

    def search(
        self, rate: float, solve: Callable[[float], Certificate], near: float | None = None
    ) -> float:
        """The slope of a rate, from certificates that ``solve`` gives, starting at ``near``."""
        unit = self.method.unit
        accuracy = LOOSELY if self.kind == "bounds" else _CLOSELY
        near = near or self._near(rate) or 1.0 / unit
        return slope_of_rate(solve, rate, near, accuracy, unit, self._steepness)

    @property
    def _steepness(self) -> float:
        """dR / dlog(beta) at high rate: d over the power of the distance. Letters: not known."""
        if self.method.form == "letters":
            return 0.0
        power = 2.0 if self.problem.distortion.name == "squared_error" else 1.0
        return self.problem.source.dim / power

    def _near(self, rate: float) -> float | None:
        """A slope near that of a rate, from those of the shipped table; None where there is none.

        Between two of them log beta is nearly linear in R; above the last one it grows as at high
        rate, below the first one it hardly falls.
        """
        shipped = sorted((float(name), math.log(b)) for name, b in self.table.slopes.items())
        if not shipped:
            return None
        rates, logs = (np.array(column) for column in zip(*shipped, strict=True))
        beyond = max(0.0, rate - float(rates[-1]))
        rise = beyond / self._steepness if self._steepness else 0.0
        return math.exp(float(np.interp(rate, rates, logs)) + rise)

    def known(self, beta: float) -> Known:
        """The bracket of F*(beta) alone."""
        return self.table.sides.get(self.key(beta)) or Known.of(self.certificate(beta))

    def side_slopes(self, centre: Certificate) -> tuple[float, ...]:
        """The neighbours of a slope from which D* is bracketed."""
        step = side_step(centre.width, centre.beta, centre.distortion)
        return (centre.beta - step, centre.beta + step)
