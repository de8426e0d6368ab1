"""The numbers on the page equal the export and the summary of the tables, to the digits shown."""

from __future__ import annotations

import math

import msgspec
import pandas as pd
import pytest

from rdbench.report.export import frame
from rdbench.report.scores import Worst
from rdbench.report.summary import summarise
from tests.browser import _reading as reading

pytestmark = pytest.mark.browser


@pytest.fixture
def records(realistic, cell, point):
    """The realistic ones, and a case whose gaps are bounded from above, of uncertain truth."""
    bounded = [
        point(side="upper", gap_lo=None, gap=0.125, gap_hi=0.1875, beta=2.0),
        point(gap=0.15625, beta=3.0, truth_hi=1.25, truth_kind="bounds"),
        point(gap=-1.0005e-7, gap_lo=-3e-7, gap_hi=0.0, beta=4.0, status="not_converged"),
    ]
    found = [*realistic, cell(case="bounded", points=bounded)]
    return [msgspec.structs.replace(r, cell=f"{k:016x}") for k, r in enumerate(found)]


def test_every_point_equals_the_export(open_page, records):
    tab = reading.unfold(open_page(records))
    tab.select_option("#points .pager select", "1000")
    found = reading.rows(tab.locator("#points table"))
    table = frame(records, "points")
    keys = ["suite", "case", "estimator", "seed", "beta"]
    expected = {tuple(row[k] for k in keys): row for _, row in table.iterrows()}
    by_shown = {(*key[:4], reading.rounded(key[4], 4)): row for key, row in expected.items()}
    assert len(found) == len(table) == len(by_shown)
    for shown in found:
        names = (shown["suite"], shown["case"], shown["estimator"], int(shown["seed"]))
        row = by_shown[(*names, reading.value(shown["β"]))]
        upper = row["side"] is not pd.NA and row["side"] == "upper"
        for title, name in (
            ("gap", "gap_hi" if upper else "gap"), ("claimed gap", "claimed_gap"), ("R", "rate"),
            ("ESS", "ess"), ("D", "distortion_value"), ("p(y|x) error", "conditional_error"),
        ):  # fmt: skip
            assert reading.value(shown[title]) == reading.rounded(row[name], 4), (title, shown)
        lo = None if upper else row["gap_lo"]
        found_ends = reading.ends(shown["95% interval"])
        assert found_ends == (reading.rounded(lo, 4), reading.rounded(row["gap_hi"], 4))
        assert shown["gap"].startswith("≤") == upper
        assert shown["claim"] == row["claim"]
        no_gap = row["status"] in ("ok", "not_converged") and math.isnan(row["gap"])
        assert shown["status"] == ("no gap" if no_gap else row["status"].replace("_", " "))


@pytest.mark.parametrize("units", ["nats", "bits"])
def test_the_leaderboard_equals_the_summary_of_the_tables(open_page, records, units):
    tab = reading.unfold(open_page(records))
    tab.check(f"input[value={units}]")
    scale = 1.0 if units == "nats" else math.log(2.0)
    overview = {line["case"]: line for line in _overview(tab)}
    shown = [row for table in tab.locator(".by-case table").all() for row in reading.rows(table)]
    assert len(shown) == 7
    for row in shown:
        mine = [r for r in records if (r.case, r.estimator) == (row["case"], row["estimator"])]
        known = summarise(mine)
        worst = known.worst or Worst(math.nan, None)
        columns: tuple[tuple[str, float | None, float], ...] = (
            ("mean gap", known.shown_gap, scale),
            ("median gap", known.median.gap if known.median else None, scale),
            ("good to R*", known.good_to.rate if known.good_to else None, scale),
            ("claimed", known.claims.mean_gap, scale),
            ("at R*", worst.rate, scale),
            ("CPU s", known.cpu_s, 1.0),
        )
        for title, number, per in columns:
            expected = None if number is None else reading.rounded(number / per, 3)
            assert reading.value(row[title]) == expected, (title, row)
        for title, ends in (
            ("95% interval", (known.gap.lo, known.gap.hi)),
            ("worst gap", (worst.lo, worst.hi)),
        ):
            if ends[1] is not None:
                rounded = [e if e is None else reading.rounded(e / scale, 3) for e in ends]
                assert list(reading.ends(row[title])) == rounded
        assert row["good to R*"].startswith("≥") == bool(known.good_to and known.good_to.is_top)
        assert ("±" in row["mean gap"]) == (known.truth_doubt is not None)
        assert (row["ok"], row["seeds"]) == (f"{known.ok}/{known.points}", str(known.seeds))
        assert row["side"] == (", ".join(known.sides) or "–")
        name, _ = known.claims.verdicts[0] if known.claims.verdicts else ("–", 0)
        assert row["claim"].startswith(name)
        text = overview[row["case"]][row["estimator"]]
        if known.shown_gap is None:
            assert text == "unsupported"
        else:
            expected = reading.rounded(known.shown_gap / scale, 2)
            assert reading.value(text.rstrip("*")) == expected
            assert text.endswith("*") == (known.scored < known.points)


def _overview(tab):
    table = tab.locator(".overview table")
    names = [name.strip() for name in table.locator("thead th").all_inner_texts()]
    for line in table.locator("tbody tr:not(.suite)").all():
        fields = dict(zip(names, line.locator("td").all_inner_texts(), strict=True))
        yield {"case": line.locator("th").inner_text()} | fields


def test_a_cell_shows_its_points_to_six_digits(open_page, records):
    record = records[4]
    tab = open_page(records, hash=f"#cell-{record.cell}")
    shown = reading.rows(tab.locator(f"#cell-{record.cell} table"))
    assert len(shown) == len(record.points)
    for row, point in zip(shown, record.points, strict=True):
        for title, number in (("gap lo", point.gap_lo), ("rate", point.rate), ("β", point.beta)):
            assert reading.value(row[title]) == reading.rounded(number, 6)
