"""The upper panels: audited points (D, R) over the true curve."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import rcParams
from matplotlib.axes import Axes
from numpy import ndarray
from scipy.interpolate import CubicHermiteSpline

from rdbench.report.protocol import Protocol, summarise_protocol
from rdbench.report.series import Panel, Series, Truth
from rdbench.report.style import BAND_ALPHA, NOTE_COLOUR, NOTE_SIZE, TRUTH_COLOUR, SeriesStyle
from rdbench.report.summary import SCORED
from rdbench.report.ticks import tick_logarithmically

LOG_SPAN = 30.0
"""From this ratio of distortions on, the axis is logarithmic."""
HEADROOM = 1.35
"""The rate axis ends at this multiple of the largest true rate; points beyond sit on its edge."""

MOST_TICKS = 5
"""Labels on a logarithmic axis: panels may be two inches wide."""

CEILING_LINE: dict[str, Any] = {"color": NOTE_COLOUR, "linewidth": 0.8, "linestyle": (0, (1, 2.5))}
"""How the ceiling of the paper's protocol is drawn."""

# Room below R = 0, in parts of the axis, so that points there are whole.
_BELOW = 0.035
# Relative width of the brackets of D up to which their middles are drawn as a line.
_LINE_WIDTH = 0.5


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
    points = {series.label: _pairs(series) for series in panel.series}
    known = [pairs for pairs in points.values() if len(pairs)]
    distortions = np.concatenate([panel.truth.distortion.ravel(), *(p[:, 0] for p in known)])
    if not distortions.size:
        axes.text(0.5, 0.5, "no points", transform=axes.transAxes, **_NOTE)
        axes.set(xticks=[], yticks=[])
        return
    positive = distortions[distortions > 0]
    logarithmic = positive.size == distortions.size and np.ptp(np.log(positive)) > np.log(LOG_SPAN)
    if logarithmic:
        axes.set_xscale("log")
    _draw_truth(axes, panel.truth, scale, logarithmic=bool(logarithmic))
    top = _rate_top(panel.truth, known) / scale
    axes.set_ylim(-_BELOW * top, top)
    _set_distortion_limits(axes, panel.truth, known, logarithmic=bool(logarithmic))
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
    if outside:
        note = f"{outside} point{'s' if outside > 1 else ''} above"
        axes.text(0.98, 0.97, note, transform=axes.transAxes, **(_NOTE | _CORNER))
    axes.set_xlabel(f"distortion D ({panel.distortion.replace('_', ' ')})")
    axes.set_ylabel(f"rate R ({units})")


_NOTE: dict[str, Any] = {
    "ha": "center",
    "va": "center",
    "fontsize": NOTE_SIZE,
    "color": NOTE_COLOUR,
}

_CORNER: dict[str, Any] = {
    "ha": "right", "va": "top",
    "bbox": {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6},
}  # fmt: skip


def protocol_ceiling(panel: Panel) -> Protocol | None:
    """The paper's protocol where its ceiling log N crosses the panel, else None."""
    found = summarise_protocol(point for series in panel.series for point in series.points)
    known = [pairs for series in panel.series if len(pairs := _pairs(series))]
    return found if found and found.ceiling < _rate_top(panel.truth, known) else None


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


def _pairs(series: Series) -> Float[ndarray, "n 2"]:
    """The audited (D, R) of the points whose numbers count."""
    found = [
        (point.distortion, point.rate)
        for point in series.points
        if point.status in SCORED and point.distortion is not None and point.rate is not None
    ]
    return np.array(found, dtype=np.float64).reshape(-1, 2)


def _rate_top(truth: Truth, known: list[Float[ndarray, "_ 2"]]) -> float:
    """The end of the rate axis in nats: all points, unless a few would squash the curve."""
    largest = max((float(pairs[:, 1].max()) for pairs in known), default=0.0)
    if not truth.rate.size:
        return 1.08 * max(largest, 1e-12)
    true = float(truth.rate.max())
    return max(1.08 * min(max(largest, true), HEADROOM * true), 1e-12)


def _set_distortion_limits(
    axes: Axes, truth: Truth, known: list[Float[ndarray, "_ 2"]], *, logarithmic: bool
) -> None:
    """All points on the axis, with a margin; a single one in the middle of a wide axis."""
    values = np.concatenate([truth.distortion.ravel(), *(pairs[:, 0] for pairs in known)])
    lo, hi = float(values.min()), float(values.max())
    if logarithmic:
        pad = (hi / lo) ** 0.06
        axes.set_xlim(lo / pad, hi * pad)
        tick_logarithmically(axes.xaxis, lo / pad, hi * pad, most=MOST_TICKS)
    elif lo == hi:
        axes.set_xlim(0.0, 2.0 * hi if hi > 0 else 1.0)
    else:
        axes.set_xlim(max(0.0, lo - 0.06 * (hi - lo)), hi + 0.06 * (hi - lo))


def _draw_truth(axes: Axes, truth: Truth, scale: float, *, logarithmic: bool) -> None:
    if not truth.beta.size:
        return
    rate, distortion = truth.rate / scale, truth.distortion
    # Of mere bounds the middle means nothing: the band stands alone.
    if np.all(np.ptp(distortion, axis=1) <= _LINE_WIDTH * distortion.mean(axis=1)):
        d, r = interpolate_truth(truth, logarithmic=logarithmic)
        alone = truth.beta.size == 1
        axes.plot(
            d, r / scale, color=TRUTH_COLOUR, linewidth=1.4, zorder=2,
            marker="+" if alone else None, markersize=9,
        )  # fmt: skip
    # The curve falls, so it lies between the lower left and the upper right corners of the boxes.
    corners = np.concatenate(
        [
            np.stack([distortion[:, 0], rate[:, 0]], 1),
            np.stack([distortion[:, 1], rate[:, 1]], 1)[::-1],
        ]
    )
    axes.fill(
        corners[:, 0], corners[:, 1], color=TRUTH_COLOUR, alpha=BAND_ALPHA, linewidth=0, zorder=1
    )


def interpolate_truth(
    truth: Truth, *, logarithmic: bool, per_piece: int = 24
) -> tuple[Float[ndarray, " k"], Float[ndarray, " k"]]:
    """The true curve between the known slopes, as pairs D, R (nats) from low to high distortion.

    Besides the points the slopes are known, dR/dD = -beta, so that the cubic through both is far
    closer to the curve than straight lines. It is kept between the tangents and the chords, where
    a convex curve lies. Where wide brackets make it rise, straight lines it is.
    """
    middle_d, middle_r = truth.distortion.mean(axis=1), truth.rate.mean(axis=1)
    d, first = np.unique(middle_d, return_index=True)
    r, beta = middle_r[first], truth.beta[first]
    if d.size < 2:
        return d, r
    x = np.log(d) if logarithmic else d
    slope = -beta * d if logarithmic else -beta
    fine = np.concatenate(
        [np.linspace(a, b, per_piece, endpoint=False) for a, b in itertools.pairwise(x)] + [x[-1:]]
    )
    fine_d = np.exp(fine) if logarithmic else fine
    chords = np.interp(fine_d, d, r)
    tangents = np.max(r - beta * (fine_d[:, None] - d), axis=1)
    smooth = np.clip(CubicHermiteSpline(x, r, slope)(fine), np.minimum(tangents, chords), chords)
    if np.any(np.diff(smooth) > 1e-9 * max(1.0, float(np.abs(r).max()))):
        smooth = np.interp(fine, x, r)
    return fine_d, smooth
