"""The contents of a figure: panels (one per case), the truth, and one series per estimator."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rdbench.report.grouping import CELL_COLUMNS, SETTINGS, text_of, varying
from rdbench.report.rungs import Rung, TruthSource
from rdbench.report.scores import SCORED, abscissa, drawn_gap, is_scored, mean
from rdbench.report.style import estimator_label
from rdbench.report.truth_line import TruthLine, truth_line
from rdbench.run.records import CellRecord, PointRecord

HEADROOM = 1.35
"""The rate axis ends at this multiple of the largest true rate; points beyond sit on its edge."""

Sources = Callable[[Sequence[CellRecord]], TruthSource | None]
"""Where more of the truth is known, by the records of one case; None where it is nowhere."""


@dataclass(frozen=True)
class Series:
    """All points of one estimator in one case, over every seed."""

    estimator: str
    label: str
    points: tuple[PointRecord, ...]


@dataclass(frozen=True)
class Panel:
    """One case."""

    case: str
    dim: int
    distortion: str
    line: TruthLine
    series: tuple[Series, ...]

    @property
    def points(self) -> list[PointRecord]:
        """Those of all series."""
        return [point for series in self.series for point in series.points]


def by_suite(records: Iterable[CellRecord]) -> dict[str, list[CellRecord]]:
    """The records of every suite, in their order."""
    suites: dict[str, list[CellRecord]] = {}
    for record in records:
        suites.setdefault(record.suite, []).append(record)
    return suites


def panels_of(records: Sequence[CellRecord], sources: Sources | None = None) -> list[Panel]:
    """The cases of ``records`` by dimension, then name.

    Budgets, numbers of training points, suite versions and devices that vary within the records
    become part of the labels, so that one series never mixes settings.

    Args:
        records: finished cells of one suite.
        sources: where more is known of the truth than the records say.
    """
    # By seed rather than in the order in which they finished: equal records, equal picture.
    ordered = sorted(records, key=lambda record: (record.seed, record.cell))
    cells: dict[tuple[int, str], list[tuple[CellRecord, str]]] = {}
    for record, label in zip(ordered, series_labels(ordered), strict=True):
        cells.setdefault((record.dim, record.case), []).append((record, label))
    panels = []
    for (dim, case), members in sorted(cells.items(), key=lambda item: item[0]):
        own = [record for record, _ in members]
        line = line_of(own, sources)
        panels.append(Panel(case, dim, own[0].distortion, line, _series(members)))
    return panels


def line_of(records: Sequence[CellRecord], sources: Sources | None = None) -> TruthLine:
    """R(D) as it is drawn for the records of one case."""
    points = [point for record in records for point in record.points]
    rungs = rungs_of(points)
    if not rungs:
        return TruthLine()
    found = [
        p.distortion
        for p in points
        if p.status in SCORED and p.distortion is not None and p.distortion > 0.0
    ]
    span = (min(found, default=math.inf), max(found, default=-math.inf))
    top = HEADROOM * max(rung.rate for rung in rungs)
    return truth_line(rungs, sources and sources(records), span, top)


def series_labels(records: Sequence[CellRecord]) -> list[str]:
    """The series of every cell: its estimator, with the settings in which ``records`` differ."""
    settings = varying(records, SETTINGS)
    return [
        ", ".join([estimator_label(r), *(f"{n} {text_of(CELL_COLUMNS[n](r))}" for n in settings)])
        for r in records
    ]


def _series(members: Sequence[tuple[CellRecord, str]]) -> tuple[Series, ...]:
    points: dict[tuple[str, str], list[PointRecord]] = {}
    for record, label in members:
        points.setdefault((record.estimator, label), []).extend(record.points)
    return tuple(
        Series(name, label, tuple(found)) for (name, label), found in sorted(points.items())
    )


def joined(points: Sequence[PointRecord]) -> list[tuple[float, float]]:
    """The line of a series, (rate, gap) in nats by rising rate: the means over its seeds.

    A line through every seed would zigzag.
    """
    gaps: dict[float, list[float]] = {}
    for point in points:
        rate = abscissa(point)
        if rate is not None and is_scored(point):
            gaps.setdefault(rate, []).append(drawn_gap(point))
    return [(rate, mean(gaps[rate]) or 0.0) for rate in sorted(gaps)]


def state(point: PointRecord) -> str:
    """The status of a point, or "no gap" where it is fine but there is none."""
    return "no gap" if point.status in SCORED and point.gap is None else point.status


def missing(series: Series) -> list[str]:
    """How many points of a series have no gap and why, in words."""
    counts = Counter(state(point) for point in series.points if not is_scored(point))
    total = len(series.points)
    return [
        f"{series.label}: {'all' if count == total else f'{count} of {total}'} "
        f"{status.replace('_', ' ')}"
        for status, count in sorted(counts.items())
    ]


def rungs_of(points: Sequence[PointRecord]) -> list[Rung]:
    """The truth as the records state it, every slope once: R(D) <= rate_hi at D = dist_hi."""
    rows: dict[float, list[float]] = {}
    for p in points:
        if None in (p.rate_lo, p.rate_hi, p.dist_lo, p.dist_hi):
            continue
        r0, r1, d0, d1 = (float(v or 0.0) for v in (p.rate_lo, p.rate_hi, p.dist_lo, p.dist_hi))
        row = [*_lagrangian(p, r0 + p.beta * d0, r1 + p.beta * d1), 0.5 * (d0 + d1), d1, r1]
        rows[p.beta] = min(rows.get(p.beta, row), row)  # whatever the order of the records
    return [Rung(beta, lo, hi, d, (d1, r1)) for beta, (lo, hi, d, d1, r1) in sorted(rows.items())]


def _lagrangian(point: PointRecord, lo: float, hi: float) -> tuple[float, float]:
    """F* as the record states it; [lo, hi], which R* and D* allow, where it states nothing else."""
    if point.truth_lo is None or point.truth_hi is None:
        return lo, hi
    slack = 1e-9 * (1.0 + abs(hi))
    if point.truth_lo > hi + slack or point.truth_hi < lo - slack:
        return lo, hi
    return point.truth_lo, point.truth_hi
