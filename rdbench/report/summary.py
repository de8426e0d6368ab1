"""The statistics behind the tables: what a set of points says of one estimator.

Gaps are in nats here; the tables convert. Points that give no gap are counted, never dropped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rdbench.report.claims import ClaimSummary, summarise_claims
from rdbench.report.conditionals import Conditional, summarise_conditionals
from rdbench.report.protocol import Protocol, summarise_protocol
from rdbench.report.style import estimator_label
from rdbench.run.records import CellRecord, PointRecord

SCORED = ("ok", "not_converged")
"""The statuses whose numbers count: a fit that was cut short is shown, not averaged."""


@dataclass(frozen=True)
class Interval:
    """A mean with the interval that is known of it; None where nothing is."""

    mean: float | None
    lo: float | None
    hi: float | None


@dataclass(frozen=True)
class Worst:
    """The largest gap and where it occurs.

    ``is_bound``: a failed audit only says that it is at least this large; ``is_upper``: the audit
    only bounds it from above.
    """

    gap: float
    rate: float | None
    is_bound: bool = False
    is_upper: bool = False


@dataclass(frozen=True)
class Summary:
    """What the cells of one case and estimator (all seeds) amount to."""

    seeds: int
    points: int
    ok: int
    scored: int
    gap: Interval
    worst: Worst | None
    truth_doubt: float | None
    """Mean half-width of the bracket on F* where the truth is but bounds, else None."""
    rate_error: float | None
    """The R - R(D) of largest magnitude, with its sign."""
    sides: tuple[str, ...]
    claims: ClaimSummary
    protocol: Protocol | None
    conditional: Conditional | None
    cpu_s: float | None
    """Of the fit, mean over the cells (a cell is one ladder)."""

    @property
    def is_upper(self) -> bool:
        """Whether the mean gap is only bounded from above."""
        return "upper" in self.sides


def summarise(records: Sequence[CellRecord]) -> Summary:
    """The summary of the cells of one case and estimator."""
    points = [point for record in records for point in record.points]
    scored = [point for point in points if is_scored(point)]
    answered = [(r, point) for r in records for point in r.points if point.status in SCORED]
    errors = [point.rate_error for point in scored if point.rate_error is not None]
    cpu = [record.cost.cpu_s for record in records if record.cost.cpu_s is not None]
    return Summary(
        seeds=len({record.seed for record in records}),
        points=len(points),
        ok=sum(point.status == "ok" for point in points),
        scored=len(scored),
        gap=mean_gap(scored),
        worst=worst_gap(points),
        truth_doubt=_truth_doubt(scored),
        rate_error=max(errors, key=abs, default=None),
        sides=tuple(sorted({point.side for point in scored if point.side})),
        claims=summarise_claims(answered),
        protocol=summarise_protocol(point for _, point in answered),
        conditional=summarise_conditionals(point for _, point in answered),
        cpu_s=sum(cpu) / len(cpu) if cpu else None,
    )


def _truth_doubt(scored: Sequence[PointRecord]) -> float | None:
    """Half the mean width of the brackets on F*, if any of them is wide enough to be called so."""
    if not any(point.truth_kind == "bounds" for point in scored):
        return None
    widths = [
        point.truth_hi - point.truth_lo
        for point in scored
        if point.truth_lo is not None and point.truth_hi is not None
    ]
    return 0.5 * math.fsum(widths) / len(widths) if widths else None


def is_scored(point: PointRecord) -> bool:
    """Whether the point has a gap that enters the means."""
    return point.status in SCORED and point.gap is not None


def mean_gap(scored: Sequence[PointRecord]) -> Interval:
    """The mean gap of ``scored`` points with an interval that is valid whatever they share.

    The interval of the mean is [mean of gap_lo, mean of gap_hi]. The errors of the points add up
    as if they were fully correlated: the standard deviation of a mean is at most the mean of the
    standard deviations, and the truth's bracket, common to all seeds, does not average out. Where
    points are independent it is wider than need be. One point that is only bounded from above
    (side ``upper``, or no gap_lo) leaves the mean without a lower end.
    """
    if not scored:
        return Interval(None, None, None)
    gaps = [point.gap for point in scored if point.gap is not None]
    los = [point.gap_lo for point in scored if point.gap_lo is not None and point.side != "upper"]
    his = [point.gap_hi for point in scored if point.gap_hi is not None]
    n = len(scored)
    return Interval(
        mean=math.fsum(gaps) / n,
        lo=math.fsum(los) / n if len(los) == n else None,
        hi=math.fsum(his) / n if len(his) == n else None,
    )


def worst_gap(points: Sequence[PointRecord]) -> Worst | None:
    """The largest gap and the rate at which it occurs.

    A point whose audit failed its gate has no gap but may have a lower bound; where that exceeds
    every gap, it is the worst, so that a failed audit cannot hide a failed fit.
    """
    worst: Worst | None = None
    for point in points:
        if point.status not in SCORED:
            continue
        if point.gap is not None:
            found = Worst(point.gap, abscissa(point), is_upper=point.side == "upper")
        elif point.gap_lo is not None and point.side != "upper":
            found = Worst(point.gap_lo, abscissa(point), is_bound=True)
        else:
            continue
        if worst is None or found.gap > worst.gap:
            worst = found
    return worst


def abscissa(point: PointRecord) -> float | None:
    """Where a point stands: the true R* at its slope, else the rate aimed at, else found."""
    if point.rate_lo is not None and point.rate_hi is not None:
        return 0.5 * (point.rate_lo + point.rate_hi)
    return point.target_rate if point.target_rate is not None else point.rate


# --------------------------------------------------------------------------------------------
# what went wrong


@dataclass(frozen=True)
class Trouble:
    """Points of one estimator that share a status and, numbers aside, a reason."""

    estimator: str
    status: str
    reason: str
    cases: tuple[str, ...]
    points: int
    seeds: tuple[int, ...]
    rates: tuple[float, float] | None


def troubles(
    records: Iterable[CellRecord], case_name: Callable[[CellRecord], str]
) -> list[Trouble]:
    """Everything that is not a plain scored point, grouped so that a hundred rows read as one.

    Reasons that differ in their numbers alone (a slope, a size) are one group, shown by the first.
    A point whose status is fine but which has no gap is named too.
    """
    groups: dict[tuple[str, str, str], list[tuple[str, int, float | None, str]]] = {}
    for record in records:
        label = estimator_label(record)
        named = [
            (status, reason, abscissa(point))
            for point in record.points
            for status, reason in [_trouble(point)]
            if status
        ]
        if not record.points:
            named = [(record.status, record.reason, None)]
        for status, reason, rate in named:
            line = " ".join(reason.split())
            key = (label, status, re.sub(r"[-+]?\d[\d.,]*(e[-+]?\d+)?", "#", line))
            entry = (case_name(record), record.seed, rate, line)
            groups.setdefault(key, []).append(entry)
    return [
        Trouble(
            estimator=label,
            status=status,
            reason=entries[0][3],
            cases=tuple(dict.fromkeys(case for case, _, _, _ in entries)),
            points=len(entries),
            seeds=tuple(sorted({seed for _, seed, _, _ in entries})),
            rates=_range([rate for _, _, rate, _ in entries if rate is not None]),
        )
        for (label, status, _), entries in groups.items()
    ]


def _trouble(point: PointRecord) -> tuple[str, str]:
    """The status and reason to show for a point, or empty when there is nothing to say."""
    if point.status != "ok":
        return point.status, point.reason
    if point.gap is not None:
        return "", ""
    if point.truth_lo is None:
        # an estimator may have said something of its own, which is not why
        words = ["the truth is not known at this slope", point.reason]
        return "no gap", "; ".join(filter(None, words))
    return "no gap", point.reason or "the audit's gate failed, only its bracket is known"


def _range(values: Sequence[float]) -> tuple[float, float] | None:
    return (min(values), max(values)) if values else None
