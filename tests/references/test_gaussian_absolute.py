"""The Gaussian under absolute error against optimisation, quadrature and draws."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from rdbench.inference.finite import interior_point
from rdbench.inference.scan_kernel import ScanKernel
from rdbench.references.gaussian_absolute import GaussianAbsolute
from rdbench.sources.gaussian import GaussianSource, orthogonal, scalar_gaussian
from rdbench.types import HasConditional, HasPotential, OutOfRange, Reference

REFERENCE = GaussianAbsolute(scalar_gaussian(3.0, 2.0))
CRITICAL = math.sqrt(2 / math.pi) / 2.0


@pytest.mark.parametrize("beta", [0.2, 0.45, 1.0, 4.0])
def test_against_blahut_arimoto_on_a_grid(beta):
    # Fine cells with the source at Gauss nodes; the optimum on a grid lies above by O(step^4).
    t, w = np.polynomial.legendre.leggauss(4)
    edges = np.linspace(-14.0, 14.0, 2801)
    x = edges[:-1, None] + 0.01 * 0.5 * (1 + t)
    p = (norm.pdf(x, scale=2.0) * 0.005 * w).ravel()
    kernel = ScanKernel(2801, edges[1] - edges[0], beta, 0.5 * (1 + t))
    found = interior_point(kernel, p / p.sum(), tolerance=1e-9)
    assert REFERENCE.point(beta).lagrangian.mid == pytest.approx(found.lagrangian, abs=1e-7)


@pytest.mark.parametrize("beta", [0.1, 0.7, 3.0])
def test_the_curve_is_consistent(beta):
    point = REFERENCE.point(beta)
    f = [REFERENCE.point(beta + h).lagrangian.mid for h in (-1e-4, 1e-4)]
    assert (f[1] - f[0]) / 2e-4 == pytest.approx(point.distortion.mid, rel=1e-6)
    mean = quad(
        lambda u: norm.pdf(u) * float(REFERENCE.potential(torch.tensor([[3 + 2 * u]]), beta)),
        -12, 12, epsabs=1e-11, limit=300,
    )[0]  # fmt: skip
    assert mean == pytest.approx(point.lagrangian.mid, abs=1e-7)
    assert REFERENCE.rate(point.distortion.mid).mid == pytest.approx(point.rate.mid, abs=1e-9)


def test_the_marginal_reproduces_the_potential():
    # q = density p - p''/b^2 on (-T, T) and two atoms, with T from b S(T) = p(T), b = beta sigma.
    b = 1.6
    lo, hi = 0.0, b
    for _ in range(80):
        mid = 0.5 * (lo + hi)
        lo, hi = (mid, hi) if norm.sf(mid) * b > norm.pdf(mid) else (lo, mid)
    atom = norm.pdf(lo) * (1 - lo / b) / b
    for u in (0.0, 0.5, -2.0, 4.0):
        z = quad(
            lambda y, u=u: norm.pdf(y) * (1 + (1 - y * y) / b**2) * math.exp(-b * abs(u - y)),
            -lo, lo, points=[min(max(u, -lo), lo)],
        )[0]  # fmt: skip
        z += atom * (math.exp(-b * abs(u - lo)) + math.exp(-b * abs(u + lo)))
        potential = float(REFERENCE.potential(torch.tensor([[3 + 2 * u]]), b / 2))
        assert -math.log(z) == pytest.approx(potential, abs=1e-9)


@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.5, 3.0, 30.0, 60.0])
def test_slope_inverts_rate(rate):
    beta = REFERENCE.slope(rate)
    assert REFERENCE.point(beta).rate.mid == pytest.approx(rate, abs=1e-9)
    if rate == 0.0:
        assert beta == pytest.approx(CRITICAL)


@pytest.mark.parametrize("beta", [0.3, 0.45, 0.5, 1.2])
def test_conditional_draws(beta, generator):
    # P(Y <= y | x) of draws against quadrature of the density and the atoms, at several y.
    b = 2.0 * beta
    for u in (0.0, 0.3, -2.6):
        x = torch.tensor([[3.0 + 2.0 * u]], dtype=torch.float64)
        y = (REFERENCE.sample_conditional(x, 40_000, beta, generator)[0, :, 0] - 3.0) / 2.0
        if b <= 2 * CRITICAL:
            assert (y == 0).all()
            continue
        t = brentq(lambda s, b=b: b * norm.sf(s) - norm.pdf(s), 1e-9, b)
        atom = norm.pdf(t) * (1 - t / b) / b

        def mass(lo, hi, b=b, u=u):
            return quad(
                lambda s: norm.pdf(s) * (1 + (1 - s * s) / b**2) * math.exp(-b * abs(u - s)), lo, hi
            )[0]

        low = atom * math.exp(-b * abs(u + t))
        total = low + mass(-t, t) + atom * math.exp(-b * abs(u - t))
        for stop in (-t, -0.5 * t, 0.0, 0.8 * t):
            share = (low + mass(-t, stop)) / total
            error = math.sqrt(share * (1 - share) / 40_000)
            assert abs(float((y <= stop + 1e-12).double().mean()) - share) < 4 * error


@pytest.mark.parametrize("rate", [12.0, 20.0, 28.0])
def test_mean_distortion_of_draws_at_high_rate(rate, generator):
    # D* is some 1e-9 of the support there, and less.
    reference = GaussianAbsolute(scalar_gaussian(0.0, 2.0))
    beta = reference.slope(rate)
    x = reference.source.sample(40_000, generator)
    rho = (reference.sample_conditional(x, 1, beta, generator)[:, 0] - x).abs()
    error = float(rho.std()) / 200.0
    assert abs(float(rho.mean()) - reference.point(beta).distortion.mid) < 4 * error
    # Y - X is Laplacian to rounding there; the median tells the shape.
    middle = float(rho.median()) * beta
    assert middle == pytest.approx(math.log(2.0), abs=4 / 200.0)


def test_the_ends_of_the_curve():
    for beta in (40.0, 60.0, 1e9, 1e300):  # the Shannon lower bound, sigma = 2
        point = REFERENCE.point(beta)
        shannon = math.log(beta * 2.0 / 2.0) + 0.5 * math.log(2 * math.pi) - 0.5
        assert point.rate.mid == pytest.approx(shannon, rel=1e-14)
        assert point.distortion.mid == pytest.approx(1.0 / beta, rel=1e-14)
    for d in (0.04, 0.03, 1e-9, 1e-300):
        assert REFERENCE.rate(d).mid == pytest.approx(
            -math.log(d) + 0.5 * math.log(2 * math.pi) - 0.5, rel=1e-12
        )
    assert REFERENCE.rate(math.inf).mid == 0.0


def test_vocabulary_and_refusals():
    assert isinstance(REFERENCE, Reference)
    assert isinstance(REFERENCE, HasPotential)
    assert isinstance(REFERENCE, HasConditional)
    for call in (
        lambda: REFERENCE.point(1e308),
        lambda: REFERENCE.potential(torch.zeros(2, 1).double(), 1e308),
        lambda: REFERENCE.rate(0.0),
        lambda: REFERENCE.slope(-1.0),
        lambda: REFERENCE.slope(2000.0),
    ):
        with pytest.raises(OutOfRange):
            call()
    plane = GaussianSource(
        "plane", torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64),
        orthogonal(2),
    )  # fmt: skip
    with pytest.raises(ValueError, match="d = 1"):
        GaussianAbsolute(plane)
