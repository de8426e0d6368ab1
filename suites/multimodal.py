"""Gaussian mixtures: in many dimensions under squared error, two modes under absolute error."""

from __future__ import annotations

import functools

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.certified import Certified
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.mixture import GaussianMixture, eight_modes, lifted_mixture, two_modes
from rdbench.suites._ladders import geometric
from rdbench.types import Case, Problem, Suite


def _case(name: str, source: GaussianMixture, rates: tuple[float, ...]) -> Case:
    return Case(name, Problem(source, SquaredError()), TightShannonBound(source), rates)


def _absolute() -> Case:
    """Under absolute error no closed form is known, at any rate."""
    name, problem = "two-modes-absolute", Problem(two_modes(), AbsoluteError())
    reference = Certified(problem, 1e-4, f"multimodal-{name}")
    return Case(name, problem, reference, geometric(0.1, 1.6, 6))


@functools.cache  # the entropies of the mixtures are worked out once
def _build(_dim: int | None) -> tuple[Case, ...]:
    # The lowest valid rate is near the entropy of the component label.
    return (
        _case("lifted-d5", lifted_mixture(5), geometric(1.2, 20.0)),
        _case("eight-d10", eight_modes(10), geometric(2.5, 30.0)),
        _case("eight-d50", eight_modes(50), geometric(2.5, 50.0)),
        _absolute(),
    )


SUITE = Suite("multimodal", 2, __doc__ or "", _build)
