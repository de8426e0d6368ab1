"""The audited gaps and the CPU seconds of one side, by its own command line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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

    def metric(self, band: int) -> str:
        """The name of the gap at one of its rates."""
        return f"gap/{self.name}/{BANDS[band]}"

    @property
    def fit(self) -> str:
        """The name of the fit's CPU time."""
        return f"fit/{self.name}"


@dataclass
class Measured:
    """What a side said: a point per cell, band and seed, and the CPU seconds of each fit."""

    points: dict[tuple[Cell, int, int], Point] = field(default_factory=dict)
    cpu_s: dict[tuple[Cell, int], float] = field(default_factory=dict)
    """By cell and seed; only of fits that ended as they should."""

    def of(self, cell: Cell, band: int, seeds: Iterable[int]) -> list[Point]:
        """One point per seed."""
        return [self.points[cell, band, seed] for seed in seeds]


def measure(
    side: Side, cells: Sequence[Cell], seeds: Sequence[int], budget: str, folder: str
) -> Measured:
    """Run cells of one case and read what was stored; what fails is a point with its reason.

    Args:
        folder: the results' name; what is in it already is not run again.
    """
    results = side.work / folder
    there = [cell for cell in cells if offers(side, cell)]
    problems = {cell: "not in this commit" for cell in cells if cell not in there}
    for case in dict.fromkeys(cell.case for cell in there):
        wanted = [cell for cell in there if cell.case == case]
        problems |= _run(side, case, wanted, seeds, budget, results)
    rows = _rows(side, results) if there else []
    found = Measured()
    for cell in cells:
        mine = [r for r in rows if (r["case"], r["estimator"]) == (cell.case.name, cell.estimator)]
        for seed in seeds:
            _read(found, cell, seed, [r for r in mine if int(r["seed"]) == seed], problems)
    return found


def offers(side: Side, cell: Cell) -> bool:
    """Whether the commit has the estimator and the suite."""
    return side.offers("estimators", cell.estimator) and side.offers("suites", cell.case.suite)


def _run(
    side: Side,
    case: Case,
    cells: Sequence[Cell],
    seeds: Sequence[int],
    budget: str,
    results: Path,
) -> dict[Cell, str]:
    """All at once; if that ends with an error, one by one, to know whose it is."""
    results.parent.mkdir(parents=True, exist_ok=True)
    groups = [cells, *([cell] for cell in cells)] if len(cells) > 1 else [cells]
    problems: dict[Cell, str] = {}
    for group in groups:
        names = [cell.estimator for cell in group]
        try:
            run(
                side.python,
                case,
                results,
                seeds=seeds,
                estimators=names,
                budget=budget,
                environ=side.environ,
            )
        except CaseFailed as problem:
            if len(group) == 1:
                problems[group[0]] = str(problem).splitlines()[-1]
        else:
            if group is cells:
                break
    return problems


def _rows(side: Side, results: Path) -> list[dict[str, str]]:
    try:
        return exported(side.python, results, "points", side.environ)
    except CaseFailed:  # nothing was stored, or the export fails: every point lacks its row
        return []


def _read(
    found: Measured, cell: Cell, seed: int, rows: list[dict[str, str]], problems: dict[Cell, str]
) -> None:
    why = problems.get(cell, "no row was stored for it")
    for band, rate in enumerate(cell.case.rates):
        near = [row for row in rows if abs(float(row["target_rate"] or "nan") - rate) < 1e-6 * rate]
        found.points[cell, band, seed] = _point(near[0]) if near else Point(None, reason=why)
    if len(rows) == len(cell.case.rates) and all(row["gap"] for row in rows):
        found.cpu_s[cell, seed] = float(rows[0]["cpu_s"])


def _point(row: dict[str, str]) -> Point:
    if not (row["gap"] and math.isfinite(float(row["gap"]))):
        return Point(None, reason=f"{row['status']}: {row['reason']}".strip(": "))
    gap = float(row["gap"])
    ends = [float(row[end]) - gap for end in ("gap_hi", "gap_lo") if row[end]]
    if not all(map(math.isfinite, ends)):
        return Point(None, reason="the interval of its gap is not finite")
    return Point(gap, max(map(abs, ends), default=0.0) / Z95)
