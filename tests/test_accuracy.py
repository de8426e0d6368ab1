"""The accuracy figures at the default budget, three seeds, one thread: `make accuracy`.

A target is met when the worst audited gap over the ladder and the seeds is below it and the
interval is narrow enough to tell: half its width at most max(0.005, target / 2) nats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from rdbench.run.records import CellRecord, PointRecord
from rdbench.run.store import load

pytestmark = pytest.mark.accuracy

SCALAR_RATES = "0.1,0.2,0.5,1,2,3"


@dataclass(frozen=True)
class Target:
    """The accuracy that an estimator has to reach on one case."""

    suite: str
    case: str
    estimator: str
    gap: float
    rates: str | None = None
    dim: int | None = None


TARGETS = [
    Target("scalar", "gaussian-shifted", "ebrd", 0.01, SCALAR_RATES),
    Target("vector_gaussian", "ramp-d10", "ebrd", 0.03, dim=10),
    Target("scalar", "gaussian-shifted", "ebrd:mixture", 0.003, SCALAR_RATES),
    Target("scalar", "laplacian-absolute-standard", "ebrd:mixture", 0.005, SCALAR_RATES),
    Target("scalar", "laplacian-absolute-shifted", "ebrd:mixture", 0.005, SCALAR_RATES),
    Target("vector_gaussian", "ramp-d2", "ebrd:mixture", 0.005, dim=2),
    Target("vector_gaussian", "ramp-d5", "ebrd:mixture", 0.015, dim=5),
    Target("vector_gaussian", "ramp-d10", "ebrd:mixture", 0.03, dim=10),
    Target("scalar", "gaussian-[sf]*", "blahut_arimoto", 1e-6),
    Target("scalar", "laplacian-absolute-*", "blahut_arimoto", 1e-4),
    Target("vector_gaussian", "ramp-d2", "blahut_arimoto", 2e-4, dim=2),
]


def _run(target: Target, folder: Path) -> list[CellRecord]:
    from rdbench.cli import main

    command = ["run", "--suite", target.suite, "--cases", target.case]
    command += ["--estimators", target.estimator, "--seeds", "201,202,203"]
    command += ["--results", str(folder)]
    if target.rates is not None:
        command += ["--rates", target.rates]
    if target.dim is not None:
        command += ["--dims", str(target.dim)]
    assert main(command) == 0
    return list(load(folder).records.values())


def _half_width(point: PointRecord) -> float:
    """Of the interval; of side ``upper`` the part above the gap."""
    assert point.gap is not None
    assert point.gap_hi is not None
    if point.gap_lo is None:
        return point.gap_hi - point.gap
    return (point.gap_hi - point.gap_lo) / 2


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.estimator}-{t.suite}-{t.case}")
def test_target(target: Target, tmp_path: Path) -> None:
    records = _run(target, tmp_path)
    assert records
    points = [point for record in records for point in record.points]
    worst = max(points, key=lambda p: float("inf") if p.gap is None else p.gap)
    assert worst.gap is not None, msgspec.structs.asdict(worst)
    width = max(_half_width(p) for p in points)
    cpu = [record.cost.cpu_s for record in records]
    print(f"{target}: worst gap {worst.gap:.3g}, half width {width:.3g}, CPU {cpu} s")
    assert worst.gap <= target.gap
    assert width <= max(0.005, target.gap / 2)
