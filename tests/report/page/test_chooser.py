"""Which estimator for my problem: the answers, against what the records say by themselves."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from rdbench.report.page.chooser import choices, suite_answers
from rdbench.report.page.pack import script_json
from rdbench.report.page.problems import dim_of, kind_of
from rdbench.report.paired import Member, difference
from rdbench.run.reading import load

REFERENCE = Path(__file__).parents[3] / "results" / "reference"


def places(records):
    """The series of every record, by the names of the estimators."""
    names = sorted({one.estimator for one in records})
    return names, [names.index(one.estimator) for one in records]


def rows_of(records, choice, finite=None):
    """The rows of the answer to a choice by estimator, in order; None where nothing matches."""
    names, series = places(records)
    found = choices(records, series, finite)
    assert json.loads(script_json(found)) is not None
    place = found["places"].get(choice)
    if place is None:
        return None
    return {names[row["series"]]: row for row in found["answers"][place]["rows"]}


@pytest.fixture(scope="module")
def reference():
    return list(load(REFERENCE, draws=False).records.values())


@pytest.mark.parametrize(
    ("dims", "rate"), [((2, 2), "any"), ((1, 1), "low"), ((3, 10), "high"), ((11, 10**6), "any")]
)
def test_the_ranking_is_that_of_the_records(reference, dims, rate):
    """Worked out again: filtered, averaged and counted by hand, compared two by two."""
    letters = ("hamming", "table")

    def takes(record, p):
        if not (dims[0] <= record.dim <= dims[1]) or record.distortion in letters:
            return False
        if rate == "any":
            return True
        known = p.rate_lo is not None and p.rate_hi is not None
        at = 0.5 * (p.rate_lo + p.rate_hi) if known else p.target_rate
        return at is not None and (at < record.dim) == (rate == "low")

    # Presets and parameters are estimators of their own on the page; here there are none.
    records = [r for r in reference if r.preset == "default" and not r.params and r.n_train is None]
    records = [r for r in records if r.data is None]
    newest = {suite: max(r.suite_version for r in records if r.suite == suite)
              for suite in {r.suite for r in records}}  # fmt: skip
    records = [r for r in records if r.suite_version == newest[r.suite]]
    dim = dim_of(dims[0])
    rows = rows_of(records, f"{dim} continuous {rate} 0", lambda own: False)
    members: dict[str, list[Member]] = {}
    for record in records:
        for p in record.points:
            if takes(record, p):
                members.setdefault(record.estimator, []).append((record, p))
    assert rows is not None
    assert set(rows) == set(members)
    complete = {}
    slots = {(r.suite, r.case, p.beta) for own in members.values() for r, p in own}
    for name, own in members.items():
        points = [p for _, p in own]
        good = [p for p in points if p.status in ("ok", "not_converged") and p.gap is not None]
        shown = [float((p.gap_hi if p.side == "upper" else p.gap) or 0.0) for p in good]
        row = rows[name]
        assert (row["points"], row["scored"]) == (len(points), len(good))
        missed = Counter(p.status for p in points if p.status not in ("ok", "not_converged"))
        assert dict(row["missing"]).items() >= missed.items()
        if not good:
            continue
        # A failed audit says how large the gap is at most, too.
        answered = [p for p in points if p.status in ("ok", "not_converged")]
        assert row["worst"]["hi"] == max(p.gap_hi for p in answered if p.gap_hi is not None)
        if {p.side for p in good} == {"exact"}:
            assert row["shown"] == pytest.approx(math.fsum(p.gap or 0.0 for p in good) / len(good))
        if {p.side for p in good} == {"lower"}:
            continue
        everywhere = {(r.suite, r.case, p.beta) for r, p in own} == slots
        if everywhere and len(good) == len(points) and "its start" not in {p.q_is for p in good}:
            complete[name] = (math.fsum(shown) / len(shown), own)
    ranked = {name: row["rank"] for name, row in rows.items() if row["rank"] is not None}
    assert set(ranked) == set(complete)
    assert ranked, "a choice without a ranking would test nothing"
    left = sorted(complete, key=lambda name: complete[name][0])
    rank = 1
    while left:
        best = complete[left[0]][1]
        found = {name: difference(complete[name][1], best) for name in left[1:]}
        tier = {left[0], *(n for n, one in found.items() if one is None or one.lo <= 0.0)}
        assert {name for name in left if ranked[name] == rank} == tier
        assert {rows[name]["tied"] for name in tier} == {len(tier) - 1}
        rank += len(tier)
        left = [name for name in left if name not in tier]


def test_the_rate_is_taken_per_dimension_and_a_failed_slope_counts(cell, point, failed):
    def at(rate, **changes):
        return point(beta=rate, rate_lo=rate, rate_hi=rate, **changes)

    dead = failed("timeout", "slow", beta=9.0, rate_lo=9.0, rate_hi=9.0)
    records = [
        cell(cell="a", estimator="a", dim=2, points=[at(1.9), at(2.0), dead]),
        cell(cell="b", estimator="b", dim=2, points=[at(1.9), at(2.0), at(9.0)]),
    ]
    low = rows_of(records, "2 continuous low 0")
    high = rows_of(records, "2 continuous high 0")
    assert low is not None
    assert high is not None
    assert [(row["scored"], row["points"], row["rank"]) for row in low.values()] == [(1, 1, 1)] * 2
    assert list(high) == ["b", "a"]
    assert (high["a"]["rank"], high["a"]["missing"]) == (None, [["timeout", 1]])
    assert rows_of(records, "1 any any 0") is None
    assert rows_of(records, "2 letters any 0") is None


def test_kinds_are_told_by_the_measure_the_data_and_the_noise(cell, point):
    assert kind_of([cell()]) == "continuous"
    assert kind_of([cell(distortion="hamming")]) == "letters"
    assert kind_of([cell(data={"of": "training"})]) == "rows"
    exact, noisy = (cell(points=[point(rate_half=half)]) for half in (0.0, 0.01))
    assert (kind_of([exact]), kind_of([noisy])) == ("rows", "continuous")
    assert kind_of([exact, noisy]) == "continuous"
    assert kind_of([noisy], lambda own: True) == "rows"
    assert kind_of([exact], lambda own: False) == "continuous"
    assert [dim_of(d) for d in (1, 2, 3, 10, 11)] == ["1", "2", "3-10", "3-10", "more"]


def test_a_lost_ladder_takes_the_rank_and_is_told(cell):
    records = [
        cell(cell="a", estimator="a"),
        cell(cell="b", estimator="b"),
        cell(cell="c", estimator="b", seed=1, status="crashed", points=[]),
    ]
    rows = rows_of(records, "any any any 0")
    assert rows is not None
    assert (rows["b"]["rank"], rows["b"]["lost"], rows["a"]["rank"]) == (None, 1, 1)
    assert rows_of([records[2]], "any any any 0") is None


def test_settings_are_a_choice_and_the_newest_version_of_a_suite_counts(cell, point):
    records = [
        cell(cell="a", budget="quick", points=[point(gap=0.3, gap_hi=0.4)]),
        cell(cell="b", suite_version=2),
        cell(cell="c", suite_version=1, points=[point(gap=9.0, gap_hi=9.0)]),
    ]
    found = choices(records[1:], [0, 0])
    assert found["settings"] == [""]
    (row,) = found["answers"][found["places"]["any any any 0"]]["rows"]
    assert row["worst"]["hi"] == 0.02
    both = [msgspec.structs.replace(one, suite_version=1) for one in records[:2]]
    assert choices(both, [0, 0])["settings"] == ["budget default", "budget quick"]
    settings = [one["settings"] for one in suite_answers(both, [0, 0])]
    assert settings == ["budget default", "budget quick"]


def test_a_page_opens_with_the_widest_choice_that_has_a_ranking(cell, failed):
    two = [cell(cell=name, estimator=name) for name in "ab"]
    assert choices(two, [0, 1])["default"]["kind"] == "any"
    refused = failed("unsupported", "no letters")
    letters = [
        cell(cell="c", estimator="a", case="l", distortion="hamming", points=[refused]),
        cell(cell="d", estimator="b", case="l", distortion="hamming", points=[refused]),
    ]
    assert choices([*two, *letters], [0, 1, 0, 1])["default"] == {
        "dim": "any", "kind": "continuous", "rate": "any", "settings": 0,
    }  # fmt: skip


def test_a_suite_has_its_seeds_as_an_interval(cell, point):
    records = [
        cell(cell=str(seed), seed=seed, points=[point(gap=gap, gap_hi=gap + 0.01)])
        for seed, gap in enumerate((0.01, 0.03, 0.02))
    ]
    (found,) = suite_answers(records, [0, 0, 0])
    assert (found["suite"], found["settings"], found["seeds"]) == ("toy", "", 3)
    assert found["rows"][0]["by_seed"] == (0.01, 0.03)
    assert found["rows"][0]["worst"]["hi"] == 0.04
