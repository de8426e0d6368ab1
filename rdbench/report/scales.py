"""The axes of the lower panels: one gap axis for all of them, the rate axis of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from rdbench.report.intervals import ends, shown_gap
from rdbench.report.series import Panel
from rdbench.report.style import NOTE_COLOUR, TRUTH_COLOUR
from rdbench.report.summary import abscissa, is_scored
from rdbench.report.ticks import decades, power_label, tick_logarithmically
from rdbench.run.records import PointRecord

LOG_SPAN = 30.0
"""From this ratio of rates on, the rate axis is logarithmic."""
MOST_TICKS = 5
"""Labels on a logarithmic rate axis."""


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


def gap_scale(points: Sequence[PointRecord]) -> GapScale:
    """The axis on which all ``points`` can be read.

    Gaps span many decades, so the axis is logarithmic where no interval reaches zero. Otherwise
    it is linear around zero up to the decade nearest to the noise (the upper quartile of the
    reach of the intervals that hold zero) and logarithmic beyond: what cannot be told from zero
    looks so.
    """
    scored = [point for point in points if is_scored(point)]
    gaps = [shown_gap(point) for point in scored]
    reached = [end for point in scored for end in ends(point)]
    values = [*gaps, *reached]
    if not values:
        return GapScale(1e-2, -1e-2, 1.0)
    largest = max(values)
    reach = [
        max(abs(lo), abs(hi))
        for lo, hi in map(ends, scored)
        if lo <= 0.0 <= hi and max(abs(lo), abs(hi)) > 0.0
    ]
    reach += [abs(gap) for gap in gaps if gap < 0.0]
    zeros = any(value <= 0.0 for value in values)
    if not zeros:
        return GapScale(None, _decade(min(values)), 10 * _decade(largest))
    if reach:
        noise = float(np.quantile(reach, 0.75))
    else:
        noise = min((abs(value) for value in values if value), default=1e-2)
    linear = min(max(_decade(noise * math.sqrt(10.0)), 1e-9), 0.1)
    lo, hi = min(values), max(largest, 2 * linear)
    return GapScale(linear, min(1.5 * lo, -linear), 2.0 * hi)


def _decade(value: float) -> float:
    return float(10.0 ** math.floor(math.log10(value)))


def set_gap_axis(axes: Axes, axis: GapScale, scale: float) -> None:
    """Scale, limits and few ticks: powers of ten, thinned so that labels do not touch."""
    lo, hi = axis.lo / scale, axis.hi / scale
    if axis.linear is None:
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


def set_rate_axis(axes: Axes, panel: Panel, scale: float) -> None:
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
        tick_logarithmically(axes.xaxis, lo / pad, hi * pad, most=MOST_TICKS)
    else:
        pad = 0.07 * (hi - lo) or max(0.5 * abs(hi), 0.5)
        axes.set_xlim(lo - pad, hi + pad)
