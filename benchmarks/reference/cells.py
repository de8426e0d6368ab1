"""The cells of the run, and those of them that no record answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Missing:
    """Cells of one suite and estimator that have no record."""

    suite: str
    estimator: str
    cases: tuple[str, ...]
    seeds: tuple[int, ...]
    planned: bool


def not_run(
    plan: Mapping[str, Cell], wish: Mapping[str, Cell], records: Iterable[CellRecord]
) -> list[Missing]:
    """What of the wish has no record, of whatever code: the plan's first, suite by suite."""
    stored = {(r.suite, r.case, estimator_label(r), r.seed) for r in records}
    seeds: dict[tuple[bool, str, str, str], list[int]] = {}
    for cell in {**plan, **wish}.values():
        if (cell.suite, cell.case, cell.label, cell.seed) not in stored:
            key = (cell.id in plan, cell.suite, cell.label, cell.case)
            seeds.setdefault(key, []).append(cell.seed)
    cases: dict[tuple[bool, str, str, tuple[int, ...]], list[str]] = {}
    for (is_planned, suite, label, case), of_case in seeds.items():
        cases.setdefault((is_planned, suite, label, tuple(sorted(of_case))), []).append(case)
    left = [
        Missing(suite, label, tuple(names), of_case, is_planned)
        for (is_planned, suite, label, of_case), names in cases.items()
    ]
    return sorted(left, key=lambda one: not one.planned)
