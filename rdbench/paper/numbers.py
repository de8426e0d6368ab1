"""What a row of the tables says: the records of one estimator on one case, and how they are put.

Gaps and rates are in nats until they are written; ``scale`` is how many nats one unit is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rdbench.paper.cells import Found
from rdbench.report.paired import Entrant, standing
from rdbench.report.scores import shown_gap
from rdbench.report.style import estimator_label
from rdbench.report.summary import SCORED, Interval, Summary, abscissa, summarise
from rdbench.run.records import CellRecord, PointRecord

Ends = tuple[float | None, float]
"""The two ends of an interval; the lower one may be unknown."""
Measure = Callable[[PointRecord], Ends | None]
"""The interval of what is compared, None where a point has none."""


@dataclass(frozen=True)
class Row:
    """The records of one estimator on one case, all seeds; none where it was not run."""

    case: str
    label: str
    records: tuple[CellRecord, ...]

    @property
    def points(self) -> list[PointRecord]:
        """All slopes of all seeds."""
        return [point for record in self.records for point in record.points]

    @property
    def summary(self) -> Summary:
        """Means, intervals and counts over the points."""
        return summarise(self.records)


def rows_of(found: Found) -> list[Row]:
    """One row for every case and estimator of the part, run or not."""
    return [
        Row(
            case,
            label,
            tuple(r for r in found.records if r.case == case and estimator_label(r) == label),
        )
        for case in found.part.cases
        for label in found.part.estimators
    ]


def slope_key(beta: float) -> str:
    """Equal for slopes that differ by rounding alone."""
    return f"{beta:.9g}"


def conditional_ends(point: PointRecord) -> Ends | None:
    """The interval of the error of p(y|x)."""
    if point.status not in SCORED or point.conditional_error is None:
        return None
    return None if point.conditional_hi is None else (point.conditional_lo, point.conditional_hi)


def leaders(rows: Sequence[Row]) -> frozenset[str]:
    """The labels of the best gap and of all that are not significantly worse, compared in pairs.

    Rows of one case; see ``rdbench.report.paired.standing``.
    """
    entrants = {
        row.label: Entrant(
            tuple((record, point) for record in row.records for point in record.points),
            whole=all(record.points for record in row.records),
        )
        for row in rows
    }
    found = standing(entrants)
    return frozenset() if found is None else found.leaders


def best(rows: Sequence[Row], measure: Measure) -> str | None:
    """The label whose interval lies below every other's, if there is one.

    Two estimators are compared by their means over the slopes at which both have an interval. The
    best one has an interval at every slope; an estimator without any takes no part. A mean with
    an unknown lower end can win, and nothing can be shown to lie below it.
    """
    found = {row.label: _by_slope(row.points, measure) for row in rows}
    found = {label: slopes for label, slopes in found.items() if slopes}
    every = {slope_key(point.beta) for row in rows for point in row.points}
    for label, slopes in found.items():
        others = [other for name, other in found.items() if name != label]
        complete = set(slopes) == every and _is_complete(rows, label, measure)
        if complete and others and all(_below(slopes, other) for other in others):
            return label
    return None


def _is_complete(rows: Sequence[Row], label: str, measure: Measure) -> bool:
    return all(
        measure(point) is not None for row in rows if row.label == label for point in row.points
    )


def _by_slope(points: Iterable[PointRecord], measure: Measure) -> dict[str, list[Ends]]:
    found: dict[str, list[Ends]] = {}
    for point in points:
        ends = measure(point)
        if ends is not None:
            found.setdefault(slope_key(point.beta), []).append(ends)
    return found


def _below(a: Mapping[str, list[Ends]], b: Mapping[str, list[Ends]]) -> bool:
    common = set(a) & set(b)
    if not common:
        return False
    upper = [hi for slope in common for _, hi in a[slope]]
    lower = [lo for slope in common for lo, _ in b[slope]]
    known = [lo for lo in lower if lo is not None]
    return len(known) == len(lower) and _mean(upper) < _mean(known)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def worst_point(points: Iterable[PointRecord]) -> PointRecord | None:
    """The point with the largest gap, of an upper bound the bound.

    A lower bound counts where the audit's gate failed.
    """
    found: tuple[float, PointRecord] | None = None
    for point in points:
        value = shown_gap(point)
        if point.gap is None and point.side != "upper":
            value = point.gap_lo
        if point.status in SCORED and value is not None and (found is None or value > found[0]):
            found = value, point
    return None if found is None else found[1]


# --------------------------------------------------------------------------------------------
# as text


def number(value: float | None, scale: float = 1.0, digits: int = 3) -> str:
    """So many significant digits, with a minus sign; ``-`` where nothing is known."""
    if value is None:
        return "-"
    text = f"{value / scale:.{digits}g}"
    return f"−{text[1:]}" if text.startswith("-") else text


def span(lo: float | None, hi: float | None, scale: float = 1.0) -> str:
    """``[lo, hi]``, or ``[≤ hi]`` where there is no lower end."""
    if hi is None:
        return "" if lo is None else f"[≥ {number(lo, scale)}]"
    if lo is None:
        return f"[≤ {number(hi, scale)}]"
    return f"[{number(lo, scale)}, {number(hi, scale)}]"


def mean_text(gap: Interval, upper: bool, scale: float) -> str:
    """A mean gap with its interval; of one bounded from above the upper end alone."""
    if gap.mean is None:
        return "-"
    if upper:
        return f"≤ {number(gap.hi, scale)}"
    return f"{number(gap.mean, scale)} {span(gap.lo, gap.hi, scale)}".rstrip()


def point_text(point: PointRecord | None, scale: float) -> str:
    """The gap of one point with its interval; of one bounded from above the upper end alone."""
    if point is None:
        return "-"
    if point.gap is None:
        return f"≥ {number(point.gap_lo, scale)}"
    if point.side == "upper":
        return f"≤ {number(point.gap_hi, scale)}"
    return f"{number(point.gap, scale)} {span(point.gap_lo, point.gap_hi, scale)}".rstrip()


def rate_text(point: PointRecord | None, scale: float) -> str:
    """The true rate at which a point stands."""
    return number(None if point is None else abscissa(point), scale)


def state(row: Row) -> str:
    """What to say where a row has no number: ``not run``, or how its points ended."""
    if not row.records:
        return "not run"
    ended = Counter(point.status for point in row.points)
    if not ended:
        return row.records[0].status.replace("_", " ")
    return ", ".join(
        f"{'no gap' if status in SCORED else status.replace('_', ' ')} {count}/{ended.total()}"
        for status, count in ended.most_common()
    )


def samples(row: Row) -> float | None:
    """Source draws of a fit, mean over the seeds."""
    known = [r.cost.n_source_samples for r in row.records if r.cost.n_source_samples is not None]
    return _mean([float(n) for n in known]) if known else None
