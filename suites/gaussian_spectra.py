"""Rotated Gaussian vectors with the other spectra in use: equal standard deviations, and NERD's."""

from __future__ import annotations

from rdbench.suites._gaussians import gaussian_case
from rdbench.types import Case, Suite


def _build(dim: int | None) -> tuple[Case, ...]:
    assert dim is not None
    return gaussian_case("flat", dim), gaussian_case("nerd", dim)


SUITE = Suite(
    "gaussian_spectra", 1, __doc__ or "", _build, default_dims=(10, 20), dim_range=(1, 1000)
)
