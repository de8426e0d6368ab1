"""A classical energy-based model as an estimate of R(D), against closed forms of the Gaussian."""

from __future__ import annotations

import math

import pytest
import torch

from rdbench.papers.ebrd import classical
from rdbench.papers.ebrd.limit import Stage
from rdbench.papers.ebrd.limit_grid import Smoothing, grid_over
from rdbench.sources.mixture import GaussianMixture


def _normal() -> Stage:
    one = torch.ones(1, dtype=torch.float64)
    source = GaussianMixture(one, torch.zeros(1, 1, dtype=torch.float64), one.reshape(1, 1, 1))
    line = grid_over([-8.0], [8.0], 0.1)
    return Stage("normal", source, line, Smoothing(line, (math.inf, *classical.LADDER)))


def test_the_source_as_q_loses_the_divergence_from_the_smoothed_source() -> None:
    """KL(N(0, 1) || N(0, 1 + s)), s = 1 / (2 beta); and R of q = N(0, 1) is F - beta D."""
    rows = classical.run(_normal(), steps=2, hidden=4)["gaps"]
    assert [row["beta"] for row in rows] == list(classical.LADDER)
    for row in rows:
        s = 0.5 / row["beta"]
        expected = 0.5 * (math.log1p(s) + 1.0 / (1.0 + s) - 1.0)
        assert row["source"] == pytest.approx(expected, abs=2e-6)
        assert row["classical"] > 0.0
        assert row["ebrd"] > 0.0


@pytest.mark.parametrize("beta", [0.7, 5.0])
def test_the_distortion_of_the_channel_of_a_density(beta: float) -> None:
    one = _normal()
    found = classical.distortion(one, beta, one.masses)
    # E |x - y|^2 = E x^2 / (1 + 2 beta)^2 + 1 / (1 + 2 beta)
    assert found == pytest.approx(
        1.0 / (1.0 + 2.0 * beta) ** 2 + 1.0 / (1.0 + 2.0 * beta), rel=1e-4
    )
