"""The lower panels: the gap with its interval against the rate, and what has no gap."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator
from matplotlib.transforms import offset_copy

from rdbench.report.series import Panel, Series
from rdbench.report.style import NOTE_COLOUR, TRUTH_COLOUR, SeriesStyle
from rdbench.report.summary import SCORED, abscissa, is_scored
from rdbench.report.ticks import decades, power_label
from rdbench.run.records import PointRecord

LOG_SPAN = 30.0
"""From this ratio of rates on, the rate axis is logarithmic."""
MOST_NOTES = 6
RUG = 0.045
"""Height, in parts of the panel, of the strip for points without a gap."""


@dataclass(frozen=True)
class GapScale:
    """The gap axis that all panels of a figure share, in nats until drawn.

    ``linear`` is the half-width of the linear part around zero; None makes the axis logarithmic.
    """

    linear: float | None
    lo: float
    hi: float
    notes: int = 0
    """Lines of text above the data, at most over the panels."""


def shared_scale(panels: Sequence[Panel]) -> GapScale:
    """The axis that fits every panel, with room for what is written in them."""
    series = [one for panel in panels for one in panel.series]
    lines = (sum(len(_missing(one)) for one in panel.series) for panel in panels)
    axis = gap_scale([point for one in series for point in one.points])
    return replace(axis, notes=min(max(lines, default=0), MOST_NOTES))


def gap_scale(points: Sequence[PointRecord]) -> GapScale:
    """The axis on which all ``points`` can be read.

    Gaps span many decades, so the axis is logarithmic where no interval reaches zero. Otherwise
    it is linear around zero up to the decade below the typical noise (the median reach of the
    intervals that hold zero) and logarithmic beyond: what cannot be told from zero looks so.
    """
    scored = [point for point in points if is_scored(point)]
    gaps = [point.gap for point in scored if point.gap is not None]
    ends = [end for point in scored for end in _ends(point)]
    values = [*gaps, *ends]
    if not values:
        return GapScale(1e-2, -1e-2, 1.0)
    largest = max(values)
    reach = [
        max(abs(lo), abs(hi))
        for lo, hi in map(_ends, scored)
        if lo <= 0.0 <= hi and max(abs(lo), abs(hi)) > 0.0
    ]
    reach += [abs(gap) for gap in gaps if gap < 0.0]
    zeros = any(value <= 0.0 for value in values)
    if not zeros:
        return GapScale(None, _decade(min(values)), 10 * _decade(largest))
    noise = float(np.median(reach)) if reach else min((abs(v) for v in values if v), default=1e-2)
    linear = min(max(_decade(noise), 1e-9), 0.1)
    lo, hi = min(values), max(largest, 2 * linear)
    return GapScale(linear, min(1.5 * lo, -linear), 2.0 * hi)


def _decade(value: float) -> float:
    return float(10.0 ** math.floor(math.log10(value)))


def _ends(point: PointRecord) -> tuple[float, float]:
    """The interval, its unknown or meaningless ends at the gap itself."""
    gap = 0.0 if point.gap is None else point.gap
    lo = gap if point.gap_lo is None or point.side == "upper" else point.gap_lo
    hi = gap if point.gap_hi is None else point.gap_hi
    return min(lo, gap), max(hi, gap)


def draw_gaps(
    axes: Axes,
    panel: Panel,
    styles: Mapping[str, SeriesStyle],
    axis: GapScale,
    scale: float,
    units: str,
) -> None:
    """Draw one case: gaps with their intervals over the true rate, failures in the strip below.

    Args:
        axes: where to draw.
        panel: the case.
        styles: the looks of the series, by label.
        axis: the shared gap axis.
        scale: nats per unit of rate.
        units: the name of that unit.
    """
    _set_gap_axis(axes, axis, scale)
    _set_rate_axis(axes, panel, scale)
    notes = []
    for index, series in enumerate(panel.series):
        style = styles[series.label]
        # Side by side rather than on top of one another: intervals at the same rate overlap.
        shift = index - 0.5 * (len(panel.series) - 1)
        _draw_series(axes, series, style, shift, scale)
        notes += [(text, style.colour) for text in _missing(series)]
    for line, (text, colour) in enumerate(notes[:MOST_NOTES]):
        axes.annotate(
            text, (0.02, 0.97), xycoords="axes fraction", xytext=(0, -9.5 * line),
            textcoords="offset points", fontsize=7.5, color=colour, ha="left", va="top", zorder=5,
        )  # fmt: skip
    axes.set_xlabel(f"true rate R* ({units})")
    axes.set_ylabel(f"gap F(q) - F* ({units})")


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
    scored = [(x, p, p.gap / scale) for x, p in placed if is_scored(p) and p.gap is not None]
    look: dict[str, Any] = {"color": style.colour, "transform": moved, "zorder": 3}
    if scored:
        for at, point, _ in scored:
            lo, hi = (end / scale for end in _ends(point))
            axes.plot([at, at], [lo, hi], linewidth=1.0, alpha=0.75, **look)
        # The line joins the means over seeds; a line through every seed would zigzag.
        means = {at: [gap for x, _, gap in scored if x == at] for at, _, _ in scored}
        joined = [math.fsum(gaps) / len(gaps) for gaps in means.values()]
        axes.plot(list(means), joined, linestyle=style.line, linewidth=0.7, alpha=0.75, **look)
        axes.plot(
            [at for at, _, _ in scored], [gap for _, _, gap in scored], linestyle="none",
            marker=style.marker, markersize=4.5, markeredgewidth=1.0,
            markerfacecolor=style.colour if style.filled else "white", **look,
        )  # fmt: skip
    for at, point in placed:
        if point.status in SCORED and point.gap is None and point.gap_hi is not None:
            # The audit only knows a bracket: a line without a marker.
            lo = point.gap_lo if point.gap_lo is not None else axes.get_ylim()[0] * scale
            axes.plot(
                [at, at], [lo / scale, point.gap_hi / scale], linewidth=2.6, alpha=0.3, **look
            )
    missing = [at for at, point in placed if point.status not in SCORED]
    if missing:
        axes.plot(
            missing, [RUG] * len(missing), linestyle="none", marker="x", markersize=4,
            markeredgewidth=1.0, color=style.colour, transform=strip, zorder=3,
        )  # fmt: skip


def _missing(series: Series) -> list[str]:
    """What of a series has no gap, in words."""
    counts = Counter(
        point.status if point.status not in SCORED else "no gap"
        for point in series.points
        if not is_scored(point)
    )
    total = len(series.points)
    return [
        f"{series.label}: {'all' if count == total else f'{count} of {total}'} "
        f"{status.replace('_', ' ')}"
        for status, count in sorted(counts.items())
    ]


def _set_gap_axis(axes: Axes, axis: GapScale, scale: float) -> None:
    """Scale, limits and few ticks: powers of ten, thinned so that labels do not touch."""
    lo, hi = axis.lo / scale, axis.hi / scale
    if axis.linear is None:
        axes.set_yscale("log")
        ticks = decades(lo, hi, most=7)
    else:
        linear = axis.linear / scale
        axes.set_yscale("symlog", linthresh=linear, linscale=0.6)
        start = 10.0 ** math.ceil(math.log10(linear) - 1e-9)
        negative = [-tick for tick in decades(start, -lo, most=3)]
        ticks = [*negative[::-1], 0.0, *decades(start, hi, most=6)]
        axes.axhline(0.0, color=TRUTH_COLOUR, linewidth=0.9, zorder=1)
    # Room for the strip of failures below the data and the notes above.
    axes.set_ylim(lo, hi)
    to_axis = axes.yaxis.get_transform()
    bottom, top = (float(v) for v in to_axis.transform(np.array([lo, hi])))
    height = top - bottom
    room = np.array([bottom - 0.12 * height, top + 0.06 * axis.notes * height])
    axes.set_ylim(*map(float, to_axis.inverted().transform(room)))
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(power_label))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=NOTE_COLOUR, alpha=0.15, linewidth=0.6)


def _set_rate_axis(axes: Axes, panel: Panel, scale: float) -> None:
    """All rates on the axis, which is logarithmic where the ladder spans decades."""
    found = [abscissa(point) for series in panel.series for point in series.points]
    rates = [rate / scale for rate in found if rate is not None]
    if not rates:
        axes.set_xticks([])
        return
    lo, hi = min(rates), max(rates)
    if lo > 0.0 and hi / lo > LOG_SPAN:
        axes.set_xscale("log")
        pad = (hi / lo) ** 0.07
        axes.set_xlim(lo / pad, hi * pad)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        pad = 0.07 * (hi - lo) or max(0.5 * abs(hi), 0.5)
        axes.set_xlim(lo - pad, hi + pad)
