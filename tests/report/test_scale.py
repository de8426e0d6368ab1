"""What tables of many cells cost, counted: work is done once for all rows, not once for each."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdbench.columns import TABLES
from rdbench.report import blocks, csv_file, tables, verdicts
from rdbench.report.claim_limits import curve_of
from rdbench.report.claims import verdict_in
from rdbench.report.csv_file import csv_parts, number_texts, write_csv
from rdbench.report.export import frame, write
from rdbench.report.paired import Entrant, standing
from rdbench.report.tables import metric_table
from rdbench.run.records import Draws, TracePoint


class Counted:
    """Calls a function and counts."""

    def __init__(self, call: Any) -> None:
        self.call, self.count = call, 0

    def __call__(self, *args: Any, **more: Any) -> Any:
        self.count += 1
        return self.call(*args, **more)


@pytest.fixture
def rich(realistic, point):
    """Records with blocks, checkpoints, draws, awkward texts and numbers."""
    draws = Draws(x=[[0.5]], y=[[[1e-7], [2.0]]], source=[[0.25]], reproduction=[[-3e-5]])
    mark = TracePoint(beta=2.0, wall_s=1e-5, cpu_s=1e16, gap=0.5)
    points = [
        point(draws=draws, gap_blocks=[0.1, 2e-6, 3.0], reason='a "b", c\nd', gap_common_se=0.0),
        point(gap_blocks=[1.0], reason="=1+1", audit_s=None, gap=None),
    ]
    odd = msgspec.structs.replace(realistic[0], points=points, trace=[mark], traceback="+x,\n")
    return [*realistic, odd]


@pytest.mark.parametrize("what", TABLES)
def test_csv_by_parts_is_that_of_the_frame(rich, what, capsys, monkeypatch):
    monkeypatch.setattr(csv_file, "AT_ONCE", 4)
    write(frame(rich, what), "csv")
    whole = capsys.readouterr().out
    assert "".join(csv_parts(rich, what)) == whole
    assert len(list(csv_parts(rich, what))) == 1 + math.ceil(len(rich) / 4)


def test_a_file_of_csv_makes_no_frame(rich, tmp_path, monkeypatch):
    monkeypatch.setattr("pandas.DataFrame", None)
    write_csv(rich, "points", tmp_path / "points.csv")
    rows = sum(len(record.points) for record in rich)
    assert len((tmp_path / "points.csv").read_text().splitlines()) >= 1 + rows


numbers = st.none() | st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)


@settings(max_examples=300, deadline=None)
@given(st.lists(numbers, max_size=5))
def test_numbers_are_written_as_python_writes_them(values):
    expected = ["" if value is None else repr(float(value)) for value in values]
    assert number_texts(values) == expected


def test_a_table_passes_all_its_verdicts_at_once(realistic, monkeypatch):
    counted = Counted(verdicts.verdicts_in)
    monkeypatch.setattr(tables, "verdicts_in", counted)
    metric_table(realistic, "gap", by="case,estimator,seed")
    assert counted.count == 1


def test_many_verdicts_are_those_of_one_by_one(realistic, monkeypatch):
    pairs = [(record, one) for record in realistic for one in record.points]
    single = [verdict_in(record, one) for record, one in pairs]
    ladders = Counted(curve_of)
    monkeypatch.setattr(verdicts, "curve_of", ladders)
    assert verdicts.verdicts_in(pairs) == single
    assert len(set(single)) > 1
    assert ladders.count == len({id(record) for record, _ in pairs})


def test_moments_of_blocks_are_computed_once_for_a_pair_of_estimators(cell, point, monkeypatch):
    rng = np.random.default_rng(3)
    entrants = {
        name: Entrant(
            tuple(
                (record, one)
                for seed in range(4)
                for record in [cell(seed=seed, estimator=name)]
                for one in [
                    point(beta=beta, gap_blocks=rng.normal(worse, 0.1, 8).tolist(),
                          gap_common_se=0.0, gap=worse, lagrangian=1.0)
                    for beta in (1.0, 2.0, 4.0)
                ]
            )
        )
        for name, worse in (("a", 0.0), ("b", 1.0), ("c", 2.0))
    }  # fmt: skip
    tails = Counted(blocks._tails)
    monkeypatch.setattr(blocks, "_tails", tails)
    found = standing(entrants)
    assert found is not None
    assert found.best == "a"
    assert found.leaders == {"a"}
    assert tails.count == 2  # b and c against a, whatever the number of slopes and seeds
