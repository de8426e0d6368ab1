"""The summary after a run: right numbers in the right unit, nothing hidden."""

from __future__ import annotations

import io
import math
import re

import pytest
from rich.console import Console

from rdbench.report.scores import Interval, mean_gap, worst_gap
from rdbench.report.summary import summarise, troubles
from rdbench.report.tables import print_summary


def printed(records, units="nats", width=200, *, terminal=False, verbose=False) -> str:
    """The summary as it is printed."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None)
    print_summary(records, units, console, verbose=verbose)
    return out.getvalue()


# ----------------------------------------------------------------------------- statistics


@pytest.mark.parametrize("changes", [{"side": "upper"}, {"gap_lo": None}])
def test_the_mean_gap_takes_the_mean_of_both_ends(point, changes):
    points = [point(gap=0.0, gap_lo=-1.0, gap_hi=3.0), point(gap=2.0, gap_lo=1.0, gap_hi=5.0)]
    assert mean_gap(points) == Interval(1.0, 0.0, 4.0)
    # One upper bound leaves the mean without a lower end.
    found = mean_gap([*points, point(gap=1.0, **({"gap_hi": 4.0, "gap_lo": 0.0} | changes))])
    assert found == Interval(1.0, None, 4.0)


def test_the_interval_covers_when_all_points_share_one_error(point):
    # The worst case for a mean: every point is off by the same 1.9 standard errors.
    se, error = 0.1, 0.19
    points = [
        point(gap=true + error, gap_lo=true + error - 1.96 * se, gap_hi=true + error + 1.96 * se)
        for true in (0.0, 1.0, 2.0, 5.0)
    ]
    found = mean_gap(points)
    assert found.lo is not None
    assert found.hi is not None
    assert found.lo <= 2.0 <= found.hi
    # The interval for independent errors would miss it.
    assert error > 1.96 * se / math.sqrt(4)


def test_the_worst_gap_is_where_it_says_and_no_failed_audit_hides_it(point):
    worst = worst_gap([point(gap=0.3, rate_lo=1.0, rate_hi=1.2), point(gap=-0.5), point(gap=0.1)])
    assert worst is not None
    assert (worst.gap, worst.is_bound) == (0.3, False)
    assert worst.rate == pytest.approx(1.1)
    worst = worst_gap([point(gap=0.01), point(gap=None, gap_lo=2.0, gap_hi=40.0)])
    assert worst is not None
    assert (worst.gap, worst.is_bound) == (2.0, True)


def test_what_failed_is_counted_and_what_did_not_converge_is_kept(cell, point):
    cut = point(status="timeout", gap=7.0, gap_lo=6.0, gap_hi=8.0, claimed_rate=9.0)
    found = summarise([cell(points=[point(), cut])])
    assert (found.points, found.ok, found.scored, found.gap.mean) == (2, 1, 1, 0.01)
    assert found.claims.mean_gap == pytest.approx(0.0, abs=1e-12)
    assert found.claims.verdicts == (("agrees", 1),)
    found = summarise([cell(points=[point(), point(status="not_converged", gap=0.05)])])
    assert (found.ok, found.scored) == (1, 2)
    assert found.gap.mean == pytest.approx(0.03)


def test_cpu_seconds_are_averaged_over_cells_never_summed_over_rows(cell, point):
    cells = [
        cell(seed=0, cost={"cpu_s": 2.0}, points=[point()] * 8),
        cell(seed=1, cost={"cpu_s": 6.0}, points=[point()]),
        cell(seed=2, cost={"cpu_s": None}),
    ]
    assert summarise(cells).cpu_s == 4.0
    assert summarise(cells).seeds == 3


def test_the_rate_error_shown_is_the_largest_with_its_interval(cell, point):
    points = [
        point(rate_error=0.1, rate_error_lo=0.0, rate_error_hi=0.2),
        point(rate_error=-0.3, rate_error_lo=-0.5, rate_error_hi=-0.1),
        point(rate_error=-3.03),  # before schema 3: the middle of a bracket that may say nothing
    ]
    assert summarise([cell(points=points)]).rate_error == Interval(-0.3, -0.5, -0.1)
    assert "[-0.5, -0.1]" in claims_of(printed([cell(points=points)]))
    assert summarise([cell(points=points[2:])]).rate_error == Interval(None, None, None)
    assert "3.03" not in printed([cell(points=points[2:])])


# -------------------------------------------------------------------------------- summary


def rows_of(text: str, label: str = "good") -> list[list[str]]:
    """The words of every row of ``label``, one row per table."""
    lines = [line.split() for line in text.splitlines()]
    return [words for words in lines if label in words[:2] and words[:2] != ["case", "estimator"]]


def test_a_row_shows_the_numbers(cell, point):
    claim = math.log(2.0) + 0.3
    points = [point(), point(gap=0.03, gap_lo=0.015, gap_hi=0.04, claimed_rate=claim)]
    lines = rows_of(printed([cell(points=points)]))
    # The median of two gaps; the means of both ends; the largest: .03 - 1.1436 x .015, 1.1436
    # being the ratio of the normal quantiles at 1 - .025/2 and .975.
    assert lines[0] == [
        "toy-d1", "good", "2/2", "≥", "0.693", "0.02", "[0.01,", "0.03]", "[0.0128,", "0.04]",
        "0.693", "exact", "3",
    ]  # fmt: skip
    # C - F* = .3 against gaps in [.015, .04]; the audited Lagrangian is .01 above F*.
    assert lines[1] == [
        "toy-d1", "good", "too", "bad", "1/2", "+0.29", "0.15", "0.3", "-", "-", "-", "-",
    ]  # fmt: skip


def test_bits_divide_by_log_2_and_the_header_says_so(cell, point):
    gap = {"gap": math.log(2.0), "gap_lo": 0.5 * math.log(2.0), "gap_hi": 2.0 * math.log(2.0)}
    odd = {
        "rate_error": 3.0 * math.log(2.0), "rate_error_lo": 2.0 * math.log(2.0),
        "rate_error_hi": 4.0 * math.log(2.0), "claimed_rate": 5.0 * math.log(2.0),
        "n_paper_protocol": 1024, "gap_paper_protocol": 7.0 * math.log(2.0),
    }  # fmt: skip
    text = printed([cell(points=[point(**gap, **odd)])], "bits")
    assert text.count("bits per symbol") == 2
    first, second = rows_of(text)
    # Not good at any rate, median, mean and worst gap, the rate R* = log 2 where it occurs.
    assert first[3:10] == ["-", "1", "[0.5,", "2]", "[0.5,", "2]", "1"]
    assert first[-1] == "3"  # seconds stay
    good = rows_of(printed([cell()], "bits"))[0]
    assert good[3:5] == ["≥", "1"]
    # The claim less the audited Lagrangian, F* + .01 nats; the mean and worst claims, Appendix A
    # with log N = 10 bits, and R - R(D).
    assert second[5:] == ["+3.99", "4", "4", "7", "N=1024:", "R", "≤", "10", "0/1", "[2,", "4]"]


def test_brackets_of_a_label_are_no_markup(cell):
    text = printed([cell(estimator="wgd", preset="paper", params={"bold": True, "n": 4000})])
    assert "wgd:paper[bold=true,n=4000]" in text.replace("True", "true")


def test_a_narrow_terminal_shows_a_line_per_row_and_says_what_it_leaves_out(realistic):
    text = printed(realistic, width=80, terminal=True)
    assert "…" not in text
    tables, note = text.split("not shown in 80 columns: ")
    assert all(len(line) <= 80 for line in tables.splitlines() if "points (" not in line)
    assert len(rows_of(tables, "ebrd")) == 6  # three cases, gaps and claims
    assert "[0.000694, 0.00278]" in tables
    assert "CPU s" not in tables
    assert all(title in note for title in ("CPU s", "median gap", "--verbose"))
    whole = printed(realistic, width=80, terminal=True, verbose=True)
    assert "CPU s" in whole
    assert "not shown" not in whole


def test_a_pipe_is_not_cut_to_80_characters(realistic):
    text = printed(realistic, width=80)
    assert "…" not in text
    row = next(line for line in text.splitlines() if line.startswith(" ramp-d2 "))
    assert len(row) > 80
    assert row.split()[:2] == ["ramp-d2", "blahut_arimoto"]


def claims_of(text: str) -> str:
    return text.split("Claims, and")[1]


@pytest.mark.parametrize("width", [80, 200])
def test_claims_stand_beside_the_audit(cell, point, width):
    # Six claims at the truth, two a nat below it: what the mean of the gaps alone would hide.
    cheat = [point(claimed_rate=math.log(2.0) - 1.0, claimed_distortion=0.25)] * 2
    text = printed([cell(points=[point()] * 6 + cheat)], width=width, terminal=True)
    lines = claims_of(text)
    assert "-0.25" in lines  # the mean claimed gap
    assert "below truth 2/8" in lines
    # Where there is no room for all verdicts, the most alarming one stands alone.
    assert ("agrees 6/8" in lines) == (width == 200)
    assert "-1.01" in lines


def test_the_papers_protocol_shows_its_ceiling(cell, point):
    beyond = {"rate_lo": 9.0, "rate_hi": 9.0}
    points = [
        point(n_paper_protocol=2000, gap_paper_protocol=0.1),
        point(n_paper_protocol=2000, gap_paper_protocol=45.3, **beyond),
    ]
    assert "22.7  N=2000: R ≤ 7.6     1/2" in claims_of(printed([cell(points=points)]))


def test_an_upper_bound_is_printed_as_one(cell, point):
    text = printed([cell(points=[point(side="upper", gap_lo=None)])])
    # Points, good to, then the median, mean and worst gap: never the estimate .01.
    assert rows_of(text)[0][2:11] == [
        "1/1", "≥", "0.693", "≤", "0.02", "≤", "0.02", "≤", "0.02",
    ]  # fmt: skip
    assert "0.01" not in text.split("Claims, and")[0]


def test_the_doubt_about_the_truth_is_printed(cell, point):
    fstar = math.log(2.0) + 0.5
    wide = {"truth_kind": "bounds", "truth_lo": fstar - 1.3, "truth_hi": fstar + 1.3}
    text = printed([cell(points=[point(**wide, gap=0.4, gap_lo=-0.9, gap_hi=1.7)])])
    assert "[-0.9, 1.7] (F* ± 1.3)" in text
    assert "±" not in printed([cell(points=[point(truth_lo=fstar - 1e-7, truth_hi=fstar + 1e-7)])])


def test_conditionals_are_shown_where_they_are_known(cell, point):
    known = {
        "conditional_error": 0.31, "conditional_lo": 0.27, "conditional_hi": 0.35,
        "conditional_floor": 0.012, "mode_mass_error": 0.18,
    }  # fmt: skip
    text = printed([cell(points=[point(**known)]), cell(estimator="other")])
    assert "0.31  [0.27, 0.35]  0.012       0.18" in text.split("Error of p(y|x)")[1]
    assert "other" not in text.split("Error of p(y|x)")[1]
    assert "Error of p(y|x)" not in printed([cell()])


def test_failures_are_named_once_with_their_reason(realistic):
    text = printed(realistic)
    notes = [line for line in text.splitlines() if "unsupported" in line]
    assert len(notes) == 1  # 32 points whose reasons differ in numbers only
    assert "blahut_arimoto: unsupported, 32 points (ramp-d5, ramp-d10;" in notes[0]
    assert "takes 3.2e+06 points" in notes[0]
    assert "ebrd: crashed, 2 points (ramp-d10; R = 9.31 to 16.7 nats; seed 1): SIGSEGV" in text


def test_points_without_a_gap_are_counted_and_named_by_reason(cell, point, failed):
    no_truth = dict.fromkeys(("truth_lo", "truth_hi", "gap", "gap_lo", "gap_hi"))
    text = printed([cell(points=[point(), point(**no_truth)])])
    assert "[0.005, 0.02] (of 1)" in text
    assert "good: no gap, 1 point " in text
    assert "truth is not known" in text
    cells = [cell(points=[failed("error", "disk on fire"), failed("error", "out of luck")])]
    found = troubles(cells, lambda record: record.case)
    assert [trouble.reason for trouble in found] == ["disk on fire", "out of luck"]


def test_a_cell_without_points_is_not_silent(cell):
    text = printed([cell(points=[], status="crashed", reason="killed", cost={"cpu_s": None})])
    assert "0/0" in text
    assert "crashed" in text
    assert "killed" in text


def test_settings_and_suites_are_never_mixed(cell, point):
    cells = [cell(budget="quick", points=[point(gap=1.0)]), cell(budget="full")]
    text = printed(cells)
    assert "budget" in text
    assert len(rows_of(text.split("Claims, and")[0])) == 2
    assert "budget" not in printed(cells[:1])
    text = printed([cell(suite="a"), cell(suite="b")])
    assert "a/toy-d1" in text
    assert "b/toy-d1" in text
    assert "4 cells at a time" in printed([cell(provenance={"jobs": 4})])
    assert "at a time" not in printed([cell()])


def test_cases_come_by_dimension(cell):
    text = printed([cell(case=f"c-d{d}", dim=d) for d in (10, 2, 5)])
    assert re.findall(r"c-d\d+", text) == ["c-d2", "c-d5", "c-d10"] * 2  # gaps, then claims


def test_no_records_print_one_line():
    assert printed([]) == "nothing to show: no cell has finished\n"
