"""Blahut-Arimoto at a target distortion: closed forms, another optimiser, guards, bounds."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy import ndarray
from scipy.optimize import brentq, minimize
from scipy.special import entr

from rdbench.distortions import AbsoluteError, SquaredError, TableDistortion
from rdbench.estimators.constrained_ba import ConstrainedBA
from rdbench.estimators.constrained_ba.dense import DenseProblem
from rdbench.estimators.constrained_ba.iteration import constrained
from rdbench.estimators.constrained_ba.sinkhorn import sinkhorn
from rdbench.estimators.constrained_ba.slope import newton, slope_of
from rdbench.inference import finite
from rdbench.inference.extrapolation import Visit, extrapolated
from rdbench.inference.kernels import DenseKernel
from rdbench.inference.lowered import lowered_gap
from rdbench.references.gaussian import WaterFilling
from rdbench.run.views import make_view
from rdbench.sources.finite import FiniteSource
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.types import Atoms, Problem, RdbenchError, View
from tests.estimators.conftest import FakeMonitor, channels_of, reasons_of, seeded

F64 = torch.float64
PRESETS = [{}, *ConstrainedBA.info.presets.values()]


def shown(problem: Problem) -> View:
    return make_view(problem, ConstrainedBA.info.needs, seeded(0), torch.device("cpu"))[0]


def table(rho: Any, p: Any) -> Problem:
    letters = [[i] for i in range(len(p))]
    return Problem(FiniteSource("letters", letters, p), TableDistortion(rho))  # type: ignore[arg-type]


def coin(p: float, offset: float = 0.0) -> View:
    return shown(table(offset + 1.0 - np.eye(2), [1.0 - p, p]))


def h(p: float) -> float:
    return float(entr(p) + entr(1.0 - p))


def matrix(rho: ndarray, p: ndarray) -> DenseProblem:
    excess = torch.from_numpy(rho - rho.min(1, keepdims=True))
    return DenseProblem(torch.from_numpy(p), excess, excess, float(p @ rho.min(1)))


def some_problem(n: int = 5, m: int = 4, seed: int = 3) -> tuple[ndarray, ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((n, m)), rng.dirichlet(np.ones(n))


def even(m: int) -> torch.Tensor:
    return torch.full((m,), -math.log(m), dtype=F64)


def always(_: int) -> bool:
    return True


# ------------------------------------------------------------------------ a target


@pytest.mark.parametrize(("preset", "offset"), [({}, -3.0), *((p, 0.0) for p in PRESETS)])
def test_a_coin_at_a_target(preset: dict[str, Any], offset: float) -> None:
    for d in (0.1, 0.2):
        c = ConstrainedBA(**(preset | {"tolerance": 1e-6})).solve_distortion(
            coin(0.3, offset), offset + d
        )
        assert c.status == "ok"
        assert c.claim.distortion == pytest.approx(offset + d, abs=1e-10)
        assert c.claim.rate == pytest.approx(h(0.3) - h(d), abs=1e-6)
        assert c.beta == pytest.approx(math.log((1.0 - d) / d), rel=1e-3)


def test_no_rate_from_the_largest_distortion_on() -> None:
    for d in (0.3, 0.5, 1e6):
        c = ConstrainedBA().solve_distortion(coin(0.3), d)
        assert c.claim.rate == 0.0
        assert c.claim.distortion == pytest.approx(0.3)
    just = ConstrainedBA().solve_distortion(coin(0.3), 0.3 - 1e-6)
    assert just.claim.rate == pytest.approx(1e-6 * math.log(7.0 / 3.0), rel=0.3)


@pytest.mark.parametrize("target", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_distortion_is_refused(target: float) -> None:
    with pytest.raises(RdbenchError, match="a target distortion is a positive number, got"):
        ConstrainedBA().solve_distortion(coin(0.3), target)
    with pytest.raises(RdbenchError, match="above D_min = 2"):
        ConstrainedBA().solve_distortion(coin(0.3, 2.0), 2.0)


@functools.cache
def least_information() -> tuple[float, float]:
    """A target, and min I(X; Y) over all p(j|i) with E rho <= D, by quadratic programming."""
    rho, p = some_problem()
    n, m = rho.shape
    target = float(p @ rho.min(1)) + 0.1

    def information(flat: ndarray) -> float:
        w = np.maximum(flat.reshape(n, m), 1e-15)
        return float(p @ (w * np.log(w / (p @ w))).sum(1))

    limits: list[Any] = [
        {"type": "eq", "fun": lambda w: w.reshape(n, m).sum(1) - 1.0},
        {"type": "ineq", "fun": lambda w: target - p @ (w.reshape(n, m) * rho).sum(1)},
    ]
    found = minimize(
        information, np.full(n * m, 1.0 / m), bounds=[(0.0, 1.0)] * (n * m),
        constraints=limits, options={"maxiter": 500, "ftol": 1e-12},
    )  # fmt: skip
    return target, float(found.fun)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_table_against_a_minimisation_over_channels(preset: dict[str, Any]) -> None:
    target, least = least_information()
    c = ConstrainedBA(**(preset | {"tolerance": 1e-6})).solve_distortion(
        shown(table(*some_problem())), target
    )
    assert c.claim.rate == pytest.approx(least, abs=5e-6)
    assert c.claim.distortion == pytest.approx(target, abs=1e-9)


def test_a_target_within_a_straight_piece_is_answered_as_it_is() -> None:
    """Two coins, both to 0 or 1 at cost 0 or 1, or erased at cost 1/4: R = log 2 (1 - 4 D)."""
    view = shown(table([[0.0, 1.0, 0.25], [1.0, 0.0, 0.25]], [0.5, 0.5]))
    for d in (0.02, 0.1):
        c = ConstrainedBA(tolerance=1e-6).solve_distortion(view, d)
        q = c.marginal
        assert isinstance(q, Atoms)
        assert c.claim.distortion == pytest.approx(d, abs=1e-9)
        lines = [
            (1.0 - a) * (math.log(2.0) - h(s / (1.0 - a)))
            for a in np.linspace(0.0, 0.99, 991)
            if 0.0 <= (s := d - 0.25 * a) <= 0.5 * (1.0 - a)
        ]
        assert c.claim.rate == pytest.approx(min(lines), abs=1e-5)


def test_lines_have_their_closed_forms_at_a_target() -> None:
    gaussian = shown(Problem(scalar_gaussian(3.0, 2.0), SquaredError()))
    laplacian = shown(Problem(LaplacianSource(1.0, 2.0), AbsoluteError()))
    c = ConstrainedBA().solve_distortion(gaussian, 4.0 * 0.3)
    assert c.claim.rate == pytest.approx(-0.5 * math.log(0.3), abs=1e-5)
    assert c.claim.distortion == pytest.approx(4.0 * 0.3, rel=1e-6)
    c = ConstrainedBA(iterations=20, points=401).solve_distortion(laplacian, 2.0 * 0.3)
    assert c.claim.rate == pytest.approx(-math.log(0.3), abs=1e-2)
    assert "discretisation error" in c.reason


# ------------------------------------------------------------------------ a slope


@pytest.mark.parametrize("preset", PRESETS)
def test_a_coin_at_slopes(preset: dict[str, Any]) -> None:
    slopes = [0.0, 1e-6, 0.84, 2.0, 30.0, 1e3]
    for c in channels_of(ConstrainedBA(**(preset | {"iterations": 60})), coin(0.3), slopes):
        d = min(0.3, 1.0 / (1.0 + math.exp(min(c.beta, 700.0))))
        # alternating Sinkhorn crawls where almost all of p(j|i) is one letter
        assert c.status == "ok" or (c.beta > 1.0 and preset)
        assert c.claim.side == "upper"
        f = c.claim.rate + c.beta * c.claim.distortion
        assert f == pytest.approx(h(0.3) - h(d) + c.beta * d, abs=3e-4)
        assert c.claim.distortion == pytest.approx(d, abs=5e-3)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_slope_at_which_a_uniform_q_would_ask_for_no_rate(preset: dict[str, Any]) -> None:
    """Few letters are likely: at low rate a uniform q has a distortion beyond D_max."""
    p = 1.0 / np.arange(1.0, 61.0)
    p /= p.sum()
    rho = 1.0 - np.eye(len(p))
    beta = 2.0
    uniform = rho.mean() * math.exp(-beta) / (1.0 / len(p) + rho.mean() * math.exp(-beta))
    assert uniform > (p @ rho).min()
    [found] = channels_of(ConstrainedBA(**preset), shown(table(rho, p)), [beta])
    # Weights max(t p_i - s, 0), summing to one, are optimal (Erokhin 1958).
    grow = math.exp(beta) - 1.0

    def weights(theta: float) -> ndarray:
        return np.maximum(p / theta - 1.0 / grow, 0.0)

    w = weights(brentq(lambda theta: weights(theta).sum() - 1.0, 1e-6, 10.0))
    best = beta - p @ np.log1p(grow * w)
    assert best <= found.claim.rate + beta * found.claim.distortion <= best + 1e-3


def test_a_gaussian_at_slopes() -> None:
    source = scalar_gaussian(100.0, 0.5)
    for c in channels_of(ConstrainedBA(), shown(Problem(source, SquaredError())), [2.5, 30.0]):
        truth = WaterFilling(source).point(c.beta)
        f = c.claim.rate + c.beta * c.claim.distortion
        assert f == pytest.approx(truth.lagrangian.mid, abs=1e-5)
        assert c.claim.distortion == pytest.approx(truth.distortion.mid, rel=1e-2)
        assert "target D = " in c.reason
        assert c.q_is == "atoms on a grid"


def test_what_does_not_fit_is_refused() -> None:
    plane = vector_gaussian(2)
    (reason,) = reasons_of(ConstrainedBA(), shown(Problem(plane, SquaredError())), [1.0])
    assert "at most 1 dimensions" in reason
    fine = shown(Problem(LaplacianSource(), AbsoluteError()))
    (reason,) = reasons_of(ConstrainedBA(), fine, [1e4])
    assert "too coarse for beta" in reason
    with pytest.raises(RdbenchError, match="points must be at least 3"):
        ConstrainedBA(points=2)


def test_a_stop_leaves_what_there_is() -> None:
    rho, p = some_problem(40, 40)
    view, monitor = shown(table(rho, p)), FakeMonitor(limit=3)
    got = list(ConstrainedBA(tolerance=1e-12).fit(view, [5.0, 9.0], seeded(), monitor))
    assert [c.status for c in got] == ["not_converged"]
    with pytest.raises(RdbenchError, match="stopped before D = "):
        ConstrainedBA(tolerance=1e-12).solve_distortion(view, 0.3, FakeMonitor(limit=1))


# ------------------------------------------------------------------------ its parts


@pytest.mark.parametrize("guess", [1e-9, 1.0, 1e9])
def test_newton_finds_the_slope_from_any_guess(guess: float) -> None:
    rho, p = some_problem()
    problem, log_q = matrix(rho, p), even(4)

    def distortion(beta: float) -> float:
        k = np.exp(-beta * rho)
        return float(p @ ((k * rho).sum(1) / k.sum(1)))

    for target in (0.3, 0.45):
        want = brentq(lambda b, d=target: distortion(b) - d, 1e-9, 1e3, xtol=1e-12)
        beta, channel, _, count = slope_of(problem, log_q, target - problem.least, guess)
        assert beta == pytest.approx(want, rel=1e-8)
        assert channel.distortion == pytest.approx(target - problem.least, rel=1e-10)
        assert count < 30


def test_a_distortion_out_of_reach_ends_at_an_end_of_the_slopes() -> None:
    problem, log_q = matrix(*some_problem()), even(4)
    assert slope_of(problem, log_q, 5.0, 1.0)[0] < 1e-11
    assert newton(lambda _: (0.5, 0.0), 0.1, 1.0, 1e-9)[0] > 1e11


def test_sums_of_a_channel_by_hand() -> None:
    rho, p = some_problem()
    q, beta = np.array([0.1, 0.2, 0.3, 0.4]), 2.5
    problem = matrix(rho, p)
    c = problem.at(torch.from_numpy(np.log(q)), beta)
    joint = q * np.exp(-beta * rho)
    posterior = joint / joint.sum(1, keepdims=True)
    mean = (posterior * rho).sum(1)
    assert c.distortion + problem.least == pytest.approx(float(p @ mean), abs=1e-13)
    variance = (posterior * (rho - mean[:, None]) ** 2).sum(1)
    assert c.variance == pytest.approx(float(p @ variance), abs=1e-13)
    f = -float(p @ np.log(joint.sum(1)))
    assert c.free_energy + beta * problem.least == pytest.approx(f, abs=1e-13)
    assert torch.allclose(c.log_c.exp(), torch.from_numpy(p @ posterior / q), atol=1e-13)


def test_the_rate_never_rises_and_extrapolation_saves_iterations() -> None:
    rho, p = some_problem(12, 12)
    problem, seen = matrix(rho, p), []
    options: dict[str, Any] = {"tolerance": 1e-5, "limit": 1_000, "go_on": always}
    for extrapolate in (False, True):
        found = constrained(problem, 0.05, even(12), 1.0, extrapolate=extrapolate, **options)
        assert 0.0 <= found.gap < 1e-5
        seen.append(found)
    assert seen[1].rate == pytest.approx(seen[0].rate, abs=2e-5)
    assert seen[1].iterations < 0.5 * seen[0].iterations
    other = sinkhorn(problem, 0.05, even(12), 1.0, **options)
    assert other.rate == pytest.approx(seen[0].rate, abs=2e-5)
    rates = []
    for limit in range(1, 8):
        step = constrained(
            problem, 0.05, even(12), 1.0, extrapolate=False, tolerance=0.0, limit=limit,
            go_on=always,
        )  # fmt: skip
        rates.append(step.rate)
    assert all(b <= a + 1e-12 for a, b in itertools.pairwise(rates))


def test_the_lowered_certificate_bounds_the_gap_and_sees_past_the_tails() -> None:
    """A few steps from uniform weights on a Gaussian grid; F* by the interior point."""
    x = np.linspace(-7.0, 7.0, 121)
    p = np.exp(-0.5 * x * x)
    p /= p.sum()
    kernel = DenseKernel.build((x[:, None] - x) ** 2, 8.0)
    best = finite.interior_point(kernel, p, tolerance=1e-11)
    for iterations in (5, 8):
        w = finite.ba(kernel, p, tolerance=0.0, iterations=iterations).weights
        plain, lowered = finite.certified_gap(kernel, p, w), lowered_gap(kernel, p, w)
        f = -float(p @ np.log(kernel.forward(w)))
        assert best.gap < 1e-10
        assert f - best.lagrangian - 1e-12 <= lowered <= plain
        assert lowered < 0.2 * plain


@pytest.mark.parametrize("least", [-40.0, -300.0, -600.0])
def test_weights_that_leave_the_source_are_not_certified(least: float) -> None:
    """All mass far out, as an extrapolation may leave it: 1/Z overflows nearly."""
    x = np.linspace(-25.0, 25.0, 301)
    rho = (x[:, None] - x) ** 2
    p = np.exp(-np.abs(x))
    p /= p.sum()
    kernel = DenseKernel.build(rho, 1.0)
    w = np.exp(np.where(x > 23.0, 0.0, least))
    w /= w.sum()
    best = finite.interior_point(kernel, p, tolerance=1e-9)
    excess = -float(p @ np.log(np.maximum(kernel.forward(w), 1e-300))) - best.lagrangian
    assert lowered_gap(kernel, p, w) >= excess - 1e-9
    assert excess > 10.0


def test_extrapolation_ends_at_the_fixed_point() -> None:
    """theta <- A theta + b with eigenvalues near one; its merit is |theta - fixed point|^2."""
    eigenvalues = torch.tensor([0.99, 0.9, 0.1], dtype=F64)
    fixed = torch.tensor([1.0, -2.0, 3.0], dtype=F64)
    merits: list[float] = []

    def visit(theta: torch.Tensor) -> Visit | None:
        merits.append(float((theta - fixed).square().sum()))
        if merits[-1] < 1e-12 or len(merits) > 500:
            return None
        ahead = fixed + eigenvalues * (theta - fixed)
        return Visit(ahead, merits[-1], torch.ones(3, dtype=F64))

    extrapolated(visit, torch.zeros(3, dtype=F64))
    assert merits[-1] < 1e-12
    assert len(merits) < 150  # the iteration itself takes 1,500
