"""What a figure shows: panels (one per case), the truth in them, and one series per estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.report.grouping import CELL_COLUMNS, SETTINGS, text_of, varying
from rdbench.report.style import estimator_label
from rdbench.run.records import CellRecord, PointRecord


@dataclass(frozen=True)
class Truth:
    """The known part of R(D): brackets at the slopes beta, from low to high rate, in nats."""

    beta: Float[ndarray, " n"]
    rate: Float[ndarray, "n 2"]
    distortion: Float[ndarray, "n 2"]


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
    truth: Truth
    series: tuple[Series, ...]


def panels_of(records: Sequence[CellRecord]) -> list[Panel]:
    """The cases of ``records`` by dimension, then name.

    Budgets, numbers of training points, suite versions and devices that vary within the records
    become part of the labels, so that one series never mixes settings.
    """
    settings = varying(records, SETTINGS)
    cells: dict[tuple[int, str], list[CellRecord]] = {}
    # By seed rather than in the order in which they finished: equal records, equal picture.
    for record in sorted(records, key=lambda record: (record.seed, record.cell)):
        cells.setdefault((record.dim, record.case), []).append(record)
    return [
        Panel(
            case=case,
            dim=dim,
            distortion=members[0].distortion,
            truth=truth_of([point for record in members for point in record.points]),
            series=_series(members, settings),
        )
        for (dim, case), members in sorted(cells.items(), key=lambda item: item[0])
    ]


def _series(records: Sequence[CellRecord], settings: Sequence[str]) -> tuple[Series, ...]:
    points: dict[tuple[str, str], list[PointRecord]] = {}
    for record in records:
        hidden = [f"{name} {text_of(CELL_COLUMNS[name](record))}" for name in settings]
        key = (record.estimator, ", ".join([estimator_label(record), *hidden]))
        points.setdefault(key, []).extend(record.points)
    return tuple(
        Series(name, label, tuple(found)) for (name, label), found in sorted(points.items())
    )


def truth_of(points: Sequence[PointRecord]) -> Truth:
    """The truth as the records state it: every slope once, in order of the rate."""
    rows = {
        p.beta: (p.rate_lo, p.rate_hi, p.dist_lo, p.dist_hi)
        for p in points
        if None not in (p.rate_lo, p.rate_hi, p.dist_lo, p.dist_hi)
    }
    beta = np.array(sorted(rows), dtype=np.float64)
    table = np.array([rows[b] for b in sorted(rows)], dtype=np.float64).reshape(-1, 4)
    return Truth(beta, table[:, :2], table[:, 2:])
