"""The sources of the EBRD paper (Wu et al.), at the rates of its Figures 2 to 6 and beyond."""

from __future__ import annotations

import functools

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.certified import Certified
from rdbench.references.composite import Composite
from rdbench.references.gaussian import WaterFilling
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import paper_mixture
from rdbench.suites._gaussians import gaussian_case
from rdbench.suites._ladders import geometric
from rdbench.types import Case, Problem, Suite

_SCALAR_RATES = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
_SCALARS = ("gaussian", "laplacian-absolute")
_VECTORS = ("ramp-d2", "ramp-d5", "ramp-d10")
_MIXTURE = ("mixture-d2",)
_FIGURE_6_RATE = 5.96


def _mixture() -> Case:
    """Three components of unit variance at radius 6: tight from R = 1.1 nats (beta = 1/2) up."""
    source = paper_mixture()
    problem = Problem(source, SquaredError())
    below = Certified(problem, 1e-5, "planar-paper-d2")
    rates = (*geometric(0.1, 1.05, 5), 1.3, 2.0, 3.4, 4.7, _FIGURE_6_RATE, 8.0)
    return Case(_MIXTURE[0], problem, Composite(TightShannonBound(source), below), rates)


@functools.cache  # the entropies of the mixtures are worked out once
def _build(_dim: int | None) -> tuple[Case, ...]:
    gaussian, laplacian = scalar_gaussian(), LaplacianSource(0.0, 1.0)
    return (
        Case(_SCALARS[0], Problem(gaussian, SquaredError()), WaterFilling(gaussian), _SCALAR_RATES),
        Case(
            _SCALARS[1],
            Problem(laplacian, AbsoluteError()),
            LaplacianAbsolute(laplacian),
            _SCALAR_RATES,
        ),
        *(gaussian_case("ramp", dim) for dim in (2, 5, 10)),
        _mixture(),
    )


SUITE = Suite("paper", 1, __doc__ or "", _build)
