"""The cells of the run, and those of them that no record answers."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.reference.plan import Part
from rdbench import registry
from rdbench.report.style import estimator_label
from rdbench.run.plan import Cell, make_plan
from rdbench.run.records import CellRecord


def planned(parts: Iterable[Part]) -> dict[str, Cell]:
    """By identity, every cell of these parts, in their order."""
    found: dict[str, Cell] = {}
    with registry.settled():
        for part in parts:
            plan = make_plan(
                registry.load_suites(part.suite),
                registry.choose_all(",".join(part.estimators)),
                seeds=part.seeds,
                dims=part.dims or None,
                cases=part.cases,
            )
            found |= {cell.id: cell for cell in plan.cells}
    return found


def not_run(cells: Iterable[Cell], records: Iterable[CellRecord]) -> list[tuple[str, str, str]]:
    """Case, estimator and seeds of the cells that have no record, of whatever code, in order."""
    stored = {(r.suite, r.case, estimator_label(r), r.seed) for r in records}
    left: dict[tuple[str, str], list[int]] = {}
    for cell in cells:
        if (cell.suite, cell.case, cell.label, cell.seed) not in stored:
            left.setdefault((f"{cell.suite}/{cell.case}", cell.label), []).append(cell.seed)
    return [(*key, ", ".join(map(str, sorted(seeds)))) for key, seeds in left.items()]
