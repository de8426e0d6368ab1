"""Blahut-Arimoto on finite alphabets: any slope, any offset, forbidden letters, straight pieces."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy import ndarray
from scipy.optimize import linprog, minimize
from scipy.special import entr

from rdbench.audit import SIZES, audit
from rdbench.distortions import Hamming, SquaredError, TableDistortion
from rdbench.estimators.blahut_arimoto import BlahutArimoto
from rdbench.references.certified import Certified
from rdbench.run.views import make_view
from rdbench.sources.finite import FiniteSource, bernoulli
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.types import Problem, RdbenchError, TestChannel, View
from tests.estimators.conftest import channels_of, seeded

INF = math.inf


def shown(problem: Problem) -> View:
    return make_view(problem, BlahutArimoto.info.needs, seeded(0), torch.device("cpu"))[0]


def table(rho: Any, p: Any) -> Problem:
    letters = [[i] for i in range(len(p))]
    return Problem(FiniteSource("letters", letters, p), TableDistortion(rho))  # type: ignore[arg-type]


def solve(problem: Problem, *betas: float, **fields: Any) -> list[TestChannel]:
    return channels_of(BlahutArimoto(**fields), shown(problem), betas)


def h(p: float) -> float:
    return float(entr(p) + entr(1.0 - p))


# ------------------------------------------------------------------------ every slope

SLOPES = [0.0, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 0.6, 0.84, 0.8473, 0.9, 2.0, 10.0, 30.0, 1e3, 1e6]


@pytest.mark.parametrize("p", [0.3, 0.5])
@pytest.mark.parametrize("offset", [0.0, 1e6, -3.0])
def test_a_coin_at_every_slope(p: float, offset: float) -> None:
    """D = min(p, 1 / (1 + e^beta)), R = h(p) - h(D); at 1e-9, D was twice too large."""
    rho = offset + 1.0 - np.eye(2)
    for channel in solve(table(rho, [1.0 - p, p]), *SLOPES):
        beta = channel.beta
        d = min(p, 1.0 / (1.0 + math.exp(min(beta, 700.0))))
        assert channel.status == "ok"
        assert channel.claim.side == "upper"
        # just above the critical slope log(7/3) = .847298 a gap of 1e-8 leaves 1e-5 of D open
        within = 2e-5 if beta == 0.8473 else 1e-7
        assert channel.claim.distortion - offset == pytest.approx(d, abs=within)
        assert channel.claim.rate == pytest.approx(h(p) - h(d), abs=within)


@pytest.mark.parametrize("solver", ["squarem", "ba"])
def test_the_iterations_are_within_what_they_state(solver: str) -> None:
    """F is within tolerance times min(1, beta D_max), or the status says otherwise."""
    p, tolerance = 0.3, 1e-5
    for channel in solve(
        table(1.0 - np.eye(2), [1.0 - p, p]), *SLOPES[1:], solver=solver, tolerance=tolerance
    ):
        beta = channel.beta
        d = min(p, 1.0 / (1.0 + math.exp(min(beta, 700.0))))
        f = channel.claim.rate + beta * channel.claim.distortion
        truth = h(p) - h(d) + beta * d
        assert channel.status == "ok"
        assert -1e-15 <= f - truth <= tolerance * min(1.0, beta * p) + 1e-15


def test_from_uniform_weights_a_small_slope_is_not_done() -> None:
    """An absolute tolerance would take them for an answer: F is within 1e-9, D is not."""
    rho = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
    for solver in ("interior_point", "squarem", "ba"):
        (channel,) = solve(table(rho, [0.4, 0.4, 0.2]), 1e-9, solver=solver)
        assert channel.claim.distortion == pytest.approx(0.2, abs=1e-7)
        assert channel.claim.rate == pytest.approx(0.0, abs=1e-16)


@pytest.mark.parametrize(("n", "m"), [(3, 5), (6, 4), (12, 12)])
def test_random_tables_at_both_ends(n: int, m: int) -> None:
    """beta -> 0 is a linear program; beta -> infinity the entropy of each row's best letter."""
    rng = np.random.default_rng(n)
    rho, p = rng.random((n, m)), rng.dirichlet(np.ones(n))
    low, high = solve(table(rho, p), 1e-9, 1e6)
    cost = np.array([p @ rho[:, j] for j in range(m)])
    found = linprog(cost, A_eq=np.ones((1, m)), b_eq=[1.0])
    assert low.claim.distortion == pytest.approx(found.fun, rel=1e-7)
    assert low.claim.rate <= 1e-15
    mass = np.bincount(rho.argmin(1), weights=p, minlength=m)
    assert high.claim.distortion == pytest.approx(p @ rho.min(1), rel=1e-9)
    assert high.claim.rate == pytest.approx(float(entr(mass).sum()), abs=1e-7)


def least_lagrangian(rho: ndarray, p: ndarray, beta: float) -> float:
    """min over channels of I(X;Y) + beta E rho by a general optimiser, in excess distortion."""
    n, m = rho.shape
    allowed = np.isfinite(rho)
    excess = np.where(allowed, rho - rho.min(1, keepdims=True), 0.0)

    def lagrangian(theta: ndarray) -> float:
        logits = np.where(allowed, theta.reshape(n, m), -np.inf)
        channel = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
        q = p @ channel
        rate = float(p @ -entr(channel).sum(1) + entr(q).sum())
        return rate + beta * float(p @ (channel * excess).sum(1))

    tries = [
        minimize(lagrangian, s * rng.standard_normal(n * m), options={"maxiter": 3000}).fun
        for s, rng in ((0.1, np.random.default_rng(1)), (1.0, np.random.default_rng(2)))
    ]
    return float(min(tries)) + beta * float(p @ rho.min(1))


@pytest.mark.parametrize("beta", [0.3, 2.0, 8.0])
@pytest.mark.parametrize("kind", ["random", "negative", "offsets", "forbidden"])
def test_against_a_general_optimiser_over_channels(kind: str, beta: float) -> None:
    rng = np.random.default_rng(5)
    rho, p = rng.random((3, 4)), rng.dirichlet(np.ones(3))
    if kind == "negative":
        rho -= 2.0
    if kind == "offsets":
        rho += np.array([[100.0], [-7.0], [0.0]])
    if kind == "forbidden":
        rho[0, 1] = rho[1, 2] = rho[2, 0] = INF
        rho[:, 3] = INF  # a letter that nobody may use
    problem = table(rho, p)
    (channel,) = solve(problem, beta)
    f = channel.claim.rate + beta * channel.claim.distortion
    best = least_lagrangian(rho, p, beta)
    assert f <= best + 2e-7
    assert f == pytest.approx(best, abs=3e-5)
    reference = Certified(problem, 1e-9)
    truth = reference.point(beta)
    assert truth.lagrangian.lo - 1e-9 <= f <= truth.lagrangian.hi + 2e-8
    assert truth.rate.lo - 1e-6 <= channel.claim.rate <= truth.rate.hi + 1e-6
    found = audit(channel, problem, reference, size=SIZES["quick"], generator=seeded())
    assert found.lagrangian == pytest.approx(f, abs=1e-9)
    assert found.distortion == pytest.approx(channel.claim.distortion, abs=1e-6)
    assert found.rate == pytest.approx(channel.claim.rate, abs=1e-6)
    assert abs(found.gap) < 1e-7
    x = problem.source.sample(500, seeded())
    y = channel.sample_conditional(x, 3, seeded())
    assert bool(problem.distortion.pairwise(x, y.reshape(-1, 1)).isfinite().any(1).all())
    pairs = torch.stack(
        [problem.distortion.pairwise(a[None], b)[0] for a, b in zip(x, y, strict=True)]
    )
    assert bool(pairs.isfinite().all())  # no draw is a forbidden letter


def test_forbidden_letters_at_slope_zero_keep_their_rate() -> None:
    """With the diagonal alone every channel has R = h(p), whatever beta is; an erasure frees it."""
    barred = table([[0.0, INF], [INF, 0.0]], [0.3, 0.7])
    for channel in solve(barred, 0.0, 1e-9, 1.0, 1e3):
        assert channel.claim.rate == pytest.approx(h(0.3), abs=1e-7)
        assert channel.claim.distortion == 0.0
    erasure = table([[0.0, INF, 1.0], [INF, 0.0, 1.0]], [0.3, 0.7])
    for channel in solve(erasure, 0.0, 1e-9, 0.3):
        assert channel.claim.rate == pytest.approx(0.0, abs=1e-7)
        assert channel.claim.distortion == pytest.approx(1.0, abs=1e-6)


# ------------------------------------------------------------------------ a target distortion


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e6, 12345.678])
def test_an_offset_changes_nothing_but_d(offset: float) -> None:
    """With Hamming + 1e6 the returned R was 0."""
    problem = table(offset + 1.0 - np.eye(2), [0.7, 0.3])
    channel = BlahutArimoto().solve_distortion(shown(problem), offset + 0.1)
    assert channel.claim.rate == pytest.approx(h(0.3) - h(0.1), abs=1e-9)
    assert channel.beta == pytest.approx(math.log(9.0), rel=1e-6)
    with pytest.raises(RdbenchError, match=r"D_min|positive"):
        BlahutArimoto().solve_distortion(shown(problem), offset)


@pytest.mark.parametrize("target", [0.02, 0.3, 0.5, 0.77, 0.98])
def test_time_sharing_on_the_straight_line_of_erasures(target: float) -> None:
    """rho = 0, 1 (erased) or infinite (wrong): R(D) = (1 - D) log 2, one slope for all D."""
    problem = table([[0.0, INF, 1.0], [INF, 0.0, 1.0]], [0.5, 0.5])
    channel = BlahutArimoto().solve_distortion(shown(problem), target)
    assert channel.claim.distortion == pytest.approx(target, rel=1e-9)
    assert channel.claim.rate == pytest.approx((1.0 - target) * math.log(2.0), abs=1e-8)
    assert channel.beta == pytest.approx(math.log(2.0), rel=1e-6)
    reference = Certified(problem, 1e-9)
    found = audit(channel, problem, reference, size=SIZES["quick"], generator=seeded())
    assert found.rate == pytest.approx(channel.claim.rate, abs=1e-6)
    assert found.distortion == pytest.approx(target, abs=1e-6)
    assert abs(found.gap) < 1e-7
    x = problem.source.support  # type: ignore[attr-defined]
    y = channel.sample_conditional(x, 40_000, seeded())
    assert float((y == 2.0).double().mean()) == pytest.approx(target, abs=0.01)


def test_time_sharing_beside_a_curve() -> None:
    """An escape letter at D = a: the tangent from (a, 0) to log 2 - h(D), by bisection here."""
    a = 0.3
    problem = table([[0.0, 1.0, a], [1.0, 0.0, a]], [0.5, 0.5])
    lo, hi = 1e-9, 0.5 - 1e-9
    for _ in range(200):  # touch: R(D) = slope (a - D) with slope = log((1 - D) / D)
        d = 0.5 * (lo + hi)
        above = math.log(2.0) - h(d) - math.log((1.0 - d) / d) * (a - d)
        lo, hi = (d, hi) if above < 0.0 else (lo, d)
    slope = math.log((1.0 - d) / d)
    assert d < 0.19 < a
    for target in (d + 0.01, 0.25, 0.29):
        channel = BlahutArimoto().solve_distortion(shown(problem), target)
        assert channel.claim.distortion == pytest.approx(target, rel=1e-8)
        assert channel.claim.rate == pytest.approx(slope * (a - target), abs=1e-7)
        assert channel.beta == pytest.approx(slope, rel=1e-5)
    below = BlahutArimoto().solve_distortion(shown(problem), 0.5 * d)
    assert below.claim.rate == pytest.approx(math.log(2.0) - h(0.5 * d), abs=1e-7)


# ------------------------------------------------------------------------ the alphabet


@pytest.mark.parametrize("given", [None, [[0], [1], [2]], [[2], [1], [0], [1]]])
def test_every_column_of_a_table_is_a_letter(given: Any) -> None:
    """The third column is free: F was .380 for 0 where the alphabet was left out."""
    source = FiniteSource("two", [[0], [1]], [0.5, 0.5])  # type: ignore[arg-type]
    rho = TableDistortion([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # type: ignore[arg-type]
    (channel,) = solve(Problem(source, rho, given), 1.0)
    assert channel.claim.rate + channel.claim.distortion == pytest.approx(0.0, abs=1e-8)
    truth = Certified(Problem(source, rho, given), 1e-9).point(1.0).lagrangian
    assert truth.lo <= 0.0 <= truth.hi
    assert truth.hi < 1e-9


def test_a_smaller_alphabet_is_a_smaller_alphabet() -> None:
    source = FiniteSource("two", [[0], [1]], [0.5, 0.5])  # type: ignore[arg-type]
    rho = TableDistortion([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # type: ignore[arg-type]
    (channel,) = solve(Problem(source, rho, [[0], [1]]), 1.0)  # type: ignore[arg-type]
    f = math.log(2.0) - math.log(1.0 + math.exp(-1.0))
    assert channel.claim.rate + channel.claim.distortion == pytest.approx(f, abs=1e-8)


def test_hamming_letters_outside_the_support_are_never_better() -> None:
    wider = Problem(bernoulli(0.3), Hamming(), [[0], [1], [7]])  # type: ignore[arg-type]
    for beta in (0.5, 2.0):
        wide, plain = (solve(q, beta)[0] for q in (wider, Problem(bernoulli(0.3), Hamming())))
        assert wide.claim.rate == pytest.approx(plain.claim.rate, abs=1e-7)


# ------------------------------------------------------------------------ grids


def test_a_gaussian_grid_at_small_slopes() -> None:
    """Up to beta = 1/2 nothing is sent: R = 0, D = 1."""
    problem = Problem(scalar_gaussian(), SquaredError())
    for solver in ("interior_point", "squarem", "ba"):
        for channel in solve(problem, 1e-9, 1e-4, 0.3, 0.49, solver=solver):
            assert channel.status == "ok"
            assert channel.claim.distortion == pytest.approx(1.0, abs=1e-6)
            assert channel.claim.rate == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("beta", [1e-6, 1e-4, 1e-2])
def test_the_digits_of_a_small_rate(beta: float) -> None:
    """A fair coin: R = log 2 - h(1 / (1 + e^beta)) = beta^2 / 8 - ..., beside F near beta / 2."""
    (channel,) = solve(table(1.0 - np.eye(2), [0.5, 0.5]), beta)
    # atanh series: log 2 - h(1/2 - t/2) = t^2/2 + t^4/12 + ..., t = tanh(beta / 2)
    t = math.tanh(0.5 * beta)
    assert channel.claim.rate == pytest.approx(t**2 / 2 + t**4 / 12 + t**6 / 30, rel=1e-8, abs=0.0)
