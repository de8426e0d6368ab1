"""Scalar Laplacians under absolute error: standard, and shifted and rescaled."""

from __future__ import annotations

from rdbench.distortions import AbsoluteError
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.sources.laplacian import LaplacianSource
from rdbench.suites._ladders import gaussian_rates
from rdbench.types import Case, Problem, Suite

_CASES = {"standard": LaplacianSource(0.0, 1.0), "shifted": LaplacianSource(3.0, 2.0)}


def _build(_dim: int | None) -> tuple[Case, ...]:
    return tuple(
        Case(name, Problem(source, AbsoluteError()), LaplacianAbsolute(source), gaussian_rates(1))
        for name, source in _CASES.items()
    )


SUITE = Suite("scalar_laplacian", 1, __doc__ or "", _build)
