"""Squared error on the line: closed forms lie inside, planted errors throw them out."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from rdbench.certify.line import certify_line, sides
from rdbench.certify.line import densities as d
from rdbench.certify.line import quadrature as line_quadrature
from rdbench.certify.line.atoms import LineAtoms
from rdbench.certify.line.panels import Panels
from rdbench.certify.line.weights import LineKernel
from rdbench.certify.newton import newton_atoms
from rdbench.inference.kernels import DenseKernel
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import scalar_gaussian

MODES = d.mixture(np.array([0.5, 0.5]), np.array([-3.0, 3.0]), np.ones(2))
STUDENT = d.student(5.0)


def f_by_quad(density, certificate):
    """F(q) with scipy's adaptive rule, independent of panels, tails and bounds."""
    y = certificate.points[:, 0] - density.centre
    w = certificate.weights

    def integrand(u):
        exponents = np.log(w) - certificate.beta * (u - y) ** 2
        top = exponents.max()
        log_z = top + math.log(np.exp(exponents - top).sum())
        return -math.exp(density.log_prob(np.array([u]))[0]) * log_z

    stops = np.clip([-200, -30, -12, -6, -3, -1, 0, 1, 3, 6, 12, 30, 200], density.lo, density.hi)
    parts = [
        quad(integrand, a, b, epsabs=1e-12, epsrel=1e-11, limit=400)[0]
        for a, b in pairwise(stops)
        if a < b
    ]
    return math.fsum(parts)


@pytest.mark.parametrize("beta", [0.2, 0.5, 0.6, 2.0, 9.0, 50.0])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (100.0, 0.3)])
def test_gaussian_brackets_contain_water_filling(mean, std, beta):
    beta = beta / std**2
    truth = WaterFilling(scalar_gaussian(mean, std)).point(beta).lagrangian.mid
    found = certify_line(d.gaussian(mean, std), beta, 1e-7)
    assert found.lo <= truth <= found.hi
    assert found.reached
    assert found.kind == "certified"
    assert found.weights.sum() == pytest.approx(1.0)
    assert abs(found.weights @ found.points[:, 0] - mean) < 1e-3 * std


@pytest.mark.parametrize(
    ("density", "beta", "tolerance"),
    [
        (d.laplacian(), 0.2, 1e-7),
        (d.laplacian(), 2.0, 1e-7),
        (d.uniform(), 3.0, 1e-7),
        (d.uniform(5.0, 7.0), 100.0, 1e-7),
        (MODES, 0.05, 1e-7),
        (MODES, 0.3, 1e-7),
        (STUDENT, 0.1, 1e-5),
        (STUDENT, 1.0, 1e-5),
    ],
)
def test_reaches_its_tolerance_and_hi_is_f_of_q(density, beta, tolerance):
    found = certify_line(density, beta, tolerance)
    assert found.reached
    assert found.reason == ""
    # Beyond 200 the tail of Student's t5 adds some 1e-6 that quad does not see.
    excess = found.hi - f_by_quad(density, found)
    slack = 3e-6 if density is STUDENT else found.quadrature + 1e-9
    assert -1e-9 <= excess <= slack
    assert found.lo <= found.hi


def test_two_atoms_of_the_uniform_source_and_their_optimum():
    # With q = {-a, a} the best a has zero derivative; compare F over a by direct integration.
    found = certify_line(d.uniform(), 3.0, 1e-9)
    assert found.points.shape == (2, 1)

    def f(a):
        return quad(
            lambda x: -0.5 * np.log(np.exp(-3 * (x + np.array([a, -a])) ** 2).mean()),
            -1.0,
            1.0,
            epsabs=1e-13,
        )[0]

    a = float(found.points[1, 0])
    assert f(a) <= min(f(a - 1e-3), f(a + 1e-3))
    assert found.lo - 1e-12 <= f(a) <= found.hi + 1e-12


def test_slopes_at_the_edge():
    assert certify_line(MODES, 0.0, 1e-7).width == 0.0
    tiny = certify_line(d.gaussian(100.0, 2.0), 1e-6, 1e-7)
    assert tiny.lo <= 4e-6 <= tiny.hi
    assert tiny.reached
    with pytest.raises(ValueError, match="the limit of 5000"):
        certify_line(MODES, 1e6, 1e-7)
    with pytest.raises(ValueError, match="finite variance"):
        certify_line(d.student(2.0), 1.0, 1e-5)


def test_a_start_from_a_neighbouring_slope_is_of_the_same_truth():
    first = certify_line(d.laplacian(), 1.0, 1e-7)
    again = certify_line(d.laplacian(), 1.05, 1e-7, start=first)
    cold = certify_line(d.laplacian(), 1.05, 1e-7)
    assert max(again.lo, cold.lo) <= min(again.hi, cold.hi)


def test_a_tolerance_out_of_reach_is_said():
    found = certify_line(MODES, 0.3, 1e-14)
    assert not found.reached
    assert found.reason.startswith("reached ")


# ---- planted errors -------------------------------------------------------------------------

TRUTH = 1.0 + 0.5 * math.log(2.0) - 0.5  # N(0, 1) at beta = 1: R = log(2)/2, D = 1/2


def honest():
    return certify_line(d.gaussian(), 1.0, 1e-7)


def excluded(make):
    """Whether the bracket misses the truth or contradicts itself."""
    try:
        found = make()
    except (ArithmeticError, ValueError):
        return True
    return not found.lo <= TRUTH <= found.hi


def test_the_honest_bracket_is_not_excluded():
    assert not excluded(honest)


def test_a_wrong_tail_is_caught():
    # The tail beyond the panels claims to be a thousand times smaller than it is.
    density = d.gaussian()

    def short(t, side):
        return d.Tail(*(1e-3 * m for m in density.tail(t, side)))

    cheat = dataclasses.replace(density, tail=short)
    assert excluded(lambda: certify_line(cheat, 1.0, 1e-7))


def test_too_coarse_a_rule_is_caught(monkeypatch):
    monkeypatch.setattr(line_quadrature, "_ROUNDS", 0)
    monkeypatch.setattr(sides, "layout", lambda *_, **__: np.linspace(-9.0, 9.0, 3))
    # With its bound the coarse rule is only useless ...
    truth = WaterFilling(scalar_gaussian()).point(20.0).lagrangian.mid
    found = certify_line(d.gaussian(), 20.0, 1e-7)
    assert found.lo <= truth <= found.hi
    assert found.width > 1.0
    # ... without it, it lies.
    none = line_quadrature.Errors(*np.zeros((4, 2)))
    monkeypatch.setattr(line_quadrature, "bound_errors", lambda *_: none)
    try:
        found = certify_line(d.gaussian(), 20.0, 1e-7)
    except ArithmeticError:
        return
    assert not found.lo <= truth <= found.hi


@pytest.mark.parametrize("shift", [1e-6, -1e-6])
def test_a_wrong_potential_is_caught(monkeypatch, shift):
    right = LineAtoms.log_partition

    def wrong(self, x, beta):
        log_z, mean, square = right(self, x, beta)
        return log_z + shift * np.where(np.abs(x) < 1.0, 1.0, 0.0), mean, square

    monkeypatch.setattr(LineAtoms, "log_partition", wrong)
    # Too large a Z makes the upper side fall below the truth; too small a Z the other way round
    # only makes the bracket wider, since every lambda is valid.
    assert excluded(honest) == (shift > 0)


def test_a_missed_maximum_is_caught(monkeypatch):
    right = sides.Constraint.log_sup
    monkeypatch.setattr(sides.Constraint, "log_sup", lambda self, e, t: right(self, e, t) - 1e-6)
    # Away from the tight case, where no supremum is needed at all.
    found = None
    try:
        found = certify_line(d.uniform(), 3.0, 1e-9)
    except ArithmeticError:
        return
    assert found.width == 0.0


# ---- the parts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "density",
    [d.gaussian(), d.laplacian(), d.uniform(-4.0, 4.0), STUDENT, MODES],
    ids=["gaussian", "laplacian", "uniform", "student", "modes"],
)
@pytest.mark.parametrize("beta", [0.3, 2.0])
def test_the_bounds_of_coarse_panels_hold(density, beta):
    rng = np.random.default_rng(7)
    atoms = LineAtoms(np.sort(rng.uniform(-3, 3, 6)), rng.dirichlet(np.ones(6)))
    coarse = Panels.between(np.array([-4.0, -2.5, -1.2, 0.0, 0.7, 2.4, 4.0]))
    bound = line_quadrature.bound_errors(density, atoms, beta, coarse)
    y = np.linspace(-5, 5, 41)

    def integrals(nodes):
        x, w = coarse.quadrature(nodes)
        log_p = density.log_prob(x)
        log_z = atoms.log_partition(x.ravel(), beta)[0].reshape(x.shape)
        mass = w * np.exp(log_p)
        c = (mass / np.exp(log_z))[..., None] * np.exp(-beta * (x[..., None] - y) ** 2)
        return (mass * log_z).sum(1), c.sum(1), (mass * log_p).sum(1), mass.sum(1)

    exact, rule = integrals(120), integrals(16)
    potential, c, entropy, mass = (np.abs(a - b) for a, b in zip(exact, rule, strict=True))
    assert (potential <= bound.potential + 1e-14).all()
    assert (c.max(1) <= bound.constraint + 1e-14 * (1 + rule[1].max(1))).all()
    assert (entropy <= bound.entropy + 1e-14).all()
    assert (mass <= bound.mass + 1e-14).all()
    # Of use: most of the bounds are below one.
    assert np.median(bound.potential) < 1.0


def test_the_spread_bound_holds_over_its_reach():
    rng = np.random.default_rng(5)
    atoms = LineAtoms(np.sort(rng.normal(size=9) * 2), rng.dirichlet(np.ones(9)))
    x = np.linspace(-4, 4, 33)
    reach = np.array([0.1, 0.5, 1.5])
    bound = atoms.spread_bound(x, np.broadcast_to(reach, (33, 3)), 1.3)
    for column, r in enumerate(reach):
        inside = (x[:, None] + np.linspace(-r, r, 25)).ravel()
        _, mean, square = atoms.log_partition(inside, 1.3)
        variance = (square - (inside - mean) ** 2).reshape(33, 25)
        assert (variance.max(1) <= bound[:, column] * (1 + 1e-9)).all()
    tight = atoms.spread_bound(x, np.full((33, 1), 1e-4), 1.3)[:, 0]
    _, mean, square = atoms.log_partition(x, 1.3)
    np.testing.assert_allclose(tight, square - (x - mean) ** 2, rtol=1e-2)


def test_newton_finds_a_stationary_point_and_never_goes_up():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(120, 2))
    p = np.full(120, 1 / 120)

    def f(y, w):
        z = np.exp(-0.9 * ((x[:, None] - y) ** 2).sum(2)) @ w
        return -p @ np.log(z)

    y0, w0 = rng.normal(size=(4, 2)), np.full(4, 0.25)
    y, w, residual = newton_atoms(x, p, 0.9, y0, w0, iterations=100, tolerance=1e-12)
    assert residual < 1e-12
    assert f(y, w) < f(y0, w0)
    assert w.sum() == pytest.approx(1.0)
    c = np.exp(-0.9 * ((x[:, None] - y) ** 2).sum(2)).T @ (
        p / (np.exp(-0.9 * ((x[:, None] - y) ** 2).sum(2)) @ w)
    )
    np.testing.assert_allclose(c[w > 1e-9], 1.0, atol=1e-9)


def test_the_banded_kernel_is_the_dense_one():
    rng = np.random.default_rng(1)
    x, y = np.sort(rng.uniform(-9, 9, 90)), np.sort(rng.uniform(-6, 6, 60))
    line, dense = LineKernel.build(x, y, 2.0), DenseKernel.build((x[:, None] - y) ** 2, 2.0)
    w, u, slack = rng.random(60), rng.random(90), rng.random(60)
    np.testing.assert_allclose(line.forward(w), dense.forward(w), rtol=1e-13)
    np.testing.assert_allclose(line.adjoint(u), dense.adjoint(u), rtol=1e-13)
    np.testing.assert_allclose(line.cost(w), dense.cost(w), rtol=1e-13)
    np.testing.assert_allclose(line.shift, dense.shift)
    np.testing.assert_allclose(
        line.factor(u, slack)(w), dense.factor(u, slack)(w), rtol=1e-8, atol=1e-10
    )
