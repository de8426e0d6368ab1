"""Scalar sources under squared and absolute error: Gaussian, Laplacian, uniform, two modes."""

from __future__ import annotations

import functools

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.certified import Certified
from rdbench.references.composite import Composite
from rdbench.references.gaussian import WaterFilling
from rdbench.references.gaussian_absolute import GaussianAbsolute
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import two_modes
from rdbench.suites import _scalars
from rdbench.suites._ladders import gaussian_rates, geometric
from rdbench.types import Case, Problem, Suite

# An untrained standard normal passes the first case; it must not pass the others.
_GAUSSIANS = {
    "gaussian-standard": (0.0, 1.0),
    "gaussian-shifted": (3.0, 2.0),
    "gaussian-far": (100.0, 0.5),
}
_LAPLACIANS = {
    "laplacian-absolute-standard": LaplacianSource(0.0, 1.0),
    "laplacian-absolute-shifted": LaplacianSource(3.0, 2.0),
}


def _two_modes() -> Case:
    source = two_modes()
    problem = Problem(source, SquaredError())
    below = Certified(problem, 1e-7, "scalar-two-modes")
    rates = geometric(0.1, 4.0)
    return Case("two-modes", problem, Composite(TightShannonBound(source), below), rates)


@functools.cache  # the entropy of the mixture is worked out once
def _build(_dim: int | None) -> tuple[Case, ...]:
    squared, absolute = SquaredError(), AbsoluteError()
    gaussians = tuple(
        Case(name, Problem(source, squared), WaterFilling(source), gaussian_rates(1))
        for name, source in ((n, scalar_gaussian(*p)) for n, p in _GAUSSIANS.items())
    )
    laplacians = tuple(
        Case(name, Problem(source, absolute), LaplacianAbsolute(source), gaussian_rates(1))
        for name, source in _LAPLACIANS.items()
    )
    standard = scalar_gaussian()
    uniform, laplacian = _scalars.uniform_squared(), _scalars.laplacian_squared()
    return (
        *gaussians,
        Case(
            "gaussian-absolute",
            Problem(standard, absolute),
            GaussianAbsolute(standard),
            gaussian_rates(1),
        ),
        *laplacians,
        Case("laplacian-squared", laplacian.problem, laplacian, _scalars.LAPLACIAN_RATES),
        Case("uniform-squared", uniform.problem, uniform, _scalars.UNIFORM_RATES),
        _two_modes(),
    )


SUITE = Suite("scalar", 1, __doc__ or "", _build)
