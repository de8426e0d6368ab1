"""The audited gaps and the CPU seconds of one side, measured by its own command line."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks._cases import BANDS, Case, CaseFailed, exported, run
from benchmarks.gate.sides import Side
from benchmarks.gate.verdicts import Z95, Point


@dataclass(frozen=True)
class Cell:
    """An estimator on a case."""

    case: Case
    estimator: str

    @property
    def name(self) -> str:
        """As in the names of metrics."""
        return f"{self.case.name}/{self.estimator}"

    @property
    def gaps(self) -> tuple[str, ...]:
        """The names of its gaps, one for each rate."""
        return tuple(f"gap/{self.name}/{band}" for band in BANDS)

    @property
    def fit(self) -> str:
        """The name of the fit's CPU time."""
        return f"fit/{self.name}"


@dataclass
class Measured:
    """The results of one side: a point per cell, band and seed, and the CPU seconds of each fit."""

    points: dict[tuple[Cell, int, int], Point] = field(default_factory=dict)
    cpu_s: dict[tuple[Cell, int], float] = field(default_factory=dict)
    """By cell and seed; only of fits that found a gap at every rate."""


def offers(side: Side, cell: Cell) -> bool:
    """Whether the commit has the estimator and the suite."""
    return side.offers("estimators", cell.estimator) and side.offers("suites", cell.case.suite)


def measure(side: Side, cells: Sequence[Cell], seeds: Sequence[int], folder: str) -> Measured:
    """Run cells of one case and read what was stored; a failure is a point with its reason.

    Args:
        side: whose command line runs them.
        cells: all of the same case.
        seeds: each cell is run with every one of them.
        folder: the name of the results; cells that it already holds are not run again.
    """
    results = side.work / folder
    present = [cell for cell in cells if offers(side, cell)]
    problems = dict.fromkeys(cells, "not in this commit") | _run(side, present, seeds, folder)
    rows: list[dict[str, str]] = []
    if present:
        # Where nothing was stored, or the export fails, every point lacks its row.
        with contextlib.suppress(CaseFailed):
            rows = exported(side.python, results, "points", side.environ)
    found = Measured()
    for cell in cells:
        for seed in seeds:
            key = (cell.case.name, cell.estimator, seed)
            mine = [r for r in rows if (r["case"], r["estimator"], int(r["seed"])) == key]
            for band, rate in enumerate(cell.case.rates):
                near = [
                    r for r in mine if math.isclose(_number(r, "target_rate"), rate, rel_tol=1e-6)
                ]
                found.points[cell, band, seed] = (
                    _point(near[0]) if near else Point(None, reason=problems[cell])
                )
            if len(mine) == len(BANDS) and all(row["gap"] for row in mine):
                found.cpu_s[cell, seed] = float(mine[0]["cpu_s"])
    return found


def _run(side: Side, cells: Sequence[Cell], seeds: Sequence[int], folder: str) -> dict[Cell, str]:
    """All cells at once; if that ends with an error, one by one, to know whose it is."""
    problems = dict.fromkeys(cells, "no row was stored for it")
    names = [cell.estimator for cell in cells]
    where = side.work / folder
    try:
        if cells:
            run(
                side.python,
                cells[0].case,
                where,
                seeds=seeds,
                estimators=names,
                environ=side.environ,
            )
    except CaseFailed as problem:
        if len(cells) == 1:
            return {cells[0]: str(problem).splitlines()[-1]}
        for cell in cells:
            problems |= _run(side, [cell], seeds, folder)
    return problems


def _number(row: dict[str, str], column: str) -> float:
    return float(row[column] or "nan")


def _point(row: dict[str, str]) -> Point:
    gap = _number(row, "gap")
    if not math.isfinite(gap):
        return Point(None, reason=f"{row['status']}: {row['reason']}".strip(": "))
    ends = [float(row[end]) - gap for end in ("gap_hi", "gap_lo") if row[end]]
    if not all(map(math.isfinite, ends)):
        return Point(None, reason="the interval of its gap is not finite")
    return Point(gap, max(map(abs, ends), default=0.0) / Z95)
