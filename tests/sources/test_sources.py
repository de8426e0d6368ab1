"""Sources: samplers agree with densities, moments and probabilities; bad parameters are named."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from rdbench.sources.finite import FiniteSource, bernoulli, zipf
from rdbench.sources.gaussian import SPECTRA, orthogonal, scalar_gaussian, vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture, isotropic_mixture, paper_mixture
from rdbench.types import HasDensity, HasSupport, RdbenchError, Source

SCALARS = [
    (scalar_gaussian(3.0, 2.0), stats.norm(3.0, 2.0)),
    (scalar_gaussian(100.0, 1e-3), stats.norm(100.0, 1e-3)),
    (LaplacianSource(3.0, 2.0), stats.laplace(3.0, 2.0)),
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
    ],
)
def test_bad_parameters_say_what_is_valid(make, word: str) -> None:
    with pytest.raises(RdbenchError, match=word):
        make()
