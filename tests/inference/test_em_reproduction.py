"""Minimising F over Gaussian mixtures, against loops, optimisers and reverse water-filling."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from torch import Generator, Tensor

from rdbench.inference.components import choose_observed
from rdbench.inference.reproduction import (
    Batch,
    climb,
    fit_observed,
    fit_reproduction,
    lagrangian,
    moments,
    parameters,
    pooled,
)
from rdbench.sources.gaussian import orthogonal
from rdbench.sources.mixture import GaussianMixture, paper_mixture


def _skewed(n: int, dim: int, generator: Generator) -> Tensor:
    """Draws that are no mixture of few Gaussians, with dependent coordinates."""
    z = torch.randn(n, dim, generator=generator, dtype=torch.float64)
    z[:, 0] = z[:, 0].square() - 0.5 * z[:, -1]
    return z @ orthogonal(dim)


def _mixture(size: int, dim: int, generator: Generator, least: float = 0.3) -> GaussianMixture:
    means = torch.randn(size, dim, generator=generator, dtype=torch.float64)
    root = torch.randn(size, dim, dim, generator=generator, dtype=torch.float64)
    covs = root @ root.transpose(1, 2) + least * torch.eye(dim, dtype=torch.float64)
    weights = torch.rand(size, generator=generator, dtype=torch.float64) + 0.2
    return GaussianMixture(weights / weights.sum(), means, covs)


def test_one_component_is_reverse_water_filling(generator: Generator) -> None:
    """F of the fit is the closed form for the covariance of the draws."""
    x = _skewed(4000, 3, generator)
    variances = np.linalg.eigvalsh(np.cov(x.numpy().T, ddof=0))
    start = GaussianMixture(
        torch.ones(1).double(), torch.zeros(1, 3).double(), torch.eye(3).double()[None]
    )
    for beta in (0.05, 0.6, 2.0, 500.0):
        q = fit_reproduction(x, beta, start)
        least = np.minimum(variances, 0.5 / beta)
        expected = float((0.5 * np.log(variances / least) + beta * least).sum())
        assert lagrangian(q, x, beta) == pytest.approx(expected, abs=1e-9)
        assert float(q.variances.min()) >= 0.0


@pytest.mark.parametrize("tied", [False, True])
def test_one_iteration_is_the_textbook_step(tied: bool, generator: Generator) -> None:
    """Responsibilities and weighted moments by loops; then the eigenvalues are raised."""
    x = _skewed(500, 3, generator) + 2.0
    start = _mixture(3, 3, generator, least=2.5)
    if tied:
        shared = torch.einsum("k,kij->ij", start.weights, start.covs)
        start = GaussianMixture(start.weights, start.means, shared.expand(3, 3, 3))
    found = fit_observed(x, start, least=0.01, tied=tied, iterations=1)
    data = x.numpy()
    joint = np.stack(
        [
            float(w) * multivariate_normal(m.numpy(), c.numpy()).pdf(data)
            for w, m, c in zip(start.weights, start.means, start.covs, strict=True)
        ],
        1,
    )
    responsibilities = joint / joint.sum(1, keepdims=True)
    covs = []
    for k in range(3):
        r = responsibilities[:, k]
        mean = (r @ data) / r.sum()
        covs.append(((data - mean).T * r) @ (data - mean) / r.sum())
        assert float(found.weights[k]) == pytest.approx(r.mean(), abs=1e-12)
        assert np.allclose(found.means[k].numpy(), mean, atol=1e-12)
    if tied:
        covs = [sum(w * c for w, c in zip(responsibilities.mean(0), covs, strict=True))] * 3
    assert np.allclose(found.covs.numpy(), np.stack(covs), atol=1e-12)
    least = float(np.median(np.linalg.eigvalsh(found.covs[0].numpy())))
    values, vectors = np.linalg.eigh(np.stack(covs))
    expected = (vectors * np.maximum(values, least)[:, None, :]) @ vectors.transpose(0, 2, 1)
    assert float(start.variances.min()) >= least  # the start is left as it is
    raised = fit_observed(x, start, least, tied=tied, iterations=1)
    assert np.allclose(raised.covs.numpy(), expected, atol=1e-12)


def test_the_constrained_covariance_is_the_best_one(generator: Generator) -> None:
    """No covariance above v I near the fit has a higher likelihood."""
    x, least = _skewed(2000, 3, generator), 0.9
    best = fit_observed(x, _mixture(1, 3, generator), least)
    score = float(best.log_prob(x).mean())
    values, vectors = torch.linalg.eigh(best.covs[0])
    assert float(values[0]) == pytest.approx(least)  # the constraint is active
    assert float(values[2]) > least + 0.1
    for _ in range(200):
        root = torch.randn(3, 3, generator=generator, dtype=torch.float64)
        tilt = torch.linalg.matrix_exp(0.1 * (root - root.T))
        stretch = values * (0.2 * torch.randn(3, generator=generator, dtype=torch.float64)).exp()
        axes = tilt @ vectors
        other = (axes * stretch.clamp(min=least)) @ axes.T
        rival = GaussianMixture(best.weights, best.means, other[None])
        assert float(rival.log_prob(x).mean()) <= score + 1e-12


def test_it_finds_what_a_general_optimiser_finds(generator: Generator) -> None:
    """min F over two components in 1-D by Nelder-Mead, in weights, means and variances."""
    source = GaussianMixture(
        torch.tensor([0.6, 0.4], dtype=torch.float64),
        torch.tensor([[0.0], [4.0]]).double(),
        torch.tensor([[[0.25]], [[2.0]]]).double(),
    )
    x, beta = source.sample(600, generator), 0.7  # v lies between the two variances
    data, v = x[:, 0].numpy(), 0.5 / beta

    def free_energy(theta: np.ndarray) -> float:
        w = 1.0 / (1.0 + math.exp(-theta[0]))
        z = np.zeros_like(data)
        for share, mean, root in ((w, theta[1], theta[3]), (1 - w, theta[2], theta[4])):
            total = root**2 + v
            z += share * np.exp(-((data - mean) ** 2) / (2 * total)) * math.sqrt(v / total)
        return float(-np.log(z).mean())

    expected = minimize(
        free_energy,
        np.array([0.5, 0.0, 4.0, 1.0, 1.0]),
        method="Nelder-Mead",
        options={"maxiter": 20_000, "maxfev": 20_000, "xatol": 1e-9, "fatol": 1e-13},
    ).fun
    q = fit_reproduction(x, beta, source, iterations=5000, tolerance=1e-12)
    assert lagrangian(q, x, beta) == pytest.approx(expected, abs=1e-7)


def test_the_floor_costs_what_is_said(generator: Generator) -> None:
    x = 0.05 * torch.randn(2000, 4, generator=generator, dtype=torch.float64)
    start = _mixture(1, 4, generator)
    plain = fit_reproduction(x, 1.0, start)
    floored = fit_reproduction(x, 1.0, start, floor=1e-3)
    assert float(plain.variances.max()) < 1e-15
    assert float(floored.variances.min()) == pytest.approx(0.5e-3, rel=1e-6)
    cost = lagrangian(floored, x, 1.0) - lagrangian(plain, x, 1.0)
    unused = float((1.0 - (x - x.mean(0)).square().mean(0) / 0.5).sum())
    assert cost == pytest.approx(0.5e-3 * unused, rel=1e-2)


@pytest.mark.parametrize("tied", [False, True])
def test_no_iteration_raises_f(tied: bool, generator: Generator) -> None:
    x, q = _skewed(1500, 3, generator), _mixture(4, 3, generator)
    scores = [lagrangian(q, x, 1.3)]
    for _ in range(25):
        q = fit_reproduction(x, 1.3, q, tied=tied, iterations=1)
        scores.append(lagrangian(q, x, 1.3))
    # the first step may raise F: it ties the covariances of the start
    assert max(np.diff(scores[1:])) <= 1e-12
    assert scores[-1] < scores[1] - 0.01


def test_mixtures_of_a_batch_do_not_mix(generator: Generator) -> None:
    x = _skewed(800, 2, generator)
    starts = [_mixture(3, 2, generator) for _ in range(2)]
    batch = Batch(
        torch.stack([s.weights for s in starts]),
        torch.stack([s.means for s in starts]),
        torch.stack([s.covs for s in starts]),
    )
    together, likelihood = climb(x, batch, 0.2, tied=False, iterations=7, tolerance=0.0)
    for i, start in enumerate(starts):
        alone = fit_observed(x, start, 0.2, iterations=7, tolerance=0.0)
        assert torch.allclose(together[i].covs, alone.covs, atol=1e-10)
        before = fit_observed(x, start, 0.2, iterations=6, tolerance=0.0)
        assert float(likelihood[i]) == pytest.approx(float(before.log_prob(x).mean()), abs=1e-9)


def test_the_fit_moves_with_the_source(generator: Generator) -> None:
    """Turned, shifted and scaled draws give the turned, shifted and scaled mixture."""
    x, q = _skewed(1000, 3, generator), _mixture(2, 3, generator)
    turn = orthogonal(3).flip(0)
    moved = 100.0 + 1e-3 * x @ turn.T
    start = GaussianMixture(
        q.weights, 100.0 + 1e-3 * q.means @ turn.T, 1e-6 * turn @ q.covs @ turn.T
    )
    here = fit_reproduction(x, 0.8, q, iterations=15)
    there = fit_reproduction(moved, 0.8e6, start, iterations=15)
    assert torch.allclose(there.means, 100.0 + 1e-3 * here.means @ turn.T, atol=1e-9)
    assert torch.allclose(there.covs, 1e-6 * turn @ here.covs @ turn.T, atol=1e-12)


def test_it_stops_when_told(generator: Generator) -> None:
    x, q = _skewed(1000, 2, generator), _mixture(3, 2, generator)
    stopped = fit_observed(x, q, 0.01, go_on=lambda: False)
    assert torch.equal(stopped.means, q.means)
    choice = choose_observed(x, x, 0.01, 8, generator, go_on=lambda: False)
    assert choice.mixture.size == 1


def test_moments_of_parts_are_moments_of_the_whole(generator: Generator) -> None:
    x = _skewed(900, 3, generator) + 5.0
    parts = pooled(moments(x[:100]), moments(x[100:]))
    assert torch.allclose(parts.mean, x.mean(0))
    assert np.allclose(parts.cov.numpy(), np.cov(x.numpy().T, ddof=0))
    assert parts.count == 900


def test_the_choice_of_components(generator: Generator) -> None:
    gaussian = _mixture(1, 3, generator)
    one = choose_observed(
        gaussian.sample(6000, generator), gaussian.sample(3000, generator), 1e-3, 8, generator
    )
    assert one.mixture.size == 1
    assert one.parameters == 9 == parameters(1, 3, False)

    paper = paper_mixture()
    held = paper.sample(3000, generator)
    three = choose_observed(paper.sample(6000, generator), held, 1e-3, 8, generator)
    assert (three.mixture.size, three.tied, three.parameters) == (3, True, 2 + 6 + 3)
    assert torch.cdist(paper.means, three.mixture.means).min(1).values.max() < 0.15

    # two held-out draws have no error of a gain to go by
    few = choose_observed(
        paper.sample(6000, generator), held[:2], 1e-3, 8, Generator().manual_seed(1)
    )
    assert few.mixture.size == 1

    # Around one centre: only widths of their own tell these components apart.
    covs = torch.stack([torch.eye(2), 25.0 * torch.eye(2)]).double()
    nested = GaussianMixture(torch.tensor([0.5, 0.5]).double(), torch.zeros(2, 2).double(), covs)
    both = choose_observed(
        nested.sample(6000, generator), nested.sample(3000, generator), 1e-3, 2, generator
    )
    assert (both.mixture.size, both.tied) == (2, False)
    widths = both.mixture.covs.diagonal(dim1=1, dim2=2).mean(1).sort().values
    assert torch.allclose(widths, torch.tensor([1.0, 25.0]).double(), rtol=0.15)
