"""Rotated Gaussian vectors under squared error, spectrum sigma_i = 2^(-i/10)."""

from __future__ import annotations

from rdbench.suites._gaussians import gaussian_case
from rdbench.types import Case, Suite


def _build(dim: int | None) -> tuple[Case, ...]:
    assert dim is not None
    return (gaussian_case("ramp", dim),)


SUITE = Suite(
    "vector_gaussian", 1, __doc__ or "", _build, default_dims=(2, 5, 10), dim_range=(1, 1000)
)
