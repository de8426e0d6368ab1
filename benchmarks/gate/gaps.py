"""Gaps: one seed raises a suspicion, others confirm it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.gate.accuracy import Cell
from benchmarks.gate.verdicts import (
    Finding,
    Point,
    Verdict,
    judge_failures,
    judge_gaps,
    looks_worse,
    mean,
)

DECIDING = 4
"""How many seeds may confirm a suspicion; as many again where those do not decide."""
PER_DIMENSION = 0.2
"""The share of the tolerance that each dimension adds: distortions and gaps are sums over them."""
EXACT = {"blahut_arimoto": 0.1}
"""The share of the tolerance for an estimator that stops by a certificate and hardly scatters."""
OF_ITSELF = 0.05
"""By which share of itself a gap may grow in addition: saturated points, with gaps of several
nats, scatter by more than any tolerance that is of use elsewhere."""


def allowed(cell: Cell, tolerance: float, base: float) -> float:
    """Nats by which a gap of ``base`` nats may grow."""
    dimensions = 1.0 + PER_DIMENSION * (cell.case.dim or 1)
    return tolerance * dimensions * EXACT.get(cell.estimator, 1.0) + OF_ITSELF * abs(base)


def first_look(cell: Cell, band: int, base: Point, head: Point, tolerance: float) -> Finding:
    """The verdict of one seed; ``suspected`` asks for others.

    Args:
        cell: what was run.
        band: which of its rates.
        base: the point of BASE.
        head: the point of HEAD.
        tolerance: nats by which a gap may grow in d = 0, see `allowed`.
    """
    metric = cell.gaps[band]
    before, after = (None if p.gap is None else p.size for p in (base, head))
    if base.gap is None:
        verdict: Verdict = "both fail" if head.gap is None else "mended"
        return Finding(metric, verdict, before, after, "nats", note=base.reason)
    if head.gap is None:
        return Finding(metric, "suspected", before, after, "nats", note=head.reason)
    limit = allowed(cell, tolerance, base.gap)
    verdict = "suspected" if looks_worse(base, head, limit) else "ok"
    change = head.size - base.size
    return Finding(metric, verdict, before, after, "nats", change, limit=limit, note="1 seed")


def goes_on(cell: Cell, base: Sequence[Point], head: Sequence[Point], tolerance: float) -> bool:
    """Whether a suspicion is worth more seeds; the arguments are those of `first_look`.

    Fewer than `DECIDING` seeds can only end it. After those, more are asked for where the growth
    is beyond what is allowed, but may be noise.
    """
    found = confirm(cell, 0, base, head, tolerance)
    if len(base) < DECIDING:
        beyond = found.change is None or found.limit is None or found.change > found.limit
        return found.regression or beyond
    grown = found.change is not None and found.limit is not None and found.change > found.limit
    return found.verdict == "suspected" and grown


def confirm(
    cell: Cell, band: int, base: Sequence[Point], head: Sequence[Point], tolerance: float
) -> Finding:
    """The verdict of the other seeds on a suspicion; the arguments are those of `first_look`."""
    metric = cell.gaps[band]
    limit = allowed(cell, tolerance, mean(base) if any(p.gap is not None for p in base) else 0.0)
    return judge_failures(metric, base, head) or judge_gaps(metric, base, head, limit)
