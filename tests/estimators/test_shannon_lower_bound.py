"""The Shannon lower bound, with the source's density and with a fitted one."""

from __future__ import annotations

import math

import pytest

from rdbench.audit import SIZES, audit
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators.shannon_lower_bound import ShannonLowerBound
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.types import DualBound, Problem
from tests.estimators.conftest import FakeMonitor, seeded, view_of


def only(source, beta, distortion=None, **more) -> DualBound:
    view = view_of(source, distortion, **more)
    (found,) = ShannonLowerBound().fit(view, [beta], seeded(), FakeMonitor(effort=0.2))
    assert isinstance(found, DualBound)
    return found


def test_the_bound_is_the_entropy_less_that_of_the_noise():
    source, beta = LaplacianSource(0.0, 1.0), 3.0
    bound = only(source, beta, AbsoluteError(), log_prob=source.log_prob)
    # h of a Laplacian of scale 1 is 1 + log 2, and K = 2 / beta.
    assert bound.claim == pytest.approx(1.0 + math.log(2.0) - math.log(2.0 / beta), abs=0.03)
    assert bound.claim_side == "lower"


def test_a_fitted_density_is_an_estimate_and_is_audited_all_the_same():
    source = vector_gaussian(2)
    reference = WaterFilling(source)
    beta = reference.slope(2.0)
    bound = only(source, beta)
    assert bound.claim_side == "estimate"
    problem = Problem(source, SquaredError())
    found = audit(bound, problem, reference, size=SIZES["quick"], generator=seeded(3))
    assert -0.03 < found.gap < 0.1
    assert bound.claim == pytest.approx(reference.point(beta).lagrangian.mid, abs=0.03)
