"""The metrics a table can show and how a group of points or cells becomes one number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rdbench.report.summary import SCORED, is_scored, mean_gap, worst_gap
from rdbench.run.records import CellRecord, PointRecord


@dataclass(frozen=True)
class Metric:
    """A column of a table: where its values come from and how a group of them becomes one."""

    of: Literal["point", "cell"]
    unit: str
    """The unit shown; "rate" stands for nats or bits."""
    point: Callable[[PointRecord], float | None] | None = None
    cell: Callable[[CellRecord], float | None] | None = None
    audited: bool = True
    """Whether only points that may be scored count."""


def _point(name: str, unit: str, *, audited: bool = True) -> Metric:
    return Metric("point", unit, point=lambda p: getattr(p, name), audited=audited)


def _cell(name: str, unit: str) -> Metric:
    return Metric("cell", unit, cell=lambda r: getattr(r.cost, name))


METRICS: Mapping[str, Metric] = {
    "gap": _point("gap", "rate"),
    "worst_gap": _point("gap", "rate"),
    "gap_paper_protocol": _point("gap_paper_protocol", "rate"),
    "rate_error": _point("rate_error", "rate"),
    "rate": _point("rate", "rate"),
    "distortion": _point("distortion", ""),
    "lagrangian": _point("lagrangian", "rate"),
    "claimed_rate": _point("claimed_rate", "rate"),
    "claimed_distortion": _point("claimed_distortion", ""),
    "ess": _point("ess", ""),
    "audit_s": _point("audit_s", "s", audited=False),
    "wall_s": _cell("wall_s", "s"),
    "cpu_s": _cell("cpu_s", "s"),
    "peak_rss_mb": _cell("peak_rss_mb", "MB"),
    "n_source_samples": _cell("n_source_samples", ""),
    "gradient_steps": _cell("gradient_steps", ""),
    "n_parameters": _cell("n_parameters", ""),
}
"""The metrics by name. Of points, the mean over scored points (``worst_gap``: the largest); of
cells, the mean over cells, never a sum."""


def reduce(
    metric: str, chosen: Metric, members: Sequence[tuple[CellRecord, PointRecord | None]]
) -> tuple[list[float | None], int]:
    """The values of a group's row and how many members they stand on."""
    points = [point for _, point in members if point is not None]
    if metric == "gap":
        scored = [point for point in points if is_scored(point)]
        gap = mean_gap(scored)
        return [gap.mean, gap.lo, gap.hi], len(scored)
    if metric == "worst_gap":
        worst = worst_gap(points)
        return [None if worst is None else worst.gap], sum(map(is_scored, points))
    found: list[float | None] = []
    if chosen.cell is not None:
        found = [chosen.cell(record) for record, _ in members]
    elif chosen.point is not None:
        counted = [p for p in points if p.status in SCORED or not chosen.audited]
        found = [chosen.point(point) for point in counted]
    known = [float(value) for value in found if value is not None]
    return [math.fsum(known) / len(known) if known else None], len(known)
