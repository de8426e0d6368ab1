"""What is worse about the gaps: one seed raises a suspicion, others confirm it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.gate.accuracy import Cell
from benchmarks.gate.verdicts import (
    Finding,
    Point,
    allowed_growth,
    judge_failures,
    judge_gaps,
    looks_worse,
    lost_sight,
)

TOLERANCE = 0.005
"""Nats per symbol; gaps at the quick budget scatter by less from seed to seed, mostly."""
PER_DIMENSION = 0.2
"""The share of the tolerance that each dimension adds: distortions and gaps are sums over them."""
EXACT = {"blahut_arimoto": 0.1}
"""The share of the tolerance for an estimator that stops by a certificate and hardly scatters."""


def allowed(cell: Cell, tolerance: float, base: Point) -> float:
    """Nats by which the gap may grow."""
    share = 1.0 + PER_DIMENSION * (cell.case.dim or 1)
    return allowed_growth(share * tolerance * EXACT.get(cell.estimator, 1.0), base.gap or 0.0)


def absent(cell: Cell, band: int, base: bool, head: bool) -> Finding | None:
    """The finding where a commit lacks the estimator or the suite; None where both have them."""
    if base and head:
        return None
    metric = cell.metric(band)
    if base:
        return Finding(metric, "missing", note="HEAD has no such estimator or suite")
    return Finding(metric, "new" if head else "both fail", note="not in BASE")


def first_look(cell: Cell, band: int, base: Point, head: Point, tolerance: float) -> Finding:
    """The verdict of one seed; ``suspected`` asks for others."""
    metric = cell.metric(band)
    before, after = (None if p.gap is None else p.size for p in (base, head))
    if base.gap is None:
        mended = head.gap is not None
        return Finding(
            metric, "mended" if mended else "both fail", before, after, "nats", note=base.reason
        )
    if head.gap is None:
        return Finding(metric, "suspected", before, after, "nats", note=head.reason)
    limit = allowed(cell, tolerance, base)
    return Finding(
        metric,
        "suspected" if looks_worse(base, head, limit) else "ok",
        before,
        after,
        "nats",
        head.size - base.size,
        limit=limit,
        note="1 seed",
    )


def persists(cell: Cell, base: Sequence[Point], head: Sequence[Point], tolerance: float) -> bool:
    """Whether half of the other seeds leave anything to confirm; it only ever ends a suspicion."""
    if sum(p.gap is None for p in head) > sum(p.gap is None for p in base):
        return True
    ours, theirs = ([p for p in points if p.gap is not None] for points in (base, head))
    if not ours or not theirs:
        return True
    before = _mean(ours)
    limit = allowed(cell, tolerance, Point(before))
    return _mean(theirs) - before > limit or lost_sight(_doubt(ours), _doubt(theirs), limit)


def unresolved(cell: Cell, base: Sequence[Point], head: Sequence[Point], tolerance: float) -> bool:
    """Whether the growth is beyond what is allowed, but the seeds do not say that it is real."""
    if any(p.gap is None for p in (*base, *head)):
        return False
    limit = allowed(cell, tolerance, Point(_mean(base)))
    found = judge_gaps("", base, head, limit)
    return found.verdict == "suspected" and found.change is not None and found.change > limit


def confirm(
    cell: Cell, band: int, base: Sequence[Point], head: Sequence[Point], tolerance: float
) -> Finding:
    """The verdict of the other seeds on a suspicion."""
    metric = cell.metric(band)
    failed = judge_failures(metric, base, head)
    if failed is not None:
        return failed
    known = [p for p in base if p.gap is not None]
    mean = Point(_mean(known) if known else None)
    return judge_gaps(metric, base, head, allowed(cell, tolerance, mean))


def _mean(points: Sequence[Point]) -> float:
    return sum(p.size for p in points) / len(points)


def _doubt(points: Sequence[Point]) -> float:
    return sum(p.doubt for p in points) / len(points)
