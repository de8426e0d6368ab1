"""Which cells a paper consists of, and which records answer them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rdbench import registry
from rdbench.reproduce.paper import Found, Paper, Part
from rdbench.run.draws import MOST_DIM
from rdbench.run.plan import Cell, make_plan
from rdbench.run.pool import is_done
from rdbench.run.records import CellRecord


@dataclass(frozen=True)
class Planned:
    """A part and its cells. ``runs``: they are run where they are missing; others are shown only
    where there are records of them.
    """

    part: Part
    cells: tuple[Cell, ...]
    runs: bool
    draws: int = 0
    """How many draws of p(y|x) a row must have kept."""


def planned(paper: Paper, *, full: bool) -> list[Planned]:
    """The cells of every part, in the order of the paper.

    Args:
        paper: the paper.
        full: with the cells that are never run: further settings and further seeds.

    Raises:
        RdbenchError: the paper names a suite, case or estimator that does not exist.
    """
    wanted = [(part, part.seeds or paper.seeds, True) for part in paper.parts]
    if full:
        wanted += [(_at_hand(part), part.seeds or paper.seeds, False) for part in paper.stored]
        wanted += [(part, paper.more_seeds, False) for part in paper.parts if paper.more_seeds]
    # Each once: looking a name up reads every registered file.
    names = dict.fromkeys(spec for part, _, _ in wanted for spec in part.estimators)
    specs = {spec: registry.choose(spec) for spec in names}
    suites = {name: registry.load_suite(name) for name in {part.suite for part, _, _ in wanted}}
    out = []
    for part, seeds, runs in wanted:
        cells = [
            cell
            for case in (part.cases if part.estimators else ())
            for cell in make_plan(
                [suites[part.suite]],
                [specs[spec] for spec in part.estimators],
                cases=case,
                seeds=seeds,
                dims=part.dims,
                rates=part.rates,
                betas=part.betas,
                budgets=(part.budget or paper.budget,),
                n_train=part.n_train,
            ).cells
        ]
        draws = 0 if seeds == paper.more_seeds else part.draws  # pictures are of the first seeds
        out.append(Planned(part, tuple(cells), runs, draws))
    return out


def _at_hand(part: Part) -> Part:
    """The part without estimators that nobody has registered: a plug-in may hold them."""
    known = set(registry.names("estimator"))
    here = tuple(spec for spec in part.estimators if registry.name_of(spec) in known)
    return replace(part, estimators=here)


def to_run(plans: Iterable[Planned], stored: Mapping[str, CellRecord]) -> dict[int, list[Cell]]:
    """The missing cells, each once, by the number of draws that they have to keep."""
    draws: dict[str, int] = {}
    cells: dict[str, Cell] = {}
    for plan in plans:
        for cell in plan.cells if plan.runs else ():
            if not answers(stored.get(cell.id), plan.draws):
                cells[cell.id] = cell
                draws[cell.id] = max(plan.draws, draws.get(cell.id, 0))
    out: dict[int, list[Cell]] = {}
    for name, cell in cells.items():
        out.setdefault(draws[name], []).append(cell)
    return out


def answers(record: CellRecord | None, draws: int) -> bool:
    """Whether a record answers its cell, with at least so many draws where it can have any."""
    if record is None or not is_done(record):
        return False
    if draws == 0 or record.dim > MOST_DIM:
        return True
    drawable = [p for p in record.points if p.claimed_rate is not None]
    kept = [len(p.draws.source) for p in drawable if p.draws is not None]
    # A channel that cannot be drawn from keeps none however often it is run.
    return not drawable or max(kept, default=0) >= draws


def find(plans: Sequence[Planned], records: Iterable[CellRecord]) -> list[Found]:
    """The records of every part; parts of the same name are one.

    Cells that are not run may be answered by a record of earlier code that asked the same.
    """
    newest = sorted(records, key=lambda record: record.provenance.finished)
    by_id = {record.cell: record for record in newest}
    by_question: dict[tuple[object, ...], list[CellRecord]] = {}
    for record in newest:
        by_question.setdefault(_question(record), []).append(record)
    out: dict[str, Found] = {}
    for plan in plans:
        found = _answered(plan, by_id, by_question)
        held = out.get(plan.part.name)
        out[plan.part.name] = found if held is None else _joined(held, found)
    return list(out.values())


def _answered(
    plan: Planned,
    by_id: Mapping[str, CellRecord],
    by_question: Mapping[tuple[object, ...], Sequence[CellRecord]],
) -> Found:
    records: list[CellRecord] = []
    missing: list[str] = []
    stale: list[str] = []
    for cell in plan.cells:
        record = by_id.get(cell.id)
        if record is None and not plan.runs:
            same = [r for r in by_question.get(_question(cell), ()) if _same_slopes(r, cell)]
            record = same[-1] if same else None
            if record is not None:
                commit = record.provenance.commit[:7] or "unknown"
                stale.append(f"{cell.title}, commit {commit}")
        if record is None:
            missing.append(cell.title)
        else:
            records.append(record)
    return Found(plan.part, tuple(records), tuple(missing), tuple(stale))


def _joined(a: Found, b: Found) -> Found:
    """Two parts of one name: the first one's title and settings, everything of both."""
    part = replace(
        a.part,
        cases=tuple(dict.fromkeys((*a.part.cases, *b.part.cases))),
        estimators=tuple(dict.fromkeys((*a.part.estimators, *b.part.estimators))),
    )
    return Found(part, a.records + b.records, a.missing + b.missing, a.stale + b.stale)


def _question(one: CellRecord | Cell) -> tuple[object, ...]:
    """The question of a cell without its slopes, whatever the code that answers it."""
    params = repr(sorted(one.params.items()))
    return (
        one.suite, one.suite_version, one.case, one.estimator, one.preset, params, one.seed,
        one.budget, one.n_train,
    )  # fmt: skip


def _same_slopes(record: CellRecord, cell: Cell) -> bool:
    slopes = sorted(point.beta for point in record.points)
    return len(slopes) == len(cell.betas) and all(
        math.isclose(a, b, rel_tol=1e-9) for a, b in zip(slopes, sorted(cell.betas), strict=True)
    )
