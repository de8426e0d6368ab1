"""The metrics a table can show and how a group of points or cells becomes one number.

Rates and gaps are in nats per symbol, distortion is summed over dimensions, the error of the
conditional is a fraction of the spread of the optimal one, masses are probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from rdbench.columns import AUDIT_S, COST, POINT, Unit
from rdbench.outcomes import RdbenchError
from rdbench.report.claims import claimed_lagrangian
from rdbench.report.grouping import Cell
from rdbench.report.scores import (
    SCORED,
    abscissa,
    all_good_to,
    good_to,
    has_rate_error,
    is_scored,
    is_upper,
    mean,
    mean_gain,
    mean_gap,
    mean_of_all,
    median_gap,
    shown_mean,
    worst_gap,
)
from rdbench.report.values import value
from rdbench.run.records import CellRecord, PointRecord


@dataclass(frozen=True)
class Metric:
    """A column of a table: where its values come from and how a group of them becomes one."""

    of: Literal["point", "cell"]
    unit: Unit
    """Only nats are converted."""
    value: Callable[[CellRecord, PointRecord | None], float | None]
    """Of a point with its cell, or of a cell alone."""
    audited: bool = True
    """Whether only points that may be scored count."""
    claimed: str = ""
    """The metric that holds what the estimator itself claims of this one, shown beside it."""
    worst: bool = False
    """The largest value instead of the mean."""
    ends: tuple[str, ...] = ()
    """The titles of the columns after its own: the ends of its interval, or what bounds it."""


_COLUMNS = {column.name: column for column in (*COST, AUDIT_S, *POINT)}


def _of(name: str, claimed: str = "", ends: tuple[str, ...] = (), **more: Any) -> Metric:
    """The metric of a column of the export."""
    column = _COLUMNS[name]
    of: Literal["point", "cell"] = "cell" if column in COST else "point"
    return Metric(of, column.unit, partial(value, column), claimed=claimed, ends=ends, **more)


def _good_to(record: CellRecord, _: PointRecord | None) -> float | None:
    found = good_to(record)
    return None if found is None else found.rate


def _claimed_lagrangian(_: CellRecord, point: PointRecord | None) -> float | None:
    return None if point is None else claimed_lagrangian(point)


METRICS: Mapping[str, Metric] = {
    "gap": _of("gap", "claimed_gap", ("gap_lo", "gap_hi")),
    "worst_gap": _of("gap", "worst_claimed_gap", ("worst_lo", "worst_hi"), worst=True),
    "median_gap": _of("gap"),
    "good_to": Metric("cell", "nats", _good_to, ends=("ladder_top",)),
    "claimed_gap": _of("claimed_gap"),
    "worst_claimed_gap": _of("claimed_gap", worst=True),
    "claim_excess": _of("claim_excess"),
    "gap_paper_protocol": _of("gap_paper_protocol"),
    "rate_error": _of("rate_error", ends=("rate_error_lo", "rate_error_hi")),
    "rate": _of("rate", "claimed_rate"),
    "distortion": _of("distortion_value", "claimed_distortion"),
    "lagrangian": _of("lagrangian", "claimed_lagrangian", ("lagrangian_lo", "lagrangian_hi")),
    "claimed_rate": _of("claimed_rate"),
    "claimed_distortion": _of("claimed_distortion"),
    "claimed_lagrangian": Metric("point", "nats", _claimed_lagrangian),
    "gain": _of("gain", ends=("gain_lo", "gain_hi")),
    "conditional_error": _of("conditional_error"),
    "mode_mass_error": _of("mode_mass_error"),
    "ess": _of("ess"),
    "audit_s": _of("audit_s", audited=False),
    **{column.name: _of(column.name) for column in COST},
}
"""The metrics by name. Of points, the mean over scored points (``worst_*``: the largest,
``median_*``: the median); of cells, the mean over cells, never a sum (``good_to``: the least)."""


def metric_named(name: str) -> Metric:
    """The metric of that name.

    Raises:
        RdbenchError: there is none.
    """
    if name not in METRICS:
        raise RdbenchError(f"unknown metric {name!r}; choose from {', '.join(METRICS)}")
    return METRICS[name]


@dataclass(frozen=True)
class Reduced:
    """The value of a metric over a group of points or cells.

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
        case "gain":
            known = [point for point in points if point.status in SCORED and point.gain is not None]
            gain = mean_gain(known)
            return Reduced((gain.mean, gain.lo, gain.hi), len(known))
        case "rate_error":
            return _mean_rate_error([point for point in scored if has_rate_error(point)])
        case "lagrangian":
            return _mean_lagrangian([p for p in points if p.status in SCORED])
    return _plain(METRICS[metric], members)


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
    names = ("rate_error", "rate_error_lo", "rate_error_hi")
    return Reduced(tuple(mean(getattr(p, name) for p in known) for name in names), len(known))


def _mean_lagrangian(answered: Sequence[PointRecord]) -> Reduced:
    """The mean of F(q): of a point that is bounded from above its upper end, where it has one.

    The ends are the means of the ends, as of `mean_gap`, where every point has them.
    """
    points = [point for point in answered if point.lagrangian is not None]
    values, bounded = [], []
    for point in points:
        above = _above(point) if point.side == "upper" else None
        values.append((point.lagrangian or 0.0) + (above or 0.0))
        bounded.append(above is not None if point.side == "upper" else None)
    # A bound whose height is not known leaves the mean without one.
    mark: Literal["", "≤"] = "≤" if True in bounded and False not in bounded else ""
    lo = mean_of_all(None if p.side == "upper" else p.lagrangian_lo for p in points)
    hi = mean_of_all(p.lagrangian_hi for p in points)
    return Reduced((mean(values), lo, hi), len(values), mark)


def _above(point: PointRecord) -> float | None:
    """F_hi - F, in nats; of records without the ends of F it is that of the gap."""
    if point.lagrangian_hi is not None and point.lagrangian is not None:
        return point.lagrangian_hi - point.lagrangian
    if point.gap is None or point.gap_hi is None:
        return None
    return point.gap_hi - point.gap


def _plain(chosen: Metric, members: Sequence[Cell]) -> Reduced:
    found = [
        chosen.value(record, point)
        for record, point in members
        if point is None or point.status in SCORED or not chosen.audited
    ]
    known = [float(value) for value in found if value is not None]
    return Reduced((max(known) if chosen.worst and known else mean(known),), len(known))
