"""The audit of lower bounds, against values computed otherwise, and planted wrong ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit import SIZES, audit
from rdbench.audit.lower.sampled import sampled_supremum
from rdbench.audit.lower.search import Supremum
from rdbench.audit.possible import impossibility
from rdbench.audit.symbols import Symbols
from rdbench.distortions import AbsoluteError, Hamming, SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.finite import FiniteSource, zipf
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.sources.uniform import UniformSource
from rdbench.types import DualBound, OutOfRange, Problem, RdbenchError

SIZE = SIZES["quick"]


@dataclass(frozen=True)
class Drawn:
    """A source that is known by its draws alone."""

    inner: Any
    name: str = "drawn"

    @property
    def dim(self) -> int:
        return int(self.inner.dim)

    def sample(self, n: int, generator: Generator) -> Tensor:
        out: Tensor = self.inner.sample(n, generator)
        return out


class Nothing:
    """A reference that knows nothing."""

    kind = "closed form"
    citation = validity = "none"

    def point(self, beta: float) -> Any:
        raise OutOfRange("nothing is known")

    rate = slope = point


def weigh(bound: DualBound, problem: Problem, reference: Any, seed: int = 0) -> Any:
    return audit(bound, problem, reference, size=SIZE, generator=Generator().manual_seed(seed))


def square(a: float, beta: float, dim: int = 1) -> DualBound:
    """lambda = exp(a |x|^2)."""
    origin = torch.zeros(1, dim, dtype=torch.float64)
    return DualBound(beta, lambda x: a * x.square().sum(1), origin, 0.0)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("beta", [0.3, 4.0])
def test_a_gaussian_lambda_has_the_closed_form(known, beta):
    # X ~ N(0, 1): E log lambda = a, sup c = c(0) = (1 + 2 (beta - a))^(-1/2) for a < 1/2.
    a, gaussian = 0.1, scalar_gaussian()
    problem = Problem(gaussian if known else Drawn(gaussian), SquaredError())
    found = weigh(square(a, beta), problem, WaterFilling(gaussian))
    truth = a + 0.5 * math.log1p(2.0 * (beta - a))
    assert found.lagrangian_lo <= truth <= found.lagrangian_hi
    assert found.lagrangian == pytest.approx(truth, abs=0.04)
    assert found.side == "lower"
    assert math.isnan(found.rate)
    assert math.isnan(found.distortion)
    assert found.gap == pytest.approx(
        WaterFilling(gaussian).point(beta).lagrangian.mid - truth, abs=0.04
    )


def test_one_over_the_density_is_the_shannon_bound():
    source = vector_gaussian(3)
    reference = WaterFilling(source)
    beta = reference.slope(4.0)  # all directions are active: the bound is tight
    bound = DualBound(beta, lambda x: -source.log_prob(x) + 7.0, torch.zeros(0, 3).double(), 0.0)
    found = weigh(bound, Problem(source, SquaredError()), reference)
    assert found.evidence == "closed form"
    assert abs(found.gap) < 1e-9


def test_one_over_a_density_that_ends_is_the_shannon_bound() -> None:
    source = UniformSource(-1.0, 1.0)
    problem, beta = Problem(source, SquaredError()), 1.6
    volume = 0.5 * math.log(math.pi / beta)
    bound = DualBound(
        beta, lambda x: -source.log_prob(x) - volume, torch.zeros(1, 1), math.log(2.0) - volume, ""
    )
    for seed in range(5):
        found = weigh(bound, problem, Nothing(), seed)
        assert found.lagrangian == pytest.approx(math.log(2.0) - volume, abs=1e-6)
        assert found.evidence == "closed form"


def test_the_maximum_over_the_plane_is_rigorous():
    rng = np.random.default_rng(1)
    points = torch.as_tensor(rng.normal(size=(12, 2)))
    pmf = torch.as_tensor(rng.dirichlet(np.ones(12)))
    values = torch.as_tensor(rng.normal(size=12))
    beta = 1.7

    def log_lambda(x: Tensor) -> Tensor:
        return values[torch.cdist(x, points).argmin(1)]

    problem = Problem(FiniteSource("twelve", points, pmf), SquaredError())
    bound = DualBound(beta, log_lambda, torch.zeros(0, 2).double(), 0.0)
    found = weigh(bound, problem, Nothing())
    grid = torch.cartesian_prod(*[torch.linspace(-4.0, 4.0, 401).double()] * 2)
    terms = (pmf.log() + values)[:, None] - beta * torch.cdist(points, grid).square()
    truth = float(pmf @ values) - float(torch.logsumexp(terms, 0).max())
    assert found.evidence == "certified"
    assert truth - 1e-3 < found.lagrangian < truth + 1e-9
    assert math.isnan(found.gap)
    assert found.lagrangian_lo <= found.lagrangian_hi


@pytest.mark.parametrize("beta", [1e-8, 1e-6, 1e-4])
def test_noise_far_wider_than_the_source_hides_nothing(beta: float) -> None:
    """A constant lambda: the bound is -log sup E exp(-beta (X - y)^2) = log(1 + 2 beta) / 2.

    Whether a draw near y meets the source is luck, and what those tell that do not is no certainty.
    """
    source = scalar_gaussian(mean=100.0, std=1.0)
    problem = Problem(source, SquaredError())
    bound = DualBound(beta, lambda x: 0.0 * x[:, 0], torch.full((1, 1), 100.0).double(), 0.0)
    truth = 0.5 * math.log1p(2.0 * beta)
    for seed in range(6):
        reference = WaterFilling(source)
        found = weigh(bound, problem, reference, seed)
        spread = 0.5 * (found.lagrangian_hi - found.lagrangian_lo)
        assert abs(found.lagrangian - truth) <= 1.5 * spread
        assert impossibility(found, reference, problem) == ""


def test_letters_are_all_looked_at():
    source = zipf(6)
    problem = Problem(source, Hamming(), alphabet=source.support)
    beta = 1.3
    values = torch.linspace(0.0, 2.0, 6, dtype=torch.float64)

    def log_lambda(x: Tensor) -> Tensor:
        return values[torch.cdist(x, source.support.double()).argmin(1)]

    found = weigh(DualBound(beta, log_lambda, source.support[:0], 0.0), problem, Nothing())
    mass = source.pmf.double() * values.exp()
    kernel = torch.full((6, 6), math.exp(-beta), dtype=torch.float64).fill_diagonal_(1.0)
    truth = float(source.pmf.double() @ values) - math.log(float((mass @ kernel).max()))
    assert found.lagrangian == pytest.approx(truth, abs=1e-12)
    assert found.evidence == "certified"


def test_medians_find_the_largest_c_of_absolute_error():
    rng = np.random.default_rng(3)
    points = torch.as_tensor(rng.normal(size=(40, 2)))
    pmf = torch.full((40,), 1.0 / 40.0, dtype=torch.float64)
    problem = Problem(FiniteSource("forty", points, pmf), AbsoluteError())
    found = weigh(square(0.2, 2.0, 2), problem, Nothing())
    # c is convex between the coordinates of the points: its maximum is at a crossing of them.
    grid = torch.cartesian_prod(points[:, 0], points[:, 1])
    values = 0.2 * points.square().sum(1)
    terms = (pmf.log() + values)[:, None] - 2.0 * torch.cdist(points, grid, p=1.0)
    truth = float(pmf @ values) - float(torch.logsumexp(terms, 0).max())
    assert found.evidence == "searched"
    assert found.lagrangian == pytest.approx(truth, abs=1e-9)


def test_rare_symbols_rule_what_draws_say_of_an_uncapped_lambda():
    source = vector_gaussian(6)
    reference = WaterFilling(source)
    beta = reference.slope(4.0)
    optimal = DualBound(
        beta, lambda x: reference.potential(x, beta), torch.zeros(0, 6).double(), 0.0
    )
    problem = Problem(Drawn(source), SquaredError())
    found = weigh(optimal, problem, reference)
    assert "cap lambda" in found.note
    assert not found.accepted
    assert math.isnan(found.gap)  # what draws show is far above the truth: no value
    assert math.isnan(found.lagrangian_hi)
    assert found.gap_hi > 1.0  # the trusted end says how little draws show
    assert not impossibility(found, reference, problem)


def test_rows_of_a_group_count_once():
    g = Generator().manual_seed(2)
    beta, apart = 1.5, [torch.randn(60, 1, generator=g, dtype=torch.float64) for _ in range(2)]
    problem = Problem(scalar_gaussian(), SquaredError())

    def top(times: int) -> Supremum:
        halves, values = [], []
        for k, x in enumerate(apart):
            rows = x.repeat_interleave(times, 0)
            names = torch.arange(60).repeat_interleave(times) + 60 * k
            halves.append(Symbols(rows, block=1, groups=names if times > 1 else None))
            values.append(rows[:, 0].square().clamp(max=1.0))
        pair = (halves[0], halves[1])
        none = torch.zeros(0, 1, dtype=torch.float64)
        return sampled_supremum(
            problem, pair, (values[0], values[1]), beta, none, Generator().manual_seed(1)
        )

    one, four = top(1), top(4)
    assert one.lo + 0.1 < one.value < one.hi - 0.1
    # The starts differ a little. By single rows an end would be half as far away.
    assert four.hi == pytest.approx(one.hi, abs=0.02)
    assert four.lo == pytest.approx(one.lo, abs=0.02)


def test_a_lambda_that_knows_the_symbols_is_impossible():
    source = scalar_gaussian()
    reference = WaterFilling(source)
    beta = reference.slope(1.0)
    calls = []

    def log_lambda(x: Tensor) -> Tensor:
        calls.append(len(x))
        return potential(x) + (0.5 if len(calls) == 1 else 0.0)

    def potential(x: Tensor) -> Tensor:  # capped, so that it is not 1 / p
        return reference.potential(x, beta).clamp(max=6.0)

    problem = Problem(source, SquaredError())
    bound = DualBound(beta, log_lambda, torch.zeros(1, 1).double(), 0.0)
    assert "above F*" in impossibility(weigh(bound, problem, reference), reference, problem)
    honest = replace(bound, log_lambda=potential)
    found = weigh(honest, problem, reference)
    assert not impossibility(found, reference, problem)
    assert abs(found.gap) < 0.05


@pytest.mark.parametrize(
    "wrong", [lambda x: x, lambda x: x[:, 0] * math.nan, lambda x: x[:, 0] + math.inf]
)
def test_a_lambda_out_of_form_is_refused(wrong):
    problem = Problem(scalar_gaussian(), SquaredError())
    bound = DualBound(1.0, wrong, torch.zeros(0, 1).double(), 0.0)
    with pytest.raises(RdbenchError, match="log_lambda"):
        weigh(bound, problem, Nothing())
