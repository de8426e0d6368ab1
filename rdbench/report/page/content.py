"""What the page is told: series with their looks, cells, points as columns, truths, troubles."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.report.claims import (
    VERDICTS,
    claim_excess,
    claimed_gap,
    tolerance,
    verdict_in,
)
from rdbench.report.export import cost_of
from rdbench.report.grouping import CELL_COLUMNS, SETTINGS, case_namer, sort_key, text_of, varying
from rdbench.report.impossible import is_impossible
from rdbench.report.page.pack import Pool, numbers, texts
from rdbench.report.page.samples import samples
from rdbench.report.paired import Entrant, standing
from rdbench.report.scores import good_to, stretch
from rdbench.report.series import Sources, line_of
from rdbench.report.style import Look, estimator_label, series_styles
from rdbench.report.summary import SCORED, troubles
from rdbench.report.truth_line import TruthLine
from rdbench.run.records import CellRecord, PointRecord

LONGEST_TRACEBACK = 12_000
"""Characters; of a longer one the page shows both ends."""

_TRUTH = (
    "beta", "target_rate", "truth_lo", "truth_hi", "rate_lo", "rate_hi", "dist_lo", "dist_hi",
)  # fmt: skip
_NUMBERS = (
    "claimed_rate", "claimed_distortion", "rate", "distortion", "lagrangian", "gap", "gap_lo",
    "gap_hi", "gap_paper_protocol", "n_paper_protocol", "ess", "rate_half", "distortion_half",
    "rate_error", "rate_error_lo", "rate_error_hi", "gap_common_se", "conditional_error",
    "conditional_lo", "conditional_hi", "conditional_floor", "mode_mass_error", "audit_s",
)  # fmt: skip
_TEXTS = ("status", "reason", "claimed_side", "side", "audit_method", "conditional_kind")


def page_data(
    records: Sequence[CellRecord],
    looks: Mapping[str, Look] | None = None,
    units: str = "nats",
    sources: Sources | None = None,
) -> dict[str, Any]:
    """Everything that the scripts show, ready for JSON; numbers as stored (nats, every digit).

    Args:
        records: finished cells, in any order.
        looks: colours and markers that estimators ask for, by name.
        units: in which the page opens, ``nats`` or ``bits``.
        sources: where more of the truth is known than the records say.
    """
    names = _series_names(records)
    ordered = sorted(records, key=lambda r: sort_key(_order(r, names[r.cell])))
    styles = series_styles(((r.estimator, names[r.cell]) for r in ordered), looks)
    labels = sorted({(r.estimator, names[r.cell]) for r in ordered})
    place = {label: index for index, (_, label) in enumerate(labels)}
    of_cell = [place[names[r.cell]] for r in ordered]
    pairs = [(record, point) for record in ordered for point in record.points]
    environments, tracebacks, truths = Pool(), Pool(), Pool()
    lines = _lines(ordered, sources)
    cells = [
        _cell(record, series, environments, tracebacks)
        for record, series in zip(ordered, of_cell, strict=True)
    ]
    return {
        "units": units,
        "scored": list(SCORED),
        "verdicts": list(VERDICTS),
        "series": [
            {
                "estimator": estimator,
                "label": label,
                "colour": styles[label].colour,
                "marker": styles[label].marker,
                "filled": styles[label].filled,
                "line": styles[label].line,
            }
            for estimator, label in labels
        ],
        "cells": _anchored(cells),
        "points": _columns(pairs, truths, lines),
        "curves": [_curve(key, line) for key, line in lines.items()],
        "standings": _standings(ordered, of_cell),
        "stretch": [stretch(points) for points in range(1, 1 + _most_points(ordered, of_cell))],
        "truths": _truth_columns(truths),
        "environments": environments.values,
        "tracebacks": tracebacks.values,
        "traces": _traces(ordered),
        "draws": samples(ordered, of_cell),
        "troubles": _troubles(ordered),
    }


def _order(record: CellRecord, label: str) -> tuple[str | int, ...]:
    return (record.suite, record.dim, record.case, label, record.seed, record.cell)


def _series_names(records: Sequence[CellRecord]) -> dict[str, str]:
    """The series of each cell; settings that vary within a suite are part of it: no mean mixes."""
    suites: dict[str, list[CellRecord]] = {}
    for record in records:
        suites.setdefault(record.suite, []).append(record)
    names = {}
    for members in suites.values():
        settings = varying(members, SETTINGS)
        for record in members:
            hidden = [f"{name} {text_of(CELL_COLUMNS[name](record))}" for name in settings]
            names[record.cell] = ", ".join([estimator_label(record), *hidden])
    return names


def _most_points(records: Sequence[CellRecord], of_cell: Sequence[int]) -> int:
    """The points of one series on one case, at most: of so many the page takes the worst."""
    counts: Counter[tuple[str, str, int]] = Counter()
    for record, series in zip(records, of_cell, strict=True):
        counts[record.suite, record.case, series] += len(record.points)
    return max(counts.values(), default=0)


def _standings(records: Sequence[CellRecord], of_cell: Sequence[int]) -> list[dict[str, Any]]:
    """By case and settings, who leads and by how much the others are behind, in pairs.

    A row per series: its first ``cell`` there, whether it is ``best``, a ``leader``, and the
    difference of its gap to the best one's, ``behind`` in [``lo``, ``hi``]; null where it cannot be
    compared.
    """
    groups: dict[tuple[Any, ...], dict[int, list[int]]] = {}
    for place, (record, series) in enumerate(zip(records, of_cell, strict=True)):
        settings = (CELL_COLUMNS[name](record) for name in SETTINGS)
        group = groups.setdefault((record.suite, record.case, *settings), {})
        group.setdefault(series, []).append(place)
    rows = []
    for group in groups.values():
        found = standing({series: _entrant([records[k] for k in own]) for series, own in
                          group.items()})  # fmt: skip
        if found is None:
            continue
        for series, own in group.items():
            one = found.behind.get(series)
            known = (None,) * 3 if one is None else (one.value, one.lo, one.hi)
            ends = numbers((0.0,) * 3 if series == found.best else known) or known
            rows.append(
                {
                    "cell": own[0],
                    "best": series == found.best,
                    "leader": series in found.leaders,
                    **dict(zip(("behind", "lo", "hi"), ends, strict=True)),
                    "holds": None if one is None else one.holds,
                }
            )
    return rows


def _entrant(records: Sequence[CellRecord]) -> Entrant:
    members = tuple((record, point) for record in records for point in record.points)
    return Entrant(members, whole=all(record.points for record in records))


def _cell(record: CellRecord, series: int, environments: Pool, tracebacks: Pool) -> dict[str, Any]:
    made = record.provenance
    environment = {
        "commit": made.commit,
        "dirty": made.dirty,
        "versions": made.versions,
        "processor": made.processor,
        "platform": made.platform,
        "device": made.device,
        "threads": made.threads,
        "jobs": made.jobs,
    }
    good = good_to(record)
    trace = None if record.traceback is None else _shortened(record.traceback)
    return {
        "cell": record.cell,
        "series": series,
        "suite": record.suite,
        "suite_version": record.suite_version,
        "case": record.case,
        "dim": record.dim,
        "distortion": record.distortion,
        "estimator": record.estimator,
        "preset": record.preset,
        "params": record.params,
        "fields": record.fields,
        "seed": record.seed,
        "budget": record.budget,
        "n_train": record.n_train,
        "status": record.status,
        "reason": record.reason,
        "schema": record.schema,
        "points": len(record.points),
        "good_to": None if good is None or math.isinf(good.rate) else good.rate,
        "good_throughout": good is not None and good.is_top,
        "tolerance": tolerance(record.dim),
        **cost_of(record),
        "environment": environments.place(environment, repr(environment)),
        "traceback": None if trace is None else tracebacks.place(trace),
        "started": made.started,
        "finished": made.finished,
    }


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


def _lines(
    records: Sequence[CellRecord], sources: Sources | None
) -> dict[tuple[str, str], TruthLine]:
    """R(D) of every case as the figures draw it."""
    cases: dict[tuple[str, str], list[CellRecord]] = {}
    for record in records:
        cases.setdefault((record.suite, record.case), []).append(record)
    return {key: line_of(members, sources) for key, members in cases.items()}


def _curve(key: tuple[str, str], line: TruthLine) -> dict[str, Any]:
    """The points of a curve, to be joined by strokes; seven digits, nats."""
    suite, case = key
    return {
        "suite": suite,
        "case": case,
        "lines": [_rounded(points) for points in line.lines],
        "bands": [_rounded(points) for points in line.bands],
    }


def _rounded(points: Float[ndarray, "_ _"]) -> list[list[float]]:
    finite = points[np.isfinite(points).all(axis=1)]
    return [[float(f"{value:.7g}") for value in row] for row in finite]


def _columns(
    pairs: Sequence[tuple[CellRecord, PointRecord]],
    truths: Pool,
    lines: Mapping[tuple[str, str], TruthLine],
) -> dict[str, Any]:
    """The points of all cells, one after the other, as columns."""
    points = [point for _, point in pairs]
    keys = [
        (r.suite, r.case, p.truth_kind, *(getattr(p, name) for name in _TRUTH)) for r, p in pairs
    ]
    return {
        "truth": [truths.place(point, key) for point, key in zip(points, keys, strict=True)],
        **{name: numbers([getattr(p, name) for p in points]) for name in _NUMBERS},
        "impossible": numbers([is_impossible(p, lines[r.suite, r.case]) or None for r, p in pairs]),
        "claimed_gap": numbers([claimed_gap(point) for point in points]),
        "claim_excess": numbers([claim_excess(point) for point in points]),
        **{name: texts([getattr(p, name) for p in points]) for name in _TEXTS},
        "claim": texts([verdict_in(record, point) for record, point in pairs]),
    }


def _truth_columns(truths: Pool) -> dict[str, Any]:
    found: list[PointRecord] = truths.values
    return {
        **{name: numbers([getattr(p, name) for p in found]) for name in _TRUTH},
        "truth_kind": texts([p.truth_kind for p in found]),
    }


def _traces(records: Sequence[CellRecord]) -> dict[str, Any]:
    marks = [(place, mark) for place, record in enumerate(records) for mark in record.trace]
    names = ("beta", "wall_s", "cpu_s", "gap", "gap_lo", "gap_hi")
    return {
        "cell": [place for place, _ in marks],
        **{name: numbers([getattr(mark, name) for _, mark in marks]) for name in names},
    }


def _troubles(records: Sequence[CellRecord]) -> list[dict[str, Any]]:
    found = troubles(records, case_namer(records))
    return [
        {
            "estimator": one.estimator,
            "status": one.status,
            "reason": one.reason,
            "cases": one.cases,
            "points": one.points,
            "seeds": one.seeds,
            "rates": None if one.rates is None else numbers(one.rates),
        }
        for one in sorted(found, key=lambda t: (t.status, t.estimator, -t.points))
    ]


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_TRACEBACK:
        return text
    half = LONGEST_TRACEBACK // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n... ({left_out} characters left out) ...\n{text[-half:]}"
