"""Progress and provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import rdbench
from rdbench import registry
from rdbench.run import provenance
from rdbench.run.plan import Cell, make_plan
from rdbench.run.progress import Flying, Forecast, clock, outcome
from rdbench.run.records import CellRecord, Cost, PointRecord, Provenance
from rdbench.run.spool import Stage


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59.4, "59s"), (62.0, "1m02s"), (3599.0, "59m59s"), (7505.0, "2h05m")],
)
def test_durations(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def cells(**changes: Any) -> list[Cell]:
    plan = make_plan([registry.load_suite("toy_coin")], [registry.choose("toy")], **changes)
    return list(plan.cells)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        # Never the estimate: the truth lies above it half of the time.
        (
            [{"gap": 0.01, "gap_hi": 0.02}, {"gap": 0.015, "gap_hi": 0.018}],
            "ok, worst gap ≤ 0.02 n",
        ),
        ([{"gap": 0.01, "gap_hi": 0.02, "side": "upper"}], "ok, worst gap ≤ 0.02 n"),
        ([{"gap": -2e-5, "gap_hi": 0.001}, {"gap_hi": 4.0}], "ok, worst gap ≤ 4 n"),
        ([{"gap": 0.01}], "ok, worst gap without an upper end"),
        ([{"gap": -5.0, "gap_hi": -4.0, "status": "error"}], "ok, 1 of 1 slopes failed"),
        ([{}], "ok"),
    ],
)
def test_a_finished_cell_says_how_large_its_gaps_may_be(
    points: list[dict[str, Any]], words: str
) -> None:
    made = Provenance(
        commit="", dirty=None, versions={}, processor="", platform="", device="cpu", threads=1,
        jobs=1, started="", finished="",
    )  # fmt: skip
    record = CellRecord(
        cell="a", suite="s", suite_version=1, case="c", dim=1, distortion="squared_error",
        estimator="e", preset="default", params={}, fields={}, seed=0, budget="quick",
        status="ok", cost=Cost(), provenance=made,
        points=[msgspec.structs.replace(PointRecord(beta=1.0, status="ok"), **one)
                for one in points],
    )  # fmt: skip
    found = outcome(record, 1.0, "nats")
    assert found == words + "ats" * words.endswith(" n")


@pytest.mark.usefixtures("plugged")
def test_the_time_left() -> None:
    a, b, c, d, e = cells(seeds=[0, 1, 2, 3, 4])
    forecast = Forecast([a, b, c, d, e], jobs=2)
    assert forecast.left_s([]) is None  # nothing is known yet
    forecast.done(a, 10.0)
    forecast.done(b, 20.0)
    assert forecast.left_s([]) == pytest.approx(3 * 15 / 2)
    # c says that a quarter is done after 10 s: 30 s more; d has had 5 of about 15 s
    flying = [
        Flying(c, 10.0, Stage("fit", 0.25)),
        Flying(d, 5.0, Stage("fit", 0.0)),
    ]
    assert forecast.left_s(flying) == pytest.approx(max((30 + 10 + 15) / 2, 30))
    forecast.done(c, None)  # another run did it
    forecast.done(d, 15.0)
    assert forecast.left_s([]) == pytest.approx(15.0)  # one cell is not shared by two jobs


def test_provenance_names_the_versions_and_the_machine() -> None:
    made = provenance.gather("cpu", threads=2, jobs=3)
    assert made.versions["rdbench"] == rdbench.__version__
    assert {"python", "numpy", "scipy", "torch", "pandas"} <= set(made.versions)
    assert (made.device, made.threads, made.jobs) == ("cpu", 2, 3)
    assert made.processor
    stamped = provenance.stamp(made, "2000-01-01T00:00:00+00:00")
    assert stamped.finished > stamped.started
    assert stamped.finished.endswith("+00:00")


def test_a_package_outside_a_checkout_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # an environment inside somebody's own repository must not report that repository's commit
    import subprocess

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    home = tmp_path / "venv" / "rdbench" / "run"
    home.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(home / "provenance.py"))
    made = provenance.gather("cpu", 1, 1)
    assert (made.commit, made.dirty) == ("", None)
