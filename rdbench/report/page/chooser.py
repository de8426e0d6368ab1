"""Which estimator for a problem: an answer for every choice of a reader, and one per suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from rdbench.report.grouping import CELL_COLUMNS, SETTINGS, sort_key, text_of
from rdbench.report.page.answers import Part, answer
from rdbench.report.page.problems import (
    ANY,
    DIMS,
    KINDS,
    RATES,
    Finite,
    Problem,
    dim_of,
    every_problem,
    kind_of,
    rate_of,
)
from rdbench.run.records import CellRecord

_OF_A_RUN = tuple(name for name in SETTINGS if name != "suite_version")
"""The settings that cells of different suites can have in common."""


def suite_answers(records: Sequence[CellRecord], of_cell: Sequence[int]) -> list[dict[str, Any]]:
    """An answer for every suite, one for each of its settings where they vary.

    Args:
        records: all cells, suite by suite.
        of_cell: the series of each.
    """
    suites: dict[str, dict[tuple[Any, ...], list[Part]]] = {}
    for record, series in zip(records, of_cell, strict=True):
        key = tuple(CELL_COLUMNS[name](record) for name in SETTINGS)
        part = Part(series, record, is_lost=not record.points)
        suites.setdefault(record.suite, {}).setdefault(key, []).append(part)
    return [
        {"suite": suite, "settings": text if len(groups) > 1 else ""} | answer(groups[key])
        for suite, groups in suites.items()
        for key, text in _texts(list(groups), SETTINGS)
    ]


def choices(
    records: Sequence[CellRecord], of_cell: Sequence[int], finite: Finite | None = None
) -> dict[str, Any]:
    """The answers to every choice, equal ones once, and the choice with which the page opens.

    Of a suite in several versions the newest counts. Settings of a run (budget, training rows,
    device) are a choice of their own where they vary.

    Args:
        records: all cells.
        of_cell: the series of each.
        finite: what is known of the sources besides the records.
    """
    newest: dict[str, int] = {}
    for record in records:
        newest[record.suite] = max(record.suite_version, newest.get(record.suite, 0))
    cells = [
        (record, series)
        for record, series in zip(records, of_cell, strict=True)
        if record.suite_version == newest[record.suite]
    ]
    cases: dict[tuple[str, str, int], list[CellRecord]] = {}
    for record, _ in cells:
        cases.setdefault((record.suite, record.case, record.dim), []).append(record)
    kinds = {key: kind_of(own, finite) for key, own in cases.items()}
    settings: dict[tuple[Any, ...], list[tuple[CellRecord, int]]] = {}
    for record, series in cells:
        key = tuple(CELL_COLUMNS[name](record) for name in _OF_A_RUN)
        settings.setdefault(key, []).append((record, series))
    texts = _texts(list(settings), _OF_A_RUN)
    places: dict[str, int] = {}
    answers: list[dict[str, Any]] = []
    seen: dict[tuple[tuple[int, int], ...], int] = {}
    for number, (key, _) in enumerate(texts):
        for problem in every_problem():
            parts = _parts(settings[key], kinds, problem)
            if not parts:
                continue
            same = tuple((id(cell), len(part.record.points)) for cell, part in parts)
            if same not in seen:
                seen[same] = len(answers)
                answers.append(answer([part for _, part in parts]))
            places[_name(problem, number)] = seen[same]
    return {
        "dims": {ANY: ANY} | {name: _range(*ends) for name, ends in DIMS.items()},
        "kinds": {ANY: ANY} | KINDS,
        "rates": {ANY: ANY} | RATES,
        "settings": [text for _, text in texts],
        "places": places,
        "answers": answers,
        "default": _default(places, answers, len(texts)),
    }


def _parts(
    cells: Sequence[tuple[CellRecord, int]],
    kinds: dict[tuple[str, str, int], str],
    problem: Problem,
) -> list[tuple[CellRecord, Part]]:
    """What of the cells is of the problem, each with the cell that it is of."""
    found = []
    for record, series in cells:
        if problem.dim not in (ANY, dim_of(record.dim)):
            continue
        if problem.kind not in (ANY, kinds[record.suite, record.case, record.dim]):
            continue
        lost = not record.points
        own = record
        if problem.rate != ANY and not lost:
            points = [p for p in record.points if rate_of(p, record.dim) == problem.rate]
            if not points:
                continue
            if len(points) < len(record.points):
                own = msgspec.structs.replace(record, points=points)
        found.append((record, Part(series, own, lost)))
    return found if any(part.record.points for _, part in found) else []


def _default(
    places: dict[str, int], answers: Sequence[dict[str, Any]], settings: int
) -> dict[str, Any]:
    """The widest choice that has a ranking of several; else everything there is."""
    best, most = (Problem(), 0), -1
    for number in range(settings):
        for problem in every_problem():
            place = places.get(_name(problem, number))
            if place is None:
                continue
            found = answers[place]
            ranked = sum(row["rank"] is not None for row in found["rows"])
            if ranked > 1 and found["points"] > most:
                best, most = (problem, number), found["points"]
    problem, number = best
    return {"dim": problem.dim, "kind": problem.kind, "rate": problem.rate, "settings": number}


def _name(problem: Problem, settings: int) -> str:
    return f"{problem.dim} {problem.kind} {problem.rate} {settings}"


def _texts(
    keys: Sequence[tuple[Any, ...]], names: Sequence[str]
) -> list[tuple[tuple[Any, ...], str]]:
    """Settings in order, each with those of its values that vary, in words."""
    ordered = sorted(keys, key=sort_key)
    vary = [k for k in range(len(names)) if len({key[k] for key in keys}) > 1]
    return [
        (key, ", ".join(f"{names[k].replace('_', ' ')} {text_of(key[k])}" for k in vary))
        for key in ordered
    ]


def _range(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"
