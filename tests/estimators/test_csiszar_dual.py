"""Trained dual functions, against optima that are computed in another way."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from rdbench.audit import SIZES, audit
from rdbench.distortions import Hamming, SquaredError
from rdbench.estimators.csiszar_dual import CsiszarDual
from rdbench.inference.finite import squarem
from rdbench.inference.kernels import DenseKernel
from rdbench.references.gaussian import WaterFilling
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.finite import FiniteSource
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.mixture import paper_mixture
from rdbench.types import DualBound, Problem
from tests.estimators.conftest import FakeMonitor, seeded, view_of

F64 = torch.float64


def bounds(estimator: CsiszarDual, view: Any, betas: list[float], effort: float) -> list[DualBound]:
    found = list(estimator.fit(view, betas, seeded(), FakeMonitor(effort=effort)))
    assert all(isinstance(one, DualBound) for one in found)
    return [one for one in found if isinstance(one, DualBound)]


def gap(bound: DualBound, problem: Problem, reference: Any) -> float:
    found = audit(bound, problem, reference, size=SIZES["quick"], generator=seeded(9))
    assert abs(bound.claim - found.lagrangian) < 0.15
    return found.gap


@pytest.mark.parametrize("rate", [4.0])
def test_a_mixture_is_bounded_closely(rate):
    source = paper_mixture()
    reference = TightShannonBound(source)
    beta = reference.slope(rate)
    (bound,) = bounds(CsiszarDual(), view_of(source), [beta], 0.6)
    assert -0.03 < gap(bound, Problem(source, SquaredError()), reference) < 0.12


def test_ten_dimensions():
    source = vector_gaussian(10)
    reference = WaterFilling(source)
    (bound,) = bounds(CsiszarDual(), view_of(source), [reference.slope(3.0)], 0.3)
    assert -0.03 < gap(bound, Problem(source, SquaredError()), reference) < 0.1


def test_letters_reach_the_optimum_of_blahut_and_arimoto():
    rng = np.random.default_rng(2)
    p, beta = rng.dirichlet(np.ones(7)), 1.4
    letters = torch.arange(7, dtype=F64)[:, None]
    pmf = torch.as_tensor(p)
    view = view_of(
        lambda n: letters[:n], Hamming(), dim=1, support=letters, pmf=pmf, alphabet=letters
    )
    (bound,) = bounds(CsiszarDual(), view, [beta], 2.0)
    kernel = DenseKernel.build(1.0 - np.eye(7), beta)
    w = squarem(kernel, p, tolerance=1e-10, iterations=5000).weights
    truth = -float(p @ np.log(np.maximum(kernel.forward(w), 1e-300)))
    assert bound.claim == pytest.approx(truth, abs=2e-3)
    assert bound.claim < truth + 1e-9


def test_points_in_many_dimensions_are_bracketed():
    rng = np.random.default_rng(4)
    points = torch.as_tensor(rng.normal(size=(60, 12)))
    source = FiniteSource("sixty", points, torch.full((60,), 1.0 / 60.0, dtype=F64))
    view = view_of(source, support=points, pmf=source.pmf)
    (bound,) = bounds(CsiszarDual(), view, [0.5], 1.0)
    problem = Problem(source, SquaredError())
    found = audit(bound, problem, Unknown(), size=SIZES["quick"], generator=seeded(9))
    # F(q) of any q bounds F* from above: of all mass on the mean, of equal mass on the points.
    one = 0.5 * float((points - points.mean(0)).square().sum(1).mean())
    rho = torch.cdist(points, points).square()
    every = math.log(60.0) - float(torch.logsumexp(-0.5 * rho, 1).mean())
    assert found.evidence == "searched"
    assert 0.9 * min(one, every) < found.lagrangian <= min(one, every)


class Unknown:
    kind: ClassVar[str] = "closed form"
    citation = validity = "none"

    def point(self, beta: float) -> Any:
        from rdbench.types import OutOfRange

        raise OutOfRange("nothing is known")

    rate = slope = point


def test_the_published_network_learns():
    source = vector_gaussian(2)
    reference = WaterFilling(source)
    problem, beta = Problem(source, SquaredError()), reference.slope(0.5)
    gaps = []
    for steps in (1, 30):
        paper = CsiszarDual(**{**CsiszarDual.info.presets["paper"], "steps": steps, "batch": 128})
        (bound,) = bounds(paper, view_of(source), [beta], 1.0)
        assert bound.made_of == "network log u"
        found = audit(bound, problem, reference, size=SIZES["quick"], generator=seeded(9))
        gaps.append(found.gap)
    assert -0.02 < gaps[1] < 0.8 * gaps[0]
