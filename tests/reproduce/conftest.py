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
from rdbench.run.records import CellRecord, Cost, PointRecord, Provenance

MakeRecord = Callable[..., CellRecord]


def _point(beta: float, rate: float | None, **changes: Any) -> PointRecord:
    """A scored point: gap .01 in [.005, .02], exact, its truth at R* = ``rate``."""
    at = 1.0 if rate is None else rate
    values: dict[str, Any] = {
        "beta": beta, "target_rate": rate, "status": "ok", "claimed_rate": at,
        "claimed_distortion": 0.5, "claimed_side": "estimate", "rate": at + 0.01,
        "distortion": 0.5, "lagrangian": at + 0.5 * beta + 0.01, "gap": 0.01, "gap_lo": 0.005,
        "gap_hi": 0.02, "side": "exact", "audit_method": "atoms", "ess": 1.0, "rate_error": 0.01,
        "rate_error_lo": -0.01, "rate_error_hi": 0.03,
        "gap_paper_protocol": 0.01, "n_paper_protocol": 4000, "audit_s": 0.5,
        "conditional_error": 0.01, "conditional_lo": 0.0, "conditional_hi": 0.02,
        "conditional_floor": 0.005, "truth_lo": at + 0.5 * beta, "truth_hi": at + 0.5 * beta,
        "truth_kind": "closed form", "rate_lo": at, "rate_hi": at, "dist_lo": 0.5, "dist_hi": 0.5,
    }  # fmt: skip
    return PointRecord(**(values | changes))


def _record(of: Cell, finished: str = "2026-01-01T00:00:10+00:00", **changes: Any) -> CellRecord:
    """The record of a cell; ``point`` changes all its points, other keywords its own fields."""
    cell = of
    of_points = changes.pop("point", {})
    provenance = Provenance(
        commit=changes.pop("commit", "0" * 40), dirty=False, versions={}, processor="a processor",
        platform="linux", device="cpu", threads=1, jobs=1, started=finished, finished=finished,
    )  # fmt: skip
    values: dict[str, Any] = {
        "cell": cell.id, "suite": cell.suite, "suite_version": cell.suite_version,
        "case": cell.case, "dim": cell.dim, "distortion": cell.distortion,
        "estimator": cell.estimator, "preset": cell.preset, "params": cell.params,
        "fields": cell.fields, "seed": cell.seed, "budget": cell.budget, "n_train": cell.n_train,
        "status": "ok", "cost": Cost(wall_s=4.0, cpu_s=3.0, n_source_samples=1000),
        "points": [
            _point(beta, rate, **of_points)
            for beta, rate in zip(cell.betas, cell.target_rates, strict=True)
        ],
        "provenance": provenance,
    }  # fmt: skip
    return CellRecord(**(values | changes))


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
