"""The pictures of a case: the truth, the axes, the lines through means, the points without a gap.

The axes are those of the figures and fit all estimators: filters do not move them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rdbench.report.claim_limits import tolerance
from rdbench.report.claims import claimed_gap
from rdbench.report.page.pack import clipped, finite, rounded
from rdbench.report.page.sides import side_data
from rdbench.report.points import explained
from rdbench.report.race import races
from rdbench.report.scales import (
    Axis,
    Spread,
    curve_axes,
    gap_axis,
    rate_axis,
    seconds_axis,
)
from rdbench.report.scores import (
    abscissa,
    drawn_gap,
    ends,
    is_scored,
    is_upper,
    mean_gap,
    shown_mean,
)
from rdbench.report.series import Panel, joined, missing
from rdbench.run.records import CellRecord, PointRecord


def case_data(
    panel: Panel, suite: str, records: Mapping[int, CellRecord], places: Mapping[str, int]
) -> dict[str, Any]:
    """One case.

    Args:
        panel: the case as the figures have it.
        suite: its suite.
        records: its cells by their place on the page.
        places: the series of the page by label.
    """
    points = panel.points
    kinds = dict.fromkeys(point.truth_kind for point in points if point.truth_kind)
    with_gap = [r for r in records.values() if any(map(is_scored, r.points))]
    curve = curve_axes(panel)
    ladders = {tuple(point.beta for point in record.points) for record in with_gap}
    return {
        "suite": suite,
        "case": panel.case,
        "dim": panel.dim,
        "distortion": panel.distortion,
        "cells": list(records),
        "truth": f"truth: {', '.join(kinds)}" if kinds else "truth not known",
        "lines": [rounded(line) for line in panel.line.lines],
        "bands": [rounded(band) for band in panel.line.bands],
        "sides": side_data(list(records.values()), curve and curve[0]),
        "explained": explained(next(iter(records.values()))),
        "tolerance": tolerance(panel.dim),
        "axes": _axes(panel, points, records),
        "one_ladder": len(ladders) < 2,
        "joined": {places[one.label]: _pairs(joined(one.points)) for one in panel.series},
        "race": _race(panel, list(records.values()), places),
        "missing": {places[one.label]: missing(one) for one in panel.series},
    }


def _race(
    panel: Panel, records: Sequence[CellRecord], places: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Of every estimator with several budgets a line through them: (CPU seconds, mean gap)."""
    found = []
    for race in races(records).values():
        for label, entries in race.items():
            own = (s.label for s in panel.series if f"{s.label}, ".startswith(f"{label}, "))
            points = [(entry.cpu_s, entry.gap) for entry in entries]
            found.append({"series": places[next(own)], "points": _pairs(points)})
    return found


def ladder_gap(record: CellRecord) -> dict[str, Any] | None:
    """The mean gap of a ladder as it is drawn, with its interval; None where it has none."""
    scored = [point for point in record.points if is_scored(point)]
    found, upper = mean_gap(scored), is_upper(scored)
    shown = shown_mean(found, upper=upper)
    if shown is None:
        return None
    row: dict[str, Any] = finite({"gap": shown, "lo": found.lo, "hi": found.hi, "is_upper": upper})
    return row


def _axes(
    panel: Panel, points: Sequence[PointRecord], records: Mapping[int, CellRecord]
) -> dict[str, Any]:
    scored = [point for point in points if is_scored(point)]
    rates = [rate for point in points if (rate := abscissa(point)) is not None]
    curve = curve_axes(panel)
    ladders = [(r.cost.cpu_s, ladder_gap(r)) for r in records.values()]
    timed = [(cpu_s, gap) for cpu_s, gap in ladders if cpu_s and gap]
    claims = [(p, claim) for p in scored if (claim := claimed_gap(p)) is not None]
    marks = [m for r in records.values() for m in r.trace if m.gap is not None and m.cpu_s > 0.0]
    found: dict[str, Axis | None] = {
        "distortion": curve and curve[0],
        "rate": curve and Axis("linear", 0.0, curve[1]),
        "true_rate": rate_axis(rates) if rates else None,
        "gap": gap_axis(_spreads(scored)),
        "seconds": seconds_axis([cpu_s for cpu_s, _ in timed], 1.6) if timed else None,
        "mean_gap": gap_axis([spread(gap["gap"], gap["lo"], gap["hi"]) for _, gap in timed]),
        "claims": gap_axis(
            [*_spreads([p for p, _ in claims]), *(spread(v) for p, c in claims for v in (p.gap, c))]
        ) if claims else None,
        "trace_seconds": seconds_axis([mark.cpu_s for mark in marks], 1.2) if marks else None,
        "trace_gap": gap_axis([spread(mark.gap) for mark in marks]),
    }  # fmt: skip
    return {name: axis_data(axis) for name, axis in found.items()}


def spread(gap: float | None, lo: float | None = None, hi: float | None = None) -> Spread:
    """A gap with its interval, small enough for an axis."""
    middle = clipped(gap or 0.0)
    ends = [middle if end is None else clipped(end) for end in (lo, hi)]
    return middle, min(ends[0], middle), max(ends[1], middle)


def _spreads(points: Sequence[PointRecord]) -> list[Spread]:
    return [spread(drawn_gap(point), *ends(point)) for point in points]


def axis_data(axis: Axis | None) -> dict[str, Any] | None:
    """An axis as the scripts take it, in nats."""
    if axis is None:
        return None
    return {
        "kind": axis.kind, "lo": clipped(axis.lo), "hi": clipped(axis.hi), "linear": axis.linear,
    }  # fmt: skip


def _pairs(line: Sequence[tuple[float, float]]) -> list[list[float]]:
    return [[clipped(x), clipped(y)] for x, y in line]
