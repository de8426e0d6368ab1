"""What the page is told: series with their looks, cells, points as columns, truths, troubles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rdbench.report.claims import (
    VERDICTS,
    claim_excess,
    claimed_gap,
    tolerance,
    verdict_in,
)
from rdbench.report.export import cost_of
from rdbench.report.grouping import CELL_COLUMNS, SETTINGS, case_namer, sort_key, text_of, varying
from rdbench.report.page.pack import Pool, numbers, texts
from rdbench.report.page.samples import samples
from rdbench.report.style import Look, estimator_label, series_styles
from rdbench.report.summary import SCORED, troubles
from rdbench.run.records import CellRecord, PointRecord

LONGEST_TRACEBACK = 12_000
"""Characters; of a longer one the page shows both ends."""

_TRUTH = (
    "beta", "target_rate", "truth_lo", "truth_hi", "rate_lo", "rate_hi", "dist_lo", "dist_hi",
)  # fmt: skip
_NUMBERS = (
    "claimed_rate", "claimed_distortion", "rate", "distortion", "lagrangian", "gap", "gap_lo",
    "gap_hi", "gap_paper_protocol", "n_paper_protocol", "ess", "rate_error", "conditional_error",
    "conditional_lo", "conditional_hi", "conditional_floor", "mode_mass_error", "audit_s",
)  # fmt: skip
_TEXTS = ("status", "reason", "claimed_side", "side", "audit_method", "conditional_kind")


def page_data(
    records: Sequence[CellRecord],
    looks: Mapping[str, Look] | None = None,
    units: str = "nats",
) -> dict[str, Any]:
    """Everything that the scripts show, ready for JSON; numbers as stored (nats, every digit).

    Args:
        records: finished cells, in any order.
        looks: colours and markers that estimators ask for, by name.
        units: in which the page opens, ``nats`` or ``bits``.
    """
    names = _series_names(records)
    ordered = sorted(records, key=lambda r: sort_key(_order(r, names[r.cell])))
    styles = series_styles(((r.estimator, names[r.cell]) for r in ordered), looks)
    labels = sorted({(r.estimator, names[r.cell]) for r in ordered})
    place = {label: index for index, (_, label) in enumerate(labels)}
    of_cell = [place[names[r.cell]] for r in ordered]
    pairs = [(record, point) for record in ordered for point in record.points]
    environments, tracebacks, truths = Pool(), Pool(), Pool()
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
        "points": _columns(pairs, truths),
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


def _columns(pairs: Sequence[tuple[CellRecord, PointRecord]], truths: Pool) -> dict[str, Any]:
    """The points of all cells, one after the other, as columns."""
    points = [point for _, point in pairs]
    keys = [
        (r.suite, r.case, p.truth_kind, *(getattr(p, name) for name in _TRUTH)) for r, p in pairs
    ]
    return {
        "truth": [truths.place(point, key) for point, key in zip(points, keys, strict=True)],
        **{name: numbers([getattr(p, name) for p in points]) for name in _NUMBERS},
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
