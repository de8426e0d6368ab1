"""Scalar cases that products of several suites are made of: one table serves all of them."""

from __future__ import annotations

from rdbench.distortions import SquaredError
from rdbench.references.certified import Certified
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.uniform import UniformSource
from rdbench.suites._ladders import geometric
from rdbench.types import Problem

UNIFORM = UniformSource(-1.0, 1.0)
UNIFORM_RATES = (*geometric(0.05, 1.9), 2.5)
LAPLACIAN = LaplacianSource(0.0, 1.0)
LAPLACIAN_RATES = (*geometric(0.05, 1.8), 2.5, 3.5)


def uniform_squared() -> Certified:
    """U[-1, 1] under squared error."""
    return Certified(Problem(UNIFORM, SquaredError()), 1e-7, "scalar-uniform-squared")


def laplacian_squared() -> Certified:
    """Laplace(0, 1) under squared error."""
    return Certified(Problem(LAPLACIAN, SquaredError()), 1e-7, "scalar-laplacian-squared")
