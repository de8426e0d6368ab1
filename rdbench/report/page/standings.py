"""The leaderboard: a row per case and estimator, in order, with everything that its tables show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rdbench.report.grouping import CELL_COLUMNS, SETTINGS
from rdbench.report.page.pack import finite
from rdbench.report.paired import Entrant, Standing, standing
from rdbench.report.series import state
from rdbench.report.summary import summarise
from rdbench.run.records import CellRecord

STEPS = (1e-3, 1e-2, 1e-1, 1.0)
"""Nats: from each on a field of the overview is darker."""
CALM = ("agrees", "within noise", "conservative")
"""Verdicts on a claim that alarm nobody."""


def leaderboard(records: Sequence[CellRecord], of_cell: Sequence[int]) -> list[dict[str, Any]]:
    """The rows of all cases, of each case the best first.

    Then they come by how far they are behind the best in pairs on the same symbols, then by their
    gaps; what has no gap comes last. A row holds the fields of its `Summary`, all of whole ladders,
    in nats.

    Args:
        records: the cells in the order of the page, case by case.
        of_cell: the series of each.
    """
    cases: dict[tuple[str, str], dict[int, list[int]]] = {}
    for place, (record, series) in enumerate(zip(records, of_cell, strict=True)):
        cases.setdefault((record.suite, record.case), {}).setdefault(series, []).append(place)
    rows = []
    for case, members in enumerate(cases.values()):
        cells = {series: [records[k] for k in own] for series, own in members.items()}
        standings = _standings(cells)
        found = [
            {"case": case, "series": series, "cells": own}
            | _row(series, cells[series], standings.get(series))
            for series, own in members.items()
        ]
        rows += sorted(found, key=_rank)
    return [finite(row) for row in rows]


def _rank(row: dict[str, Any]) -> tuple[float, float]:
    behind, shown = row["behind"], row["shown"]
    return behind["value"] if behind else math.inf, math.inf if shown is None else shown


def _standings(cells: Mapping[int, Sequence[CellRecord]]) -> dict[int, Standing[int]]:
    """Of every series of a case that can be compared the standing that it is part of."""
    groups: dict[tuple[Any, ...], dict[int, Entrant]] = {}
    for series, own in cells.items():
        pairs = tuple((record, point) for record in own for point in record.points)
        settings = tuple(CELL_COLUMNS[name](own[0]) for name in SETTINGS)
        entrant = Entrant(pairs, whole=all(record.points for record in own))
        groups.setdefault(settings, {})[series] = entrant
    found = [(group, standing(group)) for group in groups.values()]
    return {series: one for group, one in found if one is not None for series in group}


def _row(series: int, records: Sequence[CellRecord], place: Standing[int] | None) -> dict[str, Any]:
    found = summarise(records)
    behind = None if place is None else place.behind.get(series)
    high = found.gap.mean if found.gap.hi is None else found.gap.hi
    known = None if high is None else high - found.truth_width
    states = [state(point) for record in records for point in record.points]
    return asdict(found) | {
        "shown": found.shown_gap,
        "is_upper": found.is_upper,
        "calm": all(name in CALM for name, _ in found.claims.verdicts[:1]),
        "best": place is not None and place.best == series,
        "leader": place is not None and series in place.leaders,
        "behind": {"value": 0.0} if place and place.best == series else behind and asdict(behind),
        # Only what is known of the gap is painted: of what the bracket on F* may add, nothing.
        "step": None if known is None else step_of(known),
        "veiled": high is not None and known is not None and step_of(high) > step_of(known),
        "states": list(dict.fromkeys(states + [r.status for r in records if not r.points])),
    }


def step_of(gap: float) -> int:
    """How dark the field of a gap is."""
    return sum(1 for least in STEPS if gap > least)
