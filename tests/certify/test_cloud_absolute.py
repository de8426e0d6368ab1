"""Points of the plane under absolute error: against all corners at once, and everywhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import ndarray

from rdbench.certify.cloud import absolute
from rdbench.certify.cloud.absolute import certify_cloud_absolute
from rdbench.certify.finite import certify_finite
from rdbench.distortions import AbsoluteError
from rdbench.references.certified import Certified
from rdbench.sources.finite import FiniteSource
from rdbench.types import Problem, RdbenchError


def cloud(seed: int, n: int) -> tuple[ndarray, ndarray]:
    """Correlated points of unequal masses, some of which share a coordinate."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    x[: n // 4, 0] = np.round(x[: n // 4, 0], 1)
    return x, rng.dirichlet(np.ones(n))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 20), beta=st.floats(0.01, 60.0))
def test_all_corners_at_once_agree(seed, n, beta):
    x, p = cloud(seed, n)
    corners = np.stack(np.meshgrid(x[:, 0], x[:, 1]), -1).reshape(-1, 2)
    whole = certify_finite(np.abs(x[:, None] - corners).sum(-1), p, beta, 1e-8)
    found = certify_cloud_absolute(x, p, beta, 1e-6)
    assert found.reached
    assert found.lo <= whole.hi
    assert whole.lo <= found.hi
    assert found.distortion == pytest.approx(whole.distortion, abs=2e-3)


@pytest.mark.parametrize("beta", [0.5, 3.0, 20.0])
def test_no_other_reproduction_is_better(beta):
    """c <= 1 + tolerance at random points of the plane, near and far, from the written sums."""
    x, p = cloud(3, 60)
    found = certify_cloud_absolute(x, p, beta, 1e-7)
    rng = np.random.default_rng(4)
    y = np.concatenate([x + 0.3 * rng.standard_normal(x.shape) for _ in range(200)])
    z = np.exp(-beta * np.abs(x[:, None] - found.points).sum(-1)) @ found.weights
    c = np.exp(-beta * np.abs(y[:, None] - x).sum(-1)) @ (p / z)
    assert float(c.max()) <= 1.0 + 2e-7
    assert float(-p @ np.log(z)) == pytest.approx(found.hi, abs=1e-9)


def test_on_the_line_the_points_are_the_letters():
    rng = np.random.default_rng(5)
    x, p = rng.standard_normal((30, 1)), rng.dirichlet(np.ones(30))
    found = certify_cloud_absolute(x, p, 2.0, 1e-7)
    whole = certify_finite(np.abs(x - x[:, 0]), p, 2.0, 1e-8)
    assert found.lo <= whole.hi
    assert whole.lo <= found.hi
    assert found.points.shape[1] == 1


@pytest.mark.parametrize("beta", [0.0, 1e-9, 1e-3, 1e3, 1e6])
def test_any_slope(beta):
    x, p = cloud(6, 40)
    found = certify_cloud_absolute(x, p, beta, 1e-6)
    assert found.reached
    entropy = float(-p @ np.log(p))
    centre = p @ np.abs(x - [np.median(x[:, 0]), np.median(x[:, 1])]).sum(1)
    assert -1e-9 <= found.lo <= min(entropy, beta * centre) + 1e-6
    if beta == 1e6:
        assert found.lo == pytest.approx(entropy, abs=2e-6)


def test_a_missed_corner_shows(monkeypatch):
    """Were the largest c looked for at the points alone, the bracket would lie above the truth."""
    cross = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # its centre is no point
    x, p = np.concatenate([cross, cross + 5.0]), np.full(8, 0.125)
    truth = certify_cloud_absolute(x, p, 1.0, 1e-8)
    letters = certify_finite(np.abs(x[:, None] - x).sum(-1), p, 1.0, 1e-9)
    assert letters.lo > truth.hi + 1e-4
    monkeypatch.setattr(absolute, "_peaks", lambda _c, _above: np.zeros(0, dtype=int))
    wide = certify_cloud_absolute(x, p, 1.0, 1e-8)  # nothing enters: wider, and true
    assert wide.lo <= truth.hi
    assert not wide.reached


def test_too_many_corners_and_three_dimensions_are_refused(monkeypatch):
    x, p = cloud(8, 30)
    with pytest.raises(ValueError, match=r"R\^1 or R\^2"):
        certify_cloud_absolute(np.zeros((2, 3)), np.full(2, 0.5), 1.0, 1e-6)
    monkeypatch.setattr(absolute, "_MOST_CORNERS", 100)
    with pytest.raises(ValueError, match="corners, more than 100"):
        certify_cloud_absolute(x, p, 1.0, 1e-6)
    source = FiniteSource("cube", torch.rand(5, 3), torch.full((5,), 0.2))
    with pytest.raises(RdbenchError, match="finitely many points of the plane"):
        Certified(Problem(source, AbsoluteError()), 1e-6).point(1.0)


def test_the_reference_is_in_the_units_of_the_source():
    x, p = cloud(9, 25)
    for scale in (1e-6, 1.0, 1e6):
        source = FiniteSource(
            "scaled", torch.from_numpy(scale * x + 5.0 * scale), torch.from_numpy(p)
        )
        point = Certified(Problem(source, AbsoluteError()), 1e-6).point(2.0 / scale)
        assert point.lagrangian.mid == pytest.approx(
            certify_cloud_absolute(x, p, 2.0, 1e-6).hi, abs=2e-6
        )
