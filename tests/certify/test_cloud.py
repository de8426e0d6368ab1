"""Finite sources in R^d: against closed forms, other solvers, and dense grids."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from rdbench.certify.cloud import certify_cloud, copies
from rdbench.certify.cloud.bounds import bound_cloud
from rdbench.certify.finite import certify_finite
from rdbench.certify.plane import maximum as maximum_plane
from rdbench.certify.plane.fields import on_grid, scattered
from rdbench.distortions import SquaredError
from rdbench.references.certified import Certified
from rdbench.sources.finite import FiniteSource
from rdbench.types import OutOfRange, Problem


def two_points(beta: float, a: float) -> float:
    """F* of the source on +a and -a: atoms at +b and -b, merged at zero where beta a^2 <= 1/2."""
    found = minimize_scalar(
        lambda b: beta * (a * a + b * b) - np.log(np.cosh(2.0 * beta * a * b)),
        bounds=(0.0, a),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return float(found.fun)


@pytest.mark.parametrize("beta", [0.05, 0.3, 0.7, 2.0, 9.0])
@pytest.mark.parametrize("dim", [1, 2])
def test_two_points(beta, dim):
    direction = np.array([[0.6, 0.8]])[:, :dim] / np.linalg.norm([[0.6, 0.8]][0][:dim])
    x = 1.3 * np.concatenate([direction, -direction]) + 100.0
    c = certify_cloud(x, np.array([0.5, 0.5]), beta, 1e-8)
    truth = two_points(beta, 1.3)
    assert c.lo <= truth + 1e-12
    assert truth - 1e-12 <= c.hi
    assert c.width <= 1e-8
    assert c.points.shape[1] == dim
    assert np.abs(c.points - 100.0).max() <= 1.3 + 1e-9


@pytest.mark.parametrize("beta", [0.4, 2.0, 6.0])
def test_a_fine_grid_of_reproductions_comes_close_from_above(beta):
    rng = np.random.default_rng(2)
    x, p = rng.standard_normal((40, 2)), np.full(40, 1.0 / 40)
    c = certify_cloud(x, p, beta, 1e-7)
    assert c.reached
    steps = np.arange(-3.0, 3.0, 0.2 / np.sqrt(2.0 * beta))
    y = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    y = y[((y[:, None] - x) ** 2).sum(-1).min(1) < 1.0]
    on_grid = certify_finite(((x[:, None] - y) ** 2).sum(-1), p, beta, 1e-8)
    assert c.lo <= on_grid.hi
    # Atoms moved to the grid, by up to 0.1 / sqrt(2 beta) along each axis, raise F by at most that.
    assert on_grid.lo - c.hi < beta * 2.0 * 0.01 / (2.0 * beta)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), beta=st.floats(0.1, 30.0))
def test_the_maximum_is_never_below_a_dense_grid(seed, beta):
    rng = np.random.default_rng(seed)
    x, mass = 2.0 * rng.standard_normal((12, 2)), rng.exponential(size=12)
    c = scattered(x, mass, beta)
    upper = maximum_plane.maximum_plane(c, x.min(0), x.max(0), beta, 1e-7)
    axes = [np.linspace(x[:, a].min(), x[:, a].max(), 700) for a in (0, 1)]
    dense = float(c(*axes).max())
    assert upper >= dense
    # Between two nodes of the grid c rises by a factor of at most exp(beta h^2 / 2).
    step = max(axis[1] - axis[0] for axis in axes)
    most = dense * np.exp(0.5 * beta * step**2) + 1e-9
    assert upper <= most + 1e-6 * max(1.0, most)


def test_an_interpolant_that_is_too_coarse_is_caught(monkeypatch):
    """Panels of four times the width: the bound of the error no longer covers the maximum."""
    rng = np.random.default_rng(8)
    x, mass = 2.0 * rng.standard_normal((40, 2)), np.full(40, 1.0)
    beta = 4.0
    c = scattered(x, mass, beta)
    axes = [np.linspace(x[:, a].min(), x[:, a].max(), 700) for a in (0, 1)]
    right = maximum_plane.maximum_plane(c, x.min(0), x.max(0), beta, 1e-7)
    wrong = maximum_plane.maximum_plane(c, x.min(0), x.max(0), beta / 400.0, 1e-7)
    dense = float(c(*axes).max())
    assert right >= dense
    assert right - dense < 1e-3 * dense
    assert abs(wrong - dense) > 1e-2 * dense


def test_sums_on_a_grid_and_scattered_are_the_same():
    rng = np.random.default_rng(1)
    first, second = np.linspace(-1.0, 1.0, 5), np.linspace(0.0, 2.0, 7)
    mass = rng.random((5, 7))
    x = np.stack(np.meshgrid(first, second, indexing="ij"), -1).reshape(-1, 2)
    y = np.linspace(-2.0, 2.0, 9), np.linspace(-1.0, 1.0, 4)
    np.testing.assert_allclose(
        on_grid(first, second, mass, 1.7)(*y), scattered(x, mass.ravel(), 1.7)(*y), rtol=1e-13
    )


@pytest.mark.parametrize("beta", [0.2, 1.0, 4.0])
def test_bounds_contain_the_certified_value(beta):
    rng = np.random.default_rng(6)
    x, p = rng.standard_normal((50, 2)), np.full(50, 0.02)
    narrow, wide = certify_cloud(x, p, beta, 1e-7), bound_cloud(x, p, beta)
    assert wide.kind == "bounds"
    assert wide.lo <= narrow.lo
    assert narrow.hi <= wide.hi + 1e-9
    assert wide.hi - narrow.hi < 0.05
    assert narrow.lo - wide.lo < 0.25


def pair_weights(rng, kernel):
    """Symmetric and positive, in a range as wide as that of the kernel."""
    raw = kernel ** rng.uniform(0.2, 2.0) * np.exp(0.5 * rng.standard_normal(kernel.shape))
    return np.maximum(raw, raw.T)


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
@pytest.mark.parametrize("beta", [0.3, 1.0, 5.0])
def test_the_bound_by_copies_covers_c_everywhere(dim, beta):
    rng = np.random.default_rng(9)
    x, m = rng.standard_normal((14, dim)), rng.exponential(size=14)
    if dim <= 3:
        steps = {1: 4001, 2: 201, 3: 41}[dim]
        axes = [np.linspace(x[:, a].min(), x[:, a].max(), steps) for a in range(dim)]
        y = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, dim)
    else:
        y = np.concatenate([rng.dirichlet(np.full(14, a), 3000) @ x for a in (0.02, 0.3)] + [x])
    rho = ((y[:, None] - x) ** 2).sum(-1)
    largest = float(np.log(np.exp(-beta * rho) @ m).max())
    kernel = copies.pair_kernel(x, beta)
    for w in (kernel, kernel**2, *(pair_weights(rng, kernel) for _ in range(4))):
        assert largest <= copies.log_sup(kernel, m, w) + 1e-12


def test_the_bound_by_copies_is_a_sum_over_three_draws():
    rng = np.random.default_rng(3)
    x, m, beta = rng.standard_normal((7, 2)), rng.exponential(size=7), 0.8
    kernel = copies.pair_kernel(x, beta)
    w = pair_weights(rng, kernel)
    square = ((x[:, None] - x) ** 2).sum(-1)
    largest = max(
        sum(
            m[j]
            * np.sqrt(w[k, j] * w[i, j])
            / w[k, i]
            * np.exp(-beta * (square[k, j] + square[i, j]) / 4.0)
            for j in range(7)
        )
        for k in range(7)
        for i in range(7)
    )
    assert copies.log_sup(kernel, m, w) == pytest.approx(np.log(largest), abs=1e-13)


@pytest.mark.parametrize("beta", [0.05, 0.3, 0.7, 2.0, 9.0])
def test_the_bound_by_copies_at_two_points(beta, monkeypatch):
    x, p = 1.3 * np.array([[0.6, 0.0, 0.8], [-0.6, 0.0, -0.8]]), np.array([0.5, 0.5])
    truth = two_points(beta, 1.3)
    assert truth - 0.09 <= copies.copies_bound(x, p, beta) <= truth + 1e-12
    # Two draws from r are twice the variance apart: with the whole square the bound is none.
    whole = copies.pair_kernel
    monkeypatch.setattr(copies, "pair_kernel", lambda x, beta: whole(x, 2.0 * beta))
    if beta < 1.0:
        assert copies.copies_bound(x, p, beta) > truth + 1e-3


@pytest.mark.parametrize("beta", [0.05, 0.5, 2.0, 8.0, 40.0])
def test_the_bound_by_copies_of_unequal_masses(beta):
    rng = np.random.default_rng(12)
    x, p = rng.standard_normal((40, 2)), rng.dirichlet(np.full(40, 0.7))
    truth = certify_cloud(x, p, beta, 1e-6)
    lower = copies.copies_bound(x, p, beta)
    assert lower <= truth.hi
    assert truth.lo - lower < 0.25
    # Never below the bound by one draw of any law: the points as letters, at half the slope.
    square = ((x[:, None] - x) ** 2).sum(-1)
    one = certify_finite(square, p, 0.5 * beta, 1e-9).lo
    assert lower > one - 1e-3


def test_bounds_at_the_ends():
    rng = np.random.default_rng(10)
    x, p = rng.standard_normal((30, 5)), np.full(30, 1.0 / 30)
    zero, large = bound_cloud(x, p, 0.0), bound_cloud(x, p, 1e4)
    assert zero.lo <= 0.0 <= zero.hi
    assert zero.hi < 1e-9
    assert large.lo <= np.log(30.0) <= large.hi + 1e-9
    assert large.width < 1e-3


def test_bad_input():
    x, p = np.zeros((3, 3)), np.full(3, 1.0 / 3)
    with pytest.raises(ValueError, match="bound_cloud"):
        certify_cloud(x, p, 1.0, 1e-6)
    with pytest.raises(ValueError, match="finite"):
        certify_cloud(np.array([[0.0], [np.nan]]), np.array([0.5, 0.5]), 1.0, 1e-6)
    with pytest.raises(ValueError, match="probabilities"):
        certify_cloud(np.zeros((2, 1)), np.array([0.5, 0.6]), 1.0, 1e-6)


def test_a_slope_that_needs_too_many_squares_is_refused_at_once():
    x, p = np.random.default_rng(11).standard_normal((7, 2)), np.full(7, 1.0 / 7)
    with pytest.raises(ValueError, match="squares, the limit is 50000"):
        certify_cloud(x, p, 1e6, 1e-5)
    # On the line their number grows with the root of beta only.
    far = certify_cloud(x[:, :1], p, 1e6, 1e-5)
    assert far.reached
    assert far.lo <= np.log(7.0) <= far.hi + 1e-9
    assert maximum_plane.check_squares(np.zeros(2), np.array([8.0, 2.0]), 4.0).tolist() == [8, 2]


def test_a_finite_source_has_no_slope_of_its_entropy():
    # The fourth point stands on the third: H(X) = 1.5 log 2, not log 4.
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 2.0]], dtype=torch.float64)
    source = FiniteSource("four", x, torch.full((4,), 0.25, dtype=torch.float64))
    reference = Certified(Problem(source, SquaredError()), 1e-5)
    entropy = 1.5 * np.log(2.0)
    for rate in (entropy + 1e-6, 3.0):
        with pytest.raises(OutOfRange, match="entropy"):
            reference.slope(rate)
    beta = reference.slope(0.9 * entropy)
    assert reference.point(beta).rate.mid == pytest.approx(0.9 * entropy, rel=1e-3)
    with pytest.raises(OutOfRange, match="squares"):
        reference.point(1e8)
