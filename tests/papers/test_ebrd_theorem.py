"""Theorem 1: the experiment against numbers that are computed in another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize

from rdbench.distortions import SquaredError
from rdbench.inference.plug_in import appendix_a
from rdbench.papers.ebrd import theorem
from rdbench.papers.ebrd.theorem import Case, crossing, free_atoms
from rdbench.papers.ebrd.theorem_bounds import (
    atoms_floor,
    draws_floor,
    draws_needed,
    optimal_marginal,
)
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def first_order_bias(rate: float, n: int) -> float:
    """(E_x E_q*[exp(-2 beta rho)] / Z(x)^2 - 1) / 2n, which is exp(2R) - 1 for Gaussians."""
    return math.expm1(2.0 * rate) / (2.0 * n)


def test_the_bias_at_low_rate_is_the_first_order_one():
    row = Case(1, 0.2).exact(50, replicates=64, symbols=2000)
    assert row["reading"] == "exact"
    assert row["gap"] == pytest.approx(first_order_bias(0.2, 50), rel=0.25)
    assert row["gap_lo"] < first_order_bias(0.2, 50) < row["gap_hi"]


def test_one_draw_costs_the_mean_distortion():
    truth = WaterFilling(vector_gaussian(1))
    beta = truth.slope(0.2)
    expected = beta * (2.0 * float(truth.source.stds[0]) ** 2 - 0.5 / beta) - (0.2 + 0.5)
    row = Case(1, 0.2).exact(1, replicates=600, symbols=60)
    assert row["gap_lo"] < expected < row["gap_hi"]
    assert row["gap_hi"] - row["gap_lo"] < 0.1


def test_draws_of_another_law_are_noticed(monkeypatch: pytest.MonkeyPatch):
    # The fault of drawing from the source: its F is log(s) / 2 + beta var / s, s = 1 + 2 beta var.
    monkeypatch.setattr(theorem, "optimal_marginal", lambda source, _: source)
    row = Case(1, 0.2).exact(300, replicates=12, symbols=2000)
    beta = WaterFilling(vector_gaussian(1)).slope(0.2)
    var = float(vector_gaussian(1).stds[0]) ** 2
    spread = 1.0 + 2.0 * beta * var
    of_source = 0.5 * math.log(spread) + beta * var / spread
    assert row["gap"] == pytest.approx(of_source - (0.2 + 0.5), abs=0.01)
    assert row["gap_lo"] > 10.0 * first_order_bias(0.2, 300)


def free_energy_by_quadrature(s: float, x: float, v: float) -> float:
    """-log E_q* exp(-s (x - Y)^2), Y ~ N(0, v)."""
    value, _ = integrate.quad(
        lambda y: math.exp(-s * (x - y) ** 2 - y * y / (2 * v)) / math.sqrt(2 * math.pi * v),
        -12.0,
        12.0,
        points=[0.0, x],
        limit=200,
    )
    return -math.log(value)


@pytest.mark.parametrize("x", [0.3, 1.7, 2.5])
def test_the_floor_for_draws_is_the_best_of_all_slopes(x: float):
    source = scalar_gaussian()
    truth = WaterFilling(source)
    beta, log_n = 40.0, 1.5
    v = 1.0 - 0.5 / beta

    def bound(log_s: float) -> float:
        s = beta * math.exp(log_s)
        return log_n + (beta / s) * (free_energy_by_quadrature(s, x, v) - log_n)

    best = optimize.minimize_scalar(lambda t: -bound(t), bounds=(-6.0, 0.0), method="bounded")
    expected = -best.fun - free_energy_by_quadrature(beta, x, v)
    found = float(draws_floor(truth, torch.tensor([[x]], dtype=torch.float64), beta, log_n)[0])
    assert found <= expected + 1e-9
    assert found == pytest.approx(expected, abs=2e-3)


def test_few_draws_stay_above_their_floor_and_not_far():
    source = vector_gaussian(10)
    truth = WaterFilling(source)
    beta = truth.slope(15.0)
    x = source.sample(400, seeded(1))
    q = optimal_marginal(source, beta)
    gaps = []
    for seed in range(10):
        rate, distortion = appendix_a(SquaredError(), x, q.sample(50, seeded(100 + seed)), beta)
        gaps.append(rate + beta * distortion - float(truth.potential(x, beta).mean()))
    measured = float(np.mean(gaps))
    floor = float(draws_floor(truth, x, beta, math.log(50)).mean())
    assert 0.6 * measured < floor < measured


@pytest.mark.parametrize(("n", "dim"), [(50, 10), (7, 2)])
def test_the_floor_for_atoms_by_the_formula_without_levels(n: int, dim: int):
    source = vector_gaussian(dim, "flat")
    truth = WaterFilling(source)
    beta = truth.slope(2.0 * dim)
    var = float(source.stds[0]) ** 2
    distortion = dim * var * math.exp(-2.0 * math.log(n) / dim)
    expected = math.log(n) + beta * distortion - (2.0 * dim + 0.5 * dim)
    assert atoms_floor(truth, beta, n) == pytest.approx(expected, rel=1e-9)
    assert atoms_floor(truth, beta, math.exp(2.0 * dim) + 1.0) == 0.0


def test_no_atoms_fall_below_the_floor_except_on_their_own_symbols():
    source = vector_gaussian(10)
    truth = WaterFilling(source)
    beta = truth.slope(10.0)
    x = source.sample(100, seeded(2))
    y = free_atoms(x, beta, 20, 1e-4)
    floor = atoms_floor(truth, beta, 100)

    def gap(symbols: torch.Tensor) -> float:
        rate, distortion = appendix_a(SquaredError(), symbols, y, beta)
        return rate + beta * distortion - float(truth.potential(symbols, beta).mean())

    assert gap(source.sample(4000, seeded(3))) > floor
    # The planted fault of evaluating on the training symbols is what the floor gives away.
    assert gap(x) < 0.0 < floor


def test_fitted_atoms_descend_and_never_exceed_log_n():
    source = vector_gaussian(2)
    beta = WaterFilling(source).slope(3.0)
    x = source.sample(300, seeded(4))
    values = []
    for moves in (0, 2, 20):
        rate, distortion = appendix_a(SquaredError(), x, free_atoms(x, beta, moves, 0.0), beta)
        values.append(rate + beta * distortion)
    assert values[2] < values[1] < values[0] <= math.log(300)


def test_a_price_is_where_the_floor_passes_the_gap():
    source = vector_gaussian(2)
    truth = WaterFilling(source)
    beta = truth.slope(6.0)
    x = source.sample(500, seeded(5))
    log_n = draws_needed(truth, x, beta, 0.05)
    below, above = (float(draws_floor(truth, x, beta, log_n + e).mean()) for e in (0.01, -0.01))
    assert below < 0.05 < above


def test_crossings():
    assert crossing([0.0, 1.0, 2.0], [1.0, 0.1, 0.01], 0.1) == pytest.approx(1.0)
    assert crossing([0.0, 1.0], [1.0, 0.01], 0.1) == pytest.approx(0.5)
    assert crossing([0.0, 1.0], [1.0, 0.2], 0.1) is None
    assert crossing([0.0, 1.0], [0.05, 0.01], 0.1) is None
    # A gap that noise made negative still has a crossing, between its neighbours.
    found = crossing([0.0, 1.0], [1.0, -0.01], 0.1)
    assert found is not None
    assert 0.0 < found < 1.0


def test_rows_repeat_and_no_reported_rate_exceeds_log_n():
    case, again = Case(1, 0.2, floor_symbols=50), Case(1, 0.2, floor_symbols=50)
    row = case.exact(50, replicates=2, symbols=20)
    assert row == again.exact(50, replicates=2, symbols=20)
    rows = [row, *case.fitted(20, fresh_symbols=50)]
    assert [one["reading"] for one in rows] == ["exact", "fitted", "held out"]
    assert all(one["rate"] <= math.log(one["n"]) + 1e-9 for one in rows)
    price = case.price(rows[:1])
    assert (price["true_rate"], price["measured"], price["active"]) == (0.2, None, 1)
    assert case.floor(50) == again.floor(50)
