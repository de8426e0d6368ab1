"""The error of a grid, against what is known of the problem without one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy import ndarray

from rdbench.estimators.blahut_arimoto import boxes, grids
from rdbench.estimators.blahut_arimoto.boxes import find_box
from rdbench.estimators.blahut_arimoto.grid_error import DiscretisationError, discretisation_error
from rdbench.inference import finite

Density = Callable[[ndarray], ndarray]


def normal(x: ndarray) -> ndarray:
    log_density = -0.5 * (x**2).sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)
    return np.asarray(np.exp(log_density))


def laplacian(x: ndarray) -> ndarray:
    return np.asarray(np.exp(-np.abs(x).sum(1)) / 2 ** x.shape[1])


def uniform(x: ndarray) -> ndarray:
    return ((x >= 0) & (x <= 1)).all(1).astype(float)


def found(
    density: Density, draws: ndarray, name: str, beta: float, points: int | None = None
) -> tuple[float, DiscretisationError]:
    """F on the grid and its error, at weights that are converged."""
    box = find_box(draws, density)
    discrete = grids.discretise(density, box, name, beta, points=points, max_points=4000)
    solve = finite.interior_point if len(box.lo) == 1 else finite.squarem
    best = solve(discrete.kernel, discrete.p, weights=discrete.start, tolerance=1e-8)
    return best.lagrangian, discretisation_error(density, name, beta, discrete, best)


def draws(kind: str, dim: int = 1) -> ndarray:
    rng = np.random.default_rng(3)
    size = (4000, dim)
    if kind == "normal":
        return rng.standard_normal(size)
    return rng.laplace(size=size) if kind == "laplacian" else rng.uniform(size=size)


@pytest.mark.parametrize("beta", [0.6, 30.0])
def test_a_smooth_density_has_next_to_none(beta: float) -> None:
    f, error = found(normal, draws("normal"), "squared_error", beta)
    assert f == pytest.approx(0.5 * math.log(2 * beta) + 0.5, abs=1e-7)
    assert error.total < 1e-5


@pytest.mark.parametrize("points", [150, 200, 300])
def test_absolute_error_is_dearer_by_about_what_is_said(points: int) -> None:
    """F* = 1 + log beta, so that F on the grid less that is its error, certified to 1e-8."""
    beta = 1.5
    f, error = found(laplacian, draws("laplacian"), "absolute_error", beta, points)
    true = f - (1.0 + math.log(beta))
    assert true > 3e-7
    assert 0.9 * true < error.total < 3e-4


@pytest.mark.parametrize("missed", [False, True])
def test_a_jump_of_the_density_is_seen_in_the_source(
    monkeypatch: pytest.MonkeyPatch, missed: bool
) -> None:
    """Where the jumps were not found, the trapezoidal rule misses part of the cells at the ends of
    a uniform source; the error says so. Where they were, nothing is missing.
    """
    if missed:
        monkeypatch.setattr(boxes, "find_jumps", lambda *_: ())
    beta = 0.5  # below the first branching point: one atom at the mean, F known by quadrature
    nodes, weights = np.polynomial.legendre.leggauss(40)
    truth = beta * float(weights @ (0.5 * nodes) ** 2) / 2
    f, error = found(uniform, draws("uniform"), "squared_error", beta, 801)
    if not missed:
        assert f == pytest.approx(truth, abs=1e-7)
        return
    assert abs(f - truth) > 3e-5
    assert error.total > 0.4 * abs(f - truth)


def test_a_grid_beyond_the_limit_reports_too_little_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The planted fault: 2.2 times the step that is allowed. The rate falls below R(D)."""
    honest = grids.largest_step
    monkeypatch.setattr(grids, "largest_step", lambda *a, **k: 2.2 * honest(*a, **k))
    beta = 400.0
    f, error = found(normal, draws("normal"), "squared_error", beta, 200)
    deficit = 0.5 * math.log(2 * beta) + 0.5 - f
    assert deficit > 3e-3
    assert error.source > 0.5 * deficit


@pytest.mark.parametrize("name", ["squared_error", "absolute_error"])
def test_products_in_the_plane_add_up(name: str) -> None:
    """F of a product is the sum, whatever the grid; the plane's code against the line's."""
    source = normal if name == "squared_error" else laplacian
    kind = "normal" if name == "squared_error" else "laplacian"
    beta = 2.0
    _, line = found(source, draws(kind), name, beta, 210)
    discrete = grids.discretise(
        source, find_box(draws(kind), source), name, beta, points=210, max_points=4000
    )
    one = finite.interior_point(discrete.kernel, discrete.p, tolerance=1e-8)
    (axis,) = discrete.axes
    plane = grids.Discretised(
        np.ones(len(discrete.p) ** 2),
        discrete.kernel,
        grids.product(axis, axis),
        np.outer(discrete.start, discrete.start).ravel(),
        (axis, axis),
    )
    both = replace(
        one,
        weights=np.outer(one.weights, one.weights).ravel(),
        lagrangian=2 * one.lagrangian,
        gap=2 * one.gap,
    )
    error = discretisation_error(source, name, beta, plane, both)
    assert error.source == pytest.approx(2 * line.source, abs=1e-6)
    # the two bounds need not be equally tight
    assert line.support - 2e-5 < error.support < 6 * line.support + 2e-5


def test_slope_zero_has_none() -> None:
    discrete = grids.discretise(
        normal, find_box(draws("normal"), normal), "squared_error", 0.0, points=200, max_points=300
    )
    best = finite.Solution(discrete.start, 0.0, 0.0, 0, True)
    error = discretisation_error(normal, "squared_error", 0.0, discrete, best)
    assert error.total == 0.0
