"""Solved references: look-up order, honest refusals, the channel of the q that is found."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator

from rdbench.certify import store
from rdbench.certify.certificate import Certificate
from rdbench.distortions import AbsoluteError, Hamming, SquaredError, TableDistortion
from rdbench.references.certified import Bounded, Certified
from rdbench.references.hamming import FiniteHamming
from rdbench.references.shipped import Table
from rdbench.sources.finite import FiniteSource, random_table, uniform_letters, zipf
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.sources.student import StudentSource
from rdbench.types import HasConditional, HasPotential, OutOfRange, Problem, RdbenchError, Reference


def _table(n: int = 20, tolerance: float = 1e-9) -> Certified:
    letters = uniform_letters(n)
    distortion = TableDistortion(random_table(n, n))
    return Certified(Problem(letters, distortion, alphabet=letters.support), tolerance)


def _no_solver(self: Certified, beta: float, tolerance: float | None = None) -> Certificate:
    raise AssertionError(f"solved at beta = {beta}")


def test_certified_hamming_is_the_closed_form() -> None:
    """F*, R*, D*, R(D) and the slope, each in its bracket; the potential is the optimal one."""
    source = zipf(12)
    reference, exact = Certified(Problem(source, Hamming()), 1e-9), FiniteHamming(source)
    assert isinstance(reference, Reference)
    assert isinstance(reference, HasPotential)
    assert isinstance(reference, HasConditional)
    for rate in (0.05, 0.7, 1.8):
        beta = reference.slope(rate)
        assert beta == pytest.approx(exact.slope(rate), rel=3e-3)
        found, truth = reference.point(beta), exact.point(beta)
        for name in ("lagrangian", "rate", "distortion"):
            bracket, value = getattr(found, name), getattr(truth, name).mid
            assert bracket.lo - 1e-12 <= value <= bracket.hi + 1e-12
            assert bracket.width < 1e-4
        assert found.kind == "certified"
        at = reference.rate(truth.distortion.mid)
        assert at.lo - 1e-9 <= exact.rate(truth.distortion.mid).mid <= at.hi + 1e-9
        potential = reference.potential(source.support, beta)
        assert torch.allclose(potential, exact.potential(source.support, beta), atol=1e-4)


def test_potential_has_the_mean_hi_and_the_conditional_the_distortion() -> None:
    reference = _table()
    x = reference.problem.source.support  # type: ignore[attr-defined]
    beta = reference.slope(0.8)
    found = reference.certificate(beta)
    potential = reference.potential(x, beta)
    assert float(potential.mean()) == pytest.approx(found.hi, abs=1e-12)
    y = reference.sample_conditional(x, 4000, beta, Generator().manual_seed(1))
    assert y.shape == (20, 4000, 1)
    rho = torch.stack(
        [reference.problem.distortion.pairwise(a[None], b)[0] for a, b in zip(x, y, strict=True)]
    )
    error = float(rho.std(1).square().mean().sqrt()) / math.sqrt(20 * 4000)
    assert abs(float(rho.mean()) - found.distortion) < 4.0 * error


# ---------------------------------------------------------------- where certificates come from


def test_second_instance_finds_the_cache(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    first = _table().point(2.0)
    assert list(cache.rglob("*.json"))
    monkeypatch.setattr(Certified, "solve", _no_solver)
    second = _table().point(2.0)
    assert second == first
    with pytest.raises(AssertionError, match="solved at"):
        _table(tolerance=2e-9).point(2.0)


@pytest.mark.parametrize(("beta", "tolerance"), [(3.0, 1e-9), (2.0, 1e-5)])
def test_a_certificate_of_something_else_is_solved_again(beta: float, tolerance: float) -> None:
    """Whole files with the right key, of another slope or tolerance."""
    reference = _table()
    first = reference.certificate(2.0)
    wrong = dataclasses.replace(first, beta=beta, tolerance=tolerance)
    store.remember(reference.key(2.0), wrong)
    assert store.recall(reference.key(2.0)) is not None
    again = _table().certificate(2.0)
    assert (again.beta, again.tolerance) == (2.0, 1e-9)
    assert (again.lo, again.hi) == (first.lo, first.hi)


def test_the_shipped_table_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _table()
    truth = made.point(2.0)
    known = {b: made.certificate(b) for b in (2.0, *made.side_slopes(made.certificate(2.0)))}
    table = Table(
        {"0.5": 2.0},
        {made.key(2.0): known[2.0]},
        {made.key(b): made.known(b) for b in known if b != 2.0},
    )
    monkeypatch.setattr("rdbench.references.certificates.shipped", lambda case: table)
    monkeypatch.setattr(store, "recall", lambda key: pytest.fail("asked the cache"))
    monkeypatch.setattr(Certified, "solve", _no_solver)
    shipped = dataclasses.replace(_table(), case="any")
    assert shipped.slope(0.5) == 2.0
    assert shipped.point(2.0) == truth
    assert "certified, F* within" in shipped.accuracy
    # A table of another problem never answers.
    monkeypatch.setattr(store, "recall", lambda key: None)
    with pytest.raises(AssertionError, match="solved at"):
        dataclasses.replace(_table(21), case="any").point(2.0)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("beta", [-1.0, 0.0, math.nan, math.inf, -math.inf])
def test_invalid_slopes_are_refused(beta: float) -> None:
    for ask in (
        lambda: _table().point(beta),
        lambda: _table().potential(torch.zeros(1, 1).double(), beta),
    ):
        with pytest.raises(OutOfRange, match="finite and positive"):
            ask()


@pytest.mark.parametrize("rate", [-1.0, 0.0, math.nan, math.inf, 50.0])
def test_invalid_rates_are_refused(rate: float) -> None:
    with pytest.raises(OutOfRange):
        _table().slope(rate)


def test_bad_tolerances() -> None:
    for tolerance in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="tolerance must be positive"):
            _table(tolerance=tolerance)


def test_a_tolerance_that_is_not_reached_says_what_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def poor(self: Certified, beta: float, tolerance: float | None = None) -> Certificate:
        one = np.ones((1, 1))
        return Certificate(
            beta, 1.0, 1.001, one, one[0], 0.5, "certified", self.tolerance, reason="no time left"
        )

    monkeypatch.setattr(Certified, "solve", poor)
    reference = _table()
    with pytest.raises(OutOfRange, match=r"within 0\.001 nats, not within the 1e-09 .*no time"):
        reference.point(1.0)
    assert reference.certificate(1.0).width == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        (Problem(scalar_gaussian(), Hamming()), "no certificate for N"),
        (Problem(vector_gaussian(3), AbsoluteError()), "no certificate for N"),
        (Problem(vector_gaussian(3), SquaredError()), "no certificate for N"),
        (Problem(StudentSource(2.0), SquaredError()), "variance"),
        (Problem(StudentSource(1.5, 3), SquaredError()), "variance"),
        (Problem(StudentSource(1.0), AbsoluteError()), "mean"),
    ],
)
def test_problems_without_a_certificate(problem: Problem, word: str) -> None:
    """One line that says so, and no number."""
    with pytest.raises((RdbenchError, OutOfRange), match=word) as caught:
        Certified(problem, 1e-6).point(1.0)
    assert "\n" not in str(caught.value)


def test_bounds_are_shown_however_wide() -> None:
    """A few points in R^5: the bracket may be wide, its ends are in order and D* is inside."""
    g = Generator().manual_seed(3)
    points = torch.randn(30, 5, generator=g, dtype=torch.float64)
    source = FiniteSource("cloud", points, torch.full((30,), 1 / 30, dtype=torch.float64))
    reference = Bounded(Problem(source, SquaredError()), 1e-9)
    assert reference.kind == "bounds"
    assert not isinstance(reference, HasPotential)
    assert not isinstance(reference, HasConditional)
    found = reference.point(0.5)
    assert found.kind == "bounds"
    assert 0.0 < found.lagrangian.lo <= found.lagrangian.hi
    assert found.lagrangian.hi <= 0.5 * float(points.var(0, correction=0).sum()) + 1e-9
    assert 0.0 <= found.distortion.lo <= found.distortion.hi < math.inf
    assert found.rate.hi <= math.log(30) + 1e-9
    with pytest.raises(OutOfRange, match="not within the 1e-09 asked for: "):
        Certified(reference.problem, 1e-9).point(0.5)
