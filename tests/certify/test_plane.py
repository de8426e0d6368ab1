"""Densities in the plane: against closed forms, other quadratures and simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad

from rdbench.certify import plane
from rdbench.certify.plane import certify_plane
from rdbench.certify.plane.density import banana_density, mixture_density, plane_density
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.banana import BananaSource
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture, paper_mixture


@pytest.fixture(scope="module")
def banana():
    return certify_plane(banana_density(1.0, 0.5, 0.5), 0.7, 1e-5)


@pytest.mark.parametrize("beta", [0.1, 0.3, 0.8])
def test_contains_water_filling(beta):
    source = vector_gaussian(2, "nerd", mean=50.0)
    density = plane_density(source)
    assert density is not None
    c = certify_plane(density, beta, 1e-4)
    truth = WaterFilling(source).point(beta).lagrangian.mid
    assert c.lo <= truth <= c.hi
    assert c.reached
    np.testing.assert_allclose(c.weights @ c.points, [50.0, 50.0], atol=0.05)


def test_the_mixture_below_one_half_is_certified():
    density = plane_density(paper_mixture())
    assert density is not None
    found = [certify_plane(density, beta, 1e-6) for beta in (0.05, 0.2, 0.4)]
    for c in found:
        assert c.reached
        assert c.kind == "certified (numerical)"
        # Three atoms, one per component.
        assert int((c.weights > 1e-3).sum()) == 3


def test_the_upper_side_is_f_of_the_atoms_by_simulation(banana):
    generator = torch.Generator().manual_seed(5)
    x = BananaSource().sample(40_000, generator).numpy()
    rho = ((x[:, None] - banana.points) ** 2).sum(-1)
    f = -np.logaddexp.reduce(np.log(banana.weights) - 0.7 * rho, axis=1)
    assert abs(f.mean() - banana.hi) < 4.0 * f.std() / np.sqrt(len(x))
    assert banana.reached
    assert banana.width <= 1e-5


def test_the_optimality_condition_by_another_quadrature(banana):
    """c(y) <= 1 for lambda = 1 / Z, by Gauss-Hermite nodes in the banana's own coordinates."""
    t, w = np.polynomial.hermite_e.hermegauss(90)
    w = w / w.sum()
    first = t[:, None] + 0.0 * t
    second = 0.5 * (first**2 - 1.0) + 0.5 * t
    x = np.stack([first, second], -1).reshape(-1, 2)
    p = (w[:, None] * w).ravel()
    x, p = x[p > 1e-12], p[p > 1e-12]
    rho = ((x[:, None] - banana.points) ** 2).sum(-1)
    z = np.exp(-0.7 * rho) @ banana.weights
    assert -(p @ np.log(z)) == pytest.approx(banana.hi, abs=1e-6)
    y = np.stack(np.meshgrid(np.linspace(-2, 2, 21), np.linspace(-1, 3, 21)), -1).reshape(-1, 2)
    c = (p / z) @ np.exp(-0.7 * ((x[:, None] - y) ** 2).sum(-1))
    assert c.max() <= 1.0 + 2e-5
    at_atoms = (p / z) @ np.exp(-0.7 * rho)
    assert np.abs(at_atoms[banana.weights > 1e-3] - 1.0).max() < 1e-4


@pytest.mark.parametrize(
    "density",
    [
        mixture_density(
            np.array([0.3, 0.7]),
            np.array([[0.0, 1.0], [2.0, -1.0]]),
            np.array([[[1.0, 0.6], [0.6, 0.8]], [[0.5, 0.0], [0.0, 0.4]]]),
        ),
        banana_density(1.0, 0.3, 0.6),
    ],
    ids=["mixture", "banana"],
)
def test_moments_of_the_densities(density):
    def moment(power):
        def f(b, a):
            x = np.array([[a, b]])
            away = ((x - density.centre) ** 2).sum()
            return float(np.exp(density.log_density(x))[0]) * away**power

        return dblquad(f, -7.0, 7.0, -7.0, 14.0, epsabs=1e-7)[0]

    assert moment(0) == pytest.approx(1.0, abs=1e-5)
    assert moment(1) == pytest.approx(density.second_moment, abs=2e-4)
    assert 0.0 < density.outside_mass < 1e-20
    assert density.outside_square < 1e-8


def test_a_coarse_grid_is_seen(monkeypatch):
    build = plane._Grid.build.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        plane._Grid, "build", classmethod(lambda cls, d, steps: build(cls, d, 8.0 * steps))
    )
    source = vector_gaussian(2, "flat")
    density = plane_density(source)
    assert density is not None
    c = certify_plane(density, 2.0, 1e-5)
    truth = WaterFilling(source).point(2.0).lagrangian.mid
    assert c.quadrature > 1e-3
    assert not c.reached
    assert "nats" in c.reason
    assert c.lo <= truth <= c.hi


def test_a_wrong_lambda_widens_the_bracket(monkeypatch):
    solve = plane._solve

    def perturbed(*args):
        q = solve(*args)
        weights = q.weights * np.linspace(0.5, 1.5, len(q.weights))
        return q._replace(weights=weights / weights.sum())

    density = plane_density(paper_mixture())
    assert density is not None
    good = certify_plane(density, 0.3, 1e-6)
    monkeypatch.setattr(plane, "_solve", perturbed)
    bad = certify_plane(density, 0.3, 1e-6)
    assert bad.lo <= good.hi
    assert good.lo <= bad.hi
    assert bad.width > 1e-3
    assert not bad.reached


def test_edges_of_the_slope():
    density = banana_density(1.0, 0.5, 0.5)
    for beta in (0.0, 1e-8):
        c = certify_plane(density, beta, 1e-6)
        assert c.lo <= beta * 1.75 <= c.hi + 1e-15
        assert c.reached
    with pytest.raises(ValueError, match="beta = 1e\\+07 is too large for banana"):
        certify_plane(density, 1e7, 1e-6)
    with pytest.raises(ValueError, match="banana is too narrow for its extent, at any beta"):
        certify_plane(banana_density(1.0, 0.5, 1e-3), 1.0, 1e-6)


def test_sources_have_densities():
    x = torch.randn(5, 2, dtype=torch.float64)
    for source in (BananaSource(1.2, 0.4, 0.7), paper_mixture(), vector_gaussian(2, "ramp")):
        density = plane_density(source)
        assert density is not None
        np.testing.assert_allclose(
            density.log_density(x.numpy()), source.log_prob(x).numpy(), rtol=1e-10
        )
    assert plane_density(vector_gaussian(3, "ramp")) is None
    assert plane_density(LaplacianSource()) is None
    flat = GaussianMixture(
        torch.ones(1, dtype=torch.float64),
        torch.zeros(1, 2, dtype=torch.float64),
        torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))[None],
    )
    with pytest.raises(ValueError, match="singular"):
        plane_density(flat)
