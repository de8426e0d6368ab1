"""The data of the page: series with their looks, cases, cells, points as columns, failures.

Every statistic is computed here, in Python; the scripts of the page filter, sort and draw.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Any

import msgspec

from rdbench.columns import AUDIT_S, POINT, Column
from rdbench.report.claims import VERDICTS
from rdbench.report.grouping import case_namer, sort_key
from rdbench.report.impossible import is_impossible
from rdbench.report.page.cases import axis_data, case_data, ladder_gap, spread
from rdbench.report.page.chooser import choices, suite_answers
from rdbench.report.page.kept import kept
from rdbench.report.page.pack import Pool, numbers, texts
from rdbench.report.page.problems import Finite
from rdbench.report.page.samples import samples
from rdbench.report.page.standings import leaderboard
from rdbench.report.scales import gap_axis
from rdbench.report.scores import SCORED, abscissa, shown_gap
from rdbench.report.series import Panel, Sources, by_suite, panels_of, series_labels, state
from rdbench.report.style import START_COLOUR, Look, series_styles
from rdbench.report.summary import troubles
from rdbench.report.values import value
from rdbench.report.verdicts import verdicts_in
from rdbench.run.records import ITS_START, CellRecord, PointRecord, TracePoint

LONGEST_TRACEBACK = 12_000
"""Characters; of a longer one the page shows both ends."""

_SHARED = frozenset(
    {"beta", "target_rate", "truth_lo", "truth_hi", "truth_kind", "rate_lo", "rate_hi", "dist_lo",
     "dist_hi"}
)  # fmt: skip
"""Fields in which the estimators of a case agree: kept once."""
_LEFT_OUT = ("log_n_paper_protocol", "paper_protocol_saturated")
_COLUMNS = tuple(column for column in (*POINT, AUDIT_S) if column.name not in _LEFT_OUT)


def page_data(
    records: Sequence[CellRecord],
    looks: Mapping[str, Look] | None = None,
    units: str = "nats",
    sources: Sources | None = None,
    finite: Finite | None = None,
) -> dict[str, Any]:
    """Everything that the scripts show, ready for JSON; numbers as stored (nats, every digit).

    Choices, suites, leaderboard, troubles and environments are of all records; cells, points and
    pictures of those that `rdbench.report.page.kept` keeps.

    Args:
        records: finished cells, in any order.
        looks: colours and markers that estimators ask for, by name.
        units: in which the page opens, ``nats`` or ``bits``.
        sources: where more of the truth is known than the records say.
        finite: what more is known of the sources of symbols.
    """
    pairs = [
        pair
        for members in by_suite(records).values()
        for pair in zip(members, series_labels(members), strict=True)
    ]
    named = sorted(pairs, key=lambda pair: sort_key(_order(*pair)))
    labels = sorted({(record.estimator, label) for record, label in named})
    styles = series_styles(labels, looks)
    places = {label: index for index, (_, label) in enumerate(labels)}
    everything = [record for record, _ in named]
    of_everything = [places[label] for _, label in named]
    on_page = kept(everything).places
    rows = _rows(leaderboard(everything, of_everything), on_page)
    ordered = [everything[place] for place in on_page]
    of_cell = [of_everything[place] for place in on_page]
    panels = _panels(ordered, sources)
    members: dict[tuple[str, str], dict[int, CellRecord]] = {}
    for place, record in enumerate(ordered):
        members.setdefault((record.suite, record.case), {})[place] = record
    cases = [case_data(panels[key], key[0], own, places) for key, own in members.items()]
    environments, tracebacks, truths = Pool(), Pool(), Pool()
    made = [_environment(record, environments) for record in everything]
    cells = [
        _cell(record, series, made[place], tracebacks)
        for place, record, series in zip(on_page, ordered, of_cell, strict=True)
    ]
    return {
        "units": units,
        "scored": list(SCORED),
        "verdicts": list(VERDICTS),
        "columns": [
            {"name": c.source, "title": c.heading, "unit": c.unit, "kind": c.kind} for c in _COLUMNS
        ],
        "series": [
            {"estimator": name, "label": label, **asdict(styles[label])} for name, label in labels
        ],
        "start": {"name": ITS_START, "colour": START_COLOUR},
        "choice": choices(everything, of_everything, finite),
        "suites": suite_answers(everything, of_everything),
        "cases": cases,
        "rows": rows,
        "boards": _board_axes(cases, rows),
        "cells": _anchored(cells),
        "points": _points(ordered, truths, panels),
        "truths": _columns(truths.values, sorted(_SHARED)),
        "environments": _environments(environments, everything, made),
        "tracebacks": tracebacks.values,
        "traces": _traces(ordered),
        "draws": samples(ordered, of_cell),
        "troubles": _troubles(everything),
    }


def _order(record: CellRecord, label: str) -> tuple[str | int, ...]:
    return (record.suite, record.dim, record.case, label, record.seed, record.cell)


def _panels(records: Sequence[CellRecord], sources: Sources | None) -> dict[tuple[str, str], Panel]:
    """The cases as the figures have them, by suite and case."""
    return {
        (suite, panel.case): panel
        for suite, members in by_suite(records).items()
        for panel in panels_of(members, sources)
    }


def _board_axes(
    cases: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """By suite, the axis of the little pictures of its leaderboard."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for row in rows:
        spreads = found.setdefault(cases[row["case"]]["suite"], [])
        if row["shown"] is not None:
            spreads.append(spread(row["shown"], row["gap"]["lo"], row["gap"]["hi"]))
    return {suite: axis_data(gap_axis(spreads)) for suite, spreads in found.items()}


def _rows(rows: list[dict[str, Any]], on_page: Sequence[int]) -> list[dict[str, Any]]:
    """The rows of the leaderboard, with those of their cells that are on the page, by place."""
    places = {place: new for new, place in enumerate(on_page)}
    if len(places) == sum(len(row["cells"]) for row in rows):
        return rows
    return [row | {"cells": [places[k] for k in row["cells"] if k in places]} for row in rows]


def _environment(record: CellRecord, environments: Pool) -> int:
    """The place of where and by what a cell was made, whenever it was."""
    made = msgspec.structs.asdict(record.provenance)
    del made["started"], made["finished"]
    return environments.place(made, repr(made))


def _cell(record: CellRecord, series: int, made: int, tracebacks: Pool) -> dict[str, Any]:
    own = msgspec.structs.asdict(record)
    del own["cost"], own["provenance"], own["trace"]
    times = {name: getattr(record.provenance, name) for name in ("started", "finished")}
    trace = None if record.traceback is None else _shortened(record.traceback)
    return own | msgspec.structs.asdict(record.cost) | times | {
        "series": series,
        "points": len(record.points),
        "mean": ladder_gap(record),
        "environment": made,
        "traceback": None if trace is None else tracebacks.place(trace),
    }  # fmt: skip


def _environments(
    environments: Pool, records: Sequence[CellRecord], made: Sequence[int]
) -> list[dict[str, Any]]:
    """Where and by what cells were made: how many, from when to when."""
    members: dict[int, list[CellRecord]] = {}
    for place, record in zip(made, records, strict=True):
        members.setdefault(place, []).append(record)
    return [
        one
        | {
            "from": min(record.provenance.started for record in members[place]),
            "to": max(record.provenance.finished for record in members[place]),
            "cells": len(members[place]),
        }
        for place, one in enumerate(environments.values)
    ]


def _anchored(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every cell with an anchor of its own that is a plain word, whatever its identity is."""
    taken: set[str] = set()
    for cell in cells:
        anchor = "cell-" + re.sub(r"[^A-Za-z0-9_-]+", "_", cell["cell"])
        while anchor in taken:
            anchor += "_"
        taken.add(anchor)
        cell["anchor"] = anchor
    return cells


def _points(
    records: Sequence[CellRecord], truths: Pool, panels: Mapping[tuple[str, str], Panel]
) -> dict[str, Any]:
    """The points of all cells, one after the other, as columns.

    Beside those of the export: ``truth``, the row of what estimators share; ``at``, the rate where
    a point stands; ``shown``, its gap as it is printed; ``lower``, the end of its interval if that
    is meant; ``state``, its status or "no gap"; ``impossible``, whether no channel reaches it.
    """
    pairs = [(record, point) for record in records for point in record.points]
    points = [point for _, point in pairs]
    keys = [(r.suite, r.case, *(getattr(p, name) for name in sorted(_SHARED))) for r, p in pairs]
    lines = {key: panel.line for key, panel in panels.items()}
    return {
        "truth": [truths.place(pair, key) for pair, key in zip(pairs, keys, strict=True)],
        **_columns(pairs, [c.source for c in _COLUMNS if c.source not in _SHARED]),
        "at": numbers([abscissa(point) for point in points]),
        "shown": numbers([shown_gap(point) for point in points]),
        "lower": numbers([None if p.side == "upper" else p.gap_lo for p in points]),
        "state": texts([state(point) for point in points]),
        "impossible": numbers([is_impossible(p, lines[r.suite, r.case]) or None for r, p in pairs]),
    }


def _columns(
    pairs: Sequence[tuple[CellRecord, PointRecord]], names: Iterable[str]
) -> dict[str, Any]:
    known = {column.source: column for column in _COLUMNS}
    return {name: _packed(known[name], _values(known[name], pairs)) for name in names}


def _values(column: Column, pairs: Sequence[tuple[CellRecord, PointRecord]]) -> Sequence[Any]:
    if column.name == "claim":  # of all in one go
        return verdicts_in(pairs)
    if column.part == "point":
        return list(map(attrgetter(column.source), (point for _, point in pairs)))
    return [value(column, *pair) for pair in pairs]


def _packed(column: Column, values: Sequence[Any]) -> Any:
    return texts(values) if column.kind == "text" else numbers(values)


def _traces(records: Sequence[CellRecord]) -> dict[str, Any]:
    marks = [(place, mark) for place, record in enumerate(records) for mark in record.trace]
    return {
        "cell": [place for place, _ in marks],
        **{
            name: numbers([getattr(mark, name) for _, mark in marks])
            for name in TracePoint.__struct_fields__
        },
    }


def _troubles(records: Sequence[CellRecord]) -> list[dict[str, Any]]:
    found = troubles(records, case_namer(records))
    return [
        asdict(one) | {"rates": None if one.rates is None else numbers(one.rates)}
        for one in sorted(found, key=lambda t: (t.status, t.estimator, -t.points))
    ]


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_TRACEBACK:
        return text
    half = LONGEST_TRACEBACK // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n... ({left_out} characters left out) ...\n{text[-half:]}"
