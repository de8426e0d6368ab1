"""Records as a run of a paper would leave them, and a second paper beside those that ship."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rdbench.papers
from rdbench.run.plan import Cell
from rdbench.run.records import CellRecord, PointRecord
from tests.report.conftest import make_cell, make_point

MakeRecord = Callable[..., CellRecord]


def _point(beta: float, rate: float | None, **changes: Any) -> PointRecord:
    """A scored point: gap .01 in [.005, .02], exact, its truth at R* = ``rate`` and D* = 1/2."""
    at = 1.0 if rate is None else rate
    truth = {"truth_lo": at + 0.5 * beta, "truth_hi": at + 0.5 * beta, "rate_lo": at,
             "rate_hi": at, "dist_lo": 0.5, "dist_hi": 0.5}  # fmt: skip
    found = {
        "claimed_rate": at, "claimed_distortion": 0.5, "rate": at + 0.01, "distortion": 0.5,
        "lagrangian": at + 0.5 * beta + 0.01, "rate_error_lo": -0.01, "rate_error_hi": 0.03,
        "gap_paper_protocol": 0.01, "n_paper_protocol": 4000, "conditional_error": 0.01,
        "conditional_lo": 0.0, "conditional_hi": 0.02, "conditional_floor": 0.005,
    }  # fmt: skip
    return make_point(**(truth | found | {"beta": beta, "target_rate": rate} | changes))


def _record(of: Cell, finished: str = "2026-01-01T00:00:10+00:00", **changes: Any) -> CellRecord:
    """The record of a cell; ``point`` changes all its points, other keywords its own fields."""
    of_points = changes.pop("point", {})
    names = ("suite", "suite_version", "case", "dim", "distortion", "estimator", "preset",
             "params", "fields", "seed", "budget", "n_train")  # fmt: skip
    values: dict[str, Any] = {
        "cell": of.id,
        "points": [
            _point(beta, rate, **of_points)
            for beta, rate in zip(of.betas, of.target_rates, strict=True)
        ],
        "provenance": {"commit": changes.pop("commit", "0" * 40), "finished": finished},
    }
    return make_cell(**({name: getattr(of, name) for name in names} | values | changes))


@pytest.fixture
def record() -> MakeRecord:
    """Makes the record of a planned cell."""
    return _record


@pytest.fixture
def point() -> Callable[..., PointRecord]:
    """Makes a scored point of a slope and a rate."""
    return _point


@pytest.fixture(scope="module")
def toy() -> Iterator[None]:
    """The paper ``toy`` lies among the others."""
    found = list(rdbench.papers.__path__)
    rdbench.papers.__path__ = [*found, str(Path(__file__).parent / "papers")]
    importlib.invalidate_caches()
    yield
    rdbench.papers.__path__ = found
    sys.modules.pop("rdbench.papers.toy", None)
