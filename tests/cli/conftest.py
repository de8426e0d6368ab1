"""A record whose numbers are known in closed form, and a results folder that holds it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rdbench.run.records import CellRecord, Cost, PointRecord, Provenance

Gaussian = Callable[..., CellRecord]


def _gaussian(**changes: Any) -> CellRecord:
    points = []
    for rate in (1.5, 3.0):
        d = math.exp(-2.0 * rate)
        points.append(
            PointRecord(
                beta=0.5 / d, status="ok", rate=rate, distortion=d, gap=0.0, gap_lo=0.0,
                gap_hi=0.0, truth_lo=rate + 0.5, truth_hi=rate + 0.5, rate_lo=rate,
                rate_hi=rate, dist_lo=d, dist_hi=d,
            )
        )  # fmt: skip
    made: dict[str, Any] = {
        "commit": "0" * 40, "dirty": False, "versions": {}, "processor": "", "platform": "",
        "device": "cpu", "threads": 1, "jobs": 1, "started": "", "finished": "",
    }  # fmt: skip
    about: dict[str, Any] = {
        "cell": "a" * 16, "suite": "scalar", "suite_version": 1, "case": "gaussian-standard",
        "dim": 1, "distortion": "squared_error", "estimator": "e", "preset": "default",
        "params": {}, "fields": {}, "seed": 0, "budget": "default", "status": "ok",
        "points": points, "cost": Cost(), "provenance": Provenance(**made),
    }  # fmt: skip
    return CellRecord(**(about | changes))


@pytest.fixture(scope="session")
def gaussian() -> Gaussian:
    """``gaussian(**changes)``: a record of scalar/gaussian-standard at the rates 1.5 and 3."""
    return _gaussian


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with that record."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "records.jsonl").write_bytes(msgspec.json.encode(_gaussian()) + b"\n")
    return folder
