"""Gaussian cases shared by suites."""

from __future__ import annotations

from rdbench.distortions import SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import vector_gaussian
from rdbench.suites._ladders import gaussian_rates
from rdbench.types import Case, Problem


def gaussian_case(spectrum: str, dim: int) -> Case:
    """A rotated Gaussian vector under squared error, from .05 d nats up."""
    source = vector_gaussian(dim, spectrum)
    return Case(
        name=f"{spectrum}-d{dim}",
        problem=Problem(source, SquaredError()),
        reference=WaterFilling(source),
        rates=gaussian_rates(dim),
    )
