"""Student's t with 5 degrees of freedom under squared error, in 1, 10 and 50 dimensions."""

from __future__ import annotations

from rdbench.distortions import SquaredError
from rdbench.references.certified import Certified
from rdbench.sources.student import StudentSource
from rdbench.suites._ladders import geometric
from rdbench.types import Case, Problem, Suite

_DF = 5.0
# The tolerance in nats and the ladder of every dimension.
_CASES = {
    1: (1e-5, (*geometric(0.1, 2.0), 2.6)),
    10: (1e-4, geometric(0.5, 20.0)),
    50: (1e-4, geometric(2.5, 50.0)),
}


def _case(dim: int) -> Case:
    tolerance, rates = _CASES[dim]
    problem = Problem(StudentSource(_DF, dim), SquaredError())
    name = f"t5-d{dim}"
    return Case(name, problem, Certified(problem, tolerance, f"heavy_tailed-{name}"), rates)


def _build(_dim: int | None) -> tuple[Case, ...]:
    return tuple(_case(dim) for dim in _CASES)


SUITE = Suite("heavy_tailed", 1, __doc__ or "", _build)
