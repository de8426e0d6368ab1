"""Certified truth against closed forms, by the way that a suite reaches it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.certified import Certified
from rdbench.references.composite import Composite
from rdbench.references.gaussian import WaterFilling
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.references.noisy_sphere import NoisySphere
from rdbench.references.product import ProductReference
from rdbench.references.shannon import TightShannonBound
from rdbench.references.sphere import SphereUniform
from rdbench.references.tables import disagreement
from rdbench.sources.finite import FiniteSource
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import paper_mixture, two_modes
from rdbench.sources.product import rotated_product
from rdbench.sources.sphere import NoisySphereSource, SphereSource
from rdbench.sources.uniform import UniformSource
from rdbench.suites import discrete, scalar
from rdbench.types import Bracket, Problem, Reference, Source


def _contains(bracket: Bracket, value: float, slack: float = 1e-12) -> bool:
    return bracket.lo - slack <= value <= bracket.hi + slack


@pytest.mark.parametrize(
    ("exact", "problem", "beta", "tolerance"),
    [
        (WaterFilling(scalar_gaussian(3.0, 2.0)), None, 0.7, 1e-6),
        (TightShannonBound(two_modes()), None, 0.9, 1e-6),
        (TightShannonBound(paper_mixture()), None, 0.5, 1e-4),
        (NoisySphere(NoisySphereSource(2, 1.0, 0.25)), None, 8.0, 1e-4),
        (NoisySphere(NoisySphereSource(6, 1.0, 0.4)), None, 4.0, 1e-3),
        (
            LaplacianAbsolute(LaplacianSource(3.0, 2.0)),
            Problem(LaplacianSource(3.0, 2.0), AbsoluteError()),
            1.0,
            1e-3,
        ),
    ],
)
def test_brackets_contain_the_closed_form(exact, problem, beta: float, tolerance: float) -> None:
    """F*, R*, D* and R(D*) of one point."""
    problem = problem or Problem(exact.source, SquaredError())
    reference = Certified(problem, tolerance)
    found, truth = reference.point(beta), exact.point(beta)
    assert found.lagrangian.width <= tolerance
    assert _contains(found.lagrangian, truth.lagrangian.mid)
    assert _contains(found.rate, truth.rate.mid)
    assert _contains(found.distortion, truth.distortion.mid)
    assert found.distortion.width < 10.0 * math.sqrt(tolerance) * truth.distortion.mid
    at = reference.rate(truth.distortion.mid)
    assert _contains(at, exact.rate(truth.distortion.mid).mid)
    # the channel of the q that was found
    g = Generator().manual_seed(5)
    x = exact.source.sample(3000, g)
    y = reference.sample_conditional(x, 4, beta, g)
    rho = torch.stack([problem.distortion.value_and_grad(x, y[:, j])[0] for j in range(4)], 1).mean(
        1
    )
    close = 4.0 * float(rho.std()) / math.sqrt(3000) + 2.0 * found.distortion.width
    assert abs(float(rho.mean()) - truth.distortion.mid) < close
    difference = reference.potential(x, beta) - exact.potential(x, beta)
    margin = 4.0 * float(difference.std()) / math.sqrt(3000) + tolerance
    assert abs(float(difference.mean())) < margin


@pytest.mark.parametrize(
    ("upper", "tolerance"),
    [
        (TightShannonBound(two_modes()), 1e-6),
        (NoisySphere(NoisySphereSource(6, 1.0, 0.4)), 1e-3),
    ],
)
def test_composites_are_continuous_at_the_joint(upper, tolerance: float) -> None:
    """Just below the joint: certified, and within a tangent step of the closed form."""
    reference = Composite(upper, Certified(Problem(upper.source, SquaredError()), tolerance))
    joint = upper.lowest_beta
    above, below = reference.point(joint), reference.point(0.999 * joint)
    assert above.kind == "closed form"
    assert below.kind.startswith("certified")
    # F* is concave with slope D*
    step = 0.001 * joint * above.distortion.mid
    assert below.lagrangian.lo <= above.lagrangian.mid
    assert below.lagrangian.lo - 1e-12 <= above.lagrangian.mid - step + 1e-6 * step
    assert below.lagrangian.hi >= above.lagrangian.mid - 1.002 * step
    assert below.distortion.hi >= above.distortion.mid


def test_a_polygon_is_nearly_a_circle() -> None:
    """200 points on a circle: F* differs from the circle's by less than e^-100."""
    angle = 2.0 * math.pi * torch.arange(200, dtype=torch.float64) / 200
    points = torch.stack([angle.cos(), angle.sin()], 1)
    polygon = FiniteSource("polygon", points, torch.full((200,), 1 / 200, dtype=torch.float64))
    reference = Certified(Problem(polygon, SquaredError()), 1e-5)
    exact = SphereUniform(SphereSource(2))
    for beta in (0.7, 4.0):
        found, truth = reference.point(beta), exact.point(beta)
        assert _contains(found.lagrangian, truth.lagrangian.mid)
        assert _contains(found.distortion, truth.distortion.mid)


def test_a_rotated_cube_adds_up() -> None:
    cube = rotated_product(UniformSource(-1.0, 1.0), 30)
    side = Certified(Problem(UniformSource(-1.0, 1.0), SquaredError()), 1e-6)
    reference: Reference = ProductReference(cube, (side,))
    one, all_ = side.point(5.0), reference.point(5.0)
    assert all_.lagrangian.lo == pytest.approx(30 * one.lagrangian.lo)
    assert all_.distortion.hi == pytest.approx(30 * one.distortion.hi)
    # by another way: the mean of the potential over fresh points of the cube
    x = cube.sample(20_000, Generator().manual_seed(2))
    potential = reference.potential(x, 5.0)  # type: ignore[attr-defined]
    margin = 4.0 * float(potential.std()) / math.sqrt(20_000) + 30e-6
    assert abs(float(potential.mean()) - all_.lagrangian.hi) < margin


@pytest.mark.parametrize("source", [UniformSource(-1.0, 1.0), LaplacianSource(0.0, 1.0)])
def test_a_shift_changes_nothing(source: Source) -> None:
    moved = (
        UniformSource(99.0, 101.0) if isinstance(source, UniformSource) else LaplacianSource(100.0)
    )
    there, here = (Certified(Problem(s, SquaredError()), 1e-5) for s in (moved, source))
    a, b = there.point(1.7), here.point(1.7)
    assert a.lagrangian.lo <= b.lagrangian.hi
    assert b.lagrangian.lo <= a.lagrangian.hi
    x = torch.linspace(-0.9, 0.9, 7, dtype=torch.float64)[:, None]
    far, near = there.potential(x + 100.0, 1.7), here.potential(x, 1.7)
    assert torch.allclose(far, near, atol=0.02)


def test_shipped_brackets_meet_fresh_ones() -> None:
    """Some cheap rungs; `make references-check` takes a sample of all."""
    cases = {case.name: case for case in (*scalar.SUITE.cases(), *discrete.SUITE.cases())}
    for name, rungs in {"uniform-squared": (0, 4), "random-500": (2, 6)}.items():
        case = cases[name]
        reference = case.reference
        assert isinstance(reference, Certified)
        for rung in rungs:
            stored = reference.table.centres[reference.key(reference.slope(case.rates[rung]))]
            assert stored.reached
            assert disagreement(reference, stored)[0] == ""
