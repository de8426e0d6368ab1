"""The metrics a table can show and how a group of points or cells becomes one number.

Rates and gaps are in nats per symbol, distortion is summed over dimensions, the error of the
conditional is a fraction of the spread of the optimal one, masses are probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rdbench.report.claims import claim_excess, claimed_gap, claimed_lagrangian
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
    claimed: str = ""
    """The metric that holds what the estimator itself claims of this one, shown beside it."""
    worst: bool = False
    """The largest value instead of the mean."""


def _point(name: str, unit: str, *, audited: bool = True, claimed: str = "") -> Metric:
    return Metric("point", unit, point=lambda p: getattr(p, name), audited=audited, claimed=claimed)


def _cell(name: str, unit: str) -> Metric:
    return Metric("cell", unit, cell=lambda r: getattr(r.cost, name))


METRICS: Mapping[str, Metric] = {
    "gap": _point("gap", "rate", claimed="claimed_gap"),
    "worst_gap": replace(_point("gap", "rate", claimed="worst_claimed_gap"), worst=True),
    "claimed_gap": Metric("point", "rate", point=claimed_gap),
    "worst_claimed_gap": Metric("point", "rate", point=claimed_gap, worst=True),
    "claim_excess": Metric("point", "rate", point=claim_excess),
    "gap_paper_protocol": _point("gap_paper_protocol", "rate"),
    "rate_error": _point("rate_error", "rate"),
    "rate": _point("rate", "rate", claimed="claimed_rate"),
    "distortion": _point("distortion", "", claimed="claimed_distortion"),
    "lagrangian": _point("lagrangian", "rate", claimed="claimed_lagrangian"),
    "claimed_rate": _point("claimed_rate", "rate"),
    "claimed_distortion": _point("claimed_distortion", ""),
    "claimed_lagrangian": Metric("point", "rate", point=claimed_lagrangian),
    "conditional_error": _point("conditional_error", ""),
    "mode_mass_error": _point("mode_mass_error", ""),
    "ess": _point("ess", ""),
    "audit_s": _point("audit_s", "s", audited=False),
    "wall_s": _cell("wall_s", "s"),
    "cpu_s": _cell("cpu_s", "s"),
    "peak_rss_mb": _cell("peak_rss_mb", "MB"),
    "n_source_samples": _cell("n_source_samples", ""),
    "gradient_steps": _cell("gradient_steps", ""),
    "n_parameters": _cell("n_parameters", ""),
}
"""The metrics by name. Of points, the mean over scored points (``worst_*``: the largest); of
cells, the mean over cells, never a sum."""


def reduce(
    metric: str, members: Sequence[tuple[CellRecord, PointRecord | None]]
) -> tuple[list[float | None], int]:
    """The values of a group's row and how many members they stand on.

    ``gap`` has three values, its mean and the two ends of the interval; every other metric one.
    """
    chosen = METRICS[metric]
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
    if not known:
        return [None], 0
    return [max(known) if chosen.worst else math.fsum(known) / len(known)], len(known)


def is_upper_bound(metric: str, members: Sequence[tuple[CellRecord, PointRecord | None]]) -> bool:
    """Whether the audit only bounds this value of a group from above."""
    points = [point for _, point in members if point is not None and is_scored(point)]
    if metric == "worst_gap":
        worst = worst_gap(points)
        return worst is not None and worst.is_upper
    return metric in ("gap", "lagrangian") and any(point.side == "upper" for point in points)
