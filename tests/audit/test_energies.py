"""Energies whose F is known, by quadrature and annealing, and faults that must be caught."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit import AuditSize
from rdbench.audit.annealed import annealed
from rdbench.audit.quadrature import quadrature
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.finite import FiniteSource
from rdbench.sources.gaussian import GaussianSource, scalar_gaussian, vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture, isotropic_mixture, paper_mixture
from rdbench.types import (
    Audited,
    Energy,
    Problem,
)


def _energy(q: GaussianMixture, offset: float = 3.7) -> Energy:
    """q as an energy with an arbitrary constant, drawn exactly."""

    def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
        value, grad = q.energy_and_grad(y)
        return value + offset, grad

    return Energy(sample=q.sample, value_and_grad=value_and_grad)


def _gaussian_marginal(source: GaussianSource, beta: float, inflation: float) -> GaussianMixture:
    """The optimal marginal with its covariance inflated, so that F(q) > F*."""
    v = (source.stds**2 - 0.5 / beta).clamp(min=0.0) * inflation + 1e-3
    cov = (source.basis * v) @ source.basis.T
    return GaussianMixture(torch.ones(1).double(), source.mean[None], cov[None])


def _gaussian_gap(source: GaussianSource, beta: float, inflation: float) -> float:
    """F(q) - F* in closed form: sum of log(1 + 2 beta v)/2 + beta s2/(1 + 2 beta v)."""
    s2 = source.stds**2
    v = (s2 - 0.5 / beta).clamp(min=0.0) * inflation + 1e-3
    spread = 1.0 + 2.0 * beta * v
    value = float((0.5 * spread.log() + beta * s2 / spread).sum())
    return value - WaterFilling(source).point(beta).lagrangian.mid


@pytest.mark.parametrize("beta", [0.3, 2.0, 800.0])
def test_quadrature_of_a_gaussian_energy(beta: float, run: Any, channel: Any) -> None:
    source = scalar_gaussian(3.0, 2.0)
    q = _gaussian_marginal(source, beta, 1.2)
    gaps, width = [], 0.0
    for seed in range(6):
        result = run(channel(beta, _energy(q), q), source, WaterFilling(source), seed=seed)
        gaps.append(result.gap)
        width = result.gap_hi - result.gap_lo
        assert result.side == "exact"
    error = float(np.std(gaps, ddof=1)) / math.sqrt(6)
    assert abs(np.mean(gaps) - _gaussian_gap(source, beta, 1.2)) < 5 * error + 1e-4
    assert 0.0 < width < 0.02


@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_quadrature_in_two_dimensions_far_from_the_origin(
    mean: float, run: Any, channel: Any
) -> None:
    source = vector_gaussian(2, mean=mean)
    q = _gaussian_marginal(source, 40.0, 1.1)
    result = run(channel(40.0, _energy(q), q), source, WaterFilling(source))
    truth = _gaussian_gap(source, 40.0, 1.1)
    assert result.gap_lo - 0.002 <= truth <= result.gap_hi + 0.002
    assert result.gap == pytest.approx(truth, abs=0.01)
    assert result.rate - WaterFilling(source).rate(result.distortion).mid == pytest.approx(
        result.rate_error
    )


def test_quadrature_with_absolute_error(run: Any, channel: Any) -> None:
    """A Laplacian q: Z is the convolution of two Laplacians, known in closed form."""
    source = LaplacianSource(3.0, 2.0)
    reference = LaplacianAbsolute(source)
    beta, a = 4.0, 1.0 / 1.7
    energy = Energy(
        sample=lambda n, g: LaplacianSource(3.0, 1.7).sample(n, g),
        value_and_grad=lambda y: (a * (y[:, 0] - 3.0).abs(), a * (y - 3.0).sign()),
    )
    result = run(channel(beta, energy), Problem(source, AbsoluteError()), reference)
    s = np.linspace(0, 120, 2_000_001)
    z = a * (beta * np.exp(-a * s) - a * np.exp(-beta * s)) / (beta**2 - a**2)
    value = -np.trapezoid(np.exp(-s / 2) / 2 * np.log(z), s)
    truth = value - reference.point(beta).lagrangian.mid
    assert result.gap_lo - 1e-3 <= truth <= result.gap_hi + 1e-3


@pytest.mark.parametrize("rate", [1.0, 6.0, 25.0])
def test_annealing_of_a_gaussian_energy(rate: float, run: Any, channel: Any) -> None:
    source = vector_gaussian(10)
    reference = WaterFilling(source)
    beta = reference.slope(rate)
    q = _gaussian_marginal(source, beta, 1.1)
    truth = _gaussian_gap(source, beta, 1.1)
    inside, gaps = 0, []
    for seed in range(3):
        result = run(channel(beta, _energy(q), q), source, reference, seed=seed)
        inside += result.gap_lo <= truth <= result.gap_hi
        gaps.append(result.gap)
        assert result.side == "estimate"
    assert inside == 3
    assert np.mean(gaps) == pytest.approx(truth, abs=0.01)


def test_annealing_of_a_multimodal_energy(run: Any, channel: Any) -> None:
    means = torch.zeros(3, 4, dtype=torch.float64)
    means[:, :2] = paper_mixture().means
    source = isotropic_mixture(means)
    reference = TightShannonBound(source)
    beta = 3.0
    q = reference.reproduction(beta)
    result = run(channel(beta, _energy(q), q), source, reference, seed=3)
    assert "3 components" in result.method
    assert result.gap_lo <= 0.0 <= result.gap_hi
    assert abs(result.gap) < 0.015


def _two_modes(dim: int) -> GaussianMixture:
    means = torch.zeros(2, dim, dtype=torch.float64)
    means[:, 0] = torch.tensor([-6.0, 6.0])
    return isotropic_mixture(means)


def test_a_missed_mode_is_caught(run: Any, channel: Any, small: AuditSize) -> None:
    """Marginal chains that know one mode of two: both directions agree on a log Z that is ln 2
    too small, and without the conditional half the energy would score ln 2 below the truth."""
    source = _two_modes(4)
    reference = TightShannonBound(source)
    beta = 5.0
    q = reference.reproduction(beta)

    def one_mode(n: int, g: Generator) -> Tensor:
        y = q.sample(n, g)
        y[:, 0] = y[:, 0].abs()
        return y

    honest = channel(beta, _energy(q), q)
    faulty = dataclasses.replace(honest, marginal=dataclasses.replace(_energy(q), sample=one_mode))
    problem = Problem(source, SquaredError())
    results: list[Audited] = [run(c, problem, reference) for c in (honest, faulty)]
    assert abs(results[0].gap) < 0.015
    assert math.isnan(results[1].gap)  # no point is reported
    assert not results[1].accepted
    # and the bracket holds the truth: log Z is anything from one mode's to both modes'
    assert results[1].gap_lo <= 0.0
    assert results[1].gap_hi >= -0.015
    # The fault is real: with both halves blind, the same audit is fooled by ln 2.
    blind = dataclasses.replace(
        faulty,
        sample_conditional=lambda x, k, g: q.sample_conditional(x, k, beta, g).index_select(
            0, torch.nonzero(x[:, 0] > 0)[:, 0]
        )[torch.arange(len(x)) % int((x[:, 0] > 0).sum())],
    )
    x = source.sample(1000, Generator().manual_seed(1))
    partition_only = annealed(blind, blind.marginal, x, small, Generator().manual_seed(1))  # type: ignore[arg-type]
    pilot = partition_only.potential
    assert float((pilot - reference.potential(x, beta)[: len(pilot)]).median()) < -0.5


def test_mass_that_no_box_holds_is_refused(channel: Any) -> None:
    """A flat energy has no Z: quadrature must not report a point."""
    source = scalar_gaussian()
    flat = Energy(
        sample=source.sample,
        value_and_grad=lambda y: (torch.zeros(len(y)).double(), torch.zeros_like(y)),
    )
    result = quadrature(
        channel(1.0, flat),
        flat,
        SquaredError(),
        source.sample(100, Generator().manual_seed(1)),
        Generator().manual_seed(1),
    )
    assert not result.accepted


def test_a_collapsed_energy_does_not_underflow(run: Any, channel: Any) -> None:
    """q at one point, beta huge: exp underflows for every x, the gap is finite and enormous."""
    source = vector_gaussian(2)
    reference = WaterFilling(source)
    q = GaussianMixture(
        torch.ones(1).double(),
        torch.full((1, 2), 3.0).double(),
        (1e-2 * torch.eye(2).double())[None],
    )
    beta = 300.0
    result = run(channel(beta, _energy(q), q), source, reference, symbols=300)
    truth = float((-q.log_partition(source.sample(20_000, Generator()), beta)).mean())
    expected = truth - reference.point(beta).lagrangian.mid
    assert result.gap == pytest.approx(expected, rel=0.1)
    assert expected > 100.0


@pytest.mark.parametrize(("width", "beta"), [(0.003, 20.0), (1e-3, 1.0)])
def test_a_spike_between_the_nodes_is_seen(width: float, beta: float, channel: Any) -> None:
    """q = .7 N(0, .85) + .3 N(.0123, width^2): two grids that both step over the spike agree."""
    source = scalar_gaussian()
    q = GaussianMixture(
        torch.tensor([0.7, 0.3]).double(),
        torch.tensor([[0.0], [0.0123]], dtype=torch.float64),
        torch.tensor([[[0.85]], [[width**2]]], dtype=torch.float64),
    )
    x = source.sample(1000, Generator().manual_seed(5))
    made = channel(beta, _energy(q), q)
    result = quadrature(made, _energy(q), SquaredError(), x, Generator().manual_seed(1))
    exact = -q.log_partition(x, beta)
    assert result.accepted
    assert torch.allclose(result.potential, exact, atol=1e-3)


def test_a_far_mode_that_nobody_visits_is_seen_in_one_dimension(channel: Any) -> None:
    source = scalar_gaussian()
    q = isotropic_mixture(torch.tensor([[0.0], [40.0]]).double(), 0.7)
    near = isotropic_mixture(torch.tensor([[0.0]]).double(), 0.7)
    energy = dataclasses.replace(_energy(q), sample=near.sample)
    x = source.sample(500, Generator().manual_seed(5))
    result = quadrature(channel(1.0, energy), energy, SquaredError(), x, Generator())
    assert torch.allclose(result.potential, -q.log_partition(x, 1.0), atol=1e-3)


def test_a_plug_in_that_cannot_carry_the_rate_has_no_lower_end(run: Any, channel: Any) -> None:
    source = vector_gaussian(3)
    q = _gaussian_marginal(source, 30.0, 1.1)
    result = run(
        channel(30.0, _energy(q), q), Problem(source, AbsoluteError()), WaterFilling(source)
    )
    assert not result.accepted
    assert result.gap_lo == -math.inf


def test_same_generator_same_answer(run: Any, channel: Any) -> None:
    source = vector_gaussian(3)
    q = _gaussian_marginal(source, 2.0, 1.1)
    results = [
        run(channel(2.0, _energy(q), q), source, WaterFilling(source), seed=7) for _ in range(2)
    ]
    assert repr(results[0]) == repr(results[1])


def test_one_symbol_has_an_infinite_interval(run: Any, channel: Any) -> None:
    source = scalar_gaussian()
    q = _gaussian_marginal(source, 2.0, 1.1)
    result = run(channel(2.0, _energy(q), q), source, WaterFilling(source), symbols=1, seed=7)
    assert result.gap_hi - result.gap_lo == math.inf


def test_an_energy_on_a_finite_source(run: Any, channel: Any, no_potential: Any) -> None:
    """Symbols are drawn by their probabilities, and quadrature does the rest."""
    support = torch.tensor([[-2.0], [0.0], [3.0]]).double()
    source = FiniteSource("three", support, torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64))
    q = isotropic_mixture(torch.tensor([[-2.0], [3.0]]).double(), 0.6)
    result = run(channel(2.0, _energy(q), q), source, no_potential(scalar_gaussian()), seed=7)
    exact = -q.log_partition(support, 2.0)
    error = float((source.pmf @ (exact - source.pmf @ exact) ** 2).sqrt()) / math.sqrt(1000)
    assert result.method.startswith("quadrature")
    assert abs(result.lagrangian - float(source.pmf @ exact)) < 4.0 * error + 1e-4


def test_outside_the_reference_there_is_no_gap(run: Any, channel: Any) -> None:
    source = paper_mixture()
    q = source
    result = run(channel(0.2, _energy(q), q), source, TightShannonBound(source), seed=7)
    assert math.isnan(result.gap)
    assert math.isnan(result.gap_lo)
    assert math.isfinite(result.lagrangian)


@pytest.mark.parametrize("narrow", [1e-3, 1e-6])
def test_a_q_that_is_narrow_across_a_slanted_line(narrow: float, channel: Any) -> None:
    """At low rate q is a rotated needle in the plane of the source: few nodes have to do."""
    source = vector_gaussian(2)
    cov = source.basis @ torch.diag(torch.tensor([0.1, narrow]).double()) @ source.basis.T
    q = GaussianMixture(torch.ones(1).double(), torch.zeros(1, 2).double(), cov[None])
    x = source.sample(500, Generator().manual_seed(1))
    energy = _energy(q)
    result = quadrature(channel(0.7, energy, q), energy, SquaredError(), x, Generator())
    assert result.accepted
    assert int(result.method.split()[1]) < 100_000
    assert torch.allclose(result.potential, -q.log_partition(x, 0.7), atol=1e-6)


def test_a_far_mode_around_a_symbol_is_found(channel: Any) -> None:
    """The draws of q miss a mode in the range of the symbols; the box has to grow to hold it."""
    means = torch.tensor([[0.0, 0.0], [2.0, 1.0]]).double()
    covs = 0.02 * torch.eye(2).double().expand(2, 2, 2)
    q = GaussianMixture(torch.tensor([0.8, 0.2], dtype=torch.float64), means, covs)
    seen = GaussianMixture(torch.ones(1).double(), means[:1], covs[:1])
    energy = Energy(sample=seen.sample, value_and_grad=q.energy_and_grad)
    x = vector_gaussian(2).sample(500, Generator().manual_seed(1))
    result = quadrature(channel(2.0, energy, q), energy, SquaredError(), x, Generator())
    assert torch.allclose(result.potential, -q.log_partition(x, 2.0), atol=1e-5)
