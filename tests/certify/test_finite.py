"""Finite alphabets: against closed forms, and against linear programming."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from rdbench.certify import finite
from rdbench.certify.checks import rounding
from rdbench.certify.finite import Weights, certify_finite
from rdbench.inference.kernels import DenseKernel


def dual_by_cutting_planes(rho, p, beta, rounds=60):
    """max sum p t with exp(t) below its variable and K^T (p lambda) <= 1, by tangents of log."""
    n = len(p)
    k = np.exp(-beta * rho)
    rows, bounds = [], []
    for j in range(rho.shape[1]):
        rows.append(np.concatenate([np.zeros(n), p * k[:, j]]))
        bounds.append(1.0)
    cuts = [np.full(n, v) for v in np.exp(np.linspace(-1.0, 8.0, 12))]
    for at in cuts:
        for i in range(n):
            row = np.zeros(2 * n)
            row[i], row[n + i] = 1.0, -1.0 / at[i]
            rows.append(row)
            bounds.append(np.log(at[i]) - 1.0)
    lower = -np.inf
    for _ in range(rounds):
        found = linprog(
            -np.concatenate([p, np.zeros(n)]),
            A_ub=np.array(rows),
            b_ub=np.array(bounds),
            bounds=[(None, None)] * n + [(1e-12, None)] * n,
            method="highs",
        )
        assert found.status == 0
        assert found.x is not None
        assert found.fun is not None
        scale = np.maximum(found.x[n:], 1e-9)
        scale = scale / (k.T @ (p * scale)).max()
        lower = max(lower, float(p @ np.log(scale)))
        upper = -found.fun
        if upper - lower < 1e-8:
            break
        for i in range(n):
            row = np.zeros(2 * n)
            row[i], row[n + i] = 1.0, -1.0 / found.x[n + i]
            rows.append(row)
            bounds.append(np.log(found.x[n + i]) - 1.0)
    return lower, upper


@pytest.mark.parametrize(("n", "m", "beta"), [(4, 5, 1.0), (6, 4, 4.0), (7, 9, 0.3)])
def test_linear_programming_agrees(n, m, beta):
    rng = np.random.default_rng(n)
    rho, p = rng.random((n, m)), rng.dirichlet(np.ones(n))
    lower, upper = dual_by_cutting_planes(rho, p, beta)
    assert upper - lower < 1e-7
    c = certify_finite(rho, p, beta, 1e-9)
    assert c.width <= 1e-9
    assert lower - 1e-9 <= c.hi
    assert c.lo <= upper + 1e-9


def test_reaches_its_tolerance_on_500_letters():
    rng = np.random.default_rng(7)
    rho, p = rng.random((500, 500)), rng.dirichlet(np.ones(500))
    widths = []
    for beta in (0.5, 8.0, 60.0):
        c = certify_finite(rho, p, beta, 1e-9)
        assert c.reached
        assert c.reason == ""
        widths.append(c.width)
    assert max(widths) <= 1e-9


def test_a_wrong_lambda_widens_the_bracket_and_is_told(monkeypatch):
    rng = np.random.default_rng(5)
    rho, p = rng.random((30, 30)), rng.dirichlet(np.ones(30))
    good = certify_finite(rho, p, 5.0, 1e-9)
    solve = finite.solve_weights

    def perturbed(kernel: DenseKernel, p: np.ndarray, tolerance: float) -> Weights:
        w = solve(kernel, p, tolerance).weights * (1.0 + 0.2 * rng.random(30))
        return finite._evaluate(kernel, p, w / w.sum())

    monkeypatch.setattr(finite, "solve_weights", perturbed)
    bad = certify_finite(rho, p, 5.0, 1e-9)
    assert bad.lo <= good.lo
    assert bad.hi >= good.hi
    assert not bad.reached
    assert "nats" in bad.reason


def test_distortion_is_the_slope():
    rng = np.random.default_rng(11)
    rho, p = rng.random((20, 25)), rng.dirichlet(np.ones(20))
    step = 1e-4
    lo, at, hi = (certify_finite(rho, p, b, 1e-11) for b in (3.0 - step, 3.0, 3.0 + step))
    assert at.distortion == pytest.approx((hi.hi - lo.hi) / (2.0 * step), abs=1e-5)


def test_edges_of_the_slope():
    rho = np.array([[0.0, 1.0], [1.0, 0.0]])
    p = np.array([0.3, 0.7])
    for beta, truth in ((0.0, 0.0), (1e-8, 0.3e-8), (1e6, -0.3 * np.log(0.3) - 0.7 * np.log(0.7))):
        c = certify_finite(rho, p, beta, 1e-9)
        assert c.lo <= truth + 1e-15
        assert truth - 1e-15 <= c.hi
        assert c.reached


def test_letters_without_probability_do_not_matter():
    rho = np.array([[0.0, 1.0], [1.0, 0.0], [0.3, 0.9]])
    with_zero = certify_finite(rho, np.array([0.4, 0.6, 0.0]), 2.0, 1e-9)
    without = certify_finite(rho[:2], np.array([0.4, 0.6]), 2.0, 1e-9)
    assert with_zero.lo == without.lo


@pytest.mark.parametrize(
    ("rho", "p", "message"),
    [
        (np.eye(2), np.array([0.5, 0.6]), "probabilities"),
        (np.eye(2), np.array([0.5, np.nan]), "probabilities"),
        (np.full((2, 2), np.inf), np.array([0.5, 0.5]), "finite"),
        (np.array([[0.0, np.nan], [1.0, 0.0]]), np.array([0.5, 0.5]), "NaN and -inf"),
        (np.array([[0.0, -np.inf], [1.0, 0.0]]), np.array([0.5, 0.5]), "NaN and -inf"),
    ],
)
def test_bad_input(rho, p, message):
    with pytest.raises(ValueError, match=message):
        certify_finite(rho, p, 1.0, 1e-9)


def test_the_allowance_grows_with_the_number_of_terms():
    eps = np.finfo(float).eps
    assert rounding(1.0, -2.0) == 64 * eps * 4.0
    assert rounding(1.0, -2.0, terms=1000) == 1064 * eps * 4.0
    # All mass on one letter in each: F* = 0, and 5 + 3 terms.
    c = certify_finite(np.zeros((5, 3)), np.full(5, 0.2), 1.0, 1e-9)
    assert -c.lo >= 72 * eps
    assert c.hi >= 72 * eps


@pytest.mark.parametrize("beta", [0.2, 1.0, 6.0])
def test_offsets_negative_and_infinite_entries_by_linear_programming(beta):
    """A constant in a row moves F by its mean times beta; an infinite entry is a zero of K."""
    rng = np.random.default_rng(8)
    rho, p = rng.random((5, 6)), rng.dirichlet(np.ones(5))
    rho[0, 1] = rho[3, 4] = rho[4, 0] = np.inf
    rho[:, 5] = np.inf
    lower, upper = dual_by_cutting_planes(rho, p, beta)
    for offset in (np.zeros(5), np.full(5, -3.0), np.array([10.0, 0.0, -4.0, 2.5, 100.0])):
        c = certify_finite(rho + offset[:, None], p, beta, 1e-9)
        moved = beta * float(p @ offset)
        assert lower - 1e-9 <= c.hi - moved
        assert c.lo - moved <= upper + 1e-9
        assert c.width <= 1e-9
        assert 5 not in c.points
        reachable = np.where(np.isfinite(rho), rho, 0.0).max()
        assert rho.min(1) @ p <= c.distortion - p @ offset <= reachable
