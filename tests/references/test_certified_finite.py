"""Certified finite problems: offsets, forbidden letters, straight pieces of R(D), float32 laws."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from scipy.special import entr

from rdbench.distortions import Hamming, TableDistortion
from rdbench.references.certified import Certified
from rdbench.references.hamming import FiniteHamming
from rdbench.sources.finite import FiniteSource, bernoulli, uniform_letters, zipf
from rdbench.types import Problem, RdbenchError

INF = math.inf


def h(p: float) -> float:
    return float(entr(p) + entr(1.0 - p))


@pytest.mark.parametrize("offset", [1.0, 1e6, -1e6])
def test_hamming_with_an_offset_has_the_same_rates(offset: float) -> None:
    source = zipf(6)
    exact = FiniteHamming(source)
    plain = Certified(Problem(source, Hamming(), source.support), 1e-9)
    moved = Certified(Problem(source, TableDistortion(1.0 - torch.eye(6) + offset)), 1e-9)
    for rate in (0.1, 0.9, 1.4):
        beta = moved.slope(rate)
        assert beta == plain.slope(rate)
        found, truth = moved.point(beta), exact.point(beta)
        assert found.rate == plain.point(beta).rate
        assert found.rate.width < 1e-4
        assert found.lagrangian.lo <= truth.lagrangian.mid + beta * offset <= found.lagrangian.hi
        d = truth.distortion.mid
        assert found.distortion.lo - 1e-9 <= d + offset <= found.distortion.hi + 1e-9
        at = moved.rate(d + offset)
        assert at.lo - 1e-8 <= truth.rate.mid <= at.hi + 1e-8
        assert at.width < 1e-4
        centre = moved.certificate(beta)
        assert centre.lo <= truth.lagrangian.mid + beta * offset <= centre.hi
        potential = moved.potential(source.support, beta) - beta * offset
        assert torch.allclose(potential, exact.potential(source.support, beta), atol=1e-4)
    assert moved.rate(offset + exact.point(0.0).distortion.mid).hi == 0.0


def test_all_rates_of_a_straight_piece_have_one_slope() -> None:
    """Erasures: R(D) = (1 - D) log 2. The slope of every rate is log 2, the same float."""
    rho = TableDistortion([[0.0, INF, 1.0], [INF, 0.0, 1.0]])  # type: ignore[arg-type]
    reference = Certified(Problem(bernoulli(0.5), rho), 1e-9)
    slopes = {reference.slope(rate) for rate in (0.05, 0.2, 0.3, 0.45, 0.6)}
    assert len(slopes) == 1
    (beta,) = slopes
    assert beta == pytest.approx(math.log(2.0), rel=2e-6)
    found = reference.point(beta)
    assert found.lagrangian.lo <= math.log(2.0) <= found.lagrangian.hi
    assert found.rate.hi - found.rate.lo > 0.5  # every rate of the piece is in the bracket
    reference.point(0.9 * beta)
    for d in (0.1, 0.5, 0.9):
        at = reference.rate(d)
        assert at.lo - 1e-6 <= (1.0 - d) * math.log(2.0) <= at.hi + 1e-6
        assert at.width < 1e-5


def test_where_one_letter_alone_is_allowed_the_rate_is_the_entropy() -> None:
    rho = TableDistortion([[0.0, INF], [INF, 0.0]])  # type: ignore[arg-type]
    found = Certified(Problem(bernoulli(0.3), rho), 1e-9).point(2.0)
    assert found.distortion.hi < 1e-8
    assert found.rate.lo == pytest.approx(h(0.3), abs=1e-7)
    assert found.rate.hi == pytest.approx(h(0.3), abs=1e-7)


def test_a_float32_law_of_a_source_of_ones_own() -> None:
    """Not a FiniteSource: whatever has a support and a pmf."""

    @dataclasses.dataclass(frozen=True)
    class Own:
        name: str = "own"
        dim: int = 1

        @property
        def support(self) -> torch.Tensor:
            return torch.arange(3, dtype=torch.float64)[:, None]

        @property
        def pmf(self) -> torch.Tensor:
            return (torch.tensor([1.0, 2.0, 4.0]) / 7.0).float()

        def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
            raise NotImplementedError

    p = Own().pmf.double().numpy()
    p /= p.sum()
    exact = FiniteHamming(FiniteSource("p", Own().support, torch.from_numpy(p)))
    found = Certified(Problem(Own(), Hamming()), 1e-9).point(2.0).lagrangian
    assert found.lo <= exact.point(2.0).lagrangian.mid <= found.hi


TABLE = [[0.0, 1.0, 2.0], [1.0, 0.0, 2.0]]


@pytest.mark.parametrize(
    ("source", "table", "alphabet", "message"),
    [
        (uniform_letters(3), TABLE, None, "2 is not a letter of the table"),
        (uniform_letters(1), TABLE, None, "2 rows, the source 1 letters"),
        (uniform_letters(2), TABLE, [[0], [3]], "3 is not a letter of the table"),
        (uniform_letters(2), TABLE, [[0], [-1]], "-1 is not a letter"),
        (uniform_letters(2), TABLE, [[0.5], [1]], "0.5 is not a letter"),
        (uniform_letters(2), TABLE, [[0, 1], [1, 0]], r"points \(m, 1\)"),
        (uniform_letters(2), TABLE, [], r"the shape \(m, d\)"),
        (uniform_letters(2), TABLE, [[INF]], "finite"),
        (FiniteSource("x", [[0.5], [1]], [0.5, 0.5]), TABLE, None, "0.5 is not a letter"),  # type: ignore[arg-type]
        (FiniteSource("x", [[0, 0], [1, 1]], [0.5, 0.5]), TABLE, None, "scalar letters"),  # type: ignore[arg-type]
        (uniform_letters(2), [[0.0, INF], [1.0, 0.0]], [[1]], "forbids every letter"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(source, table, alphabet, message: str) -> None:
    with pytest.raises(RdbenchError, match=message):
        Problem(source, TableDistortion(table), alphabet)


def test_letters_of_a_table_may_come_in_any_order_and_twice() -> None:
    source = FiniteSource("x", [[1], [0]], [0.3, 0.7])  # type: ignore[arg-type]
    rho = TableDistortion([[0.0, 1.0], [1.0, 0.0]])  # type: ignore[arg-type]
    exact = FiniteHamming(bernoulli(0.3)).point(1.5).lagrangian.mid
    for alphabet in (None, [[1], [0]], [[0], [1], [1], [0]]):
        found = Certified(Problem(source, rho, alphabet), 1e-9).point(1.5).lagrangian  # type: ignore[arg-type]
        assert found.lo <= exact <= found.hi
        assert found.width <= 1e-9
