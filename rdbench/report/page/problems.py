"""The kinds of problems among which a reader finds their own: dimension, source and rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rdbench.distortions import Hamming, TableDistortion
from rdbench.report.scores import SCORED, abscissa
from rdbench.run.records import CellRecord, PointRecord

ANY = "any"
DIMS = {"1": (1, 1), "2": (2, 2), "3-10": (3, 10), "more": (11, None)}
"""From and to, both included."""
KINDS = {
    "continuous": "continuous",
    "letters": "discrete letters",
    "rows": "rows of data, or other finite sets of points",
}
HIGH_RATE = 1.0
"""Nats per dimension: from here on a rate is high."""
RATES = {"low": "below 1 nat per dimension", "high": "1 nat per dimension or more"}

_ON_LETTERS = (Hamming.name, TableDistortion.name)

Finite = Callable[[Sequence[CellRecord]], bool | None]
"""Whether the source of a case has finitely many points, by its records; None: not known."""


@dataclass(frozen=True)
class Problem:
    """What a reader chose; ``any`` leaves it open."""

    dim: str = ANY
    kind: str = ANY
    rate: str = ANY


def every_problem() -> list[Problem]:
    """All choices, the open ones first."""
    return [
        Problem(dim, kind, rate)
        for dim in (ANY, *DIMS)
        for kind in (ANY, *KINDS)
        for rate in (ANY, *RATES)
    ]


def dim_of(dim: int) -> str:
    """The name of the range in which a dimension is."""
    return next(name for name, (_, most) in DIMS.items() if most is None or dim <= most)


def rate_of(point: PointRecord, dim: int) -> str | None:
    """Whether the rate at a point is low or high; None where no rate is known."""
    rate = abscissa(point)
    if rate is None:
        return None
    return "high" if rate >= HIGH_RATE * dim else "low"


def kind_of(records: Sequence[CellRecord], finite: Finite | None = None) -> str:
    """The kind of source of a case.

    What is not known to have finitely many points counts as continuous.

    Args:
        records: its cells.
        finite: what is known of the source besides the records.
    """
    if any(record.data is not None for record in records):
        return "rows"
    if any(record.distortion in _ON_LETTERS for record in records):
        return "letters"
    told = None if finite is None else finite(records)
    return "rows" if (_is_exact(records) if told is None else told) else "continuous"


def _is_exact(records: Sequence[CellRecord]) -> bool:
    """Whether no audited rate has sampling noise: then the symbols were summed over."""
    answered = (p for record in records for p in record.points if p.status in SCORED)
    halves = [p.rate_half for p in answered if p.rate is not None and p.side != "lower"]
    return bool(halves) and all(half == 0.0 for half in halves)
