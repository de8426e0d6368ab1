"""Every built-in suite: cases are complete, ladders lie inside the truth, names are unique."""

from __future__ import annotations

import math

import pytest
import torch

from rdbench import registry
from rdbench.suites import gaussian_mixture, scalar_gaussian, vector_gaussian
from rdbench.types import Case, HasDensity, RdbenchError, Reference, Suite

SUITES = [registry.load_suite(name) for name in registry.names("suite")]


def test_the_suites_are_there() -> None:
    expected = {"gaussian_mixture", "scalar_gaussian", "scalar_laplacian", "vector_gaussian"}
    assert expected <= {suite.name for suite in SUITES}


@pytest.mark.parametrize("suite", SUITES, ids=lambda s: s.name)
def test_every_case_can_be_run(suite: Suite) -> None:
    cases = suite.cases()
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        _check(case)


def _check(case: Case) -> None:
    assert isinstance(case.reference, Reference)
    assert list(case.rates) == sorted(set(case.rates))
    betas = [case.reference.slope(rate) for rate in case.rates]
    assert betas == sorted(betas)
    for rate, beta in zip(case.rates, betas, strict=True):
        assert case.reference.point(beta).rate.mid == pytest.approx(rate, abs=1e-9)
    x = case.problem.source.sample(3, torch.Generator().manual_seed(0))
    assert x.shape == (3, case.problem.source.dim)
    assert isinstance(case.problem.source, HasDensity)


@pytest.mark.parametrize(
    ("dim", "low", "high"), [(1, 0.05, 4), (5, 0.25, 20), (10, 0.5, 30), (50, 2.5, 50)]
)
def test_gaussian_ladders(dim: int, low: float, high: float) -> None:
    (case,) = vector_gaussian.SUITE.cases([dim])
    assert case.rates[0] == pytest.approx(low)
    assert case.rates[-1] == pytest.approx(high)
    assert len(case.rates) == 8


def test_dimensions() -> None:
    suite = vector_gaussian.SUITE
    assert [c.problem.source.dim for c in suite.cases()] == [2, 5, 10]
    assert [c.problem.source.dim for c in suite.cases([1000, 1])] == [1000, 1]
    assert len(suite.cases([3, 3])) == 1
    for bad in ([0], [1001], []):
        with pytest.raises(RdbenchError, match="1 to 1000"):
            suite.cases(bad)
    with pytest.raises(RdbenchError, match="takes no dimensions"):
        scalar_gaussian.SUITE.cases([1])


def test_an_untrained_standard_normal_does_not_pass() -> None:
    """F of q = N(0, 1) in closed form: near the truth on the first case alone."""
    gaps = {}
    for case in scalar_gaussian.SUITE.cases():
        beta = case.reference.slope(1.0)
        source = case.problem.source
        mean, std = float(source.mean), float(source.stds)  # type: ignore[attr-defined]
        spread = 1.0 + 2.0 * beta
        value = 0.5 * math.log(spread) + beta * (std**2 + mean**2) / spread
        gaps[case.name] = value - case.reference.point(beta).lagrangian.mid
    assert gaps["standard"] < 0.02
    assert gaps["shifted"] > 0.5
    assert gaps["far"] > 100.0


def test_lifted_mixture_has_the_plane_s_truth() -> None:
    """Three more noise dimensions add only their own reverse water-filling."""
    cases = {case.name: case for case in gaussian_mixture.SUITE.cases()}
    flat, lifted = cases["paper-d2"].reference, cases["lifted-d5"].reference
    for beta in (0.5, 4.0, 90.0):
        extra = 3 * 0.5 * math.log(2 * beta)
        assert lifted.point(beta).rate.mid == pytest.approx(
            flat.point(beta).rate.mid + extra, abs=1e-9
        )
