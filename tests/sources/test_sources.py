"""Sources: samplers, densities, moments and probabilities agree; bad parameters are named."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from rdbench.sources.banana import BananaSource
from rdbench.sources.beta import BetaSource
from rdbench.sources.digits import DigitsSource, principal
from rdbench.sources.directional import (
    log_mean_exp_cosine,
    mean_cosine,
    sample_von_mises_fisher,
)
from rdbench.sources.finite import FiniteSource, bernoulli, random_table, uniform_letters, zipf
from rdbench.sources.gaussian import SPECTRA, orthogonal, scalar_gaussian, vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import (
    GaussianMixture,
    eight_modes,
    isotropic_mixture,
    lifted_mixture,
    paper_mixture,
)
from rdbench.sources.product import ProductSource, rotated_product
from rdbench.sources.sphere import NoisySphereSource, SphereSource
from rdbench.sources.student import StudentSource
from rdbench.sources.uniform import UniformSource
from rdbench.types import HasDensity, HasSupport, RdbenchError, Source

SCALARS = [
    (scalar_gaussian(3.0, 2.0), stats.norm(3.0, 2.0)),
    (scalar_gaussian(100.0, 1e-3), stats.norm(100.0, 1e-3)),
    (LaplacianSource(3.0, 2.0), stats.laplace(3.0, 2.0)),
    (UniformSource(-3.0, 5.0), stats.uniform(-3.0, 8.0)),
    (StudentSource(5.0), stats.t(5.0)),
    (StudentSource(2.5, scale=3.0, loc=-100.0), stats.t(2.5, loc=-100.0, scale=3.0)),
]


@pytest.mark.parametrize(("source", "law"), SCALARS)
def test_scalar_sources_against_scipy(source, law, generator: torch.Generator) -> None:
    x = source.sample(20_000, generator)
    assert x.shape == (20_000, 1)
    assert x.dtype == torch.float64
    assert stats.kstest(x[:, 0].numpy(), law.cdf).pvalue > 1e-4
    assert torch.allclose(source.log_prob(x), torch.from_numpy(law.logpdf(x[:, 0].numpy())))


@pytest.mark.parametrize("spectrum", sorted(SPECTRA))
@pytest.mark.parametrize("dim", [1, 2, 7, 20])
def test_vector_gaussian(spectrum: str, dim: int, generator: torch.Generator) -> None:
    source = vector_gaussian(dim, spectrum, mean=5.0)
    covariance = source.basis @ torch.diag(source.stds**2) @ source.basis.T
    law = stats.multivariate_normal(source.mean.numpy(), covariance.numpy())
    x = source.sample(50, generator)
    expected = torch.from_numpy(law.logpdf(x.numpy()).reshape(-1))
    assert torch.allclose(source.log_prob(x), expected, atol=1e-8)
    z = source.principal(source.sample(50_000, generator)) / source.stds
    assert torch.allclose(z.mean(0), torch.zeros(dim, dtype=torch.float64), atol=0.03)
    assert torch.allclose(torch.cov(z.T).reshape(dim, dim), torch.eye(dim).double(), atol=0.04)


def test_spectra_are_what_they_say() -> None:
    assert vector_gaussian(3, "ramp").stds.tolist() == pytest.approx([2**-0.1, 2**-0.2, 2**-0.3])
    assert vector_gaussian(3, "flat").stds.tolist() == pytest.approx([2**-0.1] * 3)
    assert vector_gaussian(20, "nerd").stds[4] == pytest.approx(2 * math.exp(-1.0))
    assert vector_gaussian(40, "nerd").stds[4] == pytest.approx(2 * math.exp(-2.0))


def test_rotation_is_orthogonal_and_seeded() -> None:
    u = orthogonal(30)
    assert torch.allclose(u @ u.T, torch.eye(30).double(), atol=1e-12)
    assert torch.equal(u, orthogonal(30))
    assert not torch.allclose(u, orthogonal(30, seed=1))


def test_a_thousand_dimensions(generator: torch.Generator) -> None:
    source = vector_gaussian(1000)
    x = source.sample(3, generator)
    assert x.shape == (3, 1000)
    assert torch.isfinite(source.log_prob(x)).all()


def test_mixture_density_and_sampler(generator: torch.Generator) -> None:
    covs = torch.tensor([[[1.0, 0.5], [0.5, 2.0]], [[0.3, 0.0], [0.0, 0.3]]]).double()
    mixture = GaussianMixture(
        torch.tensor([0.3, 0.7]).double(), torch.tensor([[0.0, 1.0], [4.0, -2.0]]).double(), covs
    )
    x = mixture.sample(100_000, generator)
    laws = [stats.multivariate_normal(m, c) for m, c in zip(mixture.means, covs, strict=True)]
    density = 0.3 * laws[0].pdf(x[:50].numpy()) + 0.7 * laws[1].pdf(x[:50].numpy())
    assert torch.allclose(mixture.log_prob(x[:50]), torch.from_numpy(density).log())
    assert torch.allclose(x.mean(0), (mixture.weights[:, None] * mixture.means).sum(0), atol=0.04)
    energy, grad = mixture.energy_and_grad(x[:50])
    y = x[:50].clone().requires_grad_()
    (expected,) = torch.autograd.grad(-mixture.log_prob(y).sum(), y)
    assert torch.allclose(energy, -mixture.log_prob(x[:50]))
    assert torch.allclose(grad, expected)


def test_mixture_conditional_is_bayes_rule(generator: torch.Generator) -> None:
    mixture = isotropic_mixture(torch.tensor([[-2.0], [2.0]]).double(), 0.7)
    beta, x = 0.4, torch.tensor([[0.5]]).double()
    grid = torch.linspace(-12, 12, 20_001, dtype=torch.float64)[:, None]
    log_joint = mixture.log_prob(grid) - beta * (grid[:, 0] - x[0, 0]).square()
    log_z = torch.logsumexp(log_joint, 0) + math.log(24 / 20_000)
    assert float(mixture.log_partition(x, beta)[0]) == pytest.approx(float(log_z), abs=1e-9)
    y = mixture.sample_conditional(x, 20_000, beta, generator)[0, :, 0]
    cdf = torch.softmax(log_joint, 0).cumsum(0)
    u = cdf[torch.searchsorted(grid[:, 0].contiguous(), y.contiguous()).clamp(max=20_000)]
    assert stats.kstest(u.numpy(), "uniform").pvalue > 1e-4


def test_singular_components_are_atoms(generator: torch.Generator) -> None:
    """Deconvolving by a whole component's variance leaves atoms at the means."""
    mixture = paper_mixture().deconvolved(1.0)
    y = mixture.sample(1000, generator)
    distance = torch.cdist(y, mixture.means).min(1).values
    assert float(distance.max()) < 1e-9
    x = paper_mixture().sample(100, generator)
    # Z of three atoms at slope 1/2 is the unit-variance mixture's density, rescaled.
    expected = paper_mixture().log_prob(x) + math.log(2 * math.pi)
    assert torch.allclose(mixture.log_partition(x, 0.5), expected)


def test_finite_sources(generator: torch.Generator) -> None:
    source = zipf(5, 1.5)
    counts = torch.bincount(source.sample(100_000, generator)[:, 0].long(), minlength=5)
    assert stats.chisquare(counts.numpy(), 1e5 * source.pmf.numpy()).pvalue > 1e-4
    assert bernoulli(0.3).pmf.tolist() == pytest.approx([0.7, 0.3])


def test_capabilities_are_declared_by_having_them() -> None:
    assert isinstance(scalar_gaussian(), HasDensity)
    assert not isinstance(scalar_gaussian(), HasSupport)
    assert isinstance(bernoulli(0.5), HasSupport)
    assert not isinstance(bernoulli(0.5), HasDensity)
    assert isinstance(paper_mixture(), Source)


def test_uniform_has_no_density_outside() -> None:
    x = torch.tensor([[-1.0 - 1e-9], [0.0], [1.5]], dtype=torch.float64)
    assert UniformSource(-1.0, 1.0).log_prob(x).exp().tolist() == pytest.approx([0.0, 0.5, 0.0])


def test_multivariate_student_against_scipy(generator: torch.Generator) -> None:
    source = StudentSource(5.0, 4, scale=2.0, loc=1.0)
    law = stats.multivariate_t(np.ones(4), 4.0 * np.eye(4), df=5)
    x = source.sample(20_000, generator)
    assert torch.allclose(source.log_prob(x), torch.from_numpy(law.logpdf(x.numpy())))
    # ||X - loc||^2 / (d scale^2) has the F law
    radius = ((x - 1.0) / 2.0).square().sum(1).numpy() / 4.0
    assert stats.kstest(radius, stats.f(4.0, 5.0).cdf).pvalue > 1e-4


def test_banana(generator: torch.Generator) -> None:
    source = BananaSource(2.0, -0.3, 0.7)
    x = source.sample(20_000, generator)
    assert float(x.mean(0).abs().max()) < 0.06
    first = x[:, 0].numpy()
    second = (x[:, 1].numpy() + 0.3 * (first**2 - 4.0)) / 0.7
    assert stats.kstest(first / 2.0, "norm").pvalue > 1e-4
    assert stats.kstest(second, "norm").pvalue > 1e-4
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    axes = (torch.arange(*span, 0.1, dtype=torch.float64) for span in ((-14, 14), (-62, 8)))
    mass = source.log_prob(torch.cartesian_prod(*axes)).exp().sum() * 0.1**2
    assert float(mass) == pytest.approx(1.0, abs=1e-9)


# ---------------------------------------------------------------- directions and spheres


@pytest.mark.parametrize("dim", [2, 3, 4, 11, 100])
@pytest.mark.parametrize("kappa", [1e-3, 0.5, 7.0, 400.0])
def test_mean_of_exp_cosine_is_the_integral(dim: int, kappa: float) -> None:
    """log E exp(kappa (u_1 - 1)) and A(kappa), by Gauss's rule in the angle."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    angle = 0.5 * math.pi * (nodes + 1.0)
    law = weights * np.sin(angle) ** (dim - 2)
    tilt = np.exp(kappa * (np.cos(angle) - 1.0))
    value = math.log(law @ tilt) - math.log(law.sum())
    got = log_mean_exp_cosine(dim, np.array([kappa]))[0]
    assert got == pytest.approx(value, abs=1e-11)
    assert mean_cosine(dim, kappa) == pytest.approx(
        (law * tilt) @ np.cos(angle) / (law @ tilt), rel=1e-10
    )


def test_mean_of_exp_cosine_where_bessel_functions_underflow() -> None:
    """d = 1000: I_499(20) is below the smallest float; the series is not."""
    assert special.ive(499.0, 20.0) == 0.0
    z = 0.25 * 20.0**2
    terms = [1.0]
    for k in range(1, 60):
        terms.append(terms[-1] * z / (k * (499.0 + k)))
    got = log_mean_exp_cosine(1000, np.array([0.0, 20.0]))
    assert got[0] == 0.0
    assert got[1] == pytest.approx(math.log(math.fsum(terms)) - 20.0, abs=1e-12)


@pytest.mark.parametrize("dim", [2, 3, 8])
@pytest.mark.parametrize("kappa", [0.0, 0.8, 30.0])
def test_von_mises_fisher_sampler(dim: int, kappa: float) -> None:
    """The cosine to the axis has density (1 - w^2)^((d-3)/2) exp(kappa w)."""
    g = torch.Generator().manual_seed(dim + int(10 * kappa))
    axis = torch.zeros(dim, dtype=torch.float64)
    axis[-1] = 1.0
    n = 8000
    u = sample_von_mises_fisher(axis.expand(n, dim), torch.full((n,), kappa).double(), g)
    assert torch.allclose(u.norm(dim=1), torch.ones(n).double())
    angle = np.linspace(0.0, math.pi, 20_001)
    density = np.sin(angle) ** (dim - 2) * np.exp(kappa * (np.cos(angle) - 1.0))
    cdf = integrate.cumulative_simpson(density, x=angle, initial=0.0)
    drawn = np.arccos(np.clip(u[:, -1].numpy(), -1.0, 1.0))
    assert stats.kstest(np.interp(drawn, angle, cdf / cdf[-1]), "uniform").pvalue > 1e-4
    assert float(u[:, 0].mean().abs()) < 4.0 / math.sqrt(n)  # orthogonal to the axis


def test_sphere(generator: torch.Generator) -> None:
    x = SphereSource(5, 3.0).sample(20_000, generator)
    assert torch.allclose(x.norm(dim=1), torch.full((20_000,), 3.0).double())
    assert torch.allclose(torch.cov(x.T), 9.0 / 5.0 * torch.eye(5).double(), atol=0.06)
    assert not isinstance(SphereSource(5), HasDensity)


@pytest.mark.parametrize("noise", [0.2, 1.0])
def test_noisy_circle_density_is_the_convolution(noise: float) -> None:
    source = NoisySphereSource(2, 1.5, noise)
    x = torch.tensor([[0.0, 0.0], [1.0, 1.0], [-3.0, 0.2]]).double()
    angle = 2.0 * math.pi * np.arange(4000) / 4000
    centres = 1.5 * np.stack([np.cos(angle), np.sin(angle)], 1)
    square = ((x.numpy()[:, None] - centres) ** 2).sum(2)
    density = np.exp(-0.5 * square / noise**2).mean(1) / (2 * math.pi * noise**2)
    assert np.allclose(source.log_prob(x).numpy(), np.log(density), atol=1e-10)


def test_noisy_sphere_sampler_has_its_radius_law(generator: torch.Generator) -> None:
    """||X||^2 / noise^2 is noncentral chi-squared."""
    x = NoisySphereSource(7, 2.0, 0.5).sample(20_000, generator)
    law = stats.ncx2(7, (2.0 / 0.5) ** 2)
    assert stats.kstest((x.norm(dim=1).numpy() / 0.5) ** 2, law.cdf).pvalue > 1e-4


# ---------------------------------------------------------------- products, mixtures, finite


def test_product_is_rotated_and_independent(generator: torch.Generator) -> None:
    marginals: tuple[Any, ...] = (
        UniformSource(0.0, 1.0),
        LaplacianSource(2.0, 3.0),
        scalar_gaussian(-1.0, 0.5),
    )
    source = ProductSource("mixed", marginals, orthogonal(3))
    x = source.sample(20_000, generator)
    z = source.coordinates(x)
    for i, law in enumerate((stats.uniform(), stats.laplace(2.0, 3.0), stats.norm(-1.0, 0.5))):
        assert stats.kstest(z[:, i].numpy(), law.cdf).pvalue > 1e-4
    parts = [m.log_prob(z[:, [i]]) for i, m in enumerate(marginals)]
    assert torch.allclose(source.log_prob(x), torch.stack(parts).sum(0))
    correlation = np.corrcoef(z.numpy().T)
    assert np.abs(correlation - np.eye(3)).max() < 0.03


def test_cube_in_a_hundred_dimensions(generator: torch.Generator) -> None:
    cube = rotated_product(UniformSource(-1.0, 1.0), 100)
    x = cube.sample(50, generator)
    assert float(cube.coordinates(x).abs().max()) <= 1.0
    assert torch.allclose(cube.log_prob(x), torch.full((50,), -100.0 * math.log(2.0)).double())
    assert not torch.allclose(cube.basis, torch.eye(100).double(), atol=0.1)


@pytest.mark.parametrize("dim", [3, 10])
def test_eight_modes_keep_their_distances(dim: int) -> None:
    distances = torch.cdist(eight_modes(dim).means, eight_modes(dim).means)
    nearest = (distances + 1e9 * torch.eye(8)).min(1).values
    assert float(nearest.min()) == pytest.approx(2.573, abs=1e-3)
    assert float(nearest.max()) == pytest.approx(6.574, abs=1e-3)
    assert torch.allclose(eight_modes(dim).covs, torch.eye(dim).double().expand(8, dim, dim))


def test_random_table_is_frozen() -> None:
    """The legacy generator's stream never changes; the table is part of the problem."""
    table = random_table(500, 500)
    assert float(table[0, 0]) == 0.9143733917592045
    assert float(table[-1, -1]) == 0.4210593735163414
    assert uniform_letters(4).pmf.tolist() == [0.25] * 4


# ---------------------------------------------------------------- digits


def test_digits() -> None:
    pytest.importorskip("sklearn")
    plane, pixels = DigitsSource(2), DigitsSource()
    assert isinstance(plane, HasSupport)
    assert isinstance(plane, Source)
    assert pixels.support.shape == (1797, 64)
    assert float(pixels.support.max()) == 1.0
    assert float(plane.pmf.sum()) == pytest.approx(1.0)
    # the projection keeps the two largest eigenvalues of the covariance
    eigenvalues = torch.linalg.eigvalsh(torch.cov(pixels.support.T, correction=0))
    kept = torch.cov(plane.support.T, correction=0)
    assert kept.diagonal().tolist() == pytest.approx(eigenvalues[-2:].flip(0).tolist(), abs=1e-5)
    assert abs(float(kept[0, 1])) < 1e-5
    drawn = plane.sample(100, torch.Generator().manual_seed(0))
    same = (drawn[:, None] == plane.support).all(2)
    assert bool(same.any(1).all())


def test_principal_coordinates_do_not_depend_on_a_sign() -> None:
    x = np.random.default_rng(0).standard_normal((50, 4)) * [3.0, 2.0, 1.0, 0.5]
    assert np.array_equal(np.abs(principal(x, 2)), np.abs(principal(-x, 2)))
    scaled = principal(x, 2) * 1e6
    assert np.allclose(scaled, np.round(scaled), atol=1e-3)


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(RdbenchError, match=r"pip install 'rdbench\[data\]'"):
        _ = DigitsSource(2).support


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: scalar_gaussian(0.0, 0.0), "positive"),
        (lambda: scalar_gaussian(0.0, math.nan), "positive"),
        (lambda: vector_gaussian(0), "at least 1"),
        (lambda: vector_gaussian(3, "pink"), "ramp, flat, nerd"),
        (lambda: LaplacianSource(0.0, -1.0), "positive"),
        (lambda: bernoulli(1.5), r"\[0, 1\]"),
        (lambda: zipf(0), "at least 1"),
        (
            lambda: FiniteSource("x", torch.zeros(2, 1).double(), torch.ones(2).double()),
            "sum to one",
        ),
        (lambda: UniformSource(1.0, 1.0), "lo < hi"),
        (lambda: UniformSource(0.0, math.inf), "finite"),
        (lambda: StudentSource(0.0), "degrees of freedom"),
        (lambda: StudentSource(5.0, scale=math.nan), "scale"),
        (lambda: StudentSource(5.0, 0), "at least 1"),
        (lambda: StudentSource(5.0, loc=math.inf), "loc"),
        (lambda: BananaSource(noise=0.0), "noise"),
        (lambda: BananaSource(bend=math.nan), "bend"),
        (lambda: SphereSource(1), "at least 2"),
        (lambda: SphereSource(3, -1.0), "radius"),
        (lambda: NoisySphereSource(3, 1.0, 0.0), "noise"),
        (lambda: rotated_product(UniformSource(), 0), "at least 1"),
        (lambda: rotated_product(StudentSource(5.0, 2), 3), "scalar source"),
        (lambda: ProductSource("x", (UniformSource(),), torch.ones(2, 2).double()), "orthogonal"),
        (lambda: eight_modes(2), "at least 3"),
        (lambda: lifted_mixture(1), "at least 2"),
        (lambda: uniform_letters(0), "at least 1"),
        (lambda: DigitsSource(65), "1 to 64"),
    ],
)
def test_bad_parameters_say_what_is_valid(make, word: str) -> None:
    with pytest.raises(RdbenchError, match=word):
        make()


def test_a_beta_source_has_the_density_and_the_draws_of_its_law() -> None:
    source = BetaSource(2.0, 3.5)
    x = torch.linspace(-0.2, 1.2, 57, dtype=torch.float64)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = stats.beta(2.0, 3.5).logpdf(x[:, 0].numpy())
    assert np.allclose(source.log_prob(x).numpy(), expected)
    draws = source.sample(4000, torch.Generator().manual_seed(3))[:, 0].numpy()
    assert stats.kstest(draws, stats.beta(2.0, 3.5).cdf).pvalue > 1e-3
    assert float(BetaSource(1.0, 1.0).log_prob(torch.zeros(1, 1))) == 0.0
    with pytest.raises(RdbenchError, match="a and b of at least 1"):
        BetaSource(0.5, 1.0)
