"""Points that nothing can reach: their numbers are false, and no picture shows them as results.

A run refuses such results today (status `error`, "impossible: ..."); older records hold some.
"""

from __future__ import annotations

import numpy as np

from rdbench.report.scores import SCORED
from rdbench.report.truth_line import TruthLine
from rdbench.run.records import PointRecord

_UNSTATED = 1e-3
"""Nats: the least error that R of a record without an interval of R is granted."""
_ROUNDING = 1e-9


def is_impossible(point: PointRecord, line: TruthLine) -> bool:
    """Whether the gap, R or D is below zero, or R below every R(D) of the truth, beyond intervals.

    A lower bound has a gap alone, and is above the truth where that is negative. As in the audit a
    gap is granted twice its interval (`rdbench.audit.possible`).

    Records before schema 3 hold no intervals of R and D. There the interval of the gap stands in
    for that of R, and D is taken as it is.

    Args:
        point: audited or not; without numbers it is not impossible.
        line: the truth of its case, whose tangents hold at every D.
    """
    if point.status not in SCORED:
        return False
    if point.gap is not None and point.gap_hi is not None:
        rounding = _ROUNDING * (1.0 + abs(point.lagrangian or 0.0))
        if point.gap_hi + max(point.gap_hi - point.gap, 0.0) < -rounding:
            return True
    r, d = point.rate, point.distortion
    if r is None or d is None:
        return False
    half_r, half_d = _half_widths(point)
    half_r += _ROUNDING * (1.0 + abs(r))
    half_d += _ROUNDING * abs(d)
    if d < -half_d or r < -half_r:
        return True
    return bool(r + half_r < line.least(np.array([d + half_d]))[0])


def _half_widths(point: PointRecord) -> tuple[float, float]:
    if point.rate_half is not None and point.distortion_half is not None:
        return point.rate_half, point.distortion_half
    if point.gap is None:
        return _UNSTATED, 0.0
    ends = [end for end in (point.gap_lo, point.gap_hi) if end is not None]
    return max([_UNSTATED, *(abs(end - point.gap) for end in ends)]), 0.0
