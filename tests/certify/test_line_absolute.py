"""Absolute error on the line: closed forms lie inside, planted errors throw them out."""

import dataclasses
import math

import numpy as np
import pytest

from rdbench.certify.line import absolute as line_absolute
from rdbench.certify.line import densities as d
from rdbench.certify.line.absolute import certify_line_absolute
from rdbench.inference.scan_kernel import ScanKernel
from rdbench.references.gaussian_absolute import GaussianAbsolute
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.laplacian import LaplacianSource


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5, 10.0])
def test_laplacian_brackets_contain_the_closed_form(beta):
    truth = LaplacianAbsolute(LaplacianSource(100.0, 2.0)).point(beta / 2).lagrangian.mid
    found = certify_line_absolute(d.laplacian(100.0, 2.0), beta / 2, 1e-6)
    assert found.lo <= truth <= found.hi
    assert found.reached
    assert found.weights @ found.points[:, 0] == pytest.approx(100.0, abs=1e-3)


@pytest.mark.parametrize("beta", [0.3, 0.8, 0.9, 2.0, 10.0])
def test_gaussian_brackets_contain_the_closed_form(beta):
    truth = GaussianAbsolute(scalar_gaussian()).point(beta).lagrangian.mid
    found = certify_line_absolute(d.gaussian(), beta, 1e-6)
    assert found.lo <= truth <= found.hi
    assert found.reached


def test_uniform_and_one_atom():
    # Below the critical slope one atom at the median: F* = beta E|X| = beta / 2.
    found = certify_line_absolute(d.uniform(3.0, 5.0), 0.6, 1e-7)
    assert found.lo <= 0.3 <= found.hi
    assert found.points[found.weights.argmax(), 0] == pytest.approx(4.0)


def test_hi_is_f_of_q():
    # The midpoint rule between the atoms, with its error expanded away, against panels and IPM.
    found = certify_line_absolute(d.uniform(), 2.0, 1e-3)
    y, w = found.points[:, 0], found.weights

    def f(n):
        x = -1.0 + (np.arange(n) + 0.5) * 2.0 / n
        return -np.log(np.exp(-2.0 * np.abs(x[:, None] - y)) @ w).mean()

    cells = 8 * (len(y) - 1)
    assert found.hi == pytest.approx((4 * f(2 * cells) - f(cells)) / 3, abs=1e-8)
    assert found.reached


def test_slopes_at_the_edge():
    assert certify_line_absolute(d.gaussian(), 0.0, 1e-7).width == 0.0
    tiny = certify_line_absolute(d.gaussian(), 1e-6, 1e-7)
    assert tiny.lo <= 1e-6 * math.sqrt(2 / math.pi) <= tiny.hi
    huge = certify_line_absolute(d.gaussian(), 1e4, 1e-7)
    assert not huge.reached
    assert "reached" in huge.reason
    assert huge.lo <= GaussianAbsolute(scalar_gaussian()).point(1e4).lagrangian.mid <= huge.hi
    with pytest.raises(ValueError, match="finite mean"):
        certify_line_absolute(d.student(1.0), 1.0, 1e-5)


@pytest.mark.parametrize("density", [d.gaussian(), d.student(5.0)], ids=["gaussian", "student"])
@pytest.mark.parametrize("beta", [0.7, 4.0])
def test_the_bounds_of_coarse_cells_hold(density, beta, monkeypatch):
    edges = np.linspace(-4.0, 4.0, 9)
    weights = np.random.default_rng(2).dirichlet(np.ones(9))
    monkeypatch.setattr(line_absolute, "_GAUSS", 2)
    coarse = line_absolute._cells(density, edges, beta, weights)
    t, w = np.polynomial.legendre.leggauss(60)
    x = edges[:-1, None] + 0.5 * (1 + t)
    p = np.exp(density.log_prob(x))
    z = np.exp(-beta * np.abs(x[..., None] - edges)) @ weights
    error = np.abs((0.5 * w * p * np.log(z)).sum(1) - (coarse.mass * np.log(coarse.z)).sum(1))
    assert error.max() > 1e-8
    assert (error <= coarse.of_potential).all()
    assert ((p / z).max(1) <= coarse.largest).all()
    nodes = edges[:-1, None] + 0.5 * (1 + np.polynomial.legendre.leggauss(2)[0])
    for y in edges:
        exact = (0.5 * w * p / z * np.exp(-beta * np.abs(x - y))).sum(1)
        rule = (coarse.mass / coarse.z * np.exp(-beta * np.abs(nodes - y))).sum(1)
        assert (np.abs(exact - rule) <= coarse.of_constraint).all()


TRUTH = 1.0 + math.log(3.0)  # Laplacian(1) at beta = 3


def excluded(density=None):
    try:
        found = certify_line_absolute(density or d.laplacian(), 3.0, 1e-6)
    except ArithmeticError:
        return True
    return not found.lo <= TRUTH <= found.hi


def test_a_wrong_tail_is_caught():
    assert not excluded()
    density = d.laplacian()

    def short(t, side):
        return d.Tail(*(1e-9 * m for m in density.tail(t, side)))

    assert excluded(dataclasses.replace(density, tail=short))


def test_a_wrong_potential_is_caught(monkeypatch):
    right = ScanKernel.forward
    monkeypatch.setattr(ScanKernel, "forward", lambda self, w: right(self, w) * (1 + 1e-5))
    assert excluded()


def test_a_missed_maximum_is_caught(monkeypatch):
    right = line_absolute._log_sup
    monkeypatch.setattr(line_absolute, "_log_sup", lambda *a: right(*a) - 1e-4)
    assert excluded()


@pytest.mark.parametrize("beta", [1e-4, 1e-2])
def test_small_slopes_are_bounded_by_zero_and_one_atom(beta):
    """E|T| of Student's t in closed form; the atoms' cells would be hundreds of scales wide."""
    df = 1.5
    moment = 2.0 * math.sqrt(df / math.pi) / (df - 1.0)
    moment *= math.exp(math.lgamma(0.5 * (df + 1.0)) - math.lgamma(0.5 * df))
    found = certify_line_absolute(d.student(df, 7.0, 2.0), beta, 1e-5)
    assert found.lo == 0.0
    assert 2.0 * beta * moment <= found.hi <= 2.001 * beta * moment
    assert found.distortion == pytest.approx(2.0 * moment, rel=1e-3)
    assert found.points.tolist() == [[7.0]]
    assert "one atom" in found.reason
