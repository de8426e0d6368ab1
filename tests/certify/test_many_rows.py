"""Finite problems with many rows against the solver of finite alphabets, and by definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy import ndarray

from rdbench.certify import many_rows
from rdbench.certify.finite import certify_finite
from rdbench.certify.many_rows import Matrix, SquaredDistances, certify_many_rows


def _clusters(n: int, m: int, seed: int, shift: float = 0.0) -> tuple[ndarray, ndarray]:
    rng = np.random.default_rng(seed)
    centres = 3.0 * rng.standard_normal((4, 2))
    x = centres[rng.integers(4, size=n)] + rng.standard_normal((n, 2))
    y = centres[rng.integers(4, size=m)] + rng.standard_normal((m, 2))
    return x + shift, y + shift


def _definition(x: ndarray, y: ndarray, p: ndarray, beta: float, w: ndarray) -> tuple[float, float]:
    """F(w), and F(w) - log max_j c_j over all letters y, from distances alone."""
    rho = ((x[:, None] - y) ** 2).sum(2)
    kernel = np.exp(-beta * rho)
    z = kernel @ w
    f = -float(p @ np.log(z))
    return f, f - float(np.log((kernel.T @ (p / z)).max()))


@pytest.mark.parametrize("beta", [0.2, 1.0, 4.0])
def test_the_bracket_is_that_of_the_finite_solver(beta: float) -> None:
    x, y = _clusters(6000, 40, 1)
    p = np.random.default_rng(2).dirichlet(np.ones(len(x)))
    found = certify_many_rows(SquaredDistances(x, y), p, beta, 1e-6)
    rho = ((x[:, None] - y) ** 2).sum(2)
    other = certify_finite(rho, p, beta, 1e-8)
    assert found.reached
    assert found.width <= 1e-6
    assert found.lo - 1e-12 <= other.hi
    assert other.lo - 1e-12 <= found.hi
    assert found.distortion == pytest.approx(other.distortion, rel=1e-2)
    w = np.zeros(len(y))
    w[found.points[:, 0].astype(int)] = found.weights
    assert w.sum() == pytest.approx(1.0)
    hi, lo = _definition(x, y, p, beta, w)
    assert found.hi == pytest.approx(hi, abs=1e-9)
    assert found.lo == pytest.approx(lo, abs=1e-9)


def test_the_ways_to_give_distortions_agree() -> None:
    x, y = _clusters(3000, 20, 3)
    p = np.full(len(x), 1.0 / len(x))
    by_points = certify_many_rows(SquaredDistances(x, y), p, 1.0, 1e-6)
    by_matrix = certify_many_rows(Matrix(((x[:, None] - y) ** 2).sum(2)), p, 1.0, 1e-6)
    assert by_points.hi == pytest.approx(by_matrix.hi, abs=1e-10)


def test_a_mean_of_a_hundred_changes_nothing() -> None:
    x, y = _clusters(3000, 20, 4)
    p = np.full(len(x), 1.0 / len(x))
    here = certify_many_rows(SquaredDistances(x, y), p, 1.0, 1e-6)
    there = certify_many_rows(SquaredDistances(x + 100.0, y + 100.0), p, 1.0, 1e-6)
    assert here.lo <= there.hi
    assert there.lo <= here.hi


def test_columns_that_a_subsample_does_not_show_are_found(monkeypatch) -> None:
    """One row in 4,000 alone needs the last letter, and the subsample has not drawn it."""
    x, y = _clusters(4000, 10, 5)
    x[-1], y[-1] = 60.0, 60.0
    monkeypatch.setattr(many_rows, "_ROWS_PER_COLUMN", (10, 20))
    p = np.full(len(x), 1.0 / len(x))
    found = certify_many_rows(SquaredDistances(x, y), p, 1.0, 1e-6)
    assert 9.0 in found.points
    assert found.reached


def test_at_a_high_slope_nothing_underflows() -> None:
    x, y = _clusters(2000, 30, 6)
    p = np.full(len(x), 1.0 / len(x))
    found = certify_many_rows(SquaredDistances(x, y), p, 3e3, 1e-6)
    least = float(p @ ((x[:, None] - y) ** 2).sum(2).min(1))
    assert found.reached
    # Every row keeps its nearest letter: F = beta D + the entropy of the letters.
    nearest = ((x[:, None] - y) ** 2).sum(2).argmin(1)
    q = np.bincount(nearest, minlength=len(y)) / len(x)
    entropy = -float((q[q > 0] * np.log(q[q > 0])).sum())
    assert found.hi == pytest.approx(3e3 * least + entropy, rel=1e-4)


def test_bad_arguments() -> None:
    x, y = _clusters(50, 5, 7)
    rho, p = SquaredDistances(x, y), np.full(50, 0.02)
    with pytest.raises(ValueError, match="sum to one"):
        certify_many_rows(rho, 2.0 * p, 1.0, 1e-6)
    with pytest.raises(ValueError, match="probability zero"):
        certify_many_rows(rho, np.eye(1, 50)[0], 1.0, 1e-6)
    with pytest.raises(ValueError, match="beta must be"):
        certify_many_rows(rho, p, -1.0, 1e-6)
    with pytest.raises(ValueError, match="tolerance"):
        certify_many_rows(rho, p, 1.0, 0.0)
    bad = ((x[:, None] - y) ** 2).sum(2)
    bad[3] = np.inf
    with pytest.raises(ValueError, match="finite"):
        certify_many_rows(Matrix(bad), p, 1.0, 1e-6)
