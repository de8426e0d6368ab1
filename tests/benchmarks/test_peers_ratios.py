"""The authors' settings against ours: between which seconds a gap is reached, and which ratios."""

import math
from dataclasses import replace

import pytest

from benchmarks.peers import ratios
from benchmarks.peers.ratios import Look, crossing

SQRT2 = math.sqrt(2.0)


def fit(side, marks, *, match="wgd-case-rate1", seed=701):
    """Looks at one fit in the plane, (CPU seconds, upper end of the gap), and its end."""
    one = Look(match, side, seed, 2, 5.0, 3.4, 0.0, 0.0, math.nan, 0.0, False, 500, "ok", "abc")
    looks = [replace(one, cpu_s=cpu, gap=hi - 0.01, gap_hi=hi) for cpu, hi in marks]
    return [*looks, replace(looks[-1], cpu_s=looks[-1].cpu_s + 1.0, gap_hi=0.0, last=True)]


def by_aim(looks):
    return {pair.aim: pair for pair in ratios.pairs(looks)}


@pytest.mark.parametrize(
    ("marks", "found"),
    [
        ([(1.0, 0.105), (2.0, 0.08)], (1.0, 2.0)),  # the gap itself is .095 at the first
        ([(4.0, 0.01), (1.0, 0.5), (2.0, 0.09)], (1.0, 2.0)),  # in the order of time
        ([(1.0, 0.05), (2.0, 0.01)], (0.0, 1.0)),  # the first says nothing of before
        # the end is audited with more symbols: its narrower interval does not count
        ([(1.0, 0.5), (7.0, 0.3)], (7.0, math.inf)),
    ],
)
def test_a_gap_is_reached_by_the_upper_end_of_its_interval(marks, found):
    assert crossing(fit("ours", marks), 0.1) == found


def test_targets_grow_with_the_root_of_the_dimension():
    pairs = by_aim(fit("authors", [(1.0, 0.5)]) + fit("ours", [(1.0, 0.5)]))
    assert pairs["0.05 √d"].target == pytest.approx(0.05 * SQRT2)
    assert pairs["0.01 √d"].target == pytest.approx(0.01 * SQRT2)
    assert pairs["authors' best"].target == 0.5


AUTHORS = [(6.0, 0.5), (8.0, 0.3), (10.0, 0.07)]
OURS = [(1.0, 0.5), (2.0, 0.07)]


@pytest.mark.parametrize(
    ("authors", "ours", "bracket"),
    [
        (AUTHORS, OURS, (8.0 / 2.0, 10.0 / 1.0)),
        # coarser looks widen it on the side that they are on
        ([AUTHORS[0], AUTHORS[2]], OURS, (6.0 / 2.0, 10.0 / 1.0)),
        (AUTHORS[2:], OURS, (0.0, 10.0 / 1.0)),
        (AUTHORS, [*OURS[:1], (4.0, 0.07)], (8.0 / 4.0, 10.0 / 1.0)),
        (AUTHORS, [(0.5, 0.5), *OURS[1:]], (8.0 / 2.0, 10.0 / 0.5)),
        # ours there at its first look: no upper end; authors who do not get there: a lower only
        (AUTHORS, OURS[1:], (8.0 / 2.0, math.inf)),
        (AUTHORS[:2], OURS, (8.0 / 2.0, math.inf)),
        # ours that does not get there: an upper end only; neither: no ratio
        (AUTHORS, OURS[:1], (0.0, 10.0 / 1.0)),
        (AUTHORS[:2], OURS[:1], (0.0, math.inf)),
    ],
)
def test_the_ratio_is_between_what_both_pairs_of_looks_allow(authors, ours, bracket):
    pair = by_aim(fit("authors", authors) + fit("ours", ours))["0.05 √d"]
    assert (pair.at_least, pair.at_most) == bracket


def test_a_fit_without_its_counterpart_is_no_pair():
    assert ratios.pairs(fit("authors", [(10.0, 0.5)])) == []
    looks = fit("authors", [(10.0, 0.01)]) + fit("ours", [(2.0, 0.01)], seed=702)
    assert ratios.pairs(looks) == []


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ([(2.0, 4.0), (8.0, 9.0)], "2 to 9"),
        ([(2.0, math.inf), (8.0, 9.0)], "≥ 2"),
        ([(0.0, 4.0), (8.0, 9.0)], "≤ 9"),
        ([(0.0, 4.0), (8.0, math.inf)], "–"),
        ([(0.668, 7.61)], "0.66 to 7.7"),  # outwards, so that the bracket still holds
        ([(151.0, 31100.0)], "150 to 32000"),
    ],
)
def test_over_seeds_the_hull_is_shown(given, shown):
    assert ratios.hull(given) == shown


def test_the_table_counts_who_got_there_and_leaves_open_what_is_not_known():
    looks = [
        *fit("authors", [(10.0, 0.5)]), *fit("ours", [(1.0, 0.5), (2.0, 0.01)]),
        *fit("authors", [(6.0, 0.5), (12.0, 0.01)], seed=702),
        *fit("ours", [(1.0, 0.5), (3.0, 0.01)], seed=702),
    ]  # fmt: skip
    header, *lines = ratios.table(ratios.pairs(looks))
    cells = dict(zip(header, lines[1], strict=True))
    assert cells["authors' CPU s, between"] == "≥ 6"
    assert cells["our CPU s, between"] == "1 to 3"
    assert cells["authors / ours, between"] == "≥ 2"
    assert cells["seeds there: authors', ours"] == "1/2, 2/2"
    assert cells["authors' steps made"] == "5%"
