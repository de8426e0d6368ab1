"""Records as a run would leave them, made without running anything."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rdbench.run.records import CellRecord, Cost, PointRecord, Provenance

MakePoint = Callable[..., PointRecord]
MakeCell = Callable[..., CellRecord]


RATE, DISTORTION = math.log(2.0), 0.25
TRUTH: dict[str, Any] = {
    "truth_lo": RATE + 2.0 * DISTORTION, "truth_hi": RATE + 2.0 * DISTORTION,
    "truth_kind": "closed form", "rate_lo": RATE, "rate_hi": RATE, "dist_lo": DISTORTION,
    "dist_hi": DISTORTION, "beta": 2.0, "target_rate": RATE,
}  # fmt: skip
FOUND: dict[str, Any] = {
    "claimed_rate": RATE, "claimed_distortion": DISTORTION, "claimed_side": "estimate",
    "rate": RATE + 0.01, "distortion": DISTORTION, "lagrangian": RATE + 2.0 * DISTORTION + 0.01,
    "gap": 0.01, "gap_lo": 0.005, "gap_hi": 0.02, "side": "exact", "audit_method": "atoms",
    "ess": 1.0, "rate_error": 0.01, "conditional_kind": "boltzmann", "audit_s": 0.5,
}  # fmt: skip
MADE = {
    "commit": "0" * 40, "dirty": False, "versions": {"torch": "2.13.0", "numpy": "2.4.6"},
    "processor": "a processor", "platform": "linux", "device": "cpu", "threads": 1, "jobs": 1,
    "started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:00:10+00:00",
}  # fmt: skip
COST = {
    "wall_s": 4.0, "cpu_s": 3.0, "peak_rss_mb": 250.0, "n_source_samples": 1000,
    "gradient_steps": 20, "n_parameters": 7,
}  # fmt: skip


def make_point(**changes: Any) -> PointRecord:
    """A scored point of N(0, 1) at beta = 2: D = 1/4, R = log 2, gap .01 in [.005, .02]."""
    values: dict[str, Any] = {"status": "ok"} | TRUTH | FOUND | changes
    return PointRecord(**values)


def _failed(status: str, reason: str, **changes: Any) -> PointRecord:
    """A slope without a result: only what is true of it is filled in."""
    values: dict[str, Any] = {"status": status, "reason": reason} | TRUTH | changes
    return PointRecord(**values)


def make_cell(**changes: Any) -> CellRecord:
    values: dict[str, Any] = {
        "cell": "0123456789abcdef", "suite": "toy", "suite_version": 1, "case": "toy-d1", "dim": 1,
        "distortion": "squared_error", "estimator": "good", "preset": "default", "params": {},
        "fields": {"steps": 20}, "seed": 0, "budget": "default", "status": "ok",
        "points": [make_point()], "cost": Cost(**(COST | changes.pop("cost", {}))),
        "provenance": Provenance(**(MADE | changes.pop("provenance", {}))),
    }  # fmt: skip
    return CellRecord(**(values | changes))


@pytest.fixture
def point() -> MakePoint:
    """Makes a scored point; keywords replace fields."""
    return make_point


@pytest.fixture
def failed() -> MakePoint:
    """Makes a point without a result from a status and a reason."""
    return _failed


@pytest.fixture
def cell() -> MakeCell:
    """Makes a finished cell; keywords replace fields, ``cost`` and ``provenance`` parts of them."""
    return make_cell


def water_filling(variances: np.ndarray, rate: float) -> tuple[float, float]:
    """Slope and distortion at which a Gaussian vector has ``rate`` nats, by bisection on D_i."""
    lo, hi = 1e-30, float(variances.max())
    for _ in range(300):
        level = math.sqrt(lo * hi)
        if 0.5 * np.log(np.maximum(variances / level, 1.0)).sum() > rate:
            lo = level
        else:
            hi = level
    return 0.5 / level, float(np.minimum(variances, level).sum())


@pytest.fixture
def realistic() -> list[CellRecord]:
    """Three dimensions, a sampler that degrades with the rate, a grid that refuses d >= 3.

    Two seeds; gaps from 1e-9 to 40, negative ones, one point not converged, one whose audit
    failed its gate, two cut off by a crash.
    """
    generator = np.random.default_rng(7)
    records = []
    for dim in (2, 5, 10):
        variances = 2.0 ** (-0.2 * np.arange(1, dim + 1))
        for seed in (0, 1):
            ours, grid = [], []
            for index, rate in enumerate(np.geomspace(0.05 * dim, min(30, 4 * dim), 8)):
                beta, distortion = water_filling(variances, float(rate))
                fstar = rate + beta * distortion
                truth = {
                    "beta": beta, "target_rate": rate, "rate_lo": rate, "rate_hi": rate,
                    "dist_lo": distortion, "dist_hi": distortion, "truth_lo": fstar,
                    "truth_hi": fstar,
                }  # fmt: skip
                gap = 0.002 * dim / 2 * generator.lognormal() * (-0.3 if index == 1 else 1.0)
                if dim == 10 and index == 7:
                    gap = 40.0
                half = 0.004
                found = {
                    "gap": gap, "gap_lo": gap - half, "gap_hi": gap + half,
                    "lagrangian": fstar + gap, "rate": rate + 0.8 * gap,
                    "distortion": distortion + 0.2 * gap / beta, "rate_error": gap,
                    "side": "estimate", "audit_method": "annealed", "ess": 0.8,
                }  # fmt: skip
                ours.append(make_point(**truth, **found))
                if dim == 2:
                    tiny = 1e-9 * 10.0**index
                    exact = {
                        "gap": tiny, "gap_lo": 0.5 * tiny, "gap_hi": 2 * tiny,
                        "lagrangian": fstar + tiny, "rate": rate, "distortion": distortion,
                        "rate_error": tiny,
                    }  # fmt: skip
                    grid.append(make_point(**truth, **exact))
                else:
                    reason = f"a grid in d = {dim} takes {20**dim:.1e} points at beta {beta:.3g}"
                    grid.append(_failed("unsupported", reason, **truth))
            if dim == 5:
                ours[3] = make_point(
                    **{name: getattr(ours[3], name) for name in ("beta", "rate_lo", "rate_hi",
                       "dist_lo", "dist_hi", "target_rate")},
                    rate=None, distortion=None, rate_error=None, gap=None, gap_lo=0.02, gap_hi=0.5,
                )  # fmt: skip
            if dim == 10 and seed == 1:
                for index in (5, 6):
                    known = {
                        name: getattr(ours[index], name)
                        for name in ("beta", "target_rate", "rate_lo", "rate_hi", "dist_lo",
                                     "dist_hi", "truth_lo", "truth_hi")
                    }  # fmt: skip
                    ours[index] = _failed("crashed", "SIGSEGV", **known)
            common = {
                "suite": "vector_gaussian", "case": f"ramp-d{dim}", "dim": dim, "seed": seed,
            }  # fmt: skip
            crashed = any(p.status == "crashed" for p in ours)
            records.append(
                make_cell(
                    **common, estimator="ebrd", points=ours, status="crashed" if crashed else "ok"
                )
            )
            status = "ok" if dim == 2 else "unsupported"
            records.append(
                make_cell(**common, estimator="blahut_arimoto", points=grid, status=status)
            )
    return records
