"""The results folder: records appended, loaded and exported; and certified truth looked up."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import weakref
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy import ndarray
from numpy.testing import assert_allclose

from benchmarks._kernel import Kernel, Prepare, prepares, scratch

_POINTS = 8


def _point(rng: np.random.Generator, rate: float) -> dict[str, Any]:
    """A scored point of N(0, 1), its gap log-normal around .01 nats."""
    distortion, gap = math.exp(-2.0 * rate), 0.01 * float(rng.lognormal())
    beta = 0.5 / distortion
    return {
        "beta": beta, "target_rate": rate, "status": "ok", "claimed_rate": rate + 0.5 * gap,
        "claimed_distortion": distortion * (1.0 + 0.3 * gap), "claimed_side": "upper",
        "rate": rate + 0.8 * gap, "distortion": distortion + 0.2 * gap / beta,
        "lagrangian": rate + 0.5 + gap, "gap": gap, "gap_lo": 0.7 * gap, "gap_hi": 1.4 * gap,
        "gap_paper_protocol": 1.1 * gap, "n_paper_protocol": 4000, "side": "exact",
        "audit_method": "latent importance sampling, encoder proposal, 64 draws",
        "ess": float(rng.random()), "rate_error": 0.9 * gap, "conditional_kind": "encoder",
        "conditional_error": 0.1 * gap, "conditional_lo": 0.0, "conditional_hi": 0.3 * gap,
        "conditional_floor": 0.003, "audit_s": 2.0 * float(rng.random()),
        "truth_lo": rate + 0.5, "truth_hi": rate + 0.5, "truth_kind": "closed form",
        "rate_lo": rate, "rate_hi": rate, "dist_lo": distortion, "dist_hi": distortion,
    }  # fmt: skip


def _plain(cells: int) -> list[dict[str, Any]]:
    """Finished cells as plain values, of about the length that real ones have without draws."""
    rng = np.random.default_rng(12)
    provenance = {
        "commit": "0" * 40, "dirty": False,
        "versions": {"python": "3.11", "torch": "2.13.0", "numpy": "2.4.6", "scipy": "1.17.0"},
        "processor": "a processor", "platform": "linux", "device": "cpu", "threads": 1, "jobs": 2,
        "started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:00:10+00:00",
    }  # fmt: skip
    fields = {f"parameter_{i}": float(rng.random()) for i in range(12)}
    return [
        {
            "cell": f"{i:016x}", "suite": "scalar", "suite_version": 1, "case": f"case-{i}",
            "dim": 1, "distortion": "squared_error", "estimator": "beta_vae", "preset": "default",
            "params": {"steps": i}, "fields": fields, "seed": i, "budget": "default",
            "status": "ok",
            "points": [_point(rng, float(r)) for r in np.linspace(0.1, 4.0, _POINTS)],
            "cost": {"wall_s": 4.0, "cpu_s": 3.0, "peak_rss_mb": 250.0, "n_source_samples": 1000,
                     "gradient_steps": 20, "n_parameters": 7},
            "provenance": provenance,
        }
        for i in range(cells)
    ]  # fmt: skip


def _records(plain: list[dict[str, Any]]) -> list[Any]:
    import msgspec

    from rdbench.run.records import CellRecord

    return [msgspec.convert(cell, CellRecord) for cell in plain]


def _same(found: dict[str, Any], plain: dict[str, Any], where: str) -> None:
    """Every value of ``plain`` is in ``found``; what it lacks, a default filled in."""
    for name, value in plain.items():
        if name == "points":
            assert len(found[name]) == len(value), f"{where}: {len(found[name])} points"
            for ours, theirs in zip(found[name], value, strict=True):
                _same(ours, theirs, where)
        else:
            assert found[name] == value, f"{where}: {name} is {found[name]!r}, not {value!r}"


@prepares
def _append() -> Kernel:
    from rdbench.run.store import RECORDS, Store

    plain = _plain(50)
    records = _records(plain)

    def work() -> bytes:
        # The file is emptied first: no call has more of it to deal with than another.
        path = store.folder / RECORDS
        path.write_bytes(b"")
        for record in records:
            store.append(record)
        return path.read_bytes()

    def check(found: bytes) -> None:
        assert found.endswith(b"\n"), "the last line is torn"
        lines = found.decode().splitlines()
        assert len(lines) == len(plain), f"{len(lines)} lines instead of {len(plain)}"
        for number, (line, cell) in enumerate(zip(lines, plain, strict=True), 1):
            _same(json.loads(line), cell, f"line {number}")

    store = Store(scratch(work))
    weakref.finalize(work, store.close)
    return Kernel(work, check, len(plain))


@prepares
def _load() -> Kernel:
    import msgspec

    from rdbench.run.store import RECORDS, load

    plain = _plain(200)

    def work() -> Any:
        return load(folder)

    def check(found: Any) -> None:
        assert not found.warnings, found.warnings[0]
        assert list(found.records) == [cell["cell"] for cell in plain], "not the same cells"
        for cell in plain:
            loaded = msgspec.to_builtins(found.records[cell["cell"]])
            _same(loaded, cell, f"cell {cell['cell']}")

    folder = scratch(work)
    lines = [msgspec.json.encode(record) + b"\n" for record in _records(plain)]
    (folder / RECORDS).write_bytes(b"".join(lines))
    return Kernel(work, check, len(plain))


@prepares
def _export() -> Kernel:
    from rdbench.report.export import frame, write

    plain = _plain(125)
    records = _records(plain)
    expected = [(cell, point) for cell in plain for point in cell["points"]]

    def work() -> Path:
        write(frame(records, "points"), "csv", out)
        return out

    def check(found: Path) -> None:
        with found.open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(expected), f"{len(rows)} rows instead of {len(expected)}"
        for row, (cell, point) in zip(rows, expected, strict=True):
            truth = 0.5 * (point["truth_lo"] + point["truth_hi"])
            claimed = point["claimed_rate"] + point["beta"] * point["claimed_distortion"]
            values = point | {name: cell[name] for name in ("cell", "case", "estimator", "seed")}
            values |= {"distortion": "squared_error", "distortion_value": point["distortion"]}
            values |= {"claimed_gap": claimed - truth, **cell["cost"]}
            for name, value in values.items():
                if isinstance(value, str):
                    same = row[name] == value
                else:
                    same = math.isclose(float(row[name]), value, abs_tol=1e-12)
                assert same, f"{name} is {row[name]!r}, not {value!r}"

    out = scratch(work) / "points.csv"
    return Kernel(work, check, len(expected))


@prepares
def _lookup() -> Kernel:
    from rdbench.references import shipped
    from rdbench.suites.scalar import SUITE

    case = next(c for c in SUITE.cases() if c.name == "laplacian-squared")
    shared, rates, times = cast(Any, case.reference), case.rates, 5
    if any(shared.key(shared.slope(rate)) not in shared.table.centres for rate in rates):
        raise NotImplementedError("this commit ships no certificates of the Laplacian")

    def once() -> list[Any]:
        # Nothing is remembered: the table is read again, and every certificate looked for.
        shipped.shipped.cache_clear()
        reference = dataclasses.replace(shared)
        return [reference.point(reference.slope(rate)) for rate in rates]

    def check(found: list[Any]) -> None:
        assert len(found) == times * len(rates), f"{len(found)} points"
        for rate, point in zip(times * rates, found, strict=True):
            assert point.lagrangian.width <= 1e-7, "the bracket of F* is too wide"
            # The slope of a rate is found to a few digits.
            assert_allclose(point.rate.mid, rate, rtol=0, atol=1e-3, equal_nan=False)
            for end in ("lo", "hi"):
                total = getattr(point.rate, end) + point.beta * point.distortion.mid
                off = total - getattr(point.lagrangian, end)
                assert abs(off) <= 0.51 * point.beta * point.distortion.width, "F is not R + beta D"
        for point in found[: len(rates) : 3]:
            lower, upper, distortion = _laplacian(point.beta)
            assert lower <= point.lagrangian.lo, f"F* = {point.lagrangian.lo:g} < {lower:g} nats"
            assert point.lagrangian.hi <= upper, f"F* = {point.lagrangian.hi:g} > {upper:g} nats"
            assert_allclose(point.distortion.mid, distortion, rtol=0.003, equal_nan=False)

    return Kernel(lambda: [p for _ in range(times) for p in once()], check, times * len(rates))


def _laplacian(beta: float) -> tuple[float, float, float]:
    """A lower and an upper bound of F* (nats) of Laplace(0, 1) under squared error, and about D*.

    Blahut's certificate after plain iterations on a grid. Its nodes carry the masses of their
    cells of width h, which is X plus an error of variance h^2 / 12 at the most.
    """
    x, h = np.linspace(-15.0, 15.0, 401, retstep=True)
    below = np.concatenate([0.5 * (x[1:] + x[:-1]), [np.inf]])
    tail = 0.5 * np.exp(-np.abs(below))
    p = np.diff(np.where(below < 0.0, tail, 1.0 - tail), prepend=0.0)
    rho: ndarray = np.subtract.outer(x, x) ** 2
    kernel = np.exp(-beta * rho)
    w = p.copy()
    for _ in range(1000):
        w *= (p / (kernel @ w)) @ kernel
    z = kernel @ w
    f, error = -float(p @ np.log(z)), beta * float(h) ** 2 / 12.0
    gap = math.log(float(((p / z) @ kernel).max()))
    return f - gap - error, f + error, float(p @ ((kernel * rho) @ w / z))


RECORDS: dict[str, Prepare] = {
    "store_append": _append,
    "store_load": _load,
    "export_1000_points": _export,
    "certified_lookup": _lookup,
}
