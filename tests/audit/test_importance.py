"""Importance sampling of densities against mixtures whose Z(x) is in closed form."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit import SIZES
from rdbench.audit.evaluation import Evaluation
from rdbench.audit.importance import density
from rdbench.audit.pilot import Candidate, choose
from rdbench.audit.symbols import draw_symbols
from rdbench.audit.weighting import sampling_error
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.hamming import FiniteHamming
from rdbench.sources.finite import FiniteSource
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture, eight_modes, isotropic_mixture
from rdbench.sources.student import StudentSource
from rdbench.types import Density, Problem


def _gaussian(variances: Tensor, basis: Tensor) -> GaussianMixture:
    cov = (basis * variances) @ basis.T
    return GaussianMixture(torch.ones(1).double(), torch.zeros(1, len(cov)).double(), cov[None])


@pytest.mark.parametrize(("name", "beta"), [("ramp", 1.1), ("ramp", 60.0), ("eight", 1.0)])
def test_densities_in_ten_dimensions(name: str, beta: float, evaluate: Any, error: Any) -> None:
    source = vector_gaussian(10)
    q, x = eight_modes(10).deconvolved(0.5), eight_modes(10).sample(500, Generator())
    if name == "ramp":
        q = _gaussian((source.stds**2 - 0.5 / beta).clamp(min=1e-3), source.basis)
        x = source.sample(500, Generator().manual_seed(3))
    found = evaluate(Density(q.sample, q.log_prob), x, beta)
    assert found.side == "upper"
    assert abs(error(found, q, x, beta)) < 0.01
    if name == "ramp":
        y = q.sample_conditional(x, 100, beta, Generator().manual_seed(2))
        rho = (x[:, None] - y).square().sum(2)
        assert float((found.distortion - rho.mean(1)).mean()) == pytest.approx(
            0.0, abs=0.05 * float(rho.mean())
        )


def test_the_estimate_of_z_is_unbiased_where_no_proposal_fits(evaluate: Any) -> None:
    """A Laplacian q under absolute error: Z is the convolution of two Laplacians."""
    a, beta = 1.0 / 1.7, 9.0
    source = LaplacianSource(3.0, 1.7)
    x = source.sample(4000, Generator().manual_seed(3))
    q = Density(source.sample, source.log_prob)
    found = evaluate(q, x, beta, distortion=AbsoluteError(), plug_in_draws=10, local_draws=8)
    assert "noise" in found.method
    s = (x[:, 0] - 3.0).abs()
    z = a * (beta * torch.exp(-a * s) - a * torch.exp(-beta * s)) / (beta**2 - a**2)
    ratio = torch.exp(-found.potential) / z
    error = float(ratio.std()) / math.sqrt(len(ratio))
    assert error < 0.01
    assert abs(float(ratio.mean()) - 1.0) < 4.0 * error
    assert float((found.potential + z.log()).mean()) > 0.0  # Jensen: above, on average


def test_a_finite_source_keeps_its_probabilities(run: Any, channel: Any) -> None:
    support = torch.tensor([[-2.0], [0.0], [3.0]]).double()
    source = FiniteSource("three", support, torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64))
    q = isotropic_mixture(torch.tensor([[-2.0], [3.0]]).double(), 0.6)
    reference = FiniteHamming(source)  # of another distortion: its potential is paired all the same
    exact = float(source.pmf @ -q.log_partition(support, 2.0))
    f_star = source.pmf @ reference.potential(support, 2.0)
    honest = channel(2.0, Density(q.sample, q.log_prob))
    found = run(honest, source, reference, local_draws=4000)
    assert found.gap == pytest.approx(exact - float(f_star), abs=0.01)


def test_at_zero_slope_nothing_is_sampled_locally(evaluate: Any) -> None:
    q = isotropic_mixture(torch.zeros(1, 2).double())
    found = evaluate(Density(q.sample, q.log_prob), torch.zeros(3, 2).double(), 0.0)
    assert float(found.potential.abs().max()) < 1e-12


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize("shift", [0.1, -math.log(10.0)])
def test_a_density_that_is_not_normalised_is_refused(shift: float, evaluate: Any) -> None:
    """An offset of log_prob would be an offset of F: 0.1 nats too good, for instance."""
    q = isotropic_mixture(torch.tensor([[-2.0, 0.0, 0.0], [2.0, 1.0, 0.0]]).double())
    shifted = Density(q.sample, lambda y: q.log_prob(y) + shift)
    with pytest.raises(ValueError, match="integrates to exp"):
        evaluate(shifted, q.means, 5.0)


@pytest.mark.parametrize("shift", [60.0, 300.0, -300.0])
@pytest.mark.parametrize(("dim", "narrow"), [(10, True), (101, False)])
def test_where_the_mass_cannot_be_told_nothing_rests_on_it(
    dim: int, narrow: bool, shift: float, evaluate: Any
) -> None:
    """Spiked products overlap no fitted mixture; beyond 100 dimensions none is fitted."""
    coordinate = isotropic_mixture(torch.tensor([[-0.7], [0.7]]).double(), 0.05 if narrow else 0.7)

    def sample(n: int, g: Generator) -> Tensor:
        return coordinate.sample(n * dim, g).reshape(n, dim)

    def log_prob(y: Tensor) -> Tensor:
        return coordinate.log_prob(y.reshape(-1, 1)).reshape(-1, dim).sum(1) + shift

    x = torch.randn(100, dim, generator=Generator().manual_seed(2)).double()
    exact = -coordinate.log_partition(x.reshape(-1, 1), 1.0).reshape(-1, dim).sum(1).mean()
    found = evaluate(Density(sample, log_prob), x, 1.0, seed=3)
    assert found.method.startswith("plug-in")
    assert float(found.potential.mean()) > float(exact) - 0.5


def test_a_sampler_of_one_mode_is_refused(evaluate: Any) -> None:
    q = isotropic_mixture(torch.tensor([[-6.0], [6.0]]).double())
    one = Density(lambda n, g: q.sample(n, g).abs(), q.log_prob)
    with pytest.raises(ValueError, match="integrates to exp"):
        evaluate(one, q.means, 5.0)


def test_choosing_on_other_draws_keeps_the_estimate_honest() -> None:
    """Two estimates of 0 that scatter: the smaller of each pair is too low, the chosen is not."""
    generator = Generator().manual_seed(5)
    x = torch.zeros(4, 1).double()

    def noisy(x: Tensor, probabilities: Tensor | None) -> Evaluation:
        draw = torch.randn(1, generator=generator).double()
        flat = draw.expand(len(x)).clone()
        return Evaluation(flat, flat, method="noisy", side="upper", common_se=0.0)

    candidates = {"first": noisy, "second": noisy}
    honest, smallest = [], []
    for _ in range(800):
        name = choose(candidates, x, None, 4, generator)
        honest.append(float(candidates[name](x, None).potential[0]))
        smallest.append(min(float(c(x, None).potential[0]) for c in candidates.values()))
    assert abs(np.mean(honest)) < 4.0 / math.sqrt(800)
    assert np.mean(smallest) < -0.3


def test_a_density_of_near_atoms_on_rare_letters(evaluate: Any) -> None:
    """q = sum_i p_i N(i, 1e-4), 12 letters with p_i ~ i: the pilot must not lose the rarest."""
    p = torch.arange(1, 13, dtype=torch.float64)
    p = p / p.sum()
    letters = torch.arange(12, dtype=torch.float64)[:, None]
    q = GaussianMixture(p, letters, torch.full((12, 1, 1), 1e-4, dtype=torch.float64))
    honest = Density(q.sample, q.log_prob)
    found = evaluate(honest, letters, 20.0, seed=2, probabilities=p, plug_in_draws=20_000)
    exact = float((p * -q.log_partition(letters, 20.0)).sum())
    assert float((p * found.potential).sum()) == pytest.approx(exact, abs=0.03)


def test_of_a_finite_source_every_letter_takes_part_in_the_pilot() -> None:
    """The candidates differ at a letter of probability .002 alone, by 100 nats."""
    x = torch.arange(5, dtype=torch.float64)[:, None]
    p = torch.tensor([0.002, 0.398, 0.2, 0.2, 0.2], dtype=torch.float64)

    def flat(lost: float) -> Candidate:
        def at(x: Tensor, _: Tensor | None) -> Evaluation:
            potential = torch.where(x[:, 0] == 0.0, lost, 1.0)
            return Evaluation(potential, potential, method="flat", side="upper", ess=0.9)

        return at

    generator = Generator().manual_seed(1)
    assert choose({"blind": flat(101.0), "sees": flat(1.0)}, x, p, 256, generator) == "sees"
    assert choose({"blind": flat(1.0), "sees": flat(1.0)}, x, p, 256, generator) == "blind"


def test_of_a_finite_source_the_draws_are_what_is_uncertain() -> None:
    """Its sum over letters is exact; the scatter of repeated estimates is the reported error."""
    generator = Generator().manual_seed(3)
    p = torch.softmax(torch.randn(40, generator=generator).double(), 0)
    totals, errors = [], []
    for _ in range(200):
        weights = (0.5 * torch.randn(40, 64, generator=generator).double()).exp()
        share = weights / weights.sum(1, keepdim=True)
        totals.append(float(p @ weights.mean(1).log()))
        errors.append(sampling_error(1.0 / share.square().sum(1), 64, p))
    assert float(np.mean(errors)) == pytest.approx(float(np.std(totals)), rel=0.15)
    assert sampling_error(torch.ones(40).double(), 16, None) == 0.0


@pytest.mark.trials
def test_the_error_that_symbols_share_heeds_their_weights() -> None:
    """The plug-in's standard error is the scatter of its mean over the same symbols, in strata."""
    source, generator = StudentSource(5.0, 1), Generator().manual_seed(11)
    symbols = draw_symbols(Problem(source, SquaredError()), 1000, generator)
    weights = symbols.weights
    assert weights is not None
    size = dataclasses.replace(SIZES["quick"], plug_in_draws=400)
    # Without a usable log density nothing but the plug-in is left.
    q = Density(source.sample, lambda y: torch.full((len(y),), math.nan, dtype=torch.float64))
    each = [
        density(q, SquaredError(), symbols.x, None, 0.3, size, generator, weights)
        for _ in range(20)
    ]
    assert all("plug-in" in one.method for one in each)
    means = torch.stack([(weights * one.potential).mean() for one in each])
    told = float(np.median([one.common_se for one in each]))
    assert 0.7 < told / float(means.std()) < 1.4
