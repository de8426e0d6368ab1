"""Sources in the plane under squared error: the EBRD paper's mixture, a banana, a Gaussian."""

from __future__ import annotations

import functools

from rdbench.distortions import SquaredError
from rdbench.references.certified import Certified
from rdbench.references.composite import Composite
from rdbench.references.gaussian import WaterFilling
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.banana import BananaSource
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.mixture import paper_mixture
from rdbench.suites._ladders import gaussian_rates, geometric
from rdbench.types import Case, Problem, Suite


@functools.cache  # the entropy of the mixture is worked out once
def _build(_dim: int | None) -> tuple[Case, ...]:
    mixture, gaussian = paper_mixture(), vector_gaussian(2)
    paper, banana = (Problem(s, SquaredError()) for s in (mixture, BananaSource()))
    below = Certified(paper, 1e-5, "planar-paper-d2")
    return (
        Case(
            "paper-d2",
            paper,
            Composite(TightShannonBound(mixture), below),
            geometric(0.1, 1.05, 5) + geometric(1.3, 8.0, 6),
        ),
        Case(
            "banana-d2",
            banana,
            Certified(banana, 1e-5, "planar-banana-d2"),
            (*geometric(0.1, 1.4), 1.7),
        ),
        Case(
            "ramp-d2", Problem(gaussian, SquaredError()), WaterFilling(gaussian), gaussian_rates(2)
        ),
    )


SUITE = Suite("planar", 1, __doc__ or "", _build)
