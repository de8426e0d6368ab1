"""The solvers against closed forms, another optimiser and each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray
from scipy.optimize import minimize
from scipy.special import xlogy

from rdbench.estimators.blahut_arimoto.grid_kernels import BandedKernel, SeparableKernel
from rdbench.inference import finite
from rdbench.inference.finite import Solution
from rdbench.inference.kernels import DenseKernel

Solver = Callable[..., Solution]

SOLVERS = {"interior_point": finite.interior_point, "squarem": finite.squarem, "ba": finite.ba}
EACH = pytest.mark.parametrize("name", SOLVERS)


def solve(name: str, rho: ndarray, p: ndarray, beta: float, **options: Any) -> Solution:
    options.setdefault("tolerance", 1e-8 if name == "interior_point" else 1e-6)
    options.setdefault("iterations", 80 if name == "interior_point" else 50_000)
    return SOLVERS[name](DenseKernel.build(rho, beta), p, **options)


def free_energy(rho: ndarray, p: ndarray, w: ndarray, beta: float) -> float:
    """F(w) by its definition, in the log domain."""
    with np.errstate(divide="ignore"):
        terms = np.log(w) - beta * rho
    top = terms.max(1)
    return float(-p @ (top + np.log(np.exp(terms - top[:, None]).sum(1))))


def hamming(m: int) -> ndarray:
    return 1.0 - np.eye(m)


def entropy(p: float) -> float:
    return float(-xlogy(p, p) - xlogy(1 - p, 1 - p))


def random_problem(seed: int, n: int = 7, m: int = 6) -> tuple[ndarray, ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((n, m)), rng.dirichlet(np.ones(n))


def uniform_hamming(m: int) -> tuple[ndarray, ndarray, float, float]:
    """R(D) = log m - h(D) - D log(m - 1)."""
    beta = 6.0
    d = (m - 1) / (m - 1 + math.exp(beta))
    rate = math.log(m) - entropy(d) - d * math.log(m - 1)
    return hamming(m), np.full(m, 1 / m), beta, rate + beta * d


def own_letters() -> tuple[ndarray, ndarray, float, float]:
    """At beta = 1e6 every source point keeps its own letter: F = H(p), Z >= p."""
    x = np.random.default_rng(8).random((20, 1))
    p = np.random.default_rng(9).dirichlet(np.ones(20))
    return (x - x.T) ** 2 + 1e-3 * hamming(20), p, 1e6, float(-p @ np.log(p))


# rho, p, beta and F, and how near it has to be.
CLOSED_FORMS: dict[str, tuple[ndarray, ndarray, float, float, float]] = {
    "uniform of 3": (*uniform_hamming(3), 1e-6),
    "uniform of 50": (*uniform_hamming(50), 1e-6),
    "below the critical slope": (hamming(2), np.array([0.9, 0.1]), 1.0, 0.1, 1e-6),
    "slope zero": (*random_problem(1), 0.0, 0.0, 1e-12),
    "a slope that underflows": (*own_letters(), 2e-9),
    "no letter near the source": (
        np.array([[5.0, 7.0], [6.0, 4.0]]),
        np.array([0.25, 0.75]),
        1e6,
        1e6 * 4.25 + entropy(0.25),
        4e-6,
    ),
    "one symbol": (np.array([[0.4]]), np.array([1.0]), 2.0, 0.8, 8e-7),
}


@EACH
@pytest.mark.parametrize("case", CLOSED_FORMS)
def test_closed_forms(name: str, case: str) -> None:
    rho, p, beta, f, within = CLOSED_FORMS[case]
    start = np.random.default_rng(0).dirichlet(np.ones(rho.shape[1]))
    got = solve(name, rho, p, beta, weights=start)
    assert got.converged
    assert got.lagrangian == pytest.approx(f, rel=0.0, abs=within)
    if case == "a slope that underflows":
        np.testing.assert_allclose(got.weights, p, atol=1e-6)


def gaussian_grid(n: int, reach: float = 6.6) -> tuple[ndarray, ndarray]:
    x = np.linspace(-reach, reach, n)
    p = np.exp(-0.5 * x**2)
    return x, p / p.sum()


@EACH
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beta", [0.5, 3.0, 20.0])
def test_against_a_general_optimiser(name: str, seed: int, beta: float) -> None:
    """SLSQP over softmax logits, from several starts, knows nothing of BA."""
    rho, p = random_problem(seed)

    def objective(t: ndarray) -> float:
        w = np.exp(t - t.max())
        return free_energy(rho, p, w / w.sum(), beta)

    rng = np.random.default_rng(seed)
    starts = [rng.standard_normal(rho.shape[1]) for _ in range(3)]
    best = min(minimize(objective, t, tol=1e-12, options={"maxiter": 500}).fun for t in starts)
    got = solve(name, rho, p, beta, iterations=80 if name == "interior_point" else 200_000)
    assert got.gap < 1e-5
    assert got.lagrangian == pytest.approx(free_energy(rho, p, got.weights, beta), abs=1e-12)
    assert got.lagrangian <= best + 2e-6
    assert got.lagrangian >= best - 1e-5


@EACH
def test_the_certificate_holds_at_every_iterate(name: str) -> None:
    """F - gap <= F* <= F all along, F* from another solver run to its end."""
    rho, p = random_problem(11, 30, 30)
    other = "squarem" if name == "interior_point" else "interior_point"
    truth = solve(other, rho, p, 8.0)
    got = solve(name, rho, p, 8.0, history=True, iterations=60)
    assert len(got.history) > 5
    for _, f, gap in got.history:
        assert f >= truth.lagrangian - truth.gap - 1e-12
        assert f - gap <= truth.lagrangian + 1e-12


@pytest.mark.parametrize("name", ["squarem", "ba"])
def test_free_energy_never_increases(name: str) -> None:
    rho, p = random_problem(5, 40, 40)
    got = solve(name, rho, p, 10.0, iterations=120, tolerance=1e-13, history=True)
    f = np.array([row[1] for row in got.history])
    if name == "squarem":  # a rejected jump is in the history; what is kept never rises
        f = np.minimum.accumulate(f)[2:]
        assert f[-1] < f[0]
    assert (np.diff(f) <= 1e-13).all()


def test_squarem_is_faster_than_ba() -> None:
    x, p = gaussian_grid(201)
    rho = (x[:, None] - x) ** 2
    slow = solve("ba", rho, p, 0.6, tolerance=1e-5)
    fast = solve("squarem", rho, p, 0.6, tolerance=1e-5)
    assert slow.converged
    assert fast.converged
    assert 3 * fast.iterations < slow.iterations


@EACH
def test_symbols_of_probability_zero(name: str) -> None:
    rho, p = random_problem(3)
    with_zero = np.concatenate([p, [0.0]])
    wide = np.vstack([rho, np.full((1, rho.shape[1]), 0.01)])
    without = solve(name, rho, p, 5.0)
    assert solve(name, wide, with_zero, 5.0).lagrangian == pytest.approx(
        without.lagrangian, abs=2e-6
    )


@EACH
def test_duplicated_points(name: str) -> None:
    rho, p = random_problem(6)
    once = solve(name, rho, p, 4.0)
    twice = solve(name, np.tile(rho, (2, 2)), np.tile(p / 2, 2), 4.0)
    assert twice.lagrangian == pytest.approx(once.lagrangian, abs=2e-6)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    scale=st.floats(0.01, 100.0),
    shift=st.floats(0.0, 50.0),
    beta=st.floats(0.1, 30.0),
)
def test_shift_scale_and_order(seed: int, scale: float, shift: float, beta: float) -> None:
    """rho -> a rho with beta / a changes nothing; rho + s adds beta s; order does not matter."""
    rho, p = random_problem(seed)
    base = solve("interior_point", rho, p, beta).lagrangian
    scaled = solve("interior_point", scale * rho, p, beta / scale).lagrangian
    shifted = solve("interior_point", rho + shift, p, beta).lagrangian
    rows, columns = (np.random.default_rng(seed).permutation(k) for k in rho.shape)
    mixed = solve("interior_point", rho[rows][:, columns], p[rows], beta).lagrangian
    assert scaled == pytest.approx(base, abs=3e-8)
    assert shifted == pytest.approx(base + beta * shift, abs=3e-8 + 1e-12 * beta * shift)
    assert mixed == pytest.approx(base, abs=3e-8)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), beta=st.floats(0.1, 30.0))
def test_distortion_is_the_derivative_of_the_optimum(seed: int, beta: float) -> None:
    """dF*/dbeta = D (envelope); with the concavity of F* this is an inequality on both sides."""
    rho, p = random_problem(seed)
    here = solve("interior_point", rho, p, beta)
    d = finite.distortion(DenseKernel.build(rho, beta), p, here.weights)
    for other in (0.7 * beta, 1.3 * beta):
        there = solve("interior_point", rho, p, other).lagrangian
        assert there <= here.lagrangian + (other - beta) * d + 1e-7
    assert here.lagrangian - beta * d >= -1e-9


def test_solvers_stop_on_the_certificate_alone() -> None:
    """Weights that hardly move are no reason to stop: BA near a vanishing atom."""
    rho, p = random_problem(2, 20, 20)
    start = solve("interior_point", rho, p, 6.0).weights
    start = 0.999 * start + 0.001 / len(start)
    got = solve("ba", rho, p, 6.0, weights=start, iterations=3, tolerance=1e-9)
    assert not got.converged
    assert got.iterations == 3
    assert got.gap > 1e-9


@EACH
def test_the_caller_may_stop(name: str) -> None:
    rho, p = random_problem(4, 30, 30)
    got = solve(name, rho, p, 9.0, tolerance=1e-14, go_on=lambda done: done < 4)
    assert got.stopped
    assert not got.converged
    assert got.weights.sum() == pytest.approx(1.0)


def test_structured_kernels_agree_with_dense_ones() -> None:
    n, step, beta = 400, 0.033, 350.0
    x = step * np.arange(n)
    p = np.random.default_rng(3).dirichlet(np.ones(n))
    dense = solve("interior_point", (x[:, None] - x) ** 2, p, beta)
    banded = finite.interior_point(BandedKernel.build(n, step, beta), p)
    assert banded.converged
    assert banded.lagrangian == pytest.approx(dense.lagrangian, abs=3e-8)

    y = np.linspace(0.0, 2.0, 12)
    axis = (y[:, None] - y) ** 2
    q = np.random.default_rng(4).dirichlet(np.ones(144))
    both = (axis[:, None, :, None] + axis[None, :, None, :]).reshape(144, 144)
    full = solve("interior_point", both, q, 5.0)
    split = finite.squarem(SeparableKernel.build(axis, axis, 5.0), q, tolerance=1e-5)
    assert split.converged
    assert split.lagrangian == pytest.approx(full.lagrangian, abs=1e-5)


def test_bad_arguments() -> None:
    kernel = DenseKernel.build(np.ones((2, 3)), 1.0)
    with pytest.raises(ValueError, match="sum to one"):
        finite.ba(kernel, np.array([0.5, 0.6]))
    with pytest.raises(ValueError, match="starting weights"):
        finite.ba(kernel, np.array([0.5, 0.5]), weights=np.zeros(3))
    separable = SeparableKernel.build(np.ones((2, 2)), np.ones((2, 2)), 1.0)
    with pytest.raises(TypeError, match="squarem"):
        finite.interior_point(separable, np.full(4, 0.25))
