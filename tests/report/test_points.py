"""The table and the picture of cases without a truth: both sides, each by the end that counts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from rdbench.report.points import lower_end, print_points, titled, untold, upper_end
from rdbench.report.upper import is_upper, save_points
from rdbench.run.records import CellRecord, Cost, PointRecord, Provenance


def record(name: str, *points: PointRecord, **more: Any) -> CellRecord:
    made: dict[str, Any] = {
        "commit": "", "dirty": None, "versions": {}, "processor": "", "platform": "",
        "device": "cpu", "threads": 1, "jobs": 1, "started": "", "finished": "",
    }  # fmt: skip
    about: dict[str, Any] = {
        "cell": name, "suite": "data", "suite_version": 1, "case": "x-population-0", "dim": 2,
        "distortion": "squared_error", "estimator": name, "preset": "default", "params": {},
        "fields": {}, "seed": 0, "budget": "quick", "status": "ok", "points": list(points),
        "cost": Cost(), "provenance": Provenance(**made),
        "data": {"path": "/home/me/x.npy", "of": "population"},
    }  # fmt: skip
    return CellRecord(**(about | more))


def point(**given: Any) -> PointRecord:
    usual: dict[str, Any] = {"beta": 2.0, "status": "ok", "side": "exact"}
    return PointRecord(**(usual | given))


GOOD = point(rate=1.0, distortion=0.5, lagrangian=2.0, rate_half=0.1, distortion_half=0.05)
BAD = point(rate=1.5, distortion=0.5, lagrangian=2.5, rate_half=0.1, distortion_half=0.05)
GONE = point(status="error", reason="it fell over")


def printed(*records: CellRecord, units: str = "nats") -> list[str]:
    out = io.StringIO()
    print_points(records, units, Console(file=out, width=150))
    return out.getvalue().splitlines()


def test_the_best_upper_end_comes_first_and_failures_are_told() -> None:
    lines = printed(record("bad", BAD), record("good", GOOD), record("gone", GONE))
    assert "x.npy: R(D) of the population" in lines[0]
    rows = [line.split() for line in lines if "good" in line or "bad" in line]
    assert [row[0] for row in rows] == ["2", "bad"]
    # the ends of R and of beta D, added: 2 + .1 + 2 * .05
    assert rows[0] == ["2", "good", "1", "0.1", "0.5", "0.05", "2", "-", "2.2", "exact"]
    assert lines[-1] == "gone: error at beta 2: it fell over"


def test_bits_are_of_rates_alone() -> None:
    (row,) = [
        line.split() for line in printed(record("good", GOOD), units="bits") if "good" in line
    ]
    assert row[2] == "1.443"
    assert row[4] == "0.5"


def test_seeds_and_rows_are_said() -> None:
    two = record("good", GOOD), record("good", GOOD, seed=7, cell="b")
    assert any(line.split()[:3] == ["good", "7", "1"] for line in printed(*two))
    rows = record("good", GOOD, data={"path": "x.npy", "of": "rows"})
    assert titled(rows) == "x.npy: R(D) of these rows, which are the source; sums are exact"


def test_a_truth_is_told_elsewhere() -> None:
    assert untold(record("good", GOOD))
    known = msgspec.structs.replace(GOOD, truth_lo=1.0, truth_hi=1.0)
    assert not untold(record("good", known))
    assert not untold(record("good", GOOD, data=None))


class Row(PointRecord, frozen=True, kw_only=True):
    """A row of a record that has the columns of both ends."""

    lagrangian_lo: float | None = 1.8
    lagrangian_hi: float | None = 2.1


def test_the_columns_of_the_ends_are_used_where_they_are() -> None:
    assert upper_end(Row(beta=2.0, status="ok", lagrangian=2.0, side="exact")) == 2.1
    assert lower_end(Row(beta=2.0, status="ok", lagrangian=2.0, side="exact")) is None
    assert lower_end(Row(beta=2.0, status="ok", lagrangian=2.0, side="lower")) == 1.8
    assert upper_end(GOOD) == pytest.approx(2.2)
    assert lower_end(GOOD) is None


def test_a_picture_of_points(tmp_path: Path) -> None:
    assert is_upper(GOOD)
    assert not is_upper(GONE)
    assert not is_upper(msgspec.structs.replace(GOOD, side="lower"))
    empty, full = (
        save_points([record("a", one)], tmp_path / f"{i}.svg").read_text()
        for i, one in enumerate((GONE, GOOD))
    )
    assert full.count("<use") > empty.count("<use")  # markers
