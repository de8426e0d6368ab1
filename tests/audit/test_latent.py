"""Importance sampling in the latent space against pushforwards whose F is known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from rdbench.audit.laplace import laplace
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.mixture import GaussianMixture, isotropic_mixture
from rdbench.types import Density, Pushforward


def _linear(dim: int, rate: float) -> tuple[Tensor, float, GaussianMixture]:
    """The optimal q as a linear map of N(0, I), the slope, and q."""
    source = vector_gaussian(dim)
    beta = WaterFilling(source).slope(rate)
    root = source.basis * (source.stds**2 - 0.5 / beta).clamp(min=0.0).sqrt()
    mean = torch.zeros(1, dim).double()
    return root, beta, GaussianMixture(torch.ones(1).double(), mean, (root @ root.T)[None])


@pytest.mark.parametrize("rate", [0.5, 5.0, 20.0, 30.0])
def test_a_linear_decoder_in_ten_dimensions(rate: float, run: Any, channel: Any) -> None:
    """The exact q: its gap is zero. The plug-in with 4,000 draws is hundreds of nats off."""
    root, beta, _ = _linear(10, rate)
    source = vector_gaussian(10)
    exact = channel(beta, Pushforward(lambda z: z @ root.T, 10))
    found = run(exact, source, WaterFilling(source))
    assert found.side == "upper"
    assert math.isnan(found.gap_lo)
    assert abs(found.gap) < 0.005
    assert found.gap_hi >= 0.0


@pytest.mark.parametrize(("width", "offset"), [(1.0, 0.0), (1.4, 0.0), (1.0, -1.0)])
def test_an_encoder_proposes(
    width: float, offset: float, evaluate: Any, error: Any, posterior: Any
) -> None:
    """A density that is not that of its draws would shift F by as much: it is left out."""
    root, beta, q = _linear(5, 8.0)
    marginal = Pushforward(
        lambda z: (z @ root.T).detach(), 5, encoder=posterior(root, beta, offset, width)
    )
    x = vector_gaussian(5).sample(500, Generator().manual_seed(2))
    found = evaluate(marginal, x, beta)
    assert ("encoder" in found.method) is (offset == 0.0)
    assert -0.005 < error(found, q, x, beta) < (0.04 if offset == 0.0 else math.inf)


def _bent(z: Tensor) -> Tensor:
    """R -> R^2, folded: some x have two latent explanations."""
    return torch.cat([torch.sinh(z), z**2 - 1.0], 1)


@pytest.mark.parametrize("beta", [0.7, 20.0])
def test_a_bent_decoder_against_quadrature(beta: float, evaluate: Any) -> None:
    z = torch.linspace(-9.0, 9.0, 100_001, dtype=torch.float64)[:, None]
    log_p = torch.log_softmax(-0.5 * z[:, 0] ** 2, 0)
    generator = Generator().manual_seed(4)
    marginal = Pushforward(_bent, 1)
    x = marginal.sample(400, generator)
    x = x + torch.randn(x.shape, generator=generator, dtype=torch.float64) / math.sqrt(2 * beta)
    exact = -torch.logsumexp(log_p - beta * SquaredError().pairwise(x, _bent(z)), 1)
    found = evaluate(marginal, x, beta, seed=5)
    ratio = torch.exp(exact - found.potential)
    assert abs(float(ratio.mean()) - 1.0) < 4.0 * float(ratio.std()) / math.sqrt(len(x)) + 1e-3
    assert -0.005 < float((found.potential - exact).mean()) < 0.03


def test_a_prior_of_its_own(evaluate: Any, error: Any) -> None:
    """Identity decoder and a mixture prior: the Gaussian that stands in for it only proposes."""
    q = isotropic_mixture(torch.tensor([[-3.0, 0.0], [3.0, 1.0]]).double(), 0.7)
    marginal = Pushforward(lambda z: z, 2, prior=Density(q.sample, q.log_prob))
    x = q.sample(500, Generator().manual_seed(2))
    assert error(evaluate(marginal, x, 6.0), q, x, 6.0) == pytest.approx(0, abs=0.02)
    wrong = dataclasses.replace(marginal, prior=Density(q.sample, lambda z: q.log_prob(z) + 0.5))
    with pytest.raises(ValueError, match="integrates to exp"):
        evaluate(wrong, x, 6.0)


def test_the_proposal_of_a_linear_decoder_is_the_posterior() -> None:
    root, beta, _ = _linear(4, 6.0)
    x = vector_gaussian(4).sample(5, Generator().manual_seed(2))
    found = laplace(Pushforward(lambda z: z @ root.T, 4), SquaredError(), x, beta, Generator())
    assert found is not None
    precision = torch.eye(4).double() + 2.0 * beta * root.T @ root
    mean = 2.0 * beta * torch.linalg.solve(precision, root.T @ x.T).T
    assert torch.allclose(found.mean, mean[:, None].expand(-1, 3, -1), atol=1e-2)
    z = found.sample(30_000, Generator().manual_seed(3))
    cov = 1.1 * torch.linalg.inv(precision)
    assert torch.allclose(z[1].T.cov(), cov, atol=0.05 * float(cov.diagonal().max()))
    laws = MultivariateNormal(found.mean[1, :, None], cov)
    expected = torch.logsumexp(laws.log_prob(z[1].expand(3, -1, -1)), 0) - math.log(3.0)
    assert torch.allclose(found.log_prob(z)[1], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("decode", "distortion"),
    [
        (lambda z: (2.0 * z).detach(), SquaredError()),
        (lambda z: 2.0 * z, AbsoluteError()),
    ],
    ids=["no gradient", "absolute error"],
)
def test_the_plug_in_is_the_fallback(
    decode: Callable[[Tensor], Tensor], distortion: SquaredError | AbsoluteError, evaluate: Any
) -> None:
    x = torch.linspace(-2.0, 2.0, 20, dtype=torch.float64)[:, None]
    found = evaluate(Pushforward(decode, 1), x, 3.0, distortion=distortion)
    assert found.method.startswith("plug-in")
