"""Gaussian mixtures in many dimensions under squared error, where the Shannon bound is tight."""

from __future__ import annotations

from rdbench.distortions import SquaredError
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.mixture import GaussianMixture, eight_modes, lifted_mixture
from rdbench.suites._ladders import geometric
from rdbench.types import Case, Problem, Suite


def _case(name: str, source: GaussianMixture, rates: tuple[float, ...]) -> Case:
    return Case(name, Problem(source, SquaredError()), TightShannonBound(source), rates)


def _build(_dim: int | None) -> tuple[Case, ...]:
    # The lowest valid rate is near the entropy of the component label.
    return (
        _case("lifted-d5", lifted_mixture(5), geometric(1.2, 20.0)),
        _case("eight-d10", eight_modes(10), geometric(2.5, 30.0)),
        _case("eight-d50", eight_modes(50), geometric(2.5, 50.0)),
    )


SUITE = Suite("multimodal", 1, __doc__ or "", _build)
