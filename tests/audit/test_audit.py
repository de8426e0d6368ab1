"""The audit of atoms and of whole channels: known values, and faults that must be caught."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Generator

from rdbench.audit import SIZES, AuditSize
from rdbench.audit.evaluation import Evaluation
from rdbench.audit.scoring import audited
from rdbench.audit.symbols import Symbols
from rdbench.distortions import Hamming, SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.references.hamming import FiniteHamming
from rdbench.sources.finite import zipf
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Atoms,
    Density,
    Problem,
    Pushforward,
    RdbenchError,
)


def test_exact_marginals_as_atoms_density_and_pushforward(run: Any, channel: Any) -> None:
    """One q in three guises, at a rate that the plug-in carries."""
    source = scalar_gaussian(3.0, 2.0)
    reference = WaterFilling(source)
    beta = reference.slope(1.0)
    q = reference.source.stds[0] ** 2 - 0.5 / beta
    mixture = GaussianMixture(
        torch.ones(1).double(), source.mean[None], q.reshape(1, 1, 1).double()
    )
    grid = torch.linspace(-12, 18, 600, dtype=torch.float64)[:, None]
    atoms = Atoms(grid, torch.log_softmax(mixture.log_prob(grid), 0))
    density = Density(mixture.sample, mixture.log_prob)
    push = Pushforward(lambda z: source.mean + z * q.sqrt(), 1)
    sides = []
    for marginal in (atoms, mixture.as_marginal(), density, push):
        result = run(channel(beta, marginal, mixture), source, reference, size=SIZES["quick"])
        sides.append(result.side)
        assert abs(result.gap) < 0.005
        assert result.gap_hi > -1e-9
        assert abs(result.gap_paper_protocol) < 0.02
        assert result.n_paper_protocol == SIZES["quick"].paper_draws
    assert sides == ["exact", "exact", "upper", "upper"]


def test_atoms_on_a_finite_source_are_exact(run: Any, channel: Any) -> None:
    source = zipf(300)
    reference = FiniteHamming(source)
    beta = 2.0
    q, _ = reference._solve(beta)
    atoms = Atoms(source.support, torch.from_numpy(q).log())
    result = run(channel(beta, atoms), Problem(source, Hamming()), reference, paper_draws=200)
    assert result.gap == pytest.approx(0.0, abs=1e-12)
    assert result.gap_paper_protocol > 0.0
    assert result.gap_hi - result.gap_lo < 1e-12
    assert result.rate == pytest.approx(reference.point(beta).rate.mid, abs=1e-12)


def test_training_points_as_atoms_do_not_beat_the_truth(run: Any, channel: Any) -> None:
    """Atoms at 200 draws look good on those draws and bad on fresh ones."""
    source = vector_gaussian(10)
    reference = WaterFilling(source)
    beta = reference.slope(5.0)
    x = source.sample(200, Generator().manual_seed(5))
    atoms = Atoms(x, torch.full((200,), -math.log(200), dtype=torch.float64))
    rho = SquaredError().pairwise(x, x)
    on_training = float((math.log(200) - torch.logsumexp(-beta * rho, 1)).mean())
    assert on_training < reference.point(beta).lagrangian.mid - 0.5
    result = run(channel(beta, atoms), source, reference)
    assert result.gap_lo > 0.1


def test_unnormalised_atoms_are_refused(run: Any, channel: Any) -> None:
    source = scalar_gaussian()
    points = source.sample(50, Generator().manual_seed(1))
    for weights in (torch.zeros(50).double(), torch.full((50,), math.nan).double()):
        with pytest.raises(ValueError, match="not to one"):
            run(channel(2.0, Atoms(points, weights)), source, WaterFilling(source))


def test_atoms_outside_a_given_alphabet_are_refused(run: Any, channel: Any) -> None:
    source = zipf(2)
    problem = Problem(source, SquaredError(), alphabet=source.support)
    between = Atoms(torch.tensor([[0.5]]).double(), torch.zeros(1).double())
    with pytest.raises(ValueError, match="alphabet"):
        run(channel(2.0, between), problem, FiniteHamming(source))


def test_plug_in_saturates_and_says_upper(run: Any, channel: Any, small: AuditSize) -> None:
    """At 30 nats the exact q scores hundreds of nats by the plug-in, as an upper bound only."""
    source = vector_gaussian(10)
    reference = WaterFilling(source)
    beta = reference.slope(30.0)
    v = (source.stds**2 - 0.5 / beta).clamp(min=0.0)
    # without a gradient there is no latent proposal
    push = Pushforward(lambda z: ((z * v.sqrt()) @ source.basis.T).detach(), 10)
    result = run(channel(beta, push), source, reference)
    assert result.side == "upper"
    assert math.isnan(result.gap_lo)
    assert result.gap_hi > 10.0
    assert result.rate <= math.log(small.plug_in_draws) + 1e-9


def test_symbols_that_are_not_finite_are_refused_by_name(run: Any, channel: Any) -> None:
    broken = dataclasses.replace(scalar_gaussian(), name="broken", mean=torch.tensor([math.nan]))
    q = scalar_gaussian()
    density = Density(q.sample, q.log_prob)
    with pytest.raises(RdbenchError, match="the source broken has symbols that are not finite"):
        run(channel(2.0, density), broken, WaterFilling(q), seed=7)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_intervals_reach_into_the_long_tail(sign: float, no_potential: Any) -> None:
    """Means of 200 log-normal numbers: the usual interval covers in 85% of cases."""
    source = scalar_gaussian()
    symbols, covered, usual = Symbols(torch.zeros(200, 1).double(), tail_index=math.inf), 0, 0
    generator = Generator().manual_seed(3)
    for _ in range(500):
        f = sign * torch.randn(200, generator=generator, dtype=torch.float64).mul(1.5).exp()
        raw = Evaluation(f, f, method="test", side="exact")
        found = audited(raw, no_potential(source), symbols, 1.0)
        truth = sign * math.exp(1.125) - WaterFilling(source).point(1.0).lagrangian.mid
        covered += found.gap_lo <= truth <= found.gap_hi
        usual += abs(found.gap - truth) <= 1.96 * float(f.std()) / math.sqrt(200)
    assert usual / 500 < 0.915
    assert covered / 500 > usual / 500 + 0.02
