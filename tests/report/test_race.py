"""The race: what is drawn of several budgets, and what the picture says it leaves out."""

from __future__ import annotations

import pytest

from rdbench.report.grouping import sort_key
from rdbench.report.race import left_out, races, save_race


@pytest.fixture
def records(cell, point):
    """Two estimators at two budgets; a point of one ladder was withheld by the audit."""
    withheld = point(gap=None, gap_lo=None, gap_hi=0.5)
    return [
        cell(cell="0", budget="5s", cost={"cpu_s": 5.0}),
        cell(cell="1", budget="20s", cost={"cpu_s": 21.0}, points=[point(gap=0.002)]),
        cell(cell="2", budget="20s", seed=1, cost={"cpu_s": 19.0}, points=[point(gap=0.004)]),
        cell(cell="3", estimator="poor", budget="5s", cost={"cpu_s": 4.0}),
        cell(cell="4", estimator="poor", budget="20s", points=[point(), withheld]),
    ]


def test_a_budget_is_the_mean_over_seeds_and_a_ladder_counts_whole_or_not_at_all(records):
    (race,) = races(records).values()
    assert [(e.cpu_s, e.gaps) for e in race["good"]] == [(5.0, (0.01,)), (20.0, (0.002, 0.004))]
    assert [e.cpu_s for e in race["poor"]] == [4.0]


def test_the_picture_says_what_it_leaves_out(records, tmp_path):
    assert left_out(records) == {"toy-d1": "poor 20s: a point without a gap"}
    files = save_race(records, tmp_path, "toy-race")
    (svg,) = [file for file in files if file.suffix == ".svg"]
    assert "a point without a gap" in svg.read_text()


def test_budgets_in_seconds_stand_by_their_size() -> None:
    values = ["80s", "default", "20s", None, "5s"]
    assert sorted(values, key=lambda value: sort_key([value])) == [
        None, "default", "5s", "20s", "80s"
    ]  # fmt: skip
