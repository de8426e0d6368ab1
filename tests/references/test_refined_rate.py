"""R(D) between rungs: solved when asked, against closed forms and the primal problem."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rdbench.distortions import AbsoluteError, Hamming, SquaredError, TableDistortion
from rdbench.references.certified import Bounded, Certified
from rdbench.references.composite import Composite
from rdbench.references.gaussian import WaterFilling
from rdbench.references.gaussian_absolute import GaussianAbsolute
from rdbench.references.product import ProductReference
from rdbench.references.refined import refined_rate
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.finite import FiniteSource, bernoulli, random_table, uniform_letters
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.mixture import GaussianMixture
from rdbench.sources.product import ProductSource
from rdbench.types import HasRefinedRate, OutOfRange, Problem


def test_bernoulli_between_two_rungs(cache: Path) -> None:
    """h(.3) - h(D), where chord and tangents of the two rungs leave [.198, .360] at D = .1."""
    source = bernoulli(0.3)
    reference = Certified(Problem(source, Hamming()), 1e-9)
    before = [reference.point(reference.slope(rate)) for rate in (0.05, 0.5)]
    files = sorted(cache.rglob("*.json"))
    wide = reference._known_rate(0.1)
    assert wide.width > 0.05
    for d in (0.1, 0.2, 1e-3, 0.299, 0.3, 0.7):
        h = [-sum(v * math.log(v) for v in (q, 1.0 - q)) for q in (0.3, d)]
        exact = h[0] - h[1] if d < 0.3 else 0.0
        found = reference.rate(d)
        assert found.lo - 1e-12 <= exact <= found.hi + 1e-12
        assert found.width < 1e-8
    # What was asked in between changes no point and fills no cache.
    again = [reference.point(point.beta) for point in before]
    assert again == before
    assert sorted(cache.rglob("*.json")) == files


def test_a_straight_piece_is_the_chord_of_its_ends() -> None:
    """Berger's erasure example: letters 0, 1 for free noise, R(D) straight from (D0, R0) to D_max.

    The primal problem in the channel decides: R(D) by a fine search over its one free number.
    """
    table = TableDistortion(torch.tensor([[0.0, 1.0, 0.3], [1.0, 0.0, 0.3]]).double())
    letters = FiniteSource(
        "coin", uniform_letters(2).support, torch.full((2,), 0.5, dtype=torch.float64)
    )
    reference = Certified(Problem(letters, table, alphabet=uniform_letters(3).support), 1e-9)
    # Symmetric channels: with probability e the erasure, else a flip with probability a.
    e, a = np.meshgrid(np.linspace(0, 1, 2001), np.linspace(1e-9, 0.5, 2001), indexing="ij")
    rate = (1 - e) * (math.log(2.0) + a * np.log(a) + (1 - a) * np.log1p(-a))
    distortion = 0.3 * e + (1 - e) * a
    for d in (0.05, 0.15, 0.2, 0.28):
        least = float(rate[distortion <= d].min())
        found = reference.rate(d)
        assert found.width < 1e-7
        assert found.lo <= least + 1e-12
        assert found.hi == pytest.approx(least, abs=2e-3)
    ends = [reference.rate(d).mid for d in (0.16, 0.2, 0.24)]
    assert ends[1] == pytest.approx(0.5 * (ends[0] + ends[2]), abs=1e-7)


def test_less_than_the_least_distortion_is_refused_in_one_line() -> None:
    letters = uniform_letters(20)
    problem = Problem(letters, TableDistortion(random_table(20, 20)), alphabet=letters.support)
    with pytest.raises(OutOfRange, match="certified down to D = 0") as caught:
        Certified(problem, 1e-9).rate(1e-3)
    assert "\n" not in str(caught.value)


def test_expensive_problems_are_refined_when_asked(cache: Path) -> None:
    """Absolute error on the line: plain ``rate`` solves nothing."""
    exact = GaussianAbsolute(scalar_gaussian())
    reference = Certified(Problem(scalar_gaussian(), AbsoluteError()), 1e-4)
    assert isinstance(reference, HasRefinedRate)
    with pytest.raises(OutOfRange, match=r"no point of R\(D\) is certified yet"):
        reference.rate(0.3)
    assert not list(cache.rglob("*.json"))
    found = reference.refined_rate(0.3)
    assert found.lo - 1e-9 <= exact.rate(0.3).mid <= found.hi + 1e-9
    assert found.width <= 2e-4
    assert reference.rate(0.3) == found  # known by now


def test_bounds_stop_at_their_own_width() -> None:
    points = torch.randn(12, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    source = FiniteSource("cloud", points, torch.full((12,), 1 / 12, dtype=torch.float64))
    found = Bounded(Problem(source, SquaredError()), 1e-3).refined_rate(0.8)
    assert 0.0 <= found.lo < found.hi < math.log(12.0)


def test_composites_and_products_pass_it_on() -> None:
    mixture = GaussianMixture(
        torch.ones(1).double(), torch.zeros(1, 1).double(), torch.ones(1, 1, 1).double()
    )
    exact = WaterFilling(scalar_gaussian())
    tight = TightShannonBound(mixture)
    both = Composite(tight, Certified(Problem(mixture, SquaredError()), 1e-3))
    assert refined_rate(both, 0.25).mid == pytest.approx(exact.rate(0.25).mid, abs=1e-9)
    narrow, wide = scalar_gaussian(std=0.5), scalar_gaussian(std=2.0)
    source = ProductSource("two", (narrow, wide, wide), torch.eye(3).double())
    product = ProductReference(source, (WaterFilling(narrow), WaterFilling(wide)))
    for d in (0.3, 0.75, 2.0, 8.24):
        level = d / 3 if d <= 0.75 else 0.5 * (d - 0.25)
        rate = sum(0.5 * math.log(max(1.0, s / min(level, 4.0))) for s in (0.25, 4.0, 4.0))
        found = product.rate(d)
        assert found.lo - 1e-9 <= rate <= found.hi + 1e-9
        assert found.width < 1e-8
    assert refined_rate(exact, 0.5) == exact.rate(0.5)
