"""Intervals as they are drawn: a bar for two sides, an arrow downwards for an upper bound."""

from __future__ import annotations

from typing import Any

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.path import Path

from rdbench.run.records import PointRecord

_LENGTH = 1.9
"""Of the arrow, in marker sizes."""
_MOVE, _LINE = Path.MOVETO, Path.LINETO
ARROW_DOWN = Path(
    [(0.0, 0.0), (0.0, -0.5), (-0.15, -0.3), (0.0, -0.5), (0.15, -0.3)],
    [_MOVE, _LINE, _MOVE, _LINE, _LINE],
)
"""A marker that hangs below its point."""


def shown_gap(point: PointRecord) -> float:
    """Where a gap is drawn, in nats: of a bound from above at that bound, as the tables print it.

    The point estimate of such a bound says little: the bound lies above it half of the time.
    """
    if is_one_sided(point) and point.gap_hi is not None:
        return point.gap_hi
    return 0.0 if point.gap is None else point.gap


def ends(point: PointRecord) -> tuple[float, float]:
    """The interval of the gap in nats, its unknown or meaningless ends at the gap as drawn."""
    gap = shown_gap(point)
    lo = gap if is_one_sided(point) or point.gap_lo is None else point.gap_lo
    hi = gap if point.gap_hi is None else point.gap_hi
    return min(lo, gap), max(hi, gap)


def is_one_sided(point: PointRecord) -> bool:
    """Whether only the upper end of the interval is meant."""
    return point.side == "upper"


def draw_interval(axes: Axes, x: float, point: PointRecord, scale: float, **look: Any) -> None:
    """The interval of a gap at ``x``; from an upper bound an arrow says that it may be less.

    Args:
        axes: where to draw.
        x: in data coordinates.
        point: the point, which has a gap.
        scale: nats per unit.
        look: colour, transform and such.
    """
    lo, hi = (end / scale for end in ends(point))
    if lo < hi:
        axes.plot([x, x], [lo, hi], linewidth=0.9, **look)
    if is_one_sided(point) and point.gap is not None:
        size = 2.0 * _LENGTH * float(rcParams["lines.markersize"])
        axes.plot(
            [x], [shown_gap(point) / scale], linestyle="none", marker=ARROW_DOWN, markersize=size,
            markerfacecolor="none", markeredgewidth=0.9, gid="one-sided", **look,
        )  # fmt: skip
