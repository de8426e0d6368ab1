"""A curved surface in R^8, R^16 and R^32 under Gaussian noise, squared error; high rates."""

from __future__ import annotations

from rdbench.distortions import SquaredError
from rdbench.references.noisy import SampledBound
from rdbench.sources.curved import CurvedSource
from rdbench.suites._ladders import geometric, most
from rdbench.types import Case, Problem, RdbenchError, Suite

# The rate at beta = 1 / (2 noise^2), where the truth begins, rounded up.
_LOWEST = {8: 4.6, 16: 4.75, 32: 4.76}


def _build(dim: int | None) -> tuple[Case, ...]:
    assert dim is not None
    if dim not in _LOWEST:
        raise RdbenchError(f"suite curved takes the dimensions 8, 16 and 32, got {dim}")
    source = CurvedSource(dim)
    reference = SampledBound(source, f"curved-d{dim}")
    rates = geometric(_LOWEST[dim], most(dim), 5)
    return (Case(f"curved-d{dim}", Problem(source, SquaredError()), reference, rates),)


SUITE = Suite("curved", 1, __doc__ or "", _build, default_dims=tuple(_LOWEST), dim_range=(8, 32))
