"""Intervals as they are drawn: a bar for two sides, an arrow downwards for an upper bound."""

from __future__ import annotations

from typing import Any

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.path import Path

from rdbench.report.scores import drawn_gap, ends, is_one_sided
from rdbench.run.records import PointRecord

_LENGTH = 1.9
"""Of the arrow, in marker sizes."""
_MOVE, _LINE = Path.MOVETO, Path.LINETO
ARROW_DOWN = Path(
    [(0.0, 0.0), (0.0, -0.5), (-0.15, -0.3), (0.0, -0.5), (0.15, -0.3)],
    [_MOVE, _LINE, _MOVE, _LINE, _LINE],
)
"""A marker that hangs below its point."""


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
            [x], [drawn_gap(point) / scale], linestyle="none", marker=ARROW_DOWN, markersize=size,
            markerfacecolor="none", markeredgewidth=0.9, gid="one-sided", **look,
        )  # fmt: skip
