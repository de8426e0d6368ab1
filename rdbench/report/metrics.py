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
from rdbench.report.scores import (
    SCORED,
    abscissa,
    all_good_to,
    good_to,
    has_rate_error,
    is_scored,
    is_upper,
    mean_gap,
    median_gap,
    shown_mean,
    worst_gap,
)
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
    ends: tuple[str, ...] = ()
    """The titles of the columns after its own: the ends of its interval, or what bounds it."""


def _point(name: str, unit: str, *, audited: bool = True, claimed: str = "") -> Metric:
    return Metric("point", unit, point=lambda p: getattr(p, name), audited=audited, claimed=claimed)


def _cell(name: str, unit: str) -> Metric:
    return Metric("cell", unit, cell=lambda r: getattr(r.cost, name))


def _good_to(record: CellRecord) -> float | None:
    found = good_to(record)
    return None if found is None else found.rate


METRICS: Mapping[str, Metric] = {
    "gap": replace(_point("gap", "rate", claimed="claimed_gap"), ends=("gap_lo", "gap_hi")),
    "worst_gap": replace(
        _point("gap", "rate", claimed="worst_claimed_gap"),
        worst=True,
        ends=("worst_lo", "worst_hi"),
    ),
    "median_gap": _point("gap", "rate"),
    "good_to": Metric("cell", "rate", cell=_good_to, ends=("ladder_top",)),
    "claimed_gap": Metric("point", "rate", point=claimed_gap),
    "worst_claimed_gap": Metric("point", "rate", point=claimed_gap, worst=True),
    "claim_excess": Metric("point", "rate", point=claim_excess),
    "gap_paper_protocol": _point("gap_paper_protocol", "rate"),
    "rate_error": replace(_point("rate_error", "rate"), ends=("rate_error_lo", "rate_error_hi")),
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
"""The metrics by name. Of points, the mean over scored points (``worst_*``: the largest,
``median_*``: the median); of cells, the mean over cells, never a sum (``good_to``: the least)."""


@dataclass(frozen=True)
class Reduced:
    """What a group of members amounts to.

    ``values`` holds the metric and its ``ends``, None where one is not known. ``count`` members
    stand behind it. ``mark`` says what the first value is: ``≤`` an upper bound, ``≥`` a lower
    one, empty the value itself.
    """

    values: tuple[float | None, ...]
    count: int
    mark: Literal["", "≤", "≥"] = ""


def reduce(metric: str, members: Sequence[tuple[CellRecord, PointRecord | None]]) -> Reduced:
    """One row's value of ``metric``, with its interval where it has one.

    Where a gap is only bounded from above the value is the upper end of its interval, never the
    estimate below that.
    """
    points = [point for _, point in members if point is not None]
    scored = [point for point in points if is_scored(point)]
    match metric:
        case "gap":
            gap, upper = mean_gap(scored), is_upper(scored)
            shown = shown_mean(gap, upper=upper)
            return Reduced((shown, gap.lo, gap.hi), len(scored), _upper_mark(shown, upper))
        case "median_gap":
            middle = median_gap(scored)
            if middle is None:
                return Reduced((None,), len(scored))
            return Reduced((middle.gap,), len(scored), "≤" if middle.is_upper else "")
        case "worst_gap":
            worst = worst_gap(points)
            if worst is None:
                return Reduced((None, None, None), len(scored))
            mark: Literal["", "≤", "≥"] = "≥" if worst.is_bound else "≤" if worst.is_upper else ""
            return Reduced((worst.gap, worst.lo, worst.hi), len(scored), mark)
        case "good_to":
            return _least_good([record for record, _ in members])
        case "rate_error":
            return _mean_rate_error([point for point in scored if has_rate_error(point)])
        case "lagrangian":
            return _mean_lagrangian([p for p in points if p.status in SCORED])
    return _plain(METRICS[metric], members, points)


def _upper_mark(shown: float | None, upper: bool) -> Literal["", "≤"]:
    return "≤" if upper and shown is not None else ""


def _least_good(records: Sequence[CellRecord]) -> Reduced:
    least = all_good_to(records)
    count = sum(good_to(record) is not None for record in records)
    tops = [max(rates) for record in records if (rates := _rates(record))]
    top = min(tops, default=None)
    if least is None:
        return Reduced((None, top), count)
    return Reduced((least.rate, top), count, "≥" if least.is_top else "")


def _rates(record: CellRecord) -> list[float]:
    return [rate for point in record.points if (rate := abscissa(point)) is not None]


def _mean_rate_error(known: Sequence[PointRecord]) -> Reduced:
    """The means of R - R(D) and of both ends, valid however the errors of the points depend."""
    columns = (
        [point.rate_error for point in known],
        [point.rate_error_lo for point in known],
        [point.rate_error_hi for point in known],
    )
    return Reduced(tuple(_mean(column) for column in columns), len(known))


def _mean_lagrangian(answered: Sequence[PointRecord]) -> Reduced:
    """The mean of F(q): of a point that is bounded from above its upper end, where it has one."""
    values, bounded = [], []
    for point in answered:
        if point.lagrangian is None:
            continue
        known = point.side == "upper" and None not in (point.gap, point.gap_hi)
        above = (point.gap_hi or 0.0) - (point.gap or 0.0) if known else 0.0
        values.append(point.lagrangian + above)
        bounded.append(known if point.side == "upper" else None)
    # A bound whose height is not known leaves the mean without one.
    mark: Literal["", "≤"] = "≤" if True in bounded and False not in bounded else ""
    return Reduced((_mean(values),), len(values), mark)


def _plain(
    chosen: Metric,
    members: Sequence[tuple[CellRecord, PointRecord | None]],
    points: Sequence[PointRecord],
) -> Reduced:
    found: list[float | None] = []
    if chosen.cell is not None:
        found = [chosen.cell(record) for record, _ in members]
    elif chosen.point is not None:
        counted = [p for p in points if p.status in SCORED or not chosen.audited]
        found = [chosen.point(point) for point in counted]
    known = [float(value) for value in found if value is not None]
    return Reduced((max(known) if chosen.worst and known else _mean(known),), len(known))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
