"""The leaderboard: a row per case and estimator, in order, with everything that its tables show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rdbench.report.grouping import CELL_COLUMNS, SETTINGS
from rdbench.report.page.pack import finite
from rdbench.report.paired import Difference, Entrant, Standing, standing
from rdbench.report.series import state
from rdbench.report.summary import Summary, summarise
from rdbench.run.records import CellRecord

STEPS = (1e-3, 1e-2, 1e-1, 1.0)
"""Nats: from each on a field of the overview is darker."""
CALM = ("agrees", "within noise", "conservative")
"""Verdicts on a claim that alarm nobody."""


def leaderboard(records: Sequence[CellRecord], of_cell: Sequence[int]) -> list[dict[str, Any]]:
    """The rows of all cases, of each case the best first.

    Then they come by how far they are behind the best in pairs on the same symbols, then by their
    gaps; what has no gap comes last. All is of whole ladders. Numbers are in nats, None where not
    known.

    Args:
        records: the cells in the order of the page, case by case.
        of_cell: the series of each.
    """
    cases: dict[tuple[str, str], dict[int, list[int]]] = {}
    for place, (record, series) in enumerate(zip(records, of_cell, strict=True)):
        cases.setdefault((record.suite, record.case), {}).setdefault(series, []).append(place)
    rows = []
    for case, members in enumerate(cases.values()):
        behind = _standings(records, members)
        found = [
            _row(series, cells, summarise([records[k] for k in cells]), behind.get(series))
            | {"case": case, "states": _states([records[k] for k in cells])}
            for series, cells in members.items()
        ]
        rows += sorted(found, key=lambda row: (_last(row["behind"]), _last(row["shown"])))
    return [finite(row) for row in rows]


def _last(value: float | None) -> float:
    return math.inf if value is None else value


def _standings(
    records: Sequence[CellRecord], members: dict[int, list[int]]
) -> dict[int, tuple[int, Standing[int]]]:
    """Of every series of a case that can be compared, itself and the standing it is part of."""
    groups: dict[tuple[Any, ...], dict[int, Entrant]] = {}
    for series, cells in members.items():
        own = [records[k] for k in cells]
        pairs = tuple((record, point) for record in own for point in record.points)
        settings = tuple(CELL_COLUMNS[name](own[0]) for name in SETTINGS)
        entrant = Entrant(pairs, whole=all(record.points for record in own))
        groups.setdefault(settings, {})[series] = entrant
    found = [(group, standing(group)) for group in groups.values()]
    return {series: (series, one) for group, one in found if one is not None for series in group}


def _row(
    series: int, cells: Sequence[int], found: Summary, place: tuple[int, Standing[int]] | None
) -> dict[str, Any]:
    standing = None if place is None else place[1]
    best = standing is not None and standing.best == series
    behind = None if standing is None else standing.behind.get(series)
    if best:
        behind = Difference(0.0, 0.0, 0.0, "exact", 0, 0, 0, 0)
    high = found.gap.hi if found.gap.hi is not None else found.gap.mean
    known = None if high is None else high - found.truth_width
    return {
        "series": series,
        "cells": cells,
        "leader": standing is not None and series in standing.leaders,
        "best": best,
        "behind": behind and behind.value,
        "behind_lo": behind and behind.lo,
        "behind_hi": behind and behind.hi,
        "holds": behind and behind.holds,
        "seeds": found.seeds,
        "points": found.points,
        "ok": found.ok,
        "scored": found.scored,
        "shown": found.shown_gap,
        "lo": found.gap.lo,
        "hi": found.gap.hi,
        "is_upper": found.is_upper,
        "median": found.median and found.median.gap,
        "worst": found.worst and found.worst.gap,
        "worst_lo": found.worst and found.worst.lo,
        "worst_hi": found.worst and found.worst.hi,
        "worst_at": found.worst and found.worst.rate,
        "good_to": found.good_to and found.good_to.rate,
        "good_throughout": found.good_to is not None and found.good_to.is_top,
        "doubt": None if found.shown_gap is None else found.truth_doubt,
        "truth_width": found.truth_width,
        # Only what is known of the gap is painted: of what the bracket on F* may add, nothing.
        "step": None if known is None else _step(known),
        "veiled": high is not None and known is not None and _step(high) > _step(known),
        "sides": ", ".join(found.sides),
        "claimed": found.claims.mean_gap,
        "verdicts": found.claims.verdicts,
        "calm": all(name in CALM for name, _ in found.claims.verdicts[:1]),
        "cpu_s": found.cpu_s,
    }


def _step(gap: float) -> int:
    return sum(gap > least for least in STEPS)


def _states(records: Sequence[CellRecord]) -> list[str]:
    """What became of the points, each state once, and of cells without any."""
    points = [state(point) for record in records for point in record.points]
    return list(dict.fromkeys(points + [r.status for r in records if not r.points]))
