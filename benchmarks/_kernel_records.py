"""The results folder, loaded."""

from __future__ import annotations

import math
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._kernel import Kernel, Prepare, prepares

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
                     "gradient_steps": 20, "n_parameters": 7, "effort": 1.0},
            "provenance": provenance,
        }
        for i in range(cells)
    ]  # fmt: skip


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
def _load() -> Kernel:
    import msgspec

    from rdbench.run.records import CellRecord
    from rdbench.run.store import RECORDS, load

    plain = _plain(200)
    lines = [msgspec.json.encode(msgspec.convert(cell, CellRecord)) + b"\n" for cell in plain]
    folder = Path(tempfile.mkdtemp(prefix="rdbench-kernel-"))
    (folder / RECORDS).write_bytes(b"".join(lines))

    def work() -> Any:
        return load(folder)

    def check(found: Any) -> None:
        assert not found.warnings, found.warnings[0]
        assert list(found.records) == [cell["cell"] for cell in plain], "not the same cells"
        for cell in plain:
            loaded = msgspec.to_builtins(found.records[cell["cell"]])
            _same(loaded, cell, f"cell {cell['cell']}")

    weakref.finalize(work, shutil.rmtree, folder, ignore_errors=True)  # the folder goes with it
    return Kernel(work, check, len(plain))


RECORDS: dict[str, Prepare] = {"store_load": _load}
