"""What the rows of records prove: ends of audited points, tangents, the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rdbench.band.hull import Reached, Tangent, least, slack
from rdbench.bracket import stretch
from rdbench.outcomes import SCORED
from rdbench.registry import label
from rdbench.run.records import CellRecord, PointRecord

BOUNDING = ("exact", "upper")
"""The sides of an audit whose upper end bounds F(q); of an ``estimate`` neither end is meant."""
Rows = Sequence[tuple[str, Sequence[PointRecord]]]
"""The label of every cell, with its points."""


def of_rows(
    records: Sequence[CellRecord], *, truth: bool, trusted: bool
) -> tuple[list[Tangent], list[Reached]]:
    """The tangents and the reached points of the records of one case; see `Band.of_records`."""
    rows = [(_label(r), r.points) for r in records]
    ends = _audited(rows, trusted=True)
    allowed = _possible(ends, [p for _, points in rows for p in points])
    shown = ends if trusted else _audited(rows, trusted=False)
    reached = [one for one, fits in zip(shown, allowed, strict=True) if fits]
    tangents = _tangents(rows, trusted)
    if truth:
        for _, points in rows:
            reached += [point for p in points if (point := _true_point(p)) is not None]
            tangents += [line for p in points if (line := _true_tangent(p)) is not None]
    return list(dict.fromkeys(tangents)), list(dict.fromkeys(reached))


def _label(record: CellRecord) -> str:
    return label(record.estimator, record.preset, record.params)


def half_above(p: PointRecord) -> float | None:
    """F_hi - F of an audited row, in nats: the narrowest that the row allows; None if unknown."""
    stated = getattr(p, "lagrangian_hi", None)
    if p.lagrangian is None:
        return None
    if stated is not None:
        return float(max(stated - p.lagrangian, 0.0))
    ways = []
    if p.gap is not None and p.gap_hi is not None:
        ways.append(p.gap_hi - p.gap)  # with half of the truth's width in it
        if p.truth_lo is not None and p.truth_kind != "closed form":
            # gap_hi = F_hi - F*.lo, unless f* is that of the optimum itself.
            ways.append(p.gap_hi + p.truth_lo - p.lagrangian)
    if p.rate_half is not None and p.distortion_half is not None:
        ways.append(p.rate_half + p.beta * p.distortion_half)
    return max(min(ways), 0.0) if ways else None


def bounds_above(p: PointRecord) -> bool:
    """Whether a row gives a point that R(D) does not lie above."""
    return (
        p.status in SCORED
        and p.side in BOUNDING
        and None not in (p.distortion, p.rate, p.lagrangian)
        and half_above(p) is not None
        and float(p.distortion or 0.0) >= -float(p.distortion_half or 0.0)
    )


def bounds_below(p: PointRecord) -> bool:
    """Whether a row gives a tangent that R(D) does not lie below."""
    return (
        p.status in SCORED and p.side == "lower" and getattr(p, "lagrangian_lo", None) is not None
    )


def _audited(rows: Rows, *, trusted: bool) -> list[Reached]:
    kept = [(by, [p for p in points if bounds_above(p)]) for by, points in rows]
    noisy = sum(bool(half_above(p)) for _, points in kept for p in points)
    factor = stretch(noisy) if trusted else 0.0
    found = []
    for by, points in kept:
        ladder = sorted(points, key=lambda p: -p.beta)
        for steeper, p in zip([None, *ladder], ladder, strict=False):
            found.append(_end(p, steeper, factor, by))
    return found


def _end(p: PointRecord, steeper: PointRecord | None, factor: float, by: str) -> Reached:
    """The point that a row is sure to reach, its ends stretched by ``factor``."""
    r, d, f = (float(v or 0.0) for v in (p.rate, p.distortion, p.lagrangian))
    f += factor * (half_above(p) or 0.0)
    if p.distortion_half is None:
        return Reached(d, f - p.beta * d, by)
    h = factor * p.distortion_half
    at = d + h
    ends = [math.inf if p.rate_half is None else r + factor * p.rate_half]
    if h == 0.0:
        ends.append(f - p.beta * d)
    elif steeper is not None and steeper.distortion is not None and steeper.distortion < d:
        bend = (steeper.beta - p.beta) / (d - steeper.distortion)
        ends.append(f - p.beta * at + 2.0 * bend * h * h)
    return Reached(at, max(min(ends), 0.0), by)


def _tangents(rows: Rows, trusted: bool) -> list[Tangent]:
    kept = [(by, p) for by, points in rows for p in points if bounds_below(p)]
    halves = [_half_below(p) for _, p in kept]
    factor = stretch(sum(half > 0.0 for half in halves)) if trusted else 0.0
    return [
        Tangent(p.beta, _middle(p) - factor * half, by)
        for (by, p), half in zip(kept, halves, strict=True)
    ]


def _possible(reached: Sequence[Reached], points: Sequence[PointRecord]) -> list[bool]:
    """Whether the truth allows each of the points."""
    known = [line for p in points if (line := _true_tangent(p)) is not None]
    bound = least(known, np.array([one.distortion for one in reached], dtype=np.float64))
    return [bool(one.rate >= b - slack(float(b))) for one, b in zip(reached, bound, strict=True)]


def _middle(p: PointRecord) -> float:
    return float(getattr(p, "lagrangian_lo", 0.0) if p.lagrangian is None else p.lagrangian)


def _half_below(p: PointRecord) -> float:
    return max(_middle(p) - float(getattr(p, "lagrangian_lo", 0.0)), 0.0)


def _true_point(p: PointRecord) -> Reached | None:
    if p.rate_hi is None or p.dist_hi is None:
        return None
    return Reached(p.dist_hi, p.rate_hi, _truth(p))


def _true_tangent(p: PointRecord) -> Tangent | None:
    return None if p.truth_lo is None else Tangent(p.beta, p.truth_lo, _truth(p))


def _truth(p: PointRecord) -> str:
    return f"truth ({p.truth_kind})" if p.truth_kind else "truth"
