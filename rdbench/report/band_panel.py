"""One panel: R(D) between its bounds, the audited points, and the codecs beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import rcParams
from matplotlib.axes import Axes
from numpy import ndarray

from rdbench.band import Band
from rdbench.codecs.points import CodecPoint, curves
from rdbench.codecs.units import Units
from rdbench.report.scales import Axis, audited_pairs, distortion_axis
from rdbench.report.series import Panel
from rdbench.report.style import BAND_ALPHA, TRUTH_COLOUR, SeriesStyle, say
from rdbench.report.ticks import MOST_TICKS, tick_logarithmically

_GRID = 400
_BELOW = 0.035
BOUND: dict[str, Any] = {"linewidth": 0.8, "color": TRUTH_COLOUR}
UPPER_LINE: Any = (0, (1, 1))
LOWER_LINE: Any = (0, (4, 2))
"""How the bound from above and the one from below are drawn."""


@dataclass(frozen=True, eq=False)
class BandPanel:
    """A case, what is known of its R(D), and the codecs that belong to it."""

    panel: Panel
    band: Band
    codecs: tuple[CodecPoint, ...] = ()


def codec_key(name: str) -> str:
    """By what the look of a codec is found: an estimator may have the same name."""
    return f"codec {name}"


def draw_band(
    axes: Axes, shown: BandPanel, styles: Mapping[str, SeriesStyle], units: Units
) -> None:
    """Draw the band as a grey area, its sides as lines; points of estimators are hollow.

    Args:
        axes: where to draw.
        shown: the case.
        styles: the looks of the series by label, of the codecs by `codec_key`.
        units: of both axes; PSNR rises to the right.
    """
    dim = shown.panel.dim
    pairs = {s.label: audited_pairs(s, shown.panel.line) for s in shown.panel.series}
    codecs = {
        name: np.array([(p.summed(dim), p.nats(dim)) for p in own])
        for name, own in curves(shown.codecs).items()
    }
    is_psnr = units.distortion == "psnr"
    limits = _limits(shown, [*pairs.values(), *codecs.values()], logarithmic=is_psnr)
    if limits is None:
        say(axes, "no points")
        axes.set(xticks=[], yticks=[])
        return
    axis, top = limits
    scale = units.nats(dim)
    _set_axes(axes, axis, top / scale, units, dim)
    _draw_sides(axes, shown.band, axis, units, dim)
    for line in shown.panel.line.lines:
        at, rate = units.shown(line[:, 0], dim), line[:, 1] / scale
        alone = "+" if len(at) == 1 else None
        axes.plot(at, rate, color=TRUTH_COLOUR, linewidth=1.4, zorder=2, marker=alone, gid="truth")
    unit = float(rcParams["lines.markersize"])
    for label, found in pairs.items():
        style = styles[label]
        axes.plot(
            units.shown(found[:, 0], dim), found[:, 1] / scale, linestyle="none", zorder=3,
            marker=style.marker, markersize=unit, markerfacecolor="none", markeredgewidth=0.8,
            color=style.colour,
        )  # fmt: skip
    for name, found in codecs.items():
        style, found = styles[codec_key(name)], found[np.argsort(found[:, 0])]
        axes.plot(
            units.shown(found[:, 0], dim), found[:, 1] / scale, linestyle=style.line,
            linewidth=0.9, marker=style.marker, markersize=unit, color=style.colour, zorder=4,
            gid=codec_key(name),
        )  # fmt: skip
    axes.set_xlabel(units.distortion_label(shown.panel.distortion))
    axes.set_ylabel(units.rate_label)


def _limits(
    shown: BandPanel, found: Sequence[Float[ndarray, "_ _"]], *, logarithmic: bool
) -> tuple[Axis, float] | None:
    """The axis of D (summed) and the end of that of R (nats): all points, else what is known."""
    known = np.concatenate([np.zeros((0, 2)), *(one[:, :2] for one in found)])
    if not len(known):
        known = np.concatenate(
            [shown.band.vertices, *(one[:, :2] for one in shown.panel.line.lines)]
        )
    known = known[known[:, 0] > 0.0]
    if not len(known):
        return None
    d = known[:, 0]
    axis = distortion_axis(d.tolist())
    if logarithmic:
        pad = (d.max() / d.min()) ** 0.06 if d.max() > d.min() else 2.0
        axis = Axis("log", float(d.min() / pad), float(d.max() * pad))
    return axis, max(1.06 * float(known[:, 1].max()), 1e-12)


def _set_axes(axes: Axes, axis: Axis, top: float, units: Units, dim: int) -> None:
    axes.set_ylim(-_BELOW * top, top)
    if units.distortion == "psnr":
        axes.set_xlim(*sorted(units.shown(np.array([axis.lo, axis.hi]), dim).tolist()))
        return
    lo, hi = units.shown(np.array([axis.lo, axis.hi]), dim).tolist()
    axes.set_xscale(axis.kind)
    axes.set_xlim(lo, hi)
    if axis.kind == "log":
        tick_logarithmically(axes.xaxis, lo, hi, most=MOST_TICKS)


def _draw_sides(axes: Axes, band: Band, axis: Axis, units: Units, dim: int) -> None:
    lo = max(axis.lo, 1e-6 * axis.hi)
    grid = np.geomspace(lo, axis.hi, _GRID)
    d = np.unique(np.concatenate([grid, np.clip(band.vertices[:, 0], lo, axis.hi)]))
    scale = units.nats(dim)
    lower, upper = band.least(d) / scale, band.most(d) / scale
    at = units.shown(d, dim)
    known = np.isfinite(upper)
    if band.tangents:
        axes.plot(at, lower, linestyle=LOWER_LINE, zorder=1.5, gid="lower", **BOUND)
    axes.plot(at[known], upper[known], linestyle=UPPER_LINE, zorder=1.5, gid="upper", **BOUND)
    if band.tangents:
        axes.fill_between(
            at[known], lower[known], upper[known], color=TRUTH_COLOUR, alpha=BAND_ALPHA,
            linewidth=0, zorder=1,
        )  # fmt: skip
