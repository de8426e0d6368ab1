"""The authors' settings against ours: when a gap is reached, and what the ratio then says."""

import math
from dataclasses import replace

import pytest

from benchmarks.peers import ratios
from benchmarks.peers.looks import Crossing, Look, crossing

SQRT2 = math.sqrt(2.0)


def fit(side, marks, *, match="wgd-case-rate1", seed=701):
    """Looks at one fit in the plane, (CPU seconds, upper end of the gap), and its end."""
    one = Look(match, side, seed, 2, 5.0, 3.4, 0.0, 0.0, math.nan, 0.0, False, 500, "ok", "abc")
    looks = [replace(one, cpu_s=cpu, gap=hi - 0.01, gap_hi=hi) for cpu, hi in marks]
    return [*looks, replace(looks[-1], cpu_s=looks[-1].cpu_s + 1.0, gap_hi=0.0, last=True)]


def by_aim(looks):
    return {pair.aim: pair for pair in ratios.pairs(looks)}


def test_a_gap_is_reached_by_the_upper_end_of_its_interval():
    looks = fit("ours", [(1.0, 0.105), (2.0, 0.08)])  # the gap itself is .095 at the first
    assert crossing(looks, 0.1) == Crossing(2.0, True)


def test_looks_are_taken_in_the_order_of_time():
    looks = fit("ours", [(4.0, 0.01), (1.0, 0.5), (2.0, 0.09)])
    assert crossing(looks, 0.1) == Crossing(2.0, True)


def test_what_is_not_reached_is_charged_up_to_the_last_look():
    # the end is audited with more symbols: its narrower interval does not count
    assert crossing(fit("ours", [(1.0, 0.5), (7.0, 0.3)]), 0.1) == Crossing(7.0, False)


def test_no_look_is_no_answer():
    with pytest.raises(ValueError, match="without a look on the way"):
        crossing([], 0.1)


def test_targets_grow_with_the_root_of_the_dimension():
    pairs = by_aim(fit("authors", [(1.0, 0.5)]) + fit("ours", [(1.0, 0.5)]))
    assert pairs["0.05 √d"].target == pytest.approx(0.05 * SQRT2)
    assert pairs["0.01 √d"].target == pytest.approx(0.01 * SQRT2)
    assert pairs["authors' best"].target == 0.5


def test_the_ratio_is_the_authors_seconds_over_ours():
    looks = fit("authors", [(8.0, 0.5), (10.0, 0.07)]) + fit("ours", [(2.0, 0.07)])
    pair = by_aim(looks)["0.05 √d"]
    assert (pair.ratio, pair.bound) == (5.0, "=")


def test_authors_who_do_not_get_there_give_a_lower_bound():
    looks = fit("authors", [(10.0, 0.5)]) + fit("ours", [(2.0, 0.01)])
    pair = by_aim(looks)["0.01 √d"]
    assert (pair.ratio, pair.bound) == (5.0, ">")
    assert not pair.authors_reached
    assert pair.ours_reached


def test_ours_that_does_not_get_there_gives_an_upper_bound():
    looks = fit("authors", [(10.0, 0.01)]) + fit("ours", [(2.0, 0.4)])
    pair = by_aim(looks)["0.01 √d"]
    assert (pair.ratio, pair.bound) == (5.0, "<")


def test_two_that_do_not_get_there_have_no_ratio():
    looks = fit("authors", [(10.0, 0.5)]) + fit("ours", [(2.0, 0.4)])
    pair = by_aim(looks)["0.01 √d"]
    assert math.isnan(pair.ratio)
    assert pair.bound == "neither"


def test_a_fit_without_its_counterpart_is_no_pair():
    assert ratios.pairs(fit("authors", [(10.0, 0.5)])) == []


def test_seeds_are_not_mixed():
    looks = fit("authors", [(10.0, 0.01)]) + fit("ours", [(2.0, 0.01)], seed=702)
    assert ratios.pairs(looks) == []


def test_the_mean_of_ratios_is_geometric():
    assert ratios.summary([(2.0, "="), (8.0, "=")]) == "4 [2, 8]"


def test_one_bound_makes_the_mean_a_bound():
    assert ratios.summary([(2.0, "="), (8.0, ">")]) == "> 4 [2, 8]"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ([(2.0, "<"), (8.0, ">")], "– (bounds on both sides)"),
        ([(math.nan, "neither")], "–"),
        ([(2.0, "="), (math.nan, "neither")], "– (1 of 2 seeds)"),
    ],
)
def test_no_mean_where_there_is_none(given, shown):
    assert ratios.summary(given) == shown


def test_the_table_counts_who_got_there_and_marks_who_did_not():
    looks = [
        *fit("authors", [(10.0, 0.5)]), *fit("ours", [(2.0, 0.01)]),
        *fit("authors", [(12.0, 0.01)], seed=702), *fit("ours", [(3.0, 0.01)], seed=702),
    ]  # fmt: skip
    header, *lines = ratios.table(ratios.pairs(looks))
    cells = dict(zip(header, lines[1], strict=True))
    assert cells["authors' CPU s"] == "> 10–12"
    assert cells["our CPU s"] == "2–3"
    assert cells["authors / ours"] == "> 4.5 [4, 5]"
    assert cells["seeds there: authors', ours"] == "1/2, 2/2"
    assert cells["authors' steps made"] == "5%"
