"""The same source in other units: the same brackets after mapping, and the same slopes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from rdbench.certify.solve import certify, method_of
from rdbench.certify.units import standard_unit
from rdbench.distortions import AbsoluteError, SquaredError, TableDistortion
from rdbench.references.certified import Certified
from rdbench.sources.finite import FiniteSource, random_table, uniform_letters
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture
from rdbench.sources.student import StudentSource
from rdbench.types import OutOfRange, Problem

TOLERANCE = 2e-3


def _cloud(scale: float, offset: float) -> FiniteSource:
    points = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return FiniteSource(
        "cloud", offset + scale * points, torch.full((20,), 0.05, dtype=torch.float64)
    )


def _modes(scale: float, offset: float) -> GaussianMixture:
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.5]]).double()
    covs = 0.25 * torch.eye(2).double().repeat(2, 1, 1)
    return GaussianMixture(
        torch.tensor([0.4, 0.6], dtype=torch.float64), offset + scale * means, scale**2 * covs
    )


# A problem of given scale and offset, and the power of the scale in its distortion.
FAMILIES: dict[str, tuple[Callable[[float, float], Problem], int]] = {
    "line": (lambda a, o: Problem(LaplacianSource(o, a), SquaredError()), 2),
    "line-absolute": (lambda a, o: Problem(LaplacianSource(o, a), AbsoluteError()), 1),
    "plane": (lambda a, o: Problem(_modes(a, o), SquaredError()), 2),
    "radial": (lambda a, o: Problem(StudentSource(5.0, 3, a, o), SquaredError()), 2),
    "cloud": (lambda a, o: Problem(_cloud(a, o), SquaredError()), 2),
}


@pytest.mark.parametrize("family", list(FAMILIES))
def test_certificates_do_not_depend_on_units(family: str) -> None:
    build, power = FAMILIES[family]
    base = certify(method_of(build(1.0, 0.0)), 1.5, TOLERANCE)
    assert base.reached
    for scale, offset in ((1e-5, 0.0), (255.0, 0.0), (5000.0, 1e4), (1.0, 1e4)):
        problem = build(scale, offset)
        beta = 1.5 / scale**power
        method = method_of(problem)
        found = certify(method, beta, TOLERANCE)
        assert found.reached
        assert found.beta == beta
        # Both hold the same F*.
        assert max(found.lo, base.lo) <= min(found.hi, base.hi) + 1e-12
        assert found.distortion == pytest.approx(base.distortion * scale**power, rel=0.05)
        if method.form == "points":
            mean = (found.weights @ (found.points - offset)) / scale
            expected = base.weights @ base.points
            np.testing.assert_allclose(mean, expected, atol=0.05)
        # An answer in these units starts the next search in these units.
        again = certify(method, 1.001 * beta, TOLERANCE, found)
        assert again.reached


@pytest.mark.parametrize("family", ["line-absolute", "cloud"])
def test_slopes_of_rates_do_not_depend_on_units(family: str) -> None:
    build, power = FAMILIES[family]
    slopes = [
        Certified(build(scale, offset), TOLERANCE).slope(0.8) * scale**power
        for scale, offset in ((1.0, 0.0), (1e-5, 0.0), (5000.0, 1e4))
    ]
    assert slopes == pytest.approx([slopes[0]] * 3, rel=2e-3)


def test_slopes_of_a_table_in_other_units() -> None:
    letters, table = uniform_letters(6), random_table(6, 6)
    slopes = []
    for scale in (1.0, 1e-9, 1e12):
        distortion = TableDistortion(scale * table)
        problem = Problem(letters, distortion, alphabet=letters.support)
        slopes.append(Certified(problem, 1e-9).slope(0.7) * scale)
    assert slopes == pytest.approx([slopes[0]] * 3, rel=1e-3)


def test_units_are_powers_of_two_and_mostly_one() -> None:
    assert [standard_unit(s) for s in (0.07, 1.0, 15.9, math.inf, 0.0)] == [1.0] * 5
    for scale in (1e-5, 255.0, 5000.0):
        unit = standard_unit(scale)
        assert 0.5 < scale / unit < 2.0
        assert math.frexp(unit)[0] == 0.5


def test_too_large_a_rate_names_the_largest() -> None:
    """By the entropy; of letters that share their best reproduction, by R(D_min)."""
    with pytest.raises(OutOfRange, match=r"above the largest rate of cloud.* 2\.996 nats"):
        Certified(Problem(_cloud(1.0, 0.0), SquaredError()), 1e-3).slope(12.0)
    table = TableDistortion(torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]).double())
    letters = FiniteSource(
        "three", uniform_letters(3).support, torch.tensor([0.25, 0.25, 0.5]).double()
    )
    problem = Problem(letters, table, alphabet=uniform_letters(2).support)
    with pytest.raises(OutOfRange, match=r"R = 0\.9 is above the largest rate .*, 0\.6931 nats"):
        Certified(problem, 1e-9).slope(0.9)


def test_bounds_do_not_depend_on_units() -> None:
    points = torch.randn(12, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    p = torch.full((12,), 1.0 / 12.0, dtype=torch.float64)
    found = []
    for scale, offset in ((1.0, 0.0), (1e-5, 0.0), (4096.0, 1e4)):
        source = FiniteSource("bounds", offset + scale * points, p)
        certificate = certify(method_of(Problem(source, SquaredError())), 1.5 / scale**2, 1e-2)
        found += [certificate.lo, certificate.hi]
    assert found[2:] == pytest.approx(2 * found[:2], rel=1e-4)
