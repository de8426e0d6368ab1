"""A page of many points leaves out what it says it leaves out."""

from __future__ import annotations

import json

import msgspec
import pytest

from rdbench.report.page.content import page_data
from rdbench.report.page.kept import kept
from rdbench.report.page.render import render


@pytest.fixture
def many(cell, point):
    """Two estimators on two cases; of one of them there are seven seeds."""
    ladder = [point(beta=float(k + 1), gap=0.01 * (k + 1)) for k in range(5)]
    found = [
        cell(cell=f"{place:016x}", case=case, estimator=name, seed=seed)
        for place, (case, name, seed) in enumerate(
            (case, name, seed)
            for case in ("one", "two")
            for name, seeds in (("few", 2), ("lots", 7))
            for seed in range(seeds)
        )
    ]
    return [msgspec.structs.replace(record, points=ladder) for record in found]


def test_the_first_seeds_are_kept_whatever_the_order(many):
    assert kept(many).seeds is None
    assert len(kept(many, 90).places) == len(many) == 18
    found = kept(many, 60)  # 20 points a seed of all, 10 a seed where two of four have run out
    assert found.seeds == 4
    ids = {many[place].cell for place in found.places}
    assert sorted(many[place].seed for place in found.places) == [0] * 4 + [1] * 4 + [2, 2, 3, 3]
    backwards = many[::-1]
    assert {backwards[place].cell for place in kept(backwards, 60).places} == ids
    assert {many[place].seed for place in kept(many, 1).places} == {0}


def test_a_page_says_what_it_leaves_out_and_counts_all(many, monkeypatch):
    whole, page = page_data(many), render(many)
    assert 'id="left-out"' not in page
    monkeypatch.setattr("rdbench.report.page.kept.MOST_POINTS", 40)
    data, page = page_data(many[::-1]), render(many)
    assert len(data["cells"]) == 8
    assert len(data["points"]["truth"]) == 40
    assert "leaves out 10 of 18 cells" in page
    assert "of 90 these are the 40 of the first 2 seeds" in page
    assert data["environments"] == whole["environments"]
    assert data["troubles"] == whole["troubles"]
    for row, of_all in zip(data["rows"], whole["rows"], strict=True):
        assert row["cells"]
        assert {data["cells"][k]["series"] for k in row["cells"]} == {row["series"]}
        assert row | {"cells": 0} == of_all | {"cells": 0}
    json.dumps(data)
