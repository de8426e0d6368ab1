"""The error of sample_conditional against closed forms, and samplers that are broken."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit import AuditSize
from rdbench.audit.conditional import ConditionalError, conditional_error
from rdbench.distortions import Hamming, SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.references.hamming import FiniteHamming
from rdbench.references.shannon import ShannonCurve, TightShannonBound
from rdbench.sources.finite import bernoulli
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.sources.mixture import isotropic_mixture, paper_mixture
from rdbench.types import Atoms, Claim, Problem, Reference, TestChannel

Sampler = Callable[[Tensor, int, Generator], Tensor]

SIZE = AuditSize(
    symbols=200,
    kernel_evaluations=1e6,
    plug_in_draws=100,
    paper_draws=0,
    chains=500,
    conditional_chains=2,
    max_steps=1,
    conditional_symbols=800,
    conditional_draws=8,
)


def _channel(beta: float, sampler: Sampler) -> TestChannel:
    points = torch.linspace(-3, 3, 9, dtype=torch.float64)[:, None]
    marginal = Atoms(points, torch.full((9,), -math.log(9.0), dtype=torch.float64))
    return TestChannel(beta, marginal, Claim(0.0, 0.0, "estimate"), sampler)


def _error(
    sampler: Sampler, problem: Problem, reference: Reference, beta: float, seed: int = 1
) -> ConditionalError:
    return conditional_error(
        _channel(beta, sampler), problem, reference, SIZE, Generator().manual_seed(seed)
    )


def test_exact_draws_stay_below_the_floor_in_nineteen_cases_of_twenty() -> None:
    source = vector_gaussian(3)
    reference = WaterFilling(source)
    found = [
        _error(
            lambda x, k, g: reference.sample_conditional(x, k, 4.0, g),
            Problem(source, SquaredError()),
            reference,
            4.0,
            seed,
        )
        for seed in range(100)
    ]
    below = sum(e.error <= e.floor for e in found)
    inside = sum(e.lo <= 0.0 <= e.hi for e in found)
    assert 89 <= below <= 99
    assert inside >= 89
    assert found[0].floor < 0.02
    assert math.isnan(found[0].mode_mass)


@pytest.mark.parametrize("shift", [0.1, 1.0])
def test_a_shift_against_the_closed_form(shift: float) -> None:
    """p*(y|x) is N(m, s^2): E|N(a, 2 s^2)| is known, and with it the energy distance."""
    source = scalar_gaussian(3.0, 2.0)
    reference = WaterFilling(source)
    beta = 2.0
    q = 4.0 - 0.5 / beta
    s = math.sqrt(q * 0.5 / beta / (q + 0.5 / beta))

    def mean_abs(a: float) -> float:
        t = a / (s * math.sqrt(2.0))
        density = math.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
        return math.sqrt(2.0) * s * (2.0 * density + t * math.erf(t / math.sqrt(2.0)))

    expected = (mean_abs(shift) - mean_abs(0.0)) / mean_abs(0.0)
    found = _error(
        lambda x, k, g: reference.sample_conditional(x, k, beta, g) + shift,
        Problem(source, SquaredError()),
        reference,
        beta,
    )
    assert found.lo - 0.1 * expected <= expected <= found.hi + 0.1 * expected
    assert found.error == pytest.approx(expected, abs=3.0 * (found.hi - found.lo) / 4.0)
    if shift == 1.0:
        assert found.lo > found.floor


def test_letters_are_compared_as_letters() -> None:
    """Flipping every letter: sum_y (p - p')^2 over 2 (1 - sum p^2), by hand."""
    source = bernoulli(0.3)
    reference = FiniteHamming(source)
    beta = 1.5
    problem = Problem(source, Hamming())
    found = _error(
        lambda x, k, g: 1.0 - reference.sample_conditional(x, k, beta, g), problem, reference, beta
    )
    x = source.sample(200_000, Generator().manual_seed(2))
    ones = reference.sample_conditional(x, 1, beta, Generator().manual_seed(3))[:, 0, 0]
    distance = spread = 0.0
    for letter, weight in ((0.0, 0.7), (1.0, 0.3)):
        p = float(ones[x[:, 0] == letter].mean())
        distance += weight * 2.0 * (2.0 * p - 1.0) ** 2
        spread += weight * 2.0 * 2.0 * p * (1.0 - p)
    expected = distance / spread
    assert abs(found.error - expected) < 2.0 * (found.hi - found.lo) / 4.0 * 1.5
    assert found.lo > found.floor


def test_the_mass_of_a_forgotten_mode() -> None:
    """y reflected onto one of two modes: half of the mass is elsewhere."""
    source = isotropic_mixture(torch.tensor([[-6.0, 0.0], [6.0, 0.0]]).double())
    reference = TightShannonBound(source)
    problem = Problem(source, SquaredError())

    def exact(x: Tensor, k: int, g: Generator) -> Tensor:
        return reference.sample_conditional(x, k, 2.0, g)

    def one_mode(x: Tensor, k: int, g: Generator) -> Tensor:
        y = exact(x, k, g)
        return torch.cat([y[..., :1].abs(), y[..., 1:]], 2)

    assert _error(exact, problem, reference, 2.0).mode_mass < 0.01
    forgotten = _error(one_mode, problem, reference, 2.0)
    assert forgotten.mode_mass == pytest.approx(0.5, abs=0.06)
    assert forgotten.lo > 0.5


def _raises(x: Tensor, k: int, g: Generator) -> Tensor:
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    "sampler",
    [
        _raises,
        lambda x, k, g: torch.full((len(x), k, 1), math.nan, dtype=torch.float64),
        lambda x, k, g: torch.zeros(len(x), k + 1, 1, dtype=torch.float64),
        lambda x, k, g: None,
    ],
    ids=["raises", "NaN", "wrong shape", "nothing"],
)
def test_a_broken_sampler_does_not_cost_the_gap(sampler: Sampler, run: Any) -> None:
    source = scalar_gaussian()
    result = run(_channel(2.0, sampler), source, WaterFilling(source), size=SIZE)
    assert math.isfinite(result.gap)
    assert math.isnan(result.conditional_error)
    assert math.isnan(result.conditional_floor)


def test_where_the_reference_knows_no_conditional_there_is_no_error() -> None:
    source = paper_mixture()
    reference = TightShannonBound(source)
    problem = Problem(source, SquaredError())
    low = _error(lambda x, k, g: x[:, None].expand(-1, k, -1), problem, reference, 0.2)
    assert math.isnan(low.error)


def test_a_certified_marginal_is_no_exact_conditional() -> None:
    """F* within a bracket does not fix p*(y|x): nothing is compared."""

    class Numerical(WaterFilling):
        kind = "certified"

    source = scalar_gaussian(0.0, 1.0)
    reference = WaterFilling(source)

    def exact(x: Tensor, k: int, g: Generator) -> Tensor:
        return reference.sample_conditional(x, k, 2.0, g)

    problem = Problem(source, SquaredError())
    assert math.isfinite(_error(exact, problem, reference, 2.0).error)
    assert math.isnan(_error(exact, problem, Numerical(source), 2.0).error)


def test_modes_are_counted_only_where_the_optimum_has_them() -> None:
    """Below beta = 1 / (2 v) the closed form of a wider bound would still sample, but not modes."""
    source = paper_mixture()
    problem = Problem(source, SquaredError())

    class Stretched(TightShannonBound):
        @cached_property
        def curve(self) -> ShannonCurve:
            return dataclasses.replace(super().curve, lowest_beta=0.1)

    reference = Stretched(source)

    def draw(x: Tensor, k: int, g: Generator) -> Tensor:
        return source.sample_conditional(x, k, 0.3, g)

    assert math.isnan(_error(draw, problem, reference, 0.3).mode_mass)
    assert math.isfinite(_error(draw, problem, reference, 0.5).mode_mass)
