"""Means, medians, the worst gap and how far up the ladder: against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from rdbench.report.scores import (
    GOOD_GAP,
    all_good_to,
    good_to,
    median_gap,
    shown_gap,
    stretch,
    worst_gap,
)


def known(found):
    assert found is not None
    return found


def ladder(point, *his, **changes):
    """Points at R* = 1, 2, ... whose gaps have these upper ends."""
    return [
        point(beta=2.0**k, rate_lo=float(k), rate_hi=float(k), gap_hi=hi, **changes)
        for k, hi in enumerate(his, 1)
    ]


def test_a_ladder_is_good_up_to_the_first_rate_that_is_not(cell, point, failed):
    def of(points):
        found = good_to(cell(points=points))
        return None if found is None else (found.rate, found.is_top)

    assert of(ladder(point, 0.01, GOOD_GAP, 0.02)) == (3.0, True)
    assert of(ladder(point, 0.01, 0.0501, 0.02)) == (1.0, False)
    assert of(ladder(point, 0.0501, 0.01, 0.02)) is None
    assert of(ladder(point, 0.01, None, 0.02)) == (1.0, False)
    assert of([]) is None
    one, two, three = ladder(point, 0.01, 0.01, 0.01)
    for status in ("unsupported", "timeout", "error", "crashed"):
        gone = failed(status, "why", beta=two.beta, rate_lo=2.0, rate_hi=2.0)
        assert of([one, gone, three]) == (1.0, False)
    # In the order of the slopes, whatever that of the record; the estimate does not matter.
    assert of([three, one, two]) == (3.0, True)
    assert of(ladder(point, 0.06, side="upper", gap=0.01)) is None


def test_rates_that_share_a_slope_come_by_their_own_size(cell, point):
    points = [point(target_rate=rate, rate_lo=0.5, rate_hi=2.5, gap_hi=hi) for rate, hi in
              ((2.0, 0.06), (1.0, 0.01))]  # fmt: skip
    found = known(good_to(cell(points=points)))
    assert not found.is_top


def test_of_several_seeds_the_worst_counts(cell, point):
    far, near = (cell(points=ladder(point, *his)) for his in ((0.01, 0.01), (0.01, 0.06)))
    found = known(all_good_to([far, near]))
    assert (found.rate, found.is_top) == (1.0, False)
    assert all_good_to([far, cell(points=ladder(point, 0.06, 0.01))]) is None
    assert all_good_to([far, cell(points=[], status="crashed")]) is None
    assert all_good_to([]) is None


def test_no_single_point_rules_the_median(point):
    found = known(median_gap([point(gap=gap) for gap in (0.01, 628.0, 0.03, 0.02, 0.025)]))
    assert (found.gap, found.is_upper) == (0.025, False)


def test_an_upper_bound_enters_the_median_by_its_upper_end(point):
    upper = [point(side="upper", gap=0.001, gap_lo=None, gap_hi=hi) for hi in (0.03, 0.05)]
    found = known(median_gap([*upper, point(gap=0.01)]))
    assert (found.gap, found.is_upper) == (0.03, True)
    assert [shown_gap(p) for p in (*upper, point(gap=0.01))] == [0.03, 0.05, 0.01]
    assert median_gap([]) is None
    assert median_gap([point(side="upper", gap_hi=None)]) is None


def test_the_stretch_is_the_ratio_of_normal_quantiles():
    # Tables of the normal distribution: 1.95996 at .975, 2.24140 at .9875, 2.73437 at .996875.
    assert stretch(1) == pytest.approx(1.0, abs=1e-12)
    assert stretch(2) == pytest.approx(2.24140 / 1.95996, abs=1e-5)
    assert stretch(8) == pytest.approx(2.73437 / 1.95996, abs=1e-5)


def test_the_trusted_end_of_a_lower_bound_without_a_value_counts(point):
    rows = [
        point(side="lower", gap=0.2, gap_lo=0.1, gap_hi=0.3),
        point(beta=2.0, side="lower", gap=None, gap_lo=None, gap_hi=17.0),
    ]
    found = known(worst_gap(rows))
    assert (found.gap, found.hi, found.is_upper, found.is_bound) == (17.0, 17.0, True, False)


def test_the_interval_of_the_worst_gap_covers_where_all_gaps_are_equal(point):
    # The worst case for its lower end: eight equal gaps, the largest of eight noisy numbers is
    # above the truth in all but 1 of 256 runs.
    generator = np.random.default_rng(20261129)
    true, se, runs = 0.02, 0.01, 2000
    above, below, naive = 0, 0, 0
    for found in true + se * generator.standard_normal((runs, 8)):
        points = [point(gap=g, gap_lo=g - 1.959964 * se, gap_hi=g + 1.959964 * se) for g in found]
        worst = known(worst_gap(points))
        assert worst.lo is not None
        assert worst.hi is not None
        above += worst.lo > true
        below += worst.hi < true
        naive += max(found) - 1.959964 * se > true
    assert above / runs <= 0.025 + 3.0 * np.sqrt(0.025 * 0.975 / runs)
    assert below == 0
    assert naive / runs > 0.1  # as large as that would be without the correction


def test_the_truths_own_width_is_not_stretched(point):
    points = [point(gap=1.0, gap_lo=0.4, gap_hi=1.6, truth_lo=1.0, truth_hi=2.0) for _ in range(8)]
    worst = known(worst_gap(points))
    assert worst.lo == pytest.approx(0.5 - 0.1 * stretch(8))


def test_ends_that_are_not_known_are_not_made_up(point):
    upper = point(side="upper", gap=0.1, gap_lo=None, gap_hi=0.3)
    for points, lo, hi, shown in (
        ([upper], None, 0.3, 0.3),
        ([point(gap=0.5, gap_hi=None)], 0.005, None, 0.5),
        ([point(gap=None, gap_lo=2.0, gap_hi=40.0), upper], 2.0, 40.0, 2.0),
        ([point(gap=None, gap_lo=2.0, gap_hi=None)], 2.0, None, 2.0),
    ):
        worst = known(worst_gap(points))
        assert (worst.lo, worst.hi, worst.gap) == (lo, hi, shown)
    assert worst_gap([point(gap=None, gap_lo=None, gap_hi=None)]) is None
