"""Tidy rows: the columns promised, nothing lost, types that do not depend on the data."""

from __future__ import annotations

import importlib.util
import io
import json
import math
import sys
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from rdbench.columns import TABLES
from rdbench.report import csv_file
from rdbench.report.export import DERIVED, frame, write
from rdbench.report.parquet_file import write_parquet
from rdbench.run.records import CellRecord, Cost, Draws, PointRecord, Provenance, TracePoint
from rdbench.types import RdbenchError

# The promise to whoever reads the export, written out: names and order.
PROMISED = """suite, suite_version, case, cell, dim, distortion, estimator, preset, params, seed,
budget, n_train, beta, target_rate, target_distortion, status, reason, claimed_rate,
claimed_distortion,
claimed_lagrangian, claimed_side, claimed_gap, claim_excess, claim, rate, distortion_value,
lagrangian, lagrangian_lo, lagrangian_hi, evidence, gap, gap_lo,
gap_hi, gap_paper_protocol, n_paper_protocol, log_n_paper_protocol, paper_protocol_saturated,
truth_lo, truth_hi, truth_kind, rate_lo, rate_hi, dist_lo, dist_hi, side, audit_method, ess,
rate_error, rate_error_lo, rate_error_hi, rate_half, distortion_half, gap_common_se,
q_is, started_from, gain, gain_lo, gain_hi, conditional_kind,
conditional_error, conditional_lo, conditional_hi,
conditional_floor, mode_mass_error, wall_s, cpu_s, audit_s, peak_rss_mb, n_source_samples,
gradient_steps, n_parameters, effort, device, threads, jobs, commit, dirty, schema,
versions""".replace("\n", " ").split(", ")


def test_points_have_the_promised_columns_in_order(realistic):
    assert list(frame(realistic, "points").columns) == PROMISED


@pytest.mark.parametrize(
    ("part", "struct", "elsewhere"),
    [
        ("point", PointRecord, {"draws", "gap_blocks"}),  # they have tables of their own
        ("cell", CellRecord, {"points", "trace", "cost", "provenance"}),
        ("cost", Cost, set()),
        ("provenance", Provenance, set()),
        ("checkpoint", TracePoint, set()),
    ],
)
def test_the_table_of_columns_agrees_with_the_records(part, struct, elsewhere):
    fields = {field.name: str(field.type) for field in msgspec.structs.fields(struct)}
    columns = {c.source: c for table in TABLES.values() for c in table if c.part == part}
    assert set(columns) == set(fields) - elsewhere
    kinds = {"number": "float", "whole": "int", "yes or no": "bool", "mapping": "dict"}
    for name, column in columns.items():
        assert kinds.get(column.kind, "") in fields[name], name


def test_derived_columns_are_made_and_no_name_occurs_twice():
    made = {c.name for c in TABLES["points"] if c.part == "derived"}
    assert made == set(DERIVED)
    for columns in TABLES.values():
        assert len({c.name for c in columns}) == len(columns)


def test_one_row_per_slope_failed_ones_too(realistic):
    table = frame(realistic, "points")
    assert len(table) == sum(len(record.points) for record in realistic)
    assert (table["status"] == "unsupported").sum() == 32
    assert table["beta"].notna().all()
    assert table["target_rate"].notna().all()
    failed = table[table["status"] == "crashed"]
    assert len(failed) == 2
    assert failed["gap"].isna().all()
    assert failed["rate_lo"].notna().all()


def test_a_row_says_what_the_record_says(cell, point):
    record = cell(
        suite="s", params={"steps": 3, "lr": 0.5}, n_train=100, points=[point(beta=7.5, gap=-1e-9)]
    )
    row = frame([record]).iloc[0]
    assert row["distortion"] == "squared_error"
    assert row["distortion_value"] == 0.25
    assert (row["beta"], row["gap"], row["n_train"]) == (7.5, -1e-9, 100)
    assert row["params"] == '{"lr":0.5,"steps":3}'
    assert json.loads(row["versions"]) == {"torch": "2.13.0", "numpy": "2.4.6"}
    assert (row["wall_s"], row["cpu_s"], row["jobs"], row["dirty"]) == (4.0, 3.0, 1, False)


def test_what_follows_from_a_row_is_in_it(cell, point):
    # F* = log 2 + 2/4; the claim is 0.3 nats better, the audit 0.01 worse than that.
    rate = math.log(2.0)
    found = point(claimed_rate=rate - 0.3, n_paper_protocol=2, gap_paper_protocol=0.5, rate_lo=0.7)
    row = frame([cell(points=[found])]).iloc[0]
    assert row["claimed_gap"] == pytest.approx(-0.3, abs=1e-12)
    assert row["claim_excess"] == pytest.approx(-0.31, abs=1e-12)
    assert row["claim"] == "below truth"
    assert row["log_n_paper_protocol"] == pytest.approx(rate)
    assert bool(row["paper_protocol_saturated"]) is True  # 0.7 > log 2
    # In 100 dimensions so little is the noise of 2,000 symbols, at a high rate.
    high = {"rate": 60.0, "rate_lo": 60.0, "rate_hi": 60.0, "claimed_rate": 60.0 - 0.3}
    high |= dict.fromkeys(("truth_lo", "truth_hi", "lagrangian"), 60.0 + 2.0 * 25.0)
    high |= {"distortion": 25.0, "claimed_distortion": 25.0}
    large = frame([cell(points=[point(**high)], dim=100)])
    assert large.iloc[0]["claim"] == "agrees"  # .3 is no more than 1% of the rate
    assert frame([cell(points=[found], dim=100)]).iloc[0]["claim"] == "below truth"


def test_what_follows_from_nothing_is_empty(cell, failed):
    row = frame([cell(points=[failed("error", "no")])]).iloc[0]
    assert row["claim"] == "no claim"
    assert row[[name for name in DERIVED if name != "claim"]].isna().all()


@pytest.mark.parametrize("what", list(TABLES))
def test_no_records_give_an_empty_table_of_the_same_types(realistic, what):
    empty = frame([], what)
    assert len(empty) == 0
    assert list(empty.columns) == [column.name for column in TABLES[what]]
    assert (empty.dtypes == frame(realistic, what).dtypes).all()


def test_cells_keep_the_traceback_and_count_points(realistic, cell, point, failed):
    record = cell(
        status="error",
        reason="ValueError: no",
        traceback='Traceback\n  a, "b"\n',
        points=[point(), failed("error", "no", beta=3.0)],
    )
    row = frame([record], "cells").iloc[0]
    assert row["traceback"] == 'Traceback\n  a, "b"\n'
    assert (row["n_points"], row["n_ok"], row["status"], row["audit_s"]) == (2, 1, "error", 0.5)
    assert len(frame(realistic, "cells")) == len(realistic)
    good, bad = point(beta=1.0, gap_hi=0.05), point(beta=2.0, gap_hi=0.051, rate_hi=9.0)
    assert frame([cell(points=[good, bad])], "cells")["good_to"].tolist() == [math.log(2.0)]
    assert frame([cell(points=[bad])], "cells")["good_to"].isna().all()


def test_traces_are_the_checkpoints(cell):
    trace = [TracePoint(beta=2.0, wall_s=float(k), cpu_s=0.5 * k, gap=1.0 / k) for k in (1, 2, 3)]
    table = frame([cell(trace=trace), cell(seed=1)], "traces")
    assert table["gap"].tolist() == [1.0, 0.5, 1.0 / 3.0]
    assert table["wall_s"].tolist() == [1.0, 2.0, 3.0]
    assert table["seed"].tolist() == [0, 0, 0]


def test_blocks_have_a_row_each_in_their_order(cell, point):
    points = [
        point(beta=2.0, gap_blocks=[0.25, 0.5, -0.125], gap_common_se=0.01),
        point(beta=3.0, gap_common_se=0.0),
    ]
    table = frame([cell(points=points), cell(seed=1, points=points[:1])], "blocks")
    assert table["gap_block"].tolist() == [0.25, 0.5, -0.125] * 2
    assert table["block"].tolist() == [0, 1, 2] * 2
    assert table["seed"].tolist() == [0] * 3 + [1] * 3
    assert set(table["beta"]) == {2.0}
    assert set(table["gap_common_se"]) == {0.01}


def test_unknown_table_lists_the_choices():
    with pytest.raises(RdbenchError, match=r"'rows'.*points, blocks, cells, traces"):
        frame([], "rows")


def test_csv_comes_back_digit_for_digit(tmp_path: Path, cell, point):
    odd = point(gap=0.1 + 0.2, reason='a "quoted", comma\nand a new line')
    table = frame([cell(points=[odd])])
    write(table, "csv", tmp_path / "points.csv")
    again = pd.read_csv(tmp_path / "points.csv")
    assert again["gap"][0] == 0.1 + 0.2
    assert again["reason"][0] == odd.reason
    assert list(again.columns) == PROMISED
    assert [path.name for path in tmp_path.iterdir()] == ["points.csv"]


def test_csv_goes_to_standard_output_and_parquet_comes_back(tmp_path: Path, capsys, realistic):
    table = frame(realistic)
    write(table, "csv")
    assert len(pd.read_csv(io.StringIO(capsys.readouterr().out))) == len(table)
    pytest.importorskip("pyarrow")
    write(table, "parquet", tmp_path / "points.parquet")
    again = pd.read_parquet(tmp_path / "points.parquet")
    assert list(again.columns) == PROMISED
    assert again["gap"].equals(table["gap"])


def test_parquet_needs_its_package_and_a_file(tmp_path, monkeypatch, realistic):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(RdbenchError, match=r"pip install 'rdbench\[parquet\]'"):
        write(frame(realistic), "parquet", tmp_path / "points.parquet")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: sys)
    with pytest.raises(RdbenchError, match="--out FILE"):
        write(frame([]), "parquet")


@pytest.mark.parametrize(
    ("fmt", "name", "message"),
    [
        ("xls", "a.xls", "'xls'.*csv, parquet"),
        ("csv", "missing/a.csv", "cannot write .*missing/a.csv"),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(tmp_path, fmt, name, message):
    with pytest.raises(RdbenchError, match=message) as caught:
        write(frame([]), fmt, tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, realistic):
    out = tmp_path / "points.csv"
    out.write_text("old")

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RdbenchError, match="No space left"):
        write(frame(realistic), "csv", out)
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["points.csv"]


def test_the_draws_are_exported_pair_by_pair(realistic):
    kept = Draws(
        x=[[0.0], [1.0]],
        y=[[[0.1], [0.2]], [[1.1], [1.2]]],
        source=[[5.0], [6.0]],
        reproduction=[[5.5], [6.5]],
    )
    record = realistic[0]
    point = msgspec.structs.replace(record.points[0], draws=kept)
    table = frame([msgspec.structs.replace(record, points=[point])], "draws")
    conditional = table[table.law == "conditional"]
    assert list(zip(conditional.symbol, conditional.x1, conditional.y1, strict=True)) == [
        (0, 0.0, 0.1), (0, 0.0, 0.2), (1, 1.0, 1.1), (1, 1.0, 1.2),
    ]  # fmt: skip
    joint = table[table.law == "joint"]
    assert list(zip(joint.x1, joint.y1, strict=True)) == [(5.0, 5.5), (6.0, 6.5)]
    assert joint.symbol.isna().all()
    assert table.x2.isna().all()
    assert frame(realistic, "draws").empty


@pytest.mark.parametrize("what", TABLES)
def test_parquet_in_row_groups_is_the_whole_table(tmp_path: Path, monkeypatch, realistic, what):
    pyarrow_parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(csv_file, "AT_ONCE", 2)
    out = tmp_path / "rows.parquet"
    write_parquet(realistic, what, out)
    assert pyarrow_parquet.ParquetFile(out).num_row_groups == -(-len(realistic) // 2)
    whole = tmp_path / "whole.parquet"
    frame(realistic, what).to_parquet(whole, index=False)
    pd.testing.assert_frame_equal(pd.read_parquet(out), pd.read_parquet(whole))
    write_parquet([], what, out)
    assert list(pd.read_parquet(out).columns) == list(frame([], what).columns)
