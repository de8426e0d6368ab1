"""Slopes for rates and distortions: by a cheap fit, by the truth, across straight pieces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from rdbench.distortions import AbsoluteError, Hamming, SquaredError, TableDistortion
from rdbench.references.certified import Certified
from rdbench.references.gaussian import WaterFilling
from rdbench.run.ladders import Asked, ladder_of
from rdbench.run.slopes import cheap, default_rates, find_scale, slopes_at
from rdbench.sources.finite import FiniteSource, bernoulli
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.sample import SampleSource
from rdbench.types import Bracket, Case, OutOfRange, Problem, RdbenchError, TruthPoint


def gaussian_rows(n: int, d: int, scale: float = 1.0) -> SampleSource:
    x = torch.randn(2 * n, d, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return SampleSource("rows", scale * x[:n], scale * x[n:], "0")


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e4])
def test_the_slope_of_a_rate_is_that_of_the_gaussian(scale: float) -> None:
    """N(0, s^2 I) in d dimensions: R = (d/2) log(2 beta s^2), D = d / (2 beta)."""
    found = find_scale(Problem(gaussian_rows(4000, 3, scale), SquaredError()), 4.0, [1.0, 4.0])
    for rate in (1.0, 4.0):
        beta = found.at_rate(rate)
        assert beta is not None
        assert 1.5 * math.log(2.0 * beta * scale**2) == pytest.approx(rate, abs=0.12)
    d = 3 * scale**2 * math.exp(-2.0)
    beta = found.at_distortion(d)
    assert beta is not None
    assert 1.5 / beta == pytest.approx(d, rel=0.12)
    assert found.at_rate(1e9) is None
    assert found.at_distortion(1e-30 * scale**2) is None


def test_other_measures_have_a_scale_as_well() -> None:
    laplace = find_scale(Problem(gaussian_rows(2000, 1), AbsoluteError()), 2.0, [1.0])
    assert laplace.at_rate(1.0) is not None
    rows = (torch.rand(3000, 1, generator=torch.Generator().manual_seed(0)) < 0.5).double()
    source = SampleSource("coins", rows[:2000], rows[2000:], "0")
    letters = torch.tensor([[0.0], [1.0]]).double()
    coin = find_scale(Problem(source, Hamming(), letters), 0.6, [0.3])
    beta = coin.at_rate(0.3)
    assert beta is not None
    d = 1.0 / (1.0 + math.exp(beta))  # R(D) of a fair coin, whose slope this is
    rate = math.log(2.0) + d * math.log(d) + (1.0 - d) * math.log(1.0 - d)
    assert rate == pytest.approx(0.3, abs=0.02)


def test_rows_have_the_slopes_of_rows() -> None:
    """Two points, each half: from R(D) of a coin in disguise, not from a smoothed mixture."""
    x = torch.tensor([[-1.0], [1.0]]).double()
    problem = Problem(FiniteSource("two", x, [0.5, 0.5]), SquaredError())  # type: ignore[arg-type]
    assert cheap(problem)[0] == "wgd"
    beta = find_scale(problem, 0.6, [0.5]).at_rate(0.5)
    assert beta is not None
    # words -a and a: F = -log(cosh(2 beta a)) + beta (1 + a^2), least where a = tanh(2 beta a)
    a = 1.0
    for _ in range(200):
        a = math.tanh(2.0 * beta * a)
    p = 1.0 / (1.0 + math.exp(4.0 * beta * a))
    rate = math.log(2.0) + p * math.log(p) + (1.0 - p) * math.log(1.0 - p)
    assert rate == pytest.approx(0.5, abs=0.03)


def test_a_ladder_that_nobody_asked_for_stays_below_log_n() -> None:
    for most in (0.5, 1.2, math.log(50), math.log(1e6)):
        rates = default_rates(most)
        assert len(rates) == 6
        assert rates == sorted(set(rates))
        assert rates[0] > 0.0
        assert rates[-1] < most


def test_a_target_distortion_of_a_gaussian() -> None:
    """N(0, 1): beta = 1 / (2 D) exactly."""
    reference = WaterFilling(scalar_gaussian())
    for d in (0.9, 0.1, 1e-3):
        ((beta, weight),) = slopes_at(reference, d, 1)
        assert weight == 1.0
        assert beta == pytest.approx(0.5 / d, rel=1e-7)
    for d in (1.0, 2.0, -1.0, math.inf):
        with pytest.raises(OutOfRange):
            slopes_at(reference, d, 1)


@dataclass(frozen=True)
class Jump:
    """D jumps from .8 to .2 at beta = 3: R(D) is straight between."""

    kind: ClassVar[str] = "closed form"
    citation: str = "by hand"
    validity: str = "every beta > 0"

    def point(self, beta: float) -> TruthPoint:
        d = 0.8 if beta < 3.0 else 0.2
        return TruthPoint.exact(beta, 3.0 * (0.8 - d), d)

    def rate(self, distortion: float) -> Bracket:
        return Bracket.exact(3.0 * (0.8 - distortion))

    def slope(self, rate: float) -> float:
        return 3.0


def test_on_a_straight_piece_two_rungs_share_the_time() -> None:
    (low, a), (high, b) = slopes_at(Jump(), 0.35, 1)
    assert low < 3.0 < high
    assert high / low - 1.0 < 1e-4
    assert [a, b] == pytest.approx([0.25, 0.75])
    case = Case("jump", Problem(bernoulli(0.5), Hamming()), Jump(), ())
    notes: list[str] = []
    ladder = ladder_of("jump", case, Asked(distortions=[0.35, 0.9]), notes)
    assert len(ladder.betas) == 2
    assert "weight 0.25 in the time-sharing" in ladder.row_notes[0]
    assert "weight 0.75" in ladder.row_notes[1]
    assert ladder.target_distortions == (0.35, 0.35)
    assert ladder_of("jump", case, Asked(betas=[1.0]), []).target_distortions == ()
    assert len(notes) == 1
    assert "D = 0.9" in notes[0]


def test_the_erasures_are_straight_between_all_and_nothing() -> None:
    """rho = 1 for an erasure, else 0 or barred: R(D) = (1 - D) log 2, by certificates."""
    table = TableDistortion([[0.0, math.inf, 1.0], [math.inf, 0.0, 1.0]])  # type: ignore[arg-type]
    reference = Certified(Problem(bernoulli(0.5), table), 1e-7)
    found = slopes_at(reference, 0.3, 1)
    (low, _), (high, _) = found
    assert low < math.log(2.0) < high
    assert high / low < 1.03  # near the jump D is a wide bracket: the rungs stand clear of it
    assert [weight for _, weight in found] == pytest.approx([0.3, 0.7], abs=1e-2)


def test_two_kinds_of_targets_are_refused() -> None:
    with pytest.raises(RdbenchError, match="not both"):
        Asked(rates=[1.0], distortions=[0.1])
