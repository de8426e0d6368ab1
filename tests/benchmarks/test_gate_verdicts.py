"""When the gate cries and when it does not: synthetic measurements, no process and no clock."""

import math
import random
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binom

from benchmarks._cases import CASES
from benchmarks.gate import compare, fits, gaps
from benchmarks.gate.accuracy import Cell, Measured
from benchmarks.gate.options import parse
from benchmarks.gate.report import failing, ordered, summary
from benchmarks.gate.sides import Side
from benchmarks.gate.verdicts import (
    Finding,
    Pair,
    Point,
    can_still_be_slower,
    judge_failures,
    judge_gaps,
    judge_times,
    looks_worse,
    rank,
)

CELL = Cell(CASES[0], "ebrd")
EXACT = Cell(CASES[0], "blahut_arimoto")


def points(*gaps_: float, error: float = 0.0) -> list[Point]:
    return [Point(gap, error) for gap in gaps_]


@pytest.mark.parametrize(
    ("base", "head", "error", "verdict"),
    [
        ((0.001, 0.002, 0.0015, 0.001), (0.05, 0.051, 0.049, 0.052), 0.0, "worse"),
        # beyond the interval, within the tolerance
        ((0.001, 0.002, 0.0015, 0.001), (0.008, 0.0081, 0.0079, 0.008), 0.0, "suspected"),
        # beyond the tolerance, within the interval
        ((0.0, 0.1, 0.01, 0.0), (0.1, 0.1, 0.01, 0.0), 0.0, "suspected"),
        # the audits' own error counts where the seeds agree by chance
        ((0.0, 0.0), (0.06, 0.06), 0.05, "suspected"),
        ((0.0, 0.0), (0.06, 0.06), 0.0, "worse"),
        # a gap far below zero is as wrong as one above, a smaller one is not worse
        ((0.001, 0.001), (-0.5, -0.5), 0.0, "worse"),
        ((0.5, 0.5), (0.0, 0.0), 0.0, "suspected"),
    ],
)
def test_a_gap_is_worse_beyond_its_interval_and_the_tolerance(base, head, error, verdict):
    found = judge_gaps("g", points(*base, error=error), points(*head, error=error), 0.01)
    assert found.verdict == verdict
    assert found.low is not None
    assert found.change is not None
    assert verdict != "worse" or (found.low > 0.0 and found.change > 0.01)


@pytest.mark.parametrize(
    ("base", "head", "suspicious"),
    [
        (Point(0.001), Point(-0.5), True),
        (Point(0.5), Point(0.001), False),
        # more than the audits' noise
        (Point(0.0, 0.001), Point(0.02, 0.001), True),
        (Point(0.0, 0.01), Point(0.02, 0.01), False),
    ],
)
def test_a_look_asks_for_more_than_the_tolerance_and_the_audits_noise(base, head, suspicious):
    assert looks_worse(base, head, 0.01) is suspicious


@pytest.mark.parametrize(
    "head",
    [(0.5, 0.5, 0.001, 0.5), (5.0, 5.0, 0.001, 5.0), (0.12, 0.05, 0.02, 0.3), (1.0, 0.1, 0.1, 0.1)],
)
def test_a_head_that_scatters_is_not_excused_by_its_scatter(head):
    base = points(0.001, 0.0012, 0.0008, 0.001, error=0.0005)
    found = gaps.confirm(CELL, 0, base, points(*head, error=0.0005), 0.005)
    assert found.verdict == "worse"


def test_an_audit_that_has_become_useless_is_worse():
    base, head = Point(0.001, 0.0005), Point(0.4, 0.3)
    assert gaps.first_look(CELL, 0, base, head, 0.005).verdict == "suspected"
    assert gaps.goes_on(CELL, [base] * 2, [head] * 2, 0.005)
    found = gaps.confirm(CELL, 0, [base] * 4, [head] * 4, 0.005)
    assert found.verdict == "worse"
    assert "doubt" in found.note
    # A large doubt that is half as large again is scatter.
    wide, wider = Point(0.1, 0.025), Point(0.1, 0.04)
    assert gaps.confirm(CELL, 0, [wide] * 4, [wider] * 4, 0.005).verdict == "suspected"
    # One seed whose audit failed to settle is not enough.
    mixed = [Point(0.001, 0.3), *[base] * 3]
    assert gaps.confirm(CELL, 0, [base] * 4, mixed, 0.005).verdict == "suspected"


def test_more_seeds_are_asked_for_where_the_first_do_not_decide():
    scattered = points(0.001, 0.2, 0.1, 0.05)
    assert gaps.goes_on(CELL, scattered, points(0.3, 0.1, 0.2, 0.1), 0.005)
    assert not gaps.goes_on(CELL, points(*[0.001] * 4), points(*[0.3] * 4), 0.005)  # worse
    assert not gaps.goes_on(CELL, scattered, points(*[0.05] * 4), 0.005)  # within
    assert not gaps.goes_on(CELL, scattered, [Point(None)] * 4, 0.005)


def test_noise_alone_passes_the_confirmation_no_more_often_than_it_says():
    draw = random.Random(1)
    alarms = sum(
        judge_gaps(
            "g",
            points(*(draw.gauss(1.0, 0.1) for _ in range(4))),
            points(*(draw.gauss(1.0, 0.1) for _ in range(4))),
            0.0,
        ).regression
        for _ in range(2000)
    )
    assert 2 <= alarms <= binom.ppf(0.9999, 2000, 0.005)


@pytest.mark.parametrize(
    ("cell", "base", "head", "verdict"),
    [
        (CELL, 0.0, 0.5, "suspected"),
        (CELL, 0.0, 0.004, "ok"),
        (CELL, None, 0.5, "mended"),
        (CELL, 0.5, None, "suspected"),
        (CELL, None, None, "both fail"),
        # an estimator that stops by a certificate may lose less
        (EXACT, 0.0, 0.002, "suspected"),
        (CELL, 0.0, 0.002, "ok"),
    ],
)
def test_one_seed_suspects_and_does_not_condemn(cell, base, head, verdict):
    assert gaps.first_look(cell, 0, Point(base), Point(head), 0.005).verdict == verdict


def test_a_point_that_fails_now_is_told_from_one_that_always_did():
    ok, lost = Point(0.0), Point(None, reason="error: no such thing")
    found = judge_failures("g", [ok] * 4, [lost] * 4)
    assert found is not None
    assert found.verdict == "fails now"
    assert "no such thing" in found.note
    assert "4 of 4" in found.note
    assert judge_failures("g", [lost] * 2 + [ok] * 2, [lost, ok, ok, lost]) is None
    assert gaps.confirm(CELL, 0, [ok] * 4, [lost] * 4, 0.005).verdict == "fails now"


def test_a_suspicion_that_half_the_seeds_do_not_share_ends():
    assert not gaps.goes_on(CELL, points(0.0, 0.0), points(0.001, 0.001), 0.005)
    assert gaps.goes_on(CELL, points(0.0, 0.0), points(0.1, 0.1), 0.005)
    assert gaps.goes_on(CELL, points(0.0, 0.0), [Point(None), Point(0.0)], 0.005)


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [(True, False, "missing"), (False, True, "new"), (False, False, "both fail")],
)
def test_what_a_commit_lacks(base, head, verdict):
    none: Any = None
    found = compare._first_look(CELL, (base, head), none, none, none)
    assert [one.metric for one in found] == [*CELL.gaps, CELL.fit]
    assert {one.verdict for one in found} == {verdict}


@pytest.mark.parametrize("count", [7, 11, 25])
def test_the_rank_keeps_its_level(count):
    k = rank(count)
    assert sum(math.comb(count, i) for i in range(k)) / 2**count <= 0.01
    assert sum(math.comb(count, i) for i in range(k + 1)) / 2**count > 0.01


def pairs(*ratios: float) -> list[Pair]:
    return [Pair(1.0, ratio) for ratio in ratios]


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ([1.5] * 11, "slower"),
        ([1.5] * 6 + [1.1] * 5, "slower"),
        ([1.5] * 5 + [1.2] * 6, "suspected"),
        ([1.5] * 9 + [0.9] * 2, "suspected"),  # the median alone does not condemn
        ([1.2] * 11, "suspected"),
        ([0.5] * 11, "suspected"),
    ],
)
def test_a_time_is_slower_beyond_the_limit_by_its_interval(ratios, verdict):
    assert judge_times("t", pairs(*ratios), 1.25).verdict == verdict


@pytest.mark.parametrize(("true", "least", "most"), [(1.0, 0.0, 0.001), (1.4, 0.9, 1.0)])
def test_noise_of_a_tenth_hides_no_slow_down_by_two_fifths(true, least, most):
    draw = random.Random(2)
    found = sum(
        fits.confirm("t", lambda _: Pair(1.0, true * draw.gauss(1.0, 0.1)), 1.25).regression
        for _ in range(2000)
    )
    assert least <= found / 2000 <= most


def test_an_interval_covers_the_median_ratio():
    found = judge_times("t", pairs(1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0), 1.25)
    assert (found.low, found.change, found.high) == (1.1, 1.5, 1.9)


def test_pairs_end_as_soon_as_they_cannot_condemn():
    assert can_still_be_slower(pairs(1.5, 1.5), 11, 1.25)
    assert can_still_be_slower(pairs(1.5, 1.2, 0.9), 11, 1.25)
    assert not can_still_be_slower(pairs(1.5, 0.9, 0.9), 11, 1.25)
    assert not can_still_be_slower(pairs(1.5, *[1.2] * 6), 11, 1.25)
    seen: list[int] = []

    def take(index: int) -> Pair:
        seen.append(index)
        return Pair(1.0, 1.5 if index < 2 else 1.0)

    assert fits.confirm("t", take, 1.25).verdict == "suspected"
    assert seen == [0, 1, 2, 3]
    assert fits.confirm("t", lambda _: Pair(1.0, 1.5), 1.25).verdict == "slower"


def test_a_side_that_cannot_be_timed_is_named():
    def take(index: int) -> Pair:
        raise fits.Untimed(side, "no gap")

    for side, verdict in (("HEAD", "fails now"), ("BASE", "suspected")):
        found = fits.confirm("t", take, 1.25)
        assert (found.verdict, found.note) == (verdict, f"not timed on {side}: no gap")


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        (0.1, 0.25, "ok"),  # by less than a fifth of a second
        (1.0, 1.5, "suspected"),
        (1.0, None, "suspected"),
        (None, 1.0, "mended"),
        (None, None, "both fail"),
    ],
)
def test_the_first_look_at_a_fit(base, head, verdict):
    assert fits.first_look(CELL, base, head, 1.25).verdict == verdict


def test_the_worst_comes_first_and_only_regressions_fail():
    found = [Finding("a", "ok"), Finding("b", "slower"), Finding("c", "missing")]
    assert [one.metric for one in ordered(found)] == ["c", "b", "a"]
    assert len(failing(found, allow_missing=False)) == 2
    assert len(failing(found, allow_missing=True)) == 1
    assert summary(found, False) == "REGRESSION: 3 metrics: 1 missing, 1 slower, 1 ok"
    harmless = [Finding("a", v) for v in ("ok", "suspected", "mended", "new", "both fail")]
    assert summary(harmless, False).startswith("no regression: 5 metrics")


def test_the_whole_comparison_on_invented_measurements(monkeypatch):
    def measure(side: Any, cells: Any, seeds: Any, folder: str) -> Measured:
        found = Measured()
        for cell, seed in ((cell, seed) for cell in cells for seed in seeds):
            for band in range(3):
                bad = (side.name, cell.estimator, band) == ("HEAD", "wgd", 2)
                found.points[cell, band, seed] = Point(0.5 if bad else 0.001, 1e-4)
            slow = (side.name, cell.estimator) == ("HEAD", "nerd")
            found.cpu_s[cell, seed] = 2.0 if slow else 1.0
        return found

    monkeypatch.setattr(compare, "measure", measure)
    monkeypatch.setattr(fits, "measure", measure)
    monkeypatch.setattr(compare, "offers", lambda side, cell: True)
    base, head = Side("BASE", "", Path(), Path(), ""), Side("HEAD", "", Path(), Path(), "")
    options = parse(["HEAD", "--only", "paper-d2/wgd,paper-d2/nerd,random-500"])
    found = {one.metric: one.verdict for one in compare.compare(base, head, options)}
    assert set(found) == options.metrics
    assert {metric: verdict for metric, verdict in found.items() if verdict != "ok"} == {
        "gap/paper-d2/wgd/high": "worse",
        "fit/paper-d2/nerd": "slower",
    }
