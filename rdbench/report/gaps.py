"""The lower panels: the gap with its interval against the rate, and what has no gap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator
from matplotlib.transforms import offset_copy

from rdbench.report.curves import CEILING_LINE
from rdbench.report.protocol import summarise_protocol
from rdbench.report.scales import Axis, gap_scale, rate_axis
from rdbench.report.scores import (
    SCORED,
    abscissa,
    drawn_gap,
    ends,
    is_scored,
    is_start,
    is_withheld,
)
from rdbench.report.series import Panel, Series, joined, missing
from rdbench.report.style import NOTE_COLOUR, NOTE_SIZE, START_COLOUR, TRUTH_COLOUR, SeriesStyle
from rdbench.report.ticks import MOST_TICKS, decades, power_label, tick_logarithmically
from rdbench.run.records import PointRecord

_LENGTH = 1.9
"""Of the arrow, in marker sizes."""
_MOVE, _LINE = Path.MOVETO, Path.LINETO
ARROW_DOWN = Path(
    [(0.0, 0.0), (0.0, -0.5), (-0.15, -0.3), (0.0, -0.5), (0.15, -0.3)],
    [_MOVE, _LINE, _MOVE, _LINE, _LINE],
)
"""A marker that hangs below its point."""
MOST_NOTES = 6
PROTOCOL_LINE: dict[str, Any] = {
    "color": NOTE_COLOUR, "linewidth": 1.0, "linestyle": (0, (4, 1, 1, 1)), "gid": "protocol",
}  # fmt: skip
"""How the smallest gap by the paper's protocol is drawn."""
RUG = 0.045
"""Height, in parts of the panel, of the strip for points without a gap."""
NO_RESULT: dict[str, Any] = {"marker": "x", "markersize": 4.0}
WITHHELD: dict[str, Any] = {"marker": "s", "markersize": 4.0, "markerfacecolor": "none"}
"""The marks in that strip: of points that failed, and of those that the audit withholds."""


def shared_scale(panels: Sequence[Panel]) -> Axis:
    """The axis that fits every panel, with room for what is written in them."""
    lines = (sum(len(missing(one)) for one in panel.series) for panel in panels)
    axis = gap_scale([point for panel in panels for point in panel.points])
    return replace(axis, notes=min(max(lines, default=0), MOST_NOTES))


def over_curve(panel: Panel) -> Panel:
    """The case with R - R(D) in the place of the gap: how far points (D, R) lie over the curve."""

    def lifted(point: PointRecord) -> PointRecord:
        return msgspec.structs.replace(
            point,
            gap=point.rate_error,
            gap_lo=point.rate_error_lo,
            gap_hi=point.rate_error_hi,
            gap_paper_protocol=None,
        )

    series = (replace(s, points=tuple(map(lifted, s.points))) for s in panel.series)
    return replace(panel, series=tuple(series))


def draw_gaps(
    axes: Axes,
    panel: Panel,
    styles: Mapping[str, SeriesStyle],
    axis: Axis,
    scale: float,
    units: str,
    *,
    only: str | None = None,
    notes: bool = True,
) -> None:
    """Draw one case: gaps with their intervals over the true rate, failures in the strip below.

    Args:
        axes: where to draw.
        panel: the case.
        styles: the looks of the series, by label.
        axis: the shared gap axis.
        scale: nats per unit of rate.
        units: the name of that unit.
        only: of this estimator, on the same axes; None for all.
        notes: whether what has no gap is also told in words.
    """
    set_gap_axis(axes, axis, scale)
    _set_rate_axis(axes, panel, scale)
    if only is not None:
        shown = tuple(series for series in panel.series if series.estimator == only)
        panel = replace(panel, series=shown)
    texts = []
    for index, series in enumerate(panel.series):
        style = styles[series.label]
        # Side by side rather than on top of one another: intervals at the same rate overlap.
        shift = index - 0.5 * (len(panel.series) - 1)
        _draw_series(axes, series, style, shift, scale)
        texts += missing(series) if notes else []
    _draw_ceiling(axes, panel, scale)
    leading = 1.05 * float(rcParams["font.size"])
    for line, text in enumerate(texts[:MOST_NOTES]):
        axes.annotate(
            text, (0.02, 0.98), xycoords="axes fraction", xytext=(0, -leading * line),
            textcoords="offset points", fontsize=NOTE_SIZE, color=NOTE_COLOUR, ha="left", va="top",
            zorder=5, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6},
        )  # fmt: skip
    known = any(point.rate_lo is not None for point in panel.points)
    axes.set_xlabel(f"{'true rate R*' if known else 'rate aimed at'} ({units})")
    axes.set_ylabel(f"gap F(q) - F* ({units})")


def shows_protocol(panel: Panel) -> bool:
    """Whether some true rate of ``panel`` is beyond what the paper's protocol can see."""
    found = summarise_protocol(panel.points)
    return found is not None and found.beyond > 0


def _draw_ceiling(axes: Axes, panel: Panel, scale: float) -> None:
    """The rate log N, beyond which the paper's protocol cannot see, and the least gap by it."""
    points = panel.points
    found = summarise_protocol(points)
    if found is None or not shows_protocol(panel):
        return
    axes.axvline(found.ceiling / scale, zorder=1, **CEILING_LINE)
    least: dict[float, float] = {}
    for point in points:
        x = abscissa(point)
        if x is not None and point.gap_paper_protocol is not None and point.status in SCORED:
            least[x] = min(least.get(x, math.inf), point.gap_paper_protocol)
    rates = sorted(least)
    axes.plot(
        [x / scale for x in rates], [least[x] / scale for x in rates], zorder=2, **PROTOCOL_LINE
    )


def set_gap_axis(axes: Axes, axis: Axis, scale: float) -> None:
    """Scale, limits and few ticks: powers of ten, thinned so that labels do not touch."""
    lo, hi = axis.lo / scale, axis.hi / scale
    if axis.kind == "log":
        axes.set_yscale("log")
        ticks = decades(lo, hi, most=7)
    else:
        # A round number in whatever unit, so that a tick says where the linear part ends.
        linear = 10.0 ** round(math.log10(axis.linear / scale))
        axes.set_yscale("symlog", linthresh=linear, linscale=0.9)
        negative = [-tick for tick in decades(linear, -lo, most=3)]
        ticks = [*negative[::-1], 0.0, *decades(linear, hi, most=6)]
        axes.axhline(0.0, color=TRUTH_COLOUR, linewidth=0.9, zorder=1)
    # Room for the strip of failures below the data and the notes above.
    axes.set_ylim(lo, hi)
    to_axis = axes.yaxis.get_transform()
    bottom, top = (float(v) for v in to_axis.transform(np.array([lo, hi])))
    height = top - bottom
    room = np.array([bottom - 0.12 * height, top + 0.08 * axis.notes * height])
    axes.set_ylim(*map(float, to_axis.inverted().transform(room)))
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(power_label))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=NOTE_COLOUR, alpha=0.15, linewidth=0.6)


def _set_rate_axis(axes: Axes, panel: Panel, scale: float) -> None:
    rates = [rate / scale for point in panel.points if (rate := abscissa(point)) is not None]
    if not rates:
        axes.set_xticks([])
        return
    axis = rate_axis(rates)
    axes.set_xscale(axis.kind)
    axes.set_xlim(axis.lo, axis.hi)
    if axis.kind == "log":
        tick_logarithmically(axes.xaxis, axis.lo, axis.hi, most=MOST_TICKS)


def _draw_series(
    axes: Axes, series: Series, style: SeriesStyle, shift: float, scale: float
) -> None:
    figure = axes.get_figure(root=True)
    moved = offset_copy(axes.transData, fig=figure, x=1.6 * shift, y=0.0, units="points")
    strip = offset_copy(
        axes.get_xaxis_transform(), fig=figure, x=1.6 * shift, y=0.0, units="points"
    )
    placed = [(rate / scale, p) for p in series.points if (rate := abscissa(p)) is not None]
    placed.sort(key=lambda pair: pair[0])
    scored = [(x, p, drawn_gap(p) / scale) for x, p in placed if is_scored(p)]
    look: dict[str, Any] = {"color": style.colour, "transform": moved, "zorder": 3}
    if scored:
        for at, point, _ in scored:
            _draw_interval(axes, at, point, scale, alpha=0.75, **look)
        means = [(rate / scale, gap / scale) for rate, gap in joined(series.points)]
        axes.plot(*zip(*means, strict=True), linestyle=style.line, linewidth=0.7, alpha=0.5, **look)
        for begun in (False, True):  # a start is no result of the method: it is grey
            group = [(at, gap) for at, point, gap in scored if is_start(point) is begun]
            colours = {"color": START_COLOUR} if begun else {"markerfacecolor": style.face}
            if group:
                axes.plot(
                    *zip(*group, strict=True), linestyle="none", marker=style.marker,
                    markeredgewidth=0.9, **(look | colours),
                )  # fmt: skip
    for at, point in placed:
        if point.status in SCORED and point.gap is None and point.gap_hi is not None:
            # The audit only knows a bracket: a line without a marker.
            lo = point.gap_lo if point.gap_lo is not None else axes.get_ylim()[0] * scale
            axes.plot(
                [at, at], [lo / scale, point.gap_hi / scale], linewidth=2.6, alpha=0.3, **look
            )
    marked = (
        (NO_RESULT, [at for at, point in placed if point.status not in SCORED]),
        (WITHHELD, [at for at, point in placed if is_withheld(point)]),
    )
    for mark, rates in marked:
        if rates:
            axes.plot(
                rates, [RUG] * len(rates), linestyle="none", markeredgewidth=1.0,
                color=style.colour, transform=strip, zorder=3, **mark,
            )  # fmt: skip


def _draw_interval(axes: Axes, x: float, point: PointRecord, scale: float, **look: Any) -> None:
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
    if point.side == "upper" and point.gap is not None:
        size = 2.0 * _LENGTH * float(rcParams["lines.markersize"])
        axes.plot(
            [x], [drawn_gap(point) / scale], linestyle="none", marker=ARROW_DOWN, markersize=size,
            markerfacecolor="none", markeredgewidth=0.9, gid="one-sided", **look,
        )  # fmt: skip
