"""Rotated Gaussian vectors under squared error, spectrum sigma_i = 2^(-i/10)."""

from __future__ import annotations

from rdbench.distortions import SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import vector_gaussian
from rdbench.suites._ladders import gaussian_rates
from rdbench.types import Case, Problem, Suite

_SPECTRA = ("ramp",)


def _build(dim: int | None) -> tuple[Case, ...]:
    assert dim is not None
    cases = []
    for spectrum in _SPECTRA:
        source = vector_gaussian(dim, spectrum)
        cases.append(
            Case(
                name=f"{spectrum}-d{dim}",
                problem=Problem(source, SquaredError()),
                reference=WaterFilling(source),
                rates=gaussian_rates(dim),
            )
        )
    return tuple(cases)


SUITE = Suite(
    "vector_gaussian", 1, __doc__ or "", _build, default_dims=(2, 5, 10), dim_range=(1, 1000)
)
