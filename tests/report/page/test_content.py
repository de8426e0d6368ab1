"""The data of the page equal the export; settings are not mixed; anchors are words."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict

import msgspec
import numpy as np
import pandas as pd
import pytest

from rdbench.report.export import frame
from rdbench.report.page.content import LONGEST_TRACEBACK, page_data
from rdbench.report.page.facts import facts
from rdbench.report.page.pack import script_json
from rdbench.report.page.render import SCRIPTS, _source
from rdbench.report.scales import curve_axes, gap_scale
from rdbench.report.series import panels_of
from rdbench.report.style import Look
from rdbench.report.summary import summarise
from rdbench.run.records import PointRecord, TracePoint

RENAMED = {"distortion": "distortion_value"}


def unpacked(data, name):
    """One column of the points, as the script of the page reads it."""
    found = data["points"]
    if name in found:
        return column(found[name], len(found["truth"]))
    known = column(data["truths"][name], 1 + max(found["truth"], default=0))
    return [known[k] for k in found["truth"]]


def column(packed, n):
    if packed is None:
        return [None] * n
    if isinstance(packed, list):
        return packed
    return [None if code is None else packed["values"][code] for code in packed["codes"]]


def keyed(data, values):
    """Values by cell and place in it."""
    places = [(cell["cell"], k) for cell in data["cells"] for k in range(cell["points"])]
    return dict(zip(places, values, strict=True))


NAMES = [
    *(field.name for field in msgspec.structs.fields(PointRecord)
      if field.name not in ("draws", "gap_blocks")),
    "claimed_gap", "claim_excess", "claim",
]  # fmt: skip


def test_every_column_equals_the_export_to_the_last_digit(realistic):
    records = [msgspec.structs.replace(r, cell=f"{k:016x}") for k, r in enumerate(realistic)]
    data = json.loads(script_json(page_data(records)))
    table = frame(records, "points")
    # Both in order of the cells; the rows of a cell keep theirs.
    table = table.sort_values("cell", kind="stable", ignore_index=True)
    for name in NAMES:
        found = dict(sorted(keyed(data, unpacked(data, name)).items()))
        expected = [None if pd.isna(v) else v for v in table[RENAMED.get(name, name)]]
        assert list(found.values()) == expected, name


def test_every_field_of_a_cell_is_on_the_page(cell):
    (only,) = page_data([cell()])["cells"]
    assert {f.name for f in msgspec.structs.fields(type(cell()))} - set(only) == {
        "cost", "provenance", "trace",
    }  # fmt: skip
    assert only["cpu_s"] == 3.0
    assert only["finished"] == "2026-01-01T00:00:10+00:00"


def test_settings_that_vary_in_a_suite_make_series_of_their_own(cell):
    quick = cell(cell="b" * 16, budget="quick")
    other = cell(cell="c" * 16, suite="other")
    labels = [one["label"] for one in page_data([cell(), quick, other])["series"]]
    assert labels == ["good", "good, budget default", "good, budget quick"]


def test_series_have_the_looks_that_are_asked_for(cell):
    (only,) = page_data([cell()], {"good": Look("#0072B2", "v")})["series"]
    assert (only["colour"], only["marker"], only["filled"]) == ("#0072B2", "v", True)


def test_standings_are_the_paired_comparison(cell, point):
    shared = np.random.default_rng(3).standard_normal(64)

    def one(name, shift, **changes):
        blocks = (shared + shift).tolist()
        gap, half = float(np.mean(blocks)), 1.96 * float(np.std(blocks)) / 8.0
        points = [point(gap=gap, gap_lo=gap - half, gap_hi=gap + half, gap_blocks=blocks,
                        gap_common_se=0.001)]  # fmt: skip
        return cell(cell=name, estimator=name, points=points, **changes)

    data = page_data([one("a", 0.0), one("b", 0.05), one("c", 9.0, case="other")])
    rows = {data["cells"][row["cells"][0]]["cell"]: row for row in data["rows"]}
    assert rows["c"]["behind"] is None  # nobody to compare it with
    assert not rows["c"]["leader"]
    assert (rows["a"]["best"], rows["a"]["leader"]) == (True, True)
    assert (rows["b"]["best"], rows["b"]["leader"]) == (False, False)
    half = 1.959964 * 0.001 * math.sqrt(2.0)
    found = [rows["b"]["behind"][name] for name in ("lo", "value", "hi")]
    assert np.allclose(found, [0.05 - half, 0.05, 0.05 + half], atol=1e-8)
    assert [data["cells"][row["cells"][0]]["cell"] for row in data["rows"]] == ["c", "a", "b"]


def test_the_leaderboard_and_the_axes_are_those_of_the_tables_and_figures(realistic):
    data = json.loads(script_json(page_data(realistic)))
    assert len(data["rows"]) == 6
    for row in data["rows"]:
        case, label = data["cases"][row["case"]], data["series"][row["series"]]["label"]
        mine = [r for r in realistic if (r.case, r.estimator) == (case["case"], label)]
        found = summarise(mine)
        assert row["shown"] == found.shown_gap
        assert {name: row[name] for name in asdict(found)} == json.loads(json.dumps(asdict(found)))
    for panel, one in zip(panels_of(realistic), data["cases"], strict=True):
        points = [point for series in panel.series for point in series.points]
        axis, end = gap_scale(points), curve_axes(panel)
        sent = one["axes"]["gap"]
        assert (sent["kind"], sent["lo"], sent["hi"]) == (axis.kind, axis.lo, axis.hi)
        assert end is not None
        assert (one["axes"]["distortion"]["hi"], one["axes"]["rate"]["hi"]) == (end[0].hi, end[1])
    # Of one case the rows come best first, what has no gap last.
    assert [row["shown"] is None for row in data["rows"]] == [False] * 3 + [True, False, True]


def test_scripts_compute_no_statistics():
    scripts = "".join(_source(f"{name}.js") for name in SCRIPTS)
    assert not re.search(r"\b(mean|median|quantile|summarise|gapScale)\w* ?\(", scripts)


def test_anchors_are_words_and_differ_whatever_cells_are_called(cell):
    records = [cell(cell=name) for name in ('"><script>', "''<script>", "ab cd", "ab_cd")]
    anchors = [one["anchor"] for one in page_data(records)["cells"]]
    assert len(set(anchors)) == 4
    assert all(re.fullmatch(r"cell-[\w-]+", anchor) for anchor in anchors)


def test_cells_come_by_suite_dimension_case_and_seed(cell):
    records = [
        cell(cell="1", case="ramp-d10", dim=10),
        cell(cell="2", case="ramp-d2", dim=2, seed=1),
        cell(cell="3", case="ramp-d2", dim=2, seed=0),
        cell(cell="4", suite="a"),
    ]
    assert [one["cell"] for one in page_data(records)["cells"]] == ["4", "3", "2", "1"]


def test_equal_tracebacks_are_kept_once_and_long_ones_at_both_ends(cell):
    long = "start" + "x" * 50_000 + "end"
    records = [cell(cell=str(k), traceback=long, status="error") for k in range(3)]
    data = page_data(records)
    (text,) = data["tracebacks"]
    assert text.startswith("start")
    assert text.endswith("end")
    assert "characters left out" in text
    assert len(text) < LONGEST_TRACEBACK + 100


def test_failures_are_grouped_as_below_the_tables(cell, point, failed):
    reasons = [failed("unsupported", f"needs {n} points", beta=float(n)) for n in (10, 200)]
    (one,) = page_data([cell(points=[point(), *reasons])])["troubles"]
    assert (one["status"], one["points"]) == ("unsupported", 2)
    assert one["reason"] == "needs 10 points"


def test_checkpoints_are_there(cell):
    trace = [TracePoint(beta=2.0, wall_s=0.1, cpu_s=0.2, gap=0.3)]
    found = page_data([cell(cell="0"), cell(cell="1", trace=trace)])["traces"]
    assert (found["cell"], found["cpu_s"], found["gap"]) == ([1], [0.2], [0.3])
    assert found["gap_lo"] is None


def test_facts_count_what_there_is(realistic):
    known = facts(realistic)
    assert (known["cells"], known["points"], known["estimators"], known["cases"]) == (12, 96, 2, 3)
    assert sum(known["statuses"].values()) == 96
    assert known["seeds"] == [0, 1]
    assert math.isclose(known["fit_s"], 36.0)


def test_the_page_has_the_curves_of_the_figures_point_by_point(realistic):
    data = json.loads(script_json(page_data(realistic)))
    panels = {panel.case: panel for panel in panels_of(realistic)}
    assert len(data["cases"]) == len(panels) == 3
    for one in data["cases"]:
        line = panels[one["case"]].line
        for name, drawn in (("lines", line.lines), ("bands", line.bands)):
            assert len(one[name]) == len(drawn)
            for sent, known in zip(one[name], drawn, strict=True):
                np.testing.assert_allclose(sent, known, rtol=1e-6, atol=1e-9)
    assert any(one["lines"] for one in data["cases"])


def test_points_that_no_channel_reaches_are_marked(cell, point):
    false = [point(rate=9.0, distortion=-0.1), point(rate=0.5, distortion=0.25)]
    data = page_data([cell(points=[point(), *false])])
    assert unpacked(data, "impossible") == [None, True, True]
    assert unpacked(page_data([cell()]), "impossible") == [None]


def test_the_band_lies_between_the_bounds_of_the_estimators(cell, point):
    """Two tangents below, two exact points above: known in closed form."""
    names = "truth_lo truth_hi truth_kind rate_lo rate_hi dist_lo dist_hi gap gap_lo gap_hi"
    free = dict.fromkeys(names.split())
    exact = {"rate_half": 0.0, "distortion_half": 0.0}
    above = [
        point(
            beta=1.0, rate=1.0, distortion=1.0, lagrangian=2.0, lagrangian_hi=2.0, **exact, **free
        ),
        point(
            beta=3.0, rate=2.0, distortion=0.5, lagrangian=3.5, lagrangian_hi=3.5, **exact, **free
        ),
    ]
    nothing = {"rate": None, "distortion": None, "side": "lower"}
    below = [
        point(beta=b, lagrangian=f, lagrangian_lo=f, **nothing, **free)
        for b, f in ((1.0, 1.9), (3.0, 3.3))
    ]
    upper = cell(points=above, data={"of": "rows", "path": "x.npy"})
    lower = cell(cell="f" * 16, estimator="twin", points=below, data={"of": "rows"})
    (case,) = page_data([upper, lower])["cases"]
    assert case["sides"]["widths"] == pytest.approx([0.1, 0.2])
    band = np.array(case["sides"]["band"])
    d, lo, hi = band.T
    assert lo == pytest.approx(np.maximum(1.9 - d, 3.3 - 3.0 * d).clip(0.0), rel=1e-6)
    assert hi == pytest.approx(np.interp(d, [0.5, 1.0], [2.0, 1.0]), rel=1e-6)
    assert case["explained"].count(". ") == 2  # three sentences
    assert page_data([upper])["cases"][0]["sides"] is None
    assert page_data([cell()])["cases"][0]["explained"] == ""
    false = cell(cell="f" * 16, estimator="twin", points=[
        point(beta=1.0, lagrangian=9.0, lagrangian_lo=9.0, **nothing, **free)])  # fmt: skip
    shown = page_data([upper, false])["cases"][0]["sides"]
    assert (shown["band"], shown["widths"]) == ([], None)
    assert "twin" in shown["crossing"]
