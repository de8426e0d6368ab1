"""The statistics behind the tables: what a set of points says of one estimator.

Gaps are in nats here; the tables convert. Points that give no gap are counted, never dropped.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rdbench.report.claims import ClaimSummary, summarise_claims
from rdbench.report.protocol import Protocol, summarise_protocol
from rdbench.report.scores import (
    SCORED,
    GoodTo,
    Interval,
    Median,
    Worst,
    abscissa,
    all_good_to,
    drawn_gap,
    half_truth,
    is_lower,
    is_scored,
    mean,
    mean_gain,
    mean_gap,
    mean_of_all,
    median_gap,
    shown_mean,
    worst_gap,
    worst_rate_error,
)
from rdbench.report.style import estimator_label
from rdbench.run.records import CellRecord, PointRecord


@dataclass(frozen=True)
class Conditional:
    """Errors of the conditional over several points; None where nothing is known.

    ``error`` in [``lo``, ``hi``] and ``floor``, what exact draws would score, are means over the
    points; ``mode_mass`` is the largest error of the mass of a mode.
    """

    error: float | None
    lo: float | None
    hi: float | None
    floor: float | None
    mode_mass: float | None


def summarise_conditionals(points: Iterable[PointRecord]) -> Conditional | None:
    """The errors of the points that have one; None where no point has any."""
    known = [p for p in points if p.conditional_error is not None or p.mode_mass_error is not None]
    if not known:
        return None
    errors = [p for p in known if p.conditional_error is not None]
    masses = [p.mode_mass_error for p in known if p.mode_mass_error is not None]
    return Conditional(
        error=mean_of_all(p.conditional_error for p in errors),
        lo=mean_of_all(p.conditional_lo for p in errors),
        hi=mean_of_all(p.conditional_hi for p in errors),
        floor=mean_of_all(p.conditional_floor for p in errors),
        mode_mass=max(masses, default=None),
    )


@dataclass(frozen=True)
class Summary:
    """The statistics of one estimator on one case, over all seeds."""

    seeds: int
    points: int
    ok: int
    scored: int
    gap: Interval
    by_seed: tuple[float, float] | None
    """The least and the largest mean gap of a seed; None for one seed."""
    median: Median | None
    worst: Worst | None
    good_to: GoodTo | None
    """None where a ladder is not good even at its lowest rate."""
    truth_width: float
    """The mean width of the brackets on F*."""
    truth_doubt: float | None
    """Half of that where the truth is known within bounds only, else None."""
    rate_error: Interval
    """The R - R(D) of largest magnitude, with its interval."""
    sides: tuple[str, ...]
    is_lower: bool
    """Whether these are lower bounds, whose gap is F* - F_lo."""
    evidence: tuple[str, ...]
    """How the bounds are known, the most frequent first."""
    claims: ClaimSummary
    protocol: Protocol | None
    conditional: Conditional | None
    q_is: tuple[str, ...]
    """The families of q, the most frequent first, counted where there are several."""
    started_from: tuple[str, ...]
    gain: Interval
    """F(start) - F(q), the mean over the points that have one."""
    cpu_s: float | None
    """Of the fit, mean over the cells (a cell is one ladder)."""

    @property
    def is_upper(self) -> bool:
        """Whether the mean gap is only bounded from above."""
        return "upper" in self.sides

    @property
    def shown_gap(self) -> float | None:
        """The one number that stands for the mean gap: its upper end where that is a bound."""
        return shown_mean(self.gap, upper=self.is_upper)


def summarise(records: Sequence[CellRecord]) -> Summary:
    """The summary of the cells of one case and estimator."""
    points = [point for record in records for point in record.points]
    scored = [point for point in points if is_scored(point)]
    answered = [(r, point) for r in records for point in r.points if point.status in SCORED]
    width = 2.0 * (mean(half_truth(point) for point in scored) or 0.0)
    return Summary(
        seeds=len({record.seed for record in records}),
        points=len(points),
        ok=sum(point.status == "ok" for point in points),
        scored=len(scored),
        gap=mean_gap(scored),
        by_seed=between_seeds(records),
        median=median_gap(scored),
        worst=worst_gap(points),
        good_to=all_good_to(records),
        truth_width=width,
        truth_doubt=0.5 * width if any(p.truth_kind == "bounds" for p in scored) else None,
        rate_error=worst_rate_error(scored),
        sides=tuple(sorted({point.side for point in scored if point.side})),
        is_lower=is_lower(points),
        evidence=_families(point.evidence for _, point in answered),
        claims=summarise_claims(answered),
        protocol=summarise_protocol(point for _, point in answered),
        conditional=summarise_conditionals(point for _, point in answered),
        q_is=_families(point.q_is for _, point in answered),
        started_from=tuple(dict.fromkeys(p.started_from for _, p in answered if p.started_from)),
        gain=mean_gain(point for _, point in answered),
        cpu_s=mean(record.cost.cpu_s for record in records),
    )


def between_seeds(records: Iterable[CellRecord]) -> tuple[float, float] | None:
    """The least and the largest mean gap of a seed; None for one seed."""
    seeds: dict[int, list[float]] = {}
    for record in records:
        seeds.setdefault(record.seed, []).extend(map(drawn_gap, filter(is_scored, record.points)))
    means = [found for gaps in seeds.values() if (found := mean(gaps)) is not None]
    return (min(means), max(means)) if len(means) > 1 else None


def _families(names: Iterable[str | None]) -> tuple[str, ...]:
    found = Counter(filter(None, names)).most_common()
    total = sum(count for _, count in found)
    return tuple(name if count == total else f"{name} {count}/{total}" for name, count in found)


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
    groups: dict[tuple[str, str, str], list[tuple[CellRecord, float | None, str]]] = {}
    for record in records:
        label = estimator_label(record)
        named = [(*_trouble(point), abscissa(point)) for point in record.points]
        if not record.points:
            named = [(record.status, record.reason, None)]
        for status, reason, rate in named:
            line = " ".join(reason.split())
            key = (label, status, re.sub(r"[-+]?\d[\d.,]*(e[-+]?\d+)?", "#", line))
            if status:
                groups.setdefault(key, []).append((record, rate, line))
    found = []
    for (label, status, _), entries in groups.items():
        rates = [rate for _, rate, _ in entries if rate is not None]
        found.append(
            Trouble(
                estimator=label,
                status=status,
                reason=entries[0][2],
                cases=tuple(dict.fromkeys(case_name(record) for record, _, _ in entries)),
                points=len(entries),
                seeds=tuple(sorted({record.seed for record, _, _ in entries})),
                rates=(min(rates), max(rates)) if rates else None,
            )
        )
    return found


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
    return "no gap", point.reason or "the audit gives no estimate, only a bracket"
