"""Gaussian mixtures under squared error, at the rates where the Shannon lower bound is tight."""

from __future__ import annotations

import torch

from rdbench.distortions import SquaredError
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.gaussian import orthogonal
from rdbench.sources.mixture import GaussianMixture, isotropic_mixture, paper_mixture
from rdbench.suites._ladders import geometric
from rdbench.types import Case, Problem, Suite


def _two_modes() -> GaussianMixture:
    means = torch.tensor([[-3.0], [3.0]], dtype=torch.float64)
    return isotropic_mixture(means, 1.0, "two components at -3 and 3")


def _lifted(dim: int) -> GaussianMixture:
    """The paper's three components in a rotated plane of R^dim, unit noise in every direction."""
    plane = orthogonal(dim)[:, :2]
    return isotropic_mixture(paper_mixture().means @ plane.T, 1.0, f"three components in R^{dim}")


def _case(name: str, source: GaussianMixture, rates: tuple[float, ...]) -> Case:
    return Case(name, Problem(source, SquaredError()), TightShannonBound(source), rates)


def _build(_dim: int | None) -> tuple[Case, ...]:
    # The lowest valid rate is near log K, the entropy of the component label.
    return (
        _case("two-modes-d1", _two_modes(), geometric(0.8, 4.0)),
        _case("paper-d2", paper_mixture(), geometric(1.2, 8.0)),
        _case("lifted-d5", _lifted(5), geometric(1.2, 20.0)),
    )


SUITE = Suite("gaussian_mixture", 1, __doc__ or "", _build)
