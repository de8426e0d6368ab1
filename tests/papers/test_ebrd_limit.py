"""The limit beta -> infinity against closed forms of the Gaussian on the line."""

from __future__ import annotations

import math

import pytest
import torch

from rdbench.papers.ebrd.limit import Energies, Stage, gradient_differences, learn
from rdbench.papers.ebrd.limit_grid import Grid, Smoothing, divergence, grid_over, total_variation
from rdbench.sources.mixture import GaussianMixture

LINE = grid_over([-8.0], [8.0], 0.1)
PLANE = grid_over([-6.0, -7.0], [7.0, 6.0], 0.35)
LADDER = (1.0, 4.0, 40.0, 400.0)


def normal(variance: float, grid: Grid = LINE) -> torch.Tensor:
    """Masses of N(0, variance I)."""
    return grid.masses(-0.5 * grid.nodes.square().sum(1) / variance)


def gaussian_stage(betas: tuple[float, ...]) -> Stage:
    one = torch.ones(1, dtype=torch.float64)
    source = GaussianMixture(one, torch.zeros(1, 1, dtype=torch.float64), one.reshape(1, 1, 1))
    return Stage("normal", source, LINE, Smoothing(LINE, betas))


@pytest.mark.parametrize("grid", [LINE, PLANE])
@pytest.mark.parametrize("beta", [0.8, 3.0, 20.0, 500.0])
def test_smoothing_adds_the_variance_of_the_noise(grid: Grid, beta: float):
    smooth = Smoothing(grid, (beta,))(normal(1.0, grid)[None])[0]
    expected = normal(1.0 + 0.5 / beta, grid)
    inner = (grid.nodes.abs() < 3.5).all(1)
    assert torch.allclose(smooth[inner], expected[inner], rtol=2e-3)
    assert float(total_variation(smooth, expected)) < 1e-5
    # A variance of 1 / beta, the usual slip, is far outside.
    assert float(total_variation(smooth, normal(1.0 + 1.0 / beta, grid))) > 1e-4


@pytest.mark.parametrize("beta", [1.0, 5.0, 50.0, 500.0])
@pytest.mark.parametrize("variance", [0.5, 1.4])
def test_the_positive_phase_of_a_gaussian(beta: float, variance: float):
    # p(y|x) = N(g x, g / (2 beta)) with g = v / (v + 1 / (2 beta)), X ~ N(0, 1).
    gain = variance / (variance + 0.5 / beta)
    expected = normal(gain**2 + gain * 0.5 / beta)
    found = Smoothing(LINE, (beta,)).positive_phase(normal(1.0), normal(variance)[None])[0]
    assert float(total_variation(found, expected)) < 1e-4
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-9)


def test_the_deconvolved_source_is_the_fixed_point_and_no_other():
    q = normal(1.0 - 0.5 / 2.0)[None]
    at, off = (Smoothing(LINE, (beta,)).positive_phase(normal(1.0), q) for beta in (2.0, 4.0))
    assert float(total_variation(at, q)) < 1e-6
    assert float(total_variation(off, q)) > 1e-2


def test_at_infinity_the_positive_phase_is_the_source():
    p = normal(1.0)
    found = Smoothing(LINE, (math.inf,)).positive_phase(p, normal(3.0)[None])[0]
    assert torch.allclose(found, p, rtol=1e-12, atol=0.0)
    with pytest.raises(ValueError, match="beta > 0"):
        Smoothing(LINE, (0.0,))


def test_divergences():
    p, q = normal(1.0), normal(0.75)
    expected = 0.5 * (1.0 / 0.75 - 1.0 + math.log(0.75))
    assert float(divergence(p, q)) == pytest.approx(expected, rel=1e-6)
    masses = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    others = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    assert float(divergence(masses, others)) == pytest.approx(0.5 * math.log(2.0))
    assert float(total_variation(masses, others)) == pytest.approx(0.25)


def test_training_finds_the_source_and_the_deconvolved_source():
    learned, densities = learn(gaussian_stage((math.inf, *LADDER)), 0, steps=300, hidden=16)
    assert [row["beta"] for row in learned] == list(LADDER)
    for row in learned:
        v = 1.0 - 0.5 / row["beta"]
        closed = 0.5 * (1.0 / v - 1.0 + math.log(v))
        # The grid cuts the source at 6.8 deviations.
        assert row["kl_optimal"] == pytest.approx(closed, rel=1e-3)
        assert row["residual_ebm"] < 1e-3
        assert row["residual_ebrd"] < 1e-3
    kls = [row["kl"] for row in learned]
    assert kls == sorted(kls, reverse=True)
    assert kls[1] == pytest.approx(learned[1]["kl_optimal"], rel=0.3)
    drawn = min(densities, key=lambda row: (row["beta"], abs(row["y"])))
    at_y = math.exp(-(drawn["y"] ** 2)) / math.sqrt(math.pi)  # N(0, 1/2)
    assert drawn["optimal"] == pytest.approx(at_y, rel=1e-9)
    assert drawn["ebrd"] == pytest.approx(at_y, rel=0.05)


def test_gradients_differ_by_one_over_beta_and_not_for_the_classical_model():
    stage = gaussian_stage((math.inf, 50.0, 500.0))
    energies = Energies(stage, 16, 0)
    classical, near, far = gradient_differences(stage, energies).tolist()
    assert classical < 1e-12
    assert near / far == pytest.approx(10.0, rel=0.05)


def test_all_models_start_alike_and_seeds_differ():
    stage = gaussian_stage((math.inf, 1.0))
    one, two = Energies(stage, 8, 0)(), Energies(stage, 8, 1)()
    assert torch.equal(one[0], one[1])
    assert not torch.equal(one[0], two[0])
