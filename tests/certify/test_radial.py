"""Isotropic sources: Bessel functions, tails and brackets against independent computation."""

from __future__ import annotations

from dataclasses import replace

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
from scipy.integrate import quad

from rdbench.certify import radial
from rdbench.certify.radial import certify_radial
from rdbench.certify.radial import lower as radial_lower
from rdbench.certify.radial.density import (
    RadialDensity,
    RadialTail,
    gaussian_density,
    noisy_sphere_density,
    radial_density,
    student_density,
)
from rdbench.certify.radial.sums import RadialWeight, Shells, log_kernel
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.bessel import log_sphere_mean, mean_cosine
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.sphere import NoisySphereSource
from rdbench.sources.student import StudentSource


def gaussian_truth(dim: int, beta: float) -> float:
    """Water-filling with unit variances."""
    return dim * (beta if beta <= 0.5 else 0.5 + 0.5 * np.log(2.0 * beta))


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5, 10, 25, 26, 27, 50, 333, 1000])
def test_bessel(dim):
    switch = np.sqrt(8.0 * dim)
    kappa = np.concatenate(
        [[0.0, 0.999 * switch, 1.001 * switch], np.geomspace(1e-5, 1e4, 25), [9.9e5, 1.1e6, 1e9]]
    )
    with mpmath.workdps(40):
        exact = [
            float(mpmath.log(mpmath.hyp0f1(mpmath.mpf(dim) / 2, mpmath.mpf(float(k)) ** 2 / 4)) - k)
            for k in kappa[:-3]
        ]
        nu = mpmath.mpf(dim) / 2 - 1
        for k in kappa[-3:]:  # Hankel's expansion, which mpmath sums to its full precision
            z, term, total = mpmath.mpf(float(k)), mpmath.mpf(1), mpmath.mpf(1)
            for j in range(1, 40):
                term *= -(4 * nu**2 - (2 * j - 1) ** 2) / (8 * j * z)
                total += term
            power = mpmath.loggamma(nu + 1) - nu * mpmath.log(z / 2)
            exact.append(float(power + mpmath.log(total / mpmath.sqrt(2 * mpmath.pi * z))))
    np.testing.assert_allclose(log_sphere_mean(dim, kappa), exact, rtol=2e-14, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3, 10, 50, 1000])
def test_mean_cosine_is_the_derivative(dim):
    kappa = np.array([1e-3, 0.5, 3.0, 40.0, 900.0])
    step = 1e-4 * kappa
    slope = (log_sphere_mean(dim, kappa + step) - log_sphere_mean(dim, kappa - step)) / (2 * step)
    np.testing.assert_allclose(mean_cosine(dim, kappa), slope + 1.0, rtol=1e-5, atol=1e-9)


def test_the_kernel_is_the_mean_over_directions():
    rng = np.random.default_rng(0)
    u = rng.standard_normal((400_000, 3))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    values = np.exp(-0.8 * ((u * 1.3 - np.array([0.9, 0.0, 0.0])) ** 2).sum(1))
    error = values.std() / np.sqrt(len(u))
    got = np.exp(log_kernel(3, 0.8, np.array([0.9]), np.array([1.3])))[0]
    assert abs(values.mean() - got) < 4.0 * error


@pytest.mark.parametrize(
    "density",
    [
        gaussian_density(1, 2.0),
        gaussian_density(10, 0.7),
        student_density(5.0, 3, 1.5),
        student_density(5.0, 50, 1.0),
        noisy_sphere_density(4, 1.0, 0.3),
    ],
    ids=lambda d: d.name,
)
def test_densities_and_tails(density):
    def integral(f, t):
        # s = t + u / (1 - u) covers the tail
        return quad(
            lambda u: f(t + u / (1 - u)) / (1 - u) ** 2, 0, 1, epsabs=1e-13, epsrel=1e-10, limit=500
        )[0]

    def p(s):
        return float(np.exp(density.log_radial(np.array([s])))[0])

    assert integral(p, 1e-12) == pytest.approx(1.0, abs=1e-8)
    second = integral(lambda s: s * s * p(s), 1e-12)
    assert second == pytest.approx(density.second_moment, rel=1e-6)
    exact = "sphere" not in density.name
    for t in (density.typical, 2.0 * density.typical, 8.0 * density.typical):
        tail = density.tail(t)
        mass, square = integral(p, t), integral(lambda s: s * s * p(s), t)
        assert mass <= tail.mass * (1 + 1e-6) + 1e-12
        assert square <= tail.square * (1 + 1e-6) + 1e-12
        if exact:
            assert mass == pytest.approx(tail.mass, rel=1e-6, abs=1e-11)
            assert square == pytest.approx(tail.square, rel=1e-6, abs=1e-11)


@pytest.mark.parametrize("dim", [1, 2, 10, 50])
@pytest.mark.parametrize("beta", [0.2, 0.55, 1.0, 8.0])
def test_contains_water_filling(dim, beta):
    c = certify_radial(gaussian_density(dim, 1.0), beta, 1e-4)
    assert c.lo <= gaussian_truth(dim, beta) <= c.hi
    assert c.reached
    assert c.kind == "certified (numerical)"


def test_scales_like_the_source():
    """F*(beta) of 3 X is F*(9 beta) of X."""
    truth = WaterFilling(vector_gaussian(10, "flat")).point(2.0).lagrangian.mid
    c = certify_radial(gaussian_density(10, float(np.exp2(-0.1))), 2.0, 1e-4)
    assert c.lo <= truth <= c.hi
    small = certify_radial(student_density(5.0, 4, 1.0), 3.0, 1e-4)
    large = certify_radial(student_density(5.0, 4, 3.0), 3.0 / 9.0, 1e-4)
    assert max(small.lo, large.lo) <= min(small.hi, large.hi)


@pytest.fixture(scope="module")
def heavy():
    return certify_radial(student_density(5.0, 10, 1.0), 0.5, 1e-4)


@pytest.mark.parametrize(("dim", "beta"), [(10, 0.5), (10, 5.0), (50, 2.0)])
def test_heavy_tails_reach_their_tolerance(heavy, dim, beta):
    density = student_density(5.0, dim, 1.0)
    c = heavy if (dim, beta) == (10, 0.5) else certify_radial(density, beta, 1e-4)
    assert c.reached
    assert c.quadrature < 1e-8
    # The Shannon lower bound, with the entropy of the multivariate t by quadrature.
    entropy = -quad(
        lambda v: float(
            np.exp(v + density.log_radial(np.exp(np.array([v])))[0])
            * density.log_density(np.exp(np.array([v])))[0]
        ),
        -8.0,
        14.0,
        limit=500,
    )[0]
    assert entropy - 0.5 * dim * np.log(np.pi / beta) <= c.hi + 1e-9


def test_the_upper_side_is_f_of_the_shells_by_simulation(heavy):
    rng = np.random.default_rng(3)
    dim, beta, n, c = 10, 0.5, 10_000, heavy
    z = rng.standard_normal((n, dim)) / np.sqrt(rng.chisquare(5.0, n) / 5.0)[:, None]
    s = np.linalg.norm(z, axis=1)
    terms = log_kernel(dim, beta, s[:, None], c.points[:, 0]) + np.log(c.weights)
    f = -np.logaddexp.reduce(terms, axis=1)
    assert abs(f.mean() - c.hi) < 4.0 * f.std() / np.sqrt(n)


def test_the_bound_covers_c_at_every_radius(heavy):
    density, beta = student_density(5.0, 10, 1.0), 0.5
    shells = Shells(10, heavy.points[:, 0], heavy.weights)
    weight = radial_lower.DualWeight.build(density, beta, shells, 1e-3)
    edges = np.linspace(0.0, 400.0, 401)
    value, _ = radial_lower.lower_bound(weight, edges, 400.0, 8, 1e-4)
    s = 0.5 * (np.linspace(0.0, 400.0, 20_001)[1:] + np.linspace(0.0, 400.0, 20_001)[:-1])
    p = 0.02 * np.exp(density.log_radial(s))
    log_lambda = weight.log(s)
    c = RadialWeight(10, beta, s, np.log(p) + log_lambda, np.ones(len(s)))
    largest = c.value(np.linspace(0.0, 60.0, 1000)).max()
    assert value <= p @ log_lambda - np.log(largest) + 1e-4
    assert value >= p @ log_lambda - np.log(max(largest, 1.0)) - 1e-3


def test_a_wrong_constant_in_the_tail_is_caught():
    """With a tail that claims to be empty the mass beyond is lost, and the truth with it."""
    right = gaussian_density(10, 1.0)
    wrong = replace(right, tail=lambda t: right.tail(t) if t < 3.0 else RadialTail(1e-300, 1e-300))
    truth = gaussian_truth(10, 2.0)
    with pytest.raises(ValueError, match="lo <= hi"):
        certify_radial(wrong, 2.0, 1e-4)
    # Where no mass is lost the same density is certified.
    assert certify_radial(right, 2.0, 1e-4).lo <= truth


def test_a_coarse_quadrature_is_seen(monkeypatch):
    monkeypatch.setattr(radial, "_ORDER", 1)
    truth = gaussian_truth(10, 2.0)
    c = certify_radial(gaussian_density(10, 1.0), 2.0, 1e-4)
    assert c.quadrature > 1e-4
    assert not c.reached
    assert "nats" in c.reason
    assert c.lo <= truth <= c.hi


def test_edges_of_the_slope():
    density = gaussian_density(3, 1.0)
    for beta in (0.0, 1e-9):
        c = certify_radial(density, beta, 1e-6)
        assert c.lo <= 3.0 * beta <= c.hi
        assert c.reached
    with pytest.raises(ValueError, match="too large"):
        certify_radial(density, 1e8, 1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="variance"):
        certify_radial(student_density(2.0, 3, 1.0), 1.0, 1e-4)


def test_sources_have_densities():
    found = radial_density(StudentSource(df=5.0, dim=10, loc=3.0))
    assert found is not None
    density, centre = found
    assert isinstance(density, RadialDensity)
    np.testing.assert_array_equal(centre, np.full(10, 3.0))
    import torch

    for source in (StudentSource(df=5.0, dim=10), NoisySphereSource(7, 1.0, 0.2)):
        found = radial_density(source)
        assert found is not None
        x = torch.randn(6, source.dim, dtype=torch.float64)
        np.testing.assert_allclose(
            found[0].log_density(x.norm(dim=1).numpy()), source.log_prob(x).numpy(), rtol=1e-10
        )
    assert radial_density(vector_gaussian(4, "ramp")) is None
    assert radial_density(LaplacianSource()) is None


def test_small_slopes_are_bounded_by_zero_and_the_centre():
    density, beta = student_density(5.0, 100, 1.0), 1e-4
    found = certify_radial(density, beta, 5e-3)
    assert found.lo == 0.0
    assert found.hi == pytest.approx(beta * density.second_moment, rel=1e-13)
    assert found.points.tolist() == [[0.0]]
    assert found.distortion == density.second_moment
    assert not found.reached
    assert found.reason
