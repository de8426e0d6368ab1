"""The upper panels: audited points (D, R) over the true curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import rcParams
from matplotlib.axes import Axes
from numpy import ndarray

from rdbench.report.impossible import is_impossible
from rdbench.report.protocol import Protocol, summarise_protocol
from rdbench.report.scales import audited_pairs, curve_axes
from rdbench.report.series import Panel
from rdbench.report.style import BAND_ALPHA, NOTE_COLOUR, NOTE_SIZE, TRUTH_COLOUR, SeriesStyle, say
from rdbench.report.ticks import MOST_TICKS, tick_logarithmically
from rdbench.report.truth_line import TruthLine

CEILING_LINE: dict[str, Any] = {"color": NOTE_COLOUR, "linewidth": 0.8, "linestyle": (0, (1, 2.5))}
"""How the ceiling of the paper's protocol is drawn."""

# Room below R = 0, in parts of the axis, so that points there are whole.
_BELOW = 0.035
_STROKE = 0.01
"""The width of the stroke of the truth, in parts of the axis: it hides a band that is no wider."""


def draw_curve(
    axes: Axes, panel: Panel, styles: Mapping[str, SeriesStyle], scale: float, units: str
) -> None:
    """Draw one case: the truth as a black line with its bracket, the audited points on it.

    Args:
        axes: where to draw.
        panel: the case.
        styles: the looks of the series, by label.
        scale: nats per unit of rate.
        units: the name of that unit.
    """
    points = {series.label: audited_pairs(series, panel.line) for series in panel.series}
    found = curve_axes(panel)
    if found is None:
        say(axes, "no points")
        axes.set(xticks=[], yticks=[])
        return
    axis, top = found[0], found[1] / scale
    axes.set_xscale(axis.kind)
    _draw_truth(axes, panel.line, scale)
    axes.set_ylim(-_BELOW * top, top)
    axes.set_xlim(axis.lo, axis.hi)
    if axis.kind == "log":
        tick_logarithmically(axes.xaxis, axis.lo, axis.hi, most=MOST_TICKS)
    _draw_ceiling(axes, panel, scale)

    outside = 0
    # Estimators that are right lie on one another: each later one is smaller, all are hollow.
    # Variants are told by their lines, then, as in the lower panels.
    unit = float(rcParams["lines.markersize"])
    sizes = unit * (np.linspace(1.7, 0.85, len(points)) if len(points) > 1 else np.array([1.2]))
    for (label, pairs), size in zip(points.items(), sizes, strict=True):
        if not len(pairs):
            continue
        style, rate = styles[label], pairs[:, 1] / scale
        beyond = rate > top
        outside += int(beyond.sum())
        look: dict[str, Any] = {"color": style.colour, "linestyle": "none", "zorder": 3}
        axes.plot(
            pairs[~beyond, 0], rate[~beyond], marker=style.marker, markersize=size,
            markerfacecolor="none", markeredgewidth=0.8, **look,
        )  # fmt: skip
        _draw_intervals(axes, pairs[~beyond], scale, style.colour)
        if not style.filled:
            order = np.argsort(pairs[:, 0])
            axes.plot(
                pairs[order, 0], rate[order], linestyle=style.line, linewidth=0.8,
                color=style.colour, zorder=2,
            )  # fmt: skip
        if beyond.any():
            edge = np.full(int(beyond.sum()), top)
            arrows = axes.plot(pairs[beyond, 0], edge, marker=6, clip_on=False, **look)
            # Unclipped, they would count as decoration that the layout has to make room for.
            arrows[0].set_in_layout(False)
    notes = [f"{_points(outside)} above"] if outside else []
    false = sum(is_impossible(point, panel.line) for point in panel.points)
    notes += [f"{_points(false)} with impossible R, D not drawn"] if false else []
    if notes:
        axes.text(
            0.98, 0.97, "\n".join(notes), transform=axes.transAxes, ha="right", va="top",
            fontsize=NOTE_SIZE, color=NOTE_COLOUR,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6},
        )  # fmt: skip
    axes.set_xlabel(f"distortion D ({panel.distortion.replace('_', ' ')})")
    axes.set_ylabel(f"rate R ({units})")


def _points(count: int) -> str:
    return f"{count} point{'s' if count > 1 else ''}"


def _draw_intervals(axes: Axes, pairs: Float[ndarray, "n 4"], scale: float, colour: str) -> None:
    """The 95% intervals of D and R, thin, where the records hold them."""
    d, r, half_d, half_r = pairs.T
    for one in np.flatnonzero(np.isfinite(half_d) & np.isfinite(half_r)):
        look: dict[str, Any] = {
            "color": colour, "linewidth": 0.6, "zorder": 2.5, "gid": "interval",
        }  # fmt: skip
        across = [max(d[one] - half_d[one], 0.0), d[one] + half_d[one]]
        if axes.get_xscale() == "log":
            across[0] = max(across[0], axes.get_xlim()[0])
        axes.plot(across, [r[one] / scale] * 2, **look)
        up = [(r[one] - half_r[one]) / scale, (r[one] + half_r[one]) / scale]
        axes.plot([d[one]] * 2, up, **look)


def protocol_ceiling(panel: Panel) -> Protocol | None:
    """The paper's protocol where its ceiling log N crosses the panel, else None."""
    found = summarise_protocol(panel.points)
    axes = curve_axes(panel)
    return found if found and axes and found.ceiling < axes[1] else None


def shows_band(panel: Panel) -> bool:
    """Whether a band of the truth is visible in the panel: within its axes, wider than a stroke."""
    axes = curve_axes(panel)
    if axes is None:
        return False
    axis, top = axes
    for d, lower, upper in (band.T for band in panel.line.bands):
        inside = (d >= axis.lo) & (d <= axis.hi) & (lower <= top)
        if inside.any() and float((upper - lower)[inside].max()) > _STROKE * top:
            return True
    return False


def _draw_ceiling(axes: Axes, panel: Panel, scale: float) -> None:
    """The rate log N, above which the paper's protocol cannot see."""
    found = protocol_ceiling(panel)
    if found is None:
        return
    height = found.ceiling / scale
    axes.axhline(height, zorder=1, **CEILING_LINE)
    # On the right, where the curve is low.
    axes.annotate(
        f"log {found.draws}", (0.99, height), xycoords=axes.get_yaxis_transform(),
        xytext=(0, 2), textcoords="offset points", fontsize=NOTE_SIZE,
        color=NOTE_COLOUR, ha="right",
    )  # fmt: skip


def _draw_truth(axes: Axes, line: TruthLine, scale: float) -> None:
    """Lines where R(D) is known, bands where it lies between bounds; a single point is a cross."""
    for d, lower, upper in (band.T for band in line.bands):
        axes.fill_between(
            d, lower / scale, upper / scale, color=TRUTH_COLOUR, alpha=BAND_ALPHA, linewidth=0,
            zorder=1,
        )  # fmt: skip
    for d, r in (points.T for points in line.lines):
        axes.plot(
            d, r / scale, color=TRUTH_COLOUR, linewidth=1.4, zorder=2, gid="truth",
            marker="+" if d.size == 1 else None, markersize=9,
        )  # fmt: skip
