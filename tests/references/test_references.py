"""References against independent computation: quadrature, optimisation, duality, to 1e-9."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, special

from rdbench.distortions import AbsoluteError, Hamming, SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.references.gaussian_absolute import GaussianAbsolute
from rdbench.references.hamming import FiniteHamming
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.references.noisy_sphere import NoisySphere
from rdbench.references.product import ProductReference
from rdbench.references.shannon import TightShannonBound, mixture_entropy
from rdbench.references.sphere import SphereUniform
from rdbench.sources.finite import FiniteSource, bernoulli, zipf
from rdbench.sources.gaussian import GaussianSource, orthogonal, scalar_gaussian, vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture, isotropic_mixture, paper_mixture
from rdbench.sources.product import ProductSource
from rdbench.sources.sphere import NoisySphereSource, SphereSource
from rdbench.types import Distortion, HasConditional, HasPotential, OutOfRange, RdbenchError

TOLERANCE = 1e-9


def _diagonal(stds: list[float]) -> GaussianSource:
    s = torch.tensor(stds, dtype=torch.float64)
    return GaussianSource("diagonal", torch.zeros_like(s), s, orthogonal(len(stds)))


# ---------------------------------------------------------------- water-filling


@pytest.mark.parametrize("stds", [[1.0], [2.0, 2.0], [3.0, 1.0, 0.2], [0.5, 0.5, 0.5, 4.0]])
@pytest.mark.parametrize("beta", [0.01, 0.3, 2.0, 500.0])
def test_water_filling_minimises_the_lagrangian(stds: list[float], beta: float) -> None:
    """min over D_i of sum (1/2) log(s_i^2/D_i) + beta D_i, by a numerical optimiser."""
    got = WaterFilling(_diagonal(stds)).point(beta)
    total = 0.0
    for std in stds:
        s2 = std**2
        best = optimize.minimize_scalar(
            lambda log_d: 0.5 * (math.log(s2) - log_d) + beta * math.exp(log_d),  # noqa: B023
            bounds=(math.log(s2) - 40, math.log(s2)),
            method="bounded",
            options={"xatol": 1e-13},
        )
        total += min(best.fun, beta * s2)
    assert got.lagrangian.mid == pytest.approx(total, abs=1e-9)
    assert got.lagrangian.mid == pytest.approx(got.rate.mid + beta * got.distortion.mid)


spectra = st.lists(st.floats(0.05, 20.0), min_size=1, max_size=12)


@given(spectra, st.floats(0.0, 40.0))
@settings(max_examples=60, deadline=None)
def test_water_filling_slope_and_rate_invert_point(stds: list[float], rate: float) -> None:
    reference = WaterFilling(_diagonal(stds))
    point = reference.point(reference.slope(rate))
    assert point.rate.mid == pytest.approx(rate, abs=1e-9)
    assert reference.rate(point.distortion.mid).mid == pytest.approx(rate, abs=1e-8)


@given(spectra, st.floats(0.01, 10.0), st.floats(0.1, 10.0))
@settings(max_examples=60, deadline=None)
def test_water_filling_scales(stds: list[float], beta: float, scale: float) -> None:
    one = WaterFilling(_diagonal(stds)).point(beta)
    other = WaterFilling(_diagonal([scale * s for s in stds])).point(beta / scale**2)
    assert other.rate.mid == pytest.approx(one.rate.mid, abs=1e-9)
    assert other.distortion.mid == pytest.approx(scale**2 * one.distortion.mid, rel=1e-9)


@given(spectra, st.floats(0.05, 50.0))
@settings(max_examples=40, deadline=None)
def test_slope_is_minus_the_derivative(stds: list[float], beta: float) -> None:
    """dF*/dbeta = D* and R(D) >= F*(b) - b D for every b."""
    reference = WaterFilling(_diagonal(stds))
    h = 1e-5 * beta
    up, down = (reference.point(beta + s * h).lagrangian.mid for s in (1, -1))
    assert (up - down) / (2 * h) == pytest.approx(reference.point(beta).distortion.mid, rel=1e-4)
    d = reference.point(beta).distortion.mid
    for other in (0.5 * beta, beta, 2 * beta):
        assert reference.rate(d).mid >= reference.point(other).lagrangian.mid - other * d - 1e-9


def test_a_rate_whose_slope_overflows_is_out_of_range() -> None:
    for reference in (
        WaterFilling(scalar_gaussian()),
        LaplacianAbsolute(LaplacianSource()),
        TightShannonBound(paper_mixture()),
    ):
        with pytest.raises(OutOfRange, match="not a finite number"):
            reference.slope(1000.0)
        with pytest.raises(OutOfRange):
            reference.point(math.inf)


def test_water_filling_at_the_ends() -> None:
    reference = WaterFilling(scalar_gaussian(3.0, 2.0))
    assert reference.point(0.0).rate.mid == 0.0
    assert reference.point(0.0).distortion.mid == pytest.approx(4.0)
    assert reference.slope(0.0) == pytest.approx(1 / 8)
    assert reference.rate(100.0).mid == 0.0
    for bad in (lambda: reference.point(-1.0), lambda: reference.rate(0.0)):
        with pytest.raises(OutOfRange):
            bad()
    with pytest.raises(OutOfRange):
        reference.slope(math.nan)


# ---------------------------------------------------------------- Laplacian


@pytest.mark.parametrize("b", [1.0, 2.5])
@pytest.mark.parametrize("rate", [0.05, 0.7, 3.0])
def test_laplacian_potential_by_quadrature(b: float, rate: float) -> None:
    """Z* = E_{q*} e^{-beta |x-Y|} from the stated q*, integrated numerically; F* = E f*."""
    source = LaplacianSource(1.0, b)
    reference = LaplacianAbsolute(source)
    beta = reference.slope(rate)
    atom = (b * beta) ** -2

    def z(x: float) -> float:
        def inner(y: float) -> float:
            return math.exp(-abs(y - 1.0) / b - beta * abs(x - y)) / (2 * b)

        edges = sorted({1.0, x})
        pieces = [(edges[0] - 60 * b, edges[0]), (edges[-1], edges[-1] + 60 * b)]
        pieces += list(itertools.pairwise(edges))
        smooth = sum(integrate.quad(inner, lo, hi, epsabs=1e-14)[0] for lo, hi in pieces)
        return atom * math.exp(-beta * abs(x - 1.0)) + (1 - atom) * smooth

    for x in (-4.0, 1.0, 1.3, 6.0):
        got = float(reference.potential(torch.tensor([[x]], dtype=torch.float64), beta)[0])
        assert got == pytest.approx(-math.log(z(x)), abs=TOLERANCE)
    mean, _ = integrate.quad(
        lambda x: (
            float(reference.potential(torch.tensor([[x]], dtype=torch.float64), beta)[0])
            * math.exp(-abs(x - 1.0) / b)
            / b
        ),
        1.0,
        1.0 + 80 * b,
        epsabs=1e-13,
    )
    assert mean == pytest.approx(reference.point(beta).lagrangian.mid, abs=TOLERANCE)


@pytest.mark.parametrize("beta", [0.2, 0.9])
def test_laplacian_below_its_critical_slope(beta: float) -> None:
    reference = LaplacianAbsolute(LaplacianSource())
    assert reference.point(beta).rate.mid == 0.0
    assert reference.point(beta).distortion.mid == 1.0
    x = torch.tensor([[2.0]]).double()
    assert float(reference.potential(x, beta)[0]) == pytest.approx(2 * beta)


# ---------------------------------------------------------------- Hamming


def _dual_bound(p: np.ndarray, kernel: np.ndarray) -> tuple[float, float]:
    """F* of a finite problem by a general-purpose convex optimiser, as a two-sided bound."""

    def value(theta: np.ndarray) -> tuple[float, np.ndarray]:
        w = special.softmax(theta)
        z = kernel @ w
        c = kernel.T @ (p / z)
        return -float(p @ np.log(z)), -w * (c - 1.0)

    best = optimize.minimize(
        value,
        np.zeros(kernel.shape[1]),
        jac=True,
        method="BFGS",
        options={"gtol": 1e-12, "maxiter": 5000},
    )
    w = special.softmax(best.x)
    z = kernel @ w
    upper = -float(p @ np.log(z))
    return upper - math.log(float((kernel.T @ (p / z)).max())), upper


@pytest.mark.parametrize(
    "pmf", [[0.5, 0.5], [0.9, 0.1], [0.2] * 5, [0.6, 0.2, 0.1, 0.05, 0.05], [0.7, 0.3, 0.0]]
)
@pytest.mark.parametrize("beta", [0.3, 1.0, 2.5, 6.0])
def test_hamming_against_an_optimiser(pmf: list[float], beta: float) -> None:
    p = np.array(pmf)
    kernel = np.exp(-beta * (1 - np.eye(len(p))))
    lower, upper = _dual_bound(p, kernel)
    source = FiniteSource("finite", torch.arange(len(p)).double()[:, None], torch.tensor(p))
    got = FiniteHamming(source).point(beta).lagrangian.mid
    assert lower - 1e-9 <= got <= upper + 1e-9
    assert upper - lower < 1e-6  # the optimiser did its work


@pytest.mark.parametrize("p", [0.11, 0.5])
@pytest.mark.parametrize("d", [0.01, 0.05, 0.1])
def test_bernoulli_textbook_formula(p: float, d: float) -> None:
    def h(u: float) -> float:
        return -u * math.log(u) - (1 - u) * math.log(1 - u)

    got = FiniteHamming(bernoulli(p)).rate(d).mid
    assert got == pytest.approx(h(p) - h(d), abs=TOLERANCE)


def test_hamming_slope_inverts_rate_and_ends() -> None:
    reference = FiniteHamming(zipf(200))
    for rate in (0.1, 1.0, 3.0):
        assert reference.point(reference.slope(rate)).rate.mid == pytest.approx(rate, abs=1e-9)
    entropy = reference.rate(0.0).mid
    assert reference.point(1e6).rate.mid == pytest.approx(entropy)
    assert reference.point(0.0).rate.mid == 0.0
    with pytest.raises(OutOfRange, match="nats"):
        reference.slope(entropy + 1)
    with pytest.raises(RdbenchError):
        FiniteHamming(
            FiniteSource("twice", torch.zeros(2, 1).double(), torch.full((2,), 0.5).double())
        )


# ---------------------------------------------------------------- Shannon lower bound


def test_paper_mixture_entropy() -> None:
    """h(X) of the paper's mixture by an independent adaptive rule."""
    means = paper_mixture().means.numpy()

    def integrand(y: float, x: float) -> float:
        p = np.exp(-0.5 * ((means - (x, y)) ** 2).sum(1)).mean() / (2 * math.pi)
        return float(-p * math.log(p)) if p > 0 else 0.0

    got = mixture_entropy(paper_mixture())
    assert got == pytest.approx(3.936488741224, abs=1e-11)
    nodes, weights = np.polynomial.legendre.leggauss(160)
    total = sum(
        wx * wy * 16.0**2 * integrand(16.0 * y, 16.0 * x)
        for x, wx in zip(nodes, weights, strict=True)
        for y, wy in zip(nodes, weights, strict=True)
    )
    assert got == pytest.approx(total, abs=1e-8)


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_entropy_of_one_component_is_the_gaussian_one(dim: int) -> None:
    source = vector_gaussian(dim)
    cov = source.basis @ torch.diag(source.stds**2) @ source.basis.T
    one = GaussianMixture(torch.ones(1).double(), source.mean[None], cov[None])
    expected = 0.5 * dim * math.log(2 * math.pi * math.e) + float(source.stds.log().sum())
    assert mixture_entropy(one) == pytest.approx(expected, abs=1e-10)


def test_shannon_bound_agrees_with_water_filling() -> None:
    """One component: above the smallest variance's slope both references describe one source."""
    source = vector_gaussian(3)
    cov = source.basis @ torch.diag(source.stds**2) @ source.basis.T
    mixture = GaussianMixture(torch.ones(1).double(), source.mean[None], cov[None])
    bound, filling = TightShannonBound(mixture), WaterFilling(source)
    x = source.sample(20, torch.Generator().manual_seed(0))
    for beta in (bound.lowest_beta, 3.0, 300.0):
        a, b = bound.point(beta), filling.point(beta)
        assert a.lagrangian.mid == pytest.approx(b.lagrangian.mid, abs=TOLERANCE)
        assert a.distortion.mid == pytest.approx(b.distortion.mid, abs=TOLERANCE)
        assert torch.allclose(bound.potential(x, beta), filling.potential(x, beta))


def test_shannon_bound_does_not_extrapolate() -> None:
    reference = TightShannonBound(paper_mixture())
    assert reference.lowest_beta == pytest.approx(0.5)
    for bad in (
        lambda: reference.point(0.49),
        lambda: reference.rate(2.1),
        lambda: reference.slope(1.0),
        lambda: reference.potential(torch.zeros(1, 2).double(), 0.4),
    ):
        with pytest.raises(OutOfRange, match=r"beta >= 0\.5"):
            bad()
    assert reference.point(0.5).distortion.mid == pytest.approx(2.0)


def test_paper_figure_six_point() -> None:
    """At R = 5.96 nats the distortion is 0.01548, where the paper prints 0.02."""
    reference = TightShannonBound(paper_mixture())
    assert reference.point(reference.slope(5.96)).distortion.mid == pytest.approx(0.01548, abs=5e-6)


def test_certificate_of_the_mixture_potential() -> None:
    """c(y) = E[lambda(X) e^{-beta rho}] <= 1 everywhere with lambda = 1/Z*: f* is optimal."""
    reference = TightShannonBound(isotropic_mixture(torch.tensor([[-3.0], [3.0]]).double()))
    x = torch.linspace(-14, 14, 8001, dtype=torch.float64)[:, None]
    for beta in (0.5, 0.8, 5.0):
        lam = reference.potential(x, beta) + reference.source.log_prob(x)
        y = torch.linspace(-8, 8, 401, dtype=torch.float64)[:, None]
        log_c = torch.logsumexp(lam[:, None] - beta * (x - y.T).square(), 0) + math.log(28 / 8000)
        assert float(log_c.max()) < 1e-9
        value = (
            (reference.potential(x, beta) * reference.source.log_prob(x).exp()).sum() * 28 / 8000
        )
        assert float(value) == pytest.approx(reference.point(beta).lagrangian.mid, abs=1e-9)


def test_high_dimensional_entropy_is_refused_not_guessed(generator: torch.Generator) -> None:
    means = 9 * torch.randn(5, 10, generator=generator, dtype=torch.float64)
    with pytest.raises(RdbenchError, match="three directions"):
        mixture_entropy(isotropic_mixture(means))


# ---------------------------------------------------------------- potentials and conditionals


def _product() -> ProductReference:
    parts = (scalar_gaussian(1.0, 2.0), scalar_gaussian(0.0, 0.5))
    source = ProductSource("two variances", (parts[0], parts[1], parts[0]), orthogonal(3))
    return ProductReference(source, tuple(WaterFilling(p) for p in parts))


_ABSOLUTE = GaussianAbsolute(scalar_gaussian(3.0, 2.0))
# Every closed form that has a channel, its distortion and slopes.
CHANNELS: list[tuple[Any, Distortion, tuple[float, ...]]] = [
    (WaterFilling(scalar_gaussian(3.0, 2.0)), SquaredError(), (0.62,)),
    (WaterFilling(vector_gaussian(5, mean=100.0)), SquaredError(), (1.4,)),
    (LaplacianAbsolute(LaplacianSource(3.0, 2.0)), AbsoluteError(), (0.75,)),
    (LaplacianAbsolute(LaplacianSource()), AbsoluteError(), (20.0,)),
    (_ABSOLUTE, AbsoluteError(), (0.45, 1.0, 5.0)),
    (FiniteHamming(zipf(7)), Hamming(), (1.7,)),
    (TightShannonBound(paper_mixture()), SquaredError(), (1.2,)),
    (SphereUniform(SphereSource(2, 1.5)), SquaredError(), (3.0,)),
    (SphereUniform(SphereSource(5)), SquaredError(), (1.0, 9.0)),
    (NoisySphere(NoisySphereSource(4, 1.0, 0.6)), SquaredError(), (2.5,)),
    (_product(), SquaredError(), (1.3,)),
]
channels = pytest.mark.parametrize(
    ("reference", "distortion", "beta"),
    [(reference, rho, beta) for reference, rho, betas in CHANNELS for beta in betas],
)


@channels
def test_potential_and_conditional_have_the_right_means(
    reference: Any, distortion: Distortion, beta: float, generator: torch.Generator
) -> None:
    """E f*(X) = F*, and the conditional has D* on average: both within 5 standard errors."""
    assert all(isinstance(reference, known) for known in (HasPotential, HasConditional))
    point = reference.point(beta)
    x = reference.source.sample(40_000, generator)
    f = reference.potential(x, beta)
    assert abs(float(f.mean()) - point.lagrangian.mid) < 5 * float(f.std()) / 200 + 1e-9
    y = reference.sample_conditional(x, 2, beta, generator)
    assert y.shape == (40_000, 2, x.shape[1])
    if isinstance(distortion, Hamming):
        rho = (x[:, None] != y).double().sum(2)
    else:
        rho = distortion.value_and_grad(x[:, None].expand_as(y), y)[0]
    error = 5 * float(rho.mean(1).std()) / 200
    assert abs(float(rho.mean()) - point.distortion.mid) < error


@channels
def test_conditional_is_bayes_rule(
    reference: Any, distortion: Distortion, beta: float, generator: torch.Generator
) -> None:
    """Draws of q from p(y|x) over fresh x; under them E exp(-beta rho(x0, Y)) = Z(x0)."""
    x = reference.source.sample(30_000, generator)
    y = reference.sample_conditional(x, 1, beta, generator)[:, 0]
    at = x[:3]
    kernel = torch.exp(-beta * distortion.pairwise(y, at))
    z = torch.exp(-reference.potential(at, beta))
    error = 4.0 * kernel.std(0) / math.sqrt(30_000)
    assert bool(((kernel.mean(0) - z).abs() < error + 1e-12).all())


def test_conditional_at_slope_zero_is_constant(generator: torch.Generator) -> None:
    reference = WaterFilling(scalar_gaussian(3.0, 2.0))
    x = reference.source.sample(10, generator)
    y = reference.sample_conditional(x, 4, 0.0, generator)
    assert torch.allclose(y, torch.full((10, 4, 1), 3.0).double())


CLOSED = [
    WaterFilling(_diagonal([2.0])),
    LaplacianAbsolute(LaplacianSource(0.0, 1.5)),
    FiniteHamming(bernoulli(0.3)),
    SphereUniform(SphereSource(3)),
    _ABSOLUTE,
]


@pytest.mark.parametrize("reference", CLOSED)
@pytest.mark.parametrize("beta", [-1.0, math.nan, math.inf])
def test_invalid_slopes_are_refused(reference, beta: float, generator: torch.Generator) -> None:
    x = reference.source.sample(2, generator)
    for call in (
        lambda: reference.point(beta),
        lambda: reference.potential(x, beta),
        lambda: reference.sample_conditional(x, 1, beta, generator),
        lambda: reference.rate(math.nan),
    ):
        with pytest.raises(OutOfRange):
            call()


def test_laplacian_rate_at_the_ends() -> None:
    reference = LaplacianAbsolute(LaplacianSource(0.0, 1.5))
    assert reference.rate(math.inf).mid == 0.0
    assert reference.rate(1e-320).mid == pytest.approx(math.log(1.5) - math.log(1e-320))


@pytest.mark.parametrize("pmf", [[0.3, 0.7], [0.25] * 4, [0.1] * 10, [0.5, 0.5, 0.0]])
@pytest.mark.parametrize("beta", [5e-324, 1e-300, 1e-17, 1e-9])
def test_hamming_at_a_tiny_slope(pmf: list[float], beta: float, generator: torch.Generator) -> None:
    """F* = beta (1 - max p) + O(beta^2): the largest letter stays where exp(-beta) is 1."""
    p = torch.tensor(pmf, dtype=torch.float64)
    reference = FiniteHamming(FiniteSource("tiny", torch.arange(len(p)).double()[:, None], p))
    point = reference.point(beta)
    assert point.distortion.mid == pytest.approx(1.0 - max(pmf), abs=1e-8)
    assert point.lagrangian.mid == pytest.approx(beta * (1.0 - max(pmf)), abs=1e-15)
    x = reference.source.sample(20, generator)
    assert torch.allclose(reference.potential(x, beta), torch.zeros(20).double(), atol=2 * beta)
    y = reference.sample_conditional(x, 3, beta, generator)
    assert bool((p[y.long()] == p.max()).all())
