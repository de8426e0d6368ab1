"""Sources of published experiments that no other suite has, squared error."""

from __future__ import annotations

import functools

import numpy as np
import torch

from rdbench.distortions import SquaredError
from rdbench.references.certified import Certified
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.beta import BetaSource
from rdbench.sources.gaussian import GaussianSource
from rdbench.suites._ladders import gaussian_rates, geometric
from rdbench.types import Case, Problem, Suite

_STANDARD = (2, 4, 8, 16)


def _gaussian(case: str, source: GaussianSource) -> Case:
    rates = gaussian_rates(source.dim)
    return Case(case, Problem(source, SquaredError()), WaterFilling(source), rates)


def _standard(dim: int) -> Case:
    """N(0, I)."""
    one = torch.ones(dim, dtype=torch.float64)
    name = f"N(0, I), d={dim}"
    return _gaussian(f"standard-d{dim}", GaussianSource(name, 0.0 * one, one, torch.diag(one)))


def _sandwich(dim: int) -> Case:
    """Yang and Mandt (2022), gen_gaussian_params.py at seed 0: means U(-.5, .5), then variances
    U(0, 2), both in single precision; no rotation.
    """
    draw = np.random.RandomState(0)
    mean = draw.uniform(-0.5, 0.5, dim).astype(np.float32)
    variances = draw.uniform(0.0, 2.0, dim).astype(np.float32)
    basis = torch.eye(dim, dtype=torch.float64)
    stds = torch.from_numpy(variances).double().sqrt()
    name = f"N(m, diag v), v of U(0, 2), d={dim}"
    source = GaussianSource(name, torch.from_numpy(mean).double(), stds, basis)
    return _gaussian(f"variances-d{dim}", source)


def _beta() -> Case:
    problem = Problem(BetaSource(1, 2), SquaredError())
    reference = Certified(problem, 1e-6, "published-beta-1-2")
    return Case("beta-1-2", problem, reference, geometric(0.1, 3.0, 6))


@functools.cache
def _build(_dim: int | None) -> tuple[Case, ...]:
    return (
        *(_standard(dim) for dim in _STANDARD),
        _sandwich(2),
        _sandwich(1000),
        _beta(),
    )


SUITE = Suite("published", 1, __doc__ or "", _build)
