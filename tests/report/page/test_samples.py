"""Which draws the page carries: bounded, and comparable between estimators."""

from __future__ import annotations

import json

import pytest

from rdbench.report.page import samples as module
from rdbench.report.page.samples import samples
from rdbench.run.records import Draws


@pytest.fixture
def drawn(cell, point):
    """Makes a cell with draws at as many slopes as are asked for, of y = ``value``."""

    def make(slopes: int, value: float = 0.5, n: int = 24, **changes):
        draws = Draws(
            x=[[0.123456], [1.0]], y=[[[value]] * n] * 2, source=[[2.0]] * n,
            reproduction=[[value]] * n,
        )  # fmt: skip
        ladder = [
            point(beta=float(k + 1), rate_lo=0.1 * k, rate_hi=0.1 * k, draws=draws)
            for k in range(slopes)
        ]
        return cell(points=ladder, **changes)

    return make


def test_three_rates_are_kept_and_what_they_share_is_kept_once(drawn):
    found = samples([drawn(9), drawn(9, 0.7, cell="b", estimator="other")], [0, 1])
    assert [(p["cell"], p["point"]) for p in found["points"]] == [
        (0, 1), (0, 4), (0, 7), (1, 1), (1, 4), (1, 7),
    ]  # fmt: skip
    assert len(found["bases"]) == 1
    assert found["bases"][0]["x"] == [[0.123], [1]]
    assert (found["of"], found["shown"]) == (18, 6)


def test_only_the_first_seed_is_kept(drawn):
    found = samples([drawn(2), drawn(2, cell="b", seed=1)], [0, 0])
    assert {p["cell"] for p in found["points"]} == {0}
    assert (found["of"], found["shown"]) == (4, 2)


def test_estimators_of_a_case_are_shown_at_the_same_slopes(drawn):
    found = samples([drawn(9), drawn(5, cell="b", estimator="other")], [0, 1])
    slopes = {cell: {p["point"] for p in found["points"] if p["cell"] == cell} for cell in (0, 1)}
    assert slopes[1] < slopes[0]


@pytest.mark.parametrize("most", [40_000, 9_000, 3_000, 200])
def test_there_are_never_more_bytes_than_allowed(drawn, monkeypatch, most):
    monkeypatch.setattr(module, "MOST_BYTES", most)
    records = [drawn(8, 0.123, cell=str(k), case=f"case-{k}") for k in range(20)]
    found = samples(records, list(range(20)))
    assert len(json.dumps(found, separators=(",", ":"))) <= most + 100
    assert found["of"] == 160
    assert found["shown"] == len(found["points"])


def test_without_draws_there_is_nothing(cell):
    assert samples([cell()], [0]) == {"bases": [], "points": [], "of": 0, "shown": 0}
