"""Tables of one metric: plain arithmetic, claims beside it, markup that cannot be broken."""

from __future__ import annotations

import csv
import io
import math
import re
from html.parser import HTMLParser

import msgspec
import pytest

from rdbench.cli import main
from rdbench.report import tables
from rdbench.report.metrics import METRICS
from rdbench.types import RdbenchError


def metric_table(*args, **options) -> str:
    return tables.metric_table(*args, **options).text


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


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


@pytest.mark.parametrize("fmt", ["md", "latex", "csv", "html"])
def test_every_metric_in_every_format(cell, fmt):
    for metric in METRICS:
        assert metric in metric_table([cell()], metric, fmt=fmt).replace(r"\_", "_")


def test_units_change_rates_and_nothing_else(cell, point):
    # Three points, so that no count reads 1.
    cells = [cell(points=[point(gap=math.log(2.0), gap_lo=0.0, gap_hi=9.0)] * 3)]
    assert rows_of(metric_table(cells, "gap", fmt="csv", units="bits"))[0]["gap (bits)"] == "1.0"
    assert "| 1 |" in metric_table(cells, "gap", units="bits").splitlines()[-1]
    for metric, column in (("cpu_s", "cpu_s (s)"), ("distortion", "distortion")):
        nats, bits = (
            rows_of(metric_table(cells, metric, fmt="csv", units=u)) for u in ("nats", "bits")
        )
        assert nats == bits
        assert float(nats[0][column]) == {"cpu_s": 3.0, "distortion": 0.25}[metric]


def test_a_narrow_table_drops_claims_then_counts_and_keeps_the_gap(realistic):
    whole = tables.metric_table(realistic, width=400)
    assert whole == tables.metric_table(realistic)
    assert whole.left_out == ()
    narrow = tables.metric_table(realistic, width=80)
    assert max(map(len, narrow.text.splitlines())) <= 80
    assert narrow.left_out == ("claim", "claimed_gap (nats)")
    assert narrow.text.startswith("| case | estimator | gap (nats) | gap_lo | gap_hi | n | of |")
    assert len(narrow.text.splitlines()) == len(whole.text.splitlines())
    assert tables.metric_table(realistic, fmt="csv", width=20).left_out == ()


def test_the_command_fits_a_terminal_and_says_what_it_leaves_out(
    tmp_path, monkeypatch, capsys, cell
):
    (tmp_path / "records.jsonl").write_bytes(msgspec.json.encode(cell()) + b"\n")
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    arguments = ["table", "--results", str(tmp_path)]
    for more, whole in (([], False), (["--verbose"], True)):
        assert main([*arguments, *more]) == 0
        done = capsys.readouterr()
        assert ("| claim |" in done.out) == whole
        assert ("not shown in 70 columns: claim" in done.err) != whole


def test_worst_gap_is_the_largest(realistic):
    rows = rows_of(metric_table(realistic, "worst_gap", by="estimator", fmt="csv"))
    assert {row["estimator"]: float(row["worst_gap (nats)"]) for row in rows} == {
        "blahut_arimoto": pytest.approx(1e-2),
        "ebrd": 40.0,
    }


def test_what_is_claimed_stands_beside_what_is_found(cell, point):
    rate = math.log(2.0)
    points = [point(claimed_rate=rate), point(claimed_rate=rate - 0.4), point(claimed_rate=None)]
    rows = rows_of(metric_table([cell(points=points)], fmt="csv"))
    assert float(rows[0]["claimed_gap (nats)"]) == pytest.approx(-0.2)
    assert rows[0]["claim"] == "below truth 1/3, agrees 1/3, no claim 1/3"
    assert (rows[0]["n"], rows[0]["of"]) == ("3", "3")
    worst = rows_of(metric_table([cell(points=points)], "worst_gap", fmt="csv"))[0]
    assert float(worst["worst_claimed_gap (nats)"]) == pytest.approx(0.0, abs=1e-12)
    for metric, column in (
        ("rate", "claimed_rate (nats)"),
        ("distortion", "claimed_distortion"),
        ("lagrangian", "claimed_lagrangian (nats)"),
    ):
        assert column in rows_of(metric_table([cell()], metric, fmt="csv"))[0]


def test_claims_of_failed_points_do_not_count(cell, point):
    cut = point(status="timeout", claimed_rate=math.log(2.0) - 5.0)
    rows = rows_of(metric_table([cell(points=[point(), cut])], fmt="csv"))
    assert rows[0]["claim"] == "agrees 1/1"


def test_an_upper_bound_prints_its_upper_end_marked_as_one_except_in_csv(cell, point):
    # The estimate .01 is no bound: the truth lies above it half of the time.
    upper = point(side="upper", gap_lo=None)
    for fmt in ("md", "html", "latex"):
        for metric in ("gap", "worst_gap", "median_gap"):
            text = metric_table([cell(points=[upper])], metric, fmt=fmt)
            assert {"md": "| ≤ 0.02 |", "html": ">≤ 0.02<", "latex": r"$\leq$ 0.02"}[fmt] in text
            assert "0.01" not in text
    # Where the largest gap is of another point, the worst is no bound, but the mean still is:
    # (.02 + .04) / 2, both by their upper ends. The median of .02 and .03 is .025.
    for points, metric, expected in (
        ([upper, point(gap=0.5, gap_hi=0.6)], "worst_gap", "| 0.5 | 0.005 | 0.6 |"),
        ([upper, point(gap=0.001, gap_hi=0.002)], "worst_gap", "| ≤ 0.02 | 0.005 | 0.02 |"),
        ([upper, point(gap=0.03, gap_hi=0.04)], "gap", "| ≤ 0.03 | - | 0.03 |"),
        ([upper, point(gap=0.03, gap_hi=0.04)], "median_gap", "| ≤ 0.025 |"),
    ):
        assert expected in metric_table([cell(points=points)], metric)
    row = rows_of(metric_table([cell(points=[upper])], fmt="csv"))[0]
    assert (row["gap (nats)"], row["gap_lo"], row["gap_hi"]) == ("0.02", "", "0.02")
    assert "≤" not in metric_table([cell()])


def test_a_lagrangian_bounded_from_above_prints_its_upper_end(cell, point):
    # F* = log 2 + 1/2; the point's F is .01 above, its upper end .02.
    fstar = math.log(2.0) + 0.5
    upper = point(side="upper", gap_lo=None)
    assert f"| ≤ {fstar + 0.02:.3g} |" in metric_table([cell(points=[upper])], "lagrangian")
    row = rows_of(metric_table([cell(points=[upper])], "lagrangian", fmt="csv"))[0]
    assert float(row["lagrangian (nats)"]) == pytest.approx(fstar + 0.02, rel=1e-12)
    unbounded = point(side="upper", gap=None, gap_lo=None, gap_hi=None)
    assert "≤" not in metric_table([cell(points=[unbounded])], "lagrangian")


def test_the_rate_error_is_an_interval_and_blank_where_there_is_none(cell, point):
    points = [
        point(rate_error=0.1, rate_error_lo=-0.1, rate_error_hi=0.3),
        point(rate_error=0.3, rate_error_lo=0.2, rate_error_hi=0.4),
        point(rate_error=-3.03),  # of before schema 3
        point(rate_error=None, rate_error_lo=-4.0, rate_error_hi=4.0),
    ]
    row = rows_of(metric_table([cell(points=points)], "rate_error", fmt="csv"))[0]
    ends = ("rate_error (nats)", "rate_error_lo", "rate_error_hi")
    assert [float(row[name]) for name in ends] == pytest.approx([0.2, 0.05, 0.35])
    assert (row["n"], row["of"]) == ("2", "4")
    blank = rows_of(metric_table([cell(points=points[2:])], "rate_error", fmt="csv"))[0]
    assert [blank[name] for name in ends] == ["", "", ""]


def test_good_to_is_the_least_of_the_seeds(cell, point):
    def ladder(*his):
        return [
            point(beta=float(k), rate_lo=float(k), rate_hi=float(k), gap_hi=hi)
            for k, hi in enumerate(his, 1)
        ]

    far, near = cell(points=ladder(0.01, 0.02, 0.05)), cell(seed=1, points=ladder(0.01, 0.06, 0.01))
    assert "| ≥ 3 | 3 | 1 | 1 |" in metric_table([far], "good_to")
    assert "| 1 | 3 | 2 | 2 |" in metric_table([far, near], "good_to")
    row = rows_of(metric_table([far], "good_to", fmt="csv", units="bits"))[0]
    assert float(row["good_to (bits)"]) == pytest.approx(3.0 / math.log(2.0))
    none = cell(seed=2, points=ladder(0.06, 0.01, 0.01))
    assert "| - | 3 | 2 | 3 |" in metric_table([far, near, none], "good_to")


def test_settings_that_vary_are_columns_and_points_can_be_grouped(cell, point):
    cells = [cell(n_train=n, points=[point(gap=float(n))]) for n in (10, 1000)]
    rows = rows_of(metric_table(cells, "gap", fmt="csv"))
    assert [(row["n_train"], row["gap (nats)"]) for row in rows] == [
        ("10", "10.0"), ("1000", "1000.0"),
    ]  # fmt: skip
    cells = [cell(cost={"wall_s": 1.0}), cell(cost={"wall_s": 9.0}, provenance={"jobs": 8})]
    rows = rows_of(metric_table(cells, "wall_s", fmt="csv"))
    assert [(row["jobs"], row["wall_s (s)"]) for row in rows] == [("1", "1.0"), ("8", "9.0")]
    ladder = [point(beta=1.0, gap=1.0), point(beta=10.0, gap=3.0)]
    cells = [cell(points=ladder, seed=seed) for seed in (0, 1)]
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


def test_markdown_and_csv_say_what_they_were_given(cell):
    lines = metric_table([cell(case=NASTY)], fmt="md").splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    nasty = NASTY + ',"x"\n'
    assert rows_of(metric_table([cell(case=nasty)], fmt="csv"))[0]["case"] == nasty


def test_the_mean_of_f_has_its_ends(cell, point):
    def row(*ends, side="exact"):
        points = [
            point(lagrangian=f, lagrangian_lo=lo, lagrangian_hi=hi, side=side) for lo, f, hi in ends
        ]
        return rows_of(metric_table([cell(points=points)], metric="lagrangian", fmt="csv"))[0]

    both = row((1.0, 1.5, 2.0), (2.0, 2.5, 4.0))
    names = ("lagrangian", "lagrangian_lo", "lagrangian_hi")
    found = [float(next(v for k, v in both.items() if k.split(" ")[0] == name)) for name in names]
    assert found == [2.0, 1.5, 3.0]
