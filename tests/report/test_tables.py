"""Tables: right numbers in the right unit, nothing hidden, markup that cannot be broken."""

from __future__ import annotations

import csv
import io
import math
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from rdbench.report.metrics import METRICS
from rdbench.report.summary import mean_gap, summarise, troubles, worst_gap
from rdbench.report.tables import metric_table, print_summary
from rdbench.types import RdbenchError


def printed(records, units="nats", width=200, *, terminal=False) -> str:
    """What a person sees."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None)
    print_summary(records, units, console)
    return out.getvalue()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# ----------------------------------------------------------------------------- statistics


def test_mean_gap_takes_the_mean_of_both_ends(point):
    gap = mean_gap(
        [point(gap=0.0, gap_lo=-1.0, gap_hi=3.0), point(gap=2.0, gap_lo=1.0, gap_hi=5.0)]
    )
    assert (gap.mean, gap.lo, gap.hi) == (1.0, 0.0, 4.0)


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
    assert abs(2.0 + error - 2.0) > 1.96 * se / math.sqrt(4)


@pytest.mark.parametrize("changes", [{"side": "upper"}, {"gap_lo": None}])
def test_one_upper_bound_leaves_the_mean_without_a_lower_end(point, changes):
    found = mean_gap([point(), point(**changes)])
    assert found.lo is None
    assert found.hi == pytest.approx(0.02)


def test_worst_gap_is_where_it_says(point):
    worst = worst_gap([point(gap=0.3, rate_lo=1.0, rate_hi=1.2), point(gap=-0.5), point(gap=0.1)])
    assert worst is not None
    assert (worst.gap, worst.is_bound) == (0.3, False)
    assert worst.rate == pytest.approx(1.1)


def test_a_failed_audit_cannot_hide_a_failed_fit(point):
    worst = worst_gap([point(gap=0.01), point(gap=None, gap_lo=2.0, gap_hi=40.0)])
    assert worst is not None
    assert (worst.gap, worst.is_bound) == (2.0, True)


def test_a_timeout_is_counted_but_not_averaged(cell, point):
    cut = point(status="timeout", gap=7.0, gap_lo=6.0, gap_hi=8.0)
    found = summarise([cell(points=[point(), cut])])
    assert (found.points, found.ok, found.scored, found.gap.mean) == (2, 1, 1, 0.01)


def test_not_converged_numbers_are_kept(cell, point):
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


def test_the_rate_error_shown_is_the_largest_with_its_sign(cell, point):
    points = [point(rate_error=0.1), point(rate_error=-0.3), point(rate_error=None)]
    assert summarise([cell(points=points)]).rate_error == -0.3


# -------------------------------------------------------------------------------- summary


def test_a_row_shows_the_numbers(cell, point):
    line = next(
        line
        for line in printed(
            [cell(points=[point(), point(gap=0.03, gap_lo=0.015, gap_hi=0.04)])]
        ).splitlines()
        if "good" in line
    )
    assert line.split() == [
        "toy-d1", "good", "1", "2/2", "0.02", "[0.01,", "0.03]", "0.03", "0.693", "+0.01",
        "exact", "3",
    ]  # fmt: skip


def test_bits_divide_by_log_2_and_the_header_says_so(cell, point):
    gap = {"gap": math.log(2.0), "gap_lo": 0.5 * math.log(2.0), "gap_hi": 2.0 * math.log(2.0)}
    text = printed([cell(points=[point(**gap, rate_error=3.0 * math.log(2.0))])], "bits")
    assert "bits per symbol" in text
    line = next(line for line in text.splitlines() if "good" in line)
    # Gap, interval, worst gap, the rate R* = log 2 where it occurs, and the rate error.
    assert line.split()[4:10] == ["1", "[0.5,", "2]", "1", "1", "+3"]
    assert line.split()[-1] == "3"  # seconds stay


def test_brackets_of_a_label_are_no_markup(cell):
    text = printed([cell(estimator="wgd", preset="paper", params={"bold": True, "n": 4000})])
    assert "wgd:paper[bold=true,n=4000]" in text.replace("True", "true")


def test_a_narrow_terminal_loses_no_number(realistic):
    text = printed(realistic, width=80, terminal=True)
    assert "…" not in text
    assert all(len(line) <= 80 for line in text.splitlines() if "points (" not in line)
    for number in ("0.00139", "[0.000694, 0.00278]", "≥ 0.02", "5.72", "40"):
        assert number in text


def test_a_pipe_is_not_cut_to_80_characters(realistic):
    text = printed(realistic, width=80)
    assert "…" not in text
    row = next(line for line in text.splitlines() if line.startswith(" ramp-d2 "))
    assert len(row) > 80
    assert row.split()[:2] == ["ramp-d2", "blahut_arimoto"]


def test_failures_are_named_once_with_their_reason(realistic):
    text = printed(realistic)
    notes = [line for line in text.splitlines() if "unsupported" in line]
    assert len(notes) == 1  # 32 points whose reasons differ in numbers only
    assert "blahut_arimoto: unsupported, 32 points (ramp-d5, ramp-d10;" in notes[0]
    assert "takes 3.2e+06 points" in notes[0]
    assert "ebrd: crashed, 2 points (ramp-d10; R = 9.31 to 16.7 nats; seed 1): SIGSEGV" in text


def test_points_without_a_gap_are_counted_and_named(cell, point):
    no_truth = dict.fromkeys(("truth_lo", "truth_hi", "gap", "gap_lo", "gap_hi"))
    text = printed([cell(points=[point(), point(**no_truth)])])
    assert "0.01 (of 1)" in text
    assert "good: no gap, 1 point " in text
    assert "truth is not known" in text


def test_different_reasons_stay_apart(cell, failed):
    cells = [cell(points=[failed("error", "disk on fire"), failed("error", "out of luck")])]
    found = troubles(cells, lambda record: record.case)
    assert [trouble.reason for trouble in found] == ["disk on fire", "out of luck"]


def test_a_cell_without_points_is_not_silent(cell):
    text = printed([cell(points=[], status="crashed", reason="killed", cost={"cpu_s": None})])
    assert "0/0" in text
    assert "crashed" in text
    assert "killed" in text


def test_budgets_are_never_mixed(cell, point):
    cells = [cell(budget="quick", points=[point(gap=1.0)]), cell(budget="full")]
    text = printed(cells)
    assert "budget" in text
    assert len([line for line in text.splitlines() if "good" in line]) == 2
    assert "budget" not in printed(cells[:1])


def test_equal_case_names_of_two_suites_stay_apart(cell):
    text = printed([cell(suite="a"), cell(suite="b")])
    assert "a/toy-d1" in text
    assert "b/toy-d1" in text


def test_concurrent_timing_is_said(cell):
    assert "4 cells at a time" in printed([cell(provenance={"jobs": 4})])
    assert "at a time" not in printed([cell()])


def test_cases_come_by_dimension(cell):
    text = printed([cell(case=f"c-d{d}", dim=d) for d in (10, 2, 5)])
    assert re.findall(r"c-d\d+", text) == ["c-d2", "c-d5", "c-d10"]


def test_no_records_print_one_line():
    assert printed([]) == "nothing to show: no cell has finished\n"


# --------------------------------------------------------------------------- metric tables


def test_gap_table_against_plain_arithmetic(realistic):
    rows = rows_of(metric_table(realistic, "gap", fmt="csv"))
    for row in rows:
        points = [
            p
            for r in realistic
            if (r.case, r.estimator) == (row["case"], row["estimator"])
            for p in r.points
        ]
        gaps = [p.gap for p in points if p.gap is not None]
        assert (int(row["n"]), int(row["of"])) == (len(gaps), 16)
        if gaps:
            assert float(row["gap (nats)"]) == pytest.approx(sum(gaps) / len(gaps), rel=1e-12)
        else:
            assert row["gap (nats)"] == ""
    assert [row["case"] for row in rows] == [
        case for case in ("ramp-d2", "ramp-d5", "ramp-d10") for _ in range(2)
    ]


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("fmt", ["md", "latex", "csv", "html"])
def test_every_metric_in_every_format(realistic, metric, fmt):
    assert metric in metric_table(realistic, metric, fmt=fmt).replace(r"\_", "_")


def test_units_change_rates_and_nothing_else(cell, point):
    cells = [cell(points=[point(gap=math.log(2.0))])]
    assert rows_of(metric_table(cells, "gap", fmt="csv", units="bits"))[0]["gap (bits)"] == "1.0"
    for metric, column in (("cpu_s", "cpu_s (s)"), ("distortion", "distortion")):
        nats, bits = (
            rows_of(metric_table(cells, metric, fmt="csv", units=u)) for u in ("nats", "bits")
        )
        assert nats == bits
        assert float(nats[0][column]) == {"cpu_s": 3.0, "distortion": 0.25}[metric]


def test_worst_gap_is_the_largest(realistic):
    rows = rows_of(metric_table(realistic, "worst_gap", by="estimator", fmt="csv"))
    assert {row["estimator"]: float(row["worst_gap (nats)"]) for row in rows} == {
        "blahut_arimoto": pytest.approx(1e-2),
        "ebrd": 40.0,
    }


def test_columns_that_vary_are_added(cell, point):
    cells = [cell(n_train=n, points=[point(gap=float(n))]) for n in (10, 1000)]
    rows = rows_of(metric_table(cells, "gap", fmt="csv"))
    assert [(row["n_train"], float(row["gap (nats)"])) for row in rows] == [
        ("10", 10.0), ("1000", 1000.0),
    ]  # fmt: skip


def test_seconds_of_concurrent_runs_stay_apart(cell):
    cells = [cell(cost={"wall_s": 1.0}), cell(cost={"wall_s": 9.0}, provenance={"jobs": 8})]
    rows = rows_of(metric_table(cells, "wall_s", fmt="csv"))
    assert [(row["jobs"], row["wall_s (s)"]) for row in rows] == [("1", "1.0"), ("8", "9.0")]


def test_grouping_by_point_columns(cell, point):
    cells = [
        cell(points=[point(beta=1.0, gap=1.0), point(beta=10.0, gap=3.0)], seed=s) for s in (0, 1)
    ]
    rows = rows_of(metric_table(cells, "gap", by="beta", fmt="csv"))
    assert [(row["beta"], row["gap (nats)"], row["n"]) for row in rows] == [
        ("1", "1.0", "2"), ("10", "3.0", "2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "speed"}, "'speed'.*gap, worst_gap.*cpu_s"),
        ({"by": "case,colour"}, "'colour'.*suite.*estimator.*beta"),
        ({"by": " , "}, "no columns.*case"),
        ({"metric": "cpu_s", "by": "beta"}, "cpu_s by 'beta'.*case"),
        ({"fmt": "docx"}, "'docx'.*md, latex, csv, html"),
        ({"units": "bans"}, "'bans'.*nats, bits"),
    ],
)
def test_bad_choices_are_one_line_with_the_valid_ones(realistic, arguments, message):
    with pytest.raises(RdbenchError, match=message) as caught:
        metric_table(realistic, **arguments)
    assert "\n" not in str(caught.value)


NASTY = "a_b&c%d$e#f{g}~h^i\\j|k<l>m[n]\"o'"


def test_latex_is_escaped_and_balanced(cell):
    text = metric_table([cell(case=NASTY)], fmt="latex")
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
    first = body.split(" & ")[0].strip()
    assert first == (
        r"a\_b\&c\%d\$e\#f\{g\}\textasciitilde{}h\textasciicircum{}i\textbackslash{}j\textbar{}k"
        r"\textless{}l\textgreater{}m{[}n{]}" + "\"o'"
    )
    columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)
    assert columns is not None
    # Every row has as many cells as there are columns.
    for line in text.splitlines():
        if line.endswith(r"\\"):
            assert len(re.findall(r"(?<!\\)&", line)) == len(columns[1]) - 1


def test_markdown_cells_cannot_break_the_row(cell):
    lines = metric_table([cell(case=NASTY)], fmt="md").splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_says_what_it_was_given(cell):
    nasty = NASTY + "<script>alert(1)</script>"
    parser = _Cells()
    parser.feed(metric_table([cell(case=nasty)], fmt="html"))
    assert nasty in parser.texts
    assert parser.tags == {"table", "thead", "tbody", "tr", "th", "td"}


def test_csv_says_what_it_was_given(cell):
    nasty = NASTY + ',"x"\n'
    assert rows_of(metric_table([cell(case=nasty)], fmt="csv"))[0]["case"] == nasty
