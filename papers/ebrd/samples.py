"""Figures 5 and 6: draws of p(y|x), and the source beside its reconstruction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy import ndarray

from rdbench.report.figures import add_legend
from rdbench.report.style import (
    NOTE_SIZE,
    PAGE_WIDTH,
    estimator_label,
    new_figure,
    say,
)
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord, Draws, PointRecord

CLOUD: dict[str, Any] = {
    "linestyle": "none", "marker": "o", "markersize": 1.3, "markeredgewidth": 0.0,
    "rasterized": True,
}  # fmt: skip
"""How a cloud of draws is drawn."""
SYMBOL_COLOURS = ("#332288", "#117733", "#882255", "#7A6A00")
"""Of the symbols x: dark, and none of them an estimator's."""
SYMBOL_MARKERS = ("o", "s", "^", "D")
LENS_BELOW = 0.05
"""A circle smaller than this part of the axes is shown enlarged, at the first x."""
SOURCE_COLOUR, IMAGE_COLOUR = "#3366BB", "#EE7722"
"""Blue and orange, as in the paper."""


def plane(axes: Axes, points: Float[ndarray, "n 2"], *, left: bool, pad: float = 0.08) -> None:
    """Equal scales that hold all ``points``, a frame, and ticks on the left if asked for."""
    lo, hi = points.min(axis=0), points.max(axis=0)
    half = 0.5 * float((hi - lo).max()) * (1.0 + 2.0 * pad) or 1.0
    middle = 0.5 * (lo + hi)
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.set_aspect("equal")
    axes.locator_params(nbins=4)
    axes.spines[["top", "right"]].set_visible(True)
    axes.tick_params(labelleft=left)


def source_draws(records: Sequence[CellRecord]) -> Float[ndarray, "n 2"] | None:
    """Draws of a source in the plane, from the first record that kept any."""
    for record in records:
        for point in record.points:
            if point.draws is not None and record.dim == 2:
                points = _array(point.draws.source)
                if len(points):
                    return points
    return None


def conditional_figure(
    records: Sequence[CellRecord],
    title: str,
    units: str,
    note: str = "",
) -> Figure:
    """Draws of p(y|x) at a few x: a row per record, a column per slope.

    The grey circle around x has the radius sqrt(D*), the truth's root mean squared distance. A
    slope without draws says why.

    Args:
        records: of one case in the plane.
        title: of the figure.
        units: ``nats`` or ``bits``.
        note: a line below it; nothing where empty.
    """
    columns = _columns(records)
    source = source_draws(records)
    rows = len(records)
    figure = new_figure(PAGE_WIDTH, min(0.8 + 1.95 * rows, _PAGE_HEIGHT))
    grid = figure.subplots(max(rows, 1), max(len(columns), 1), squeeze=False)
    scale = nats_per(units)
    shown: Draws | None = None
    for row, record in enumerate(records):
        points = {point.beta: point for point in record.points}
        for column, known in enumerate(columns):
            axes, point = grid[row, column], points.get(known.beta)
            head = [_truth(known, scale, units)] if row == 0 else []
            if source is not None:
                plane(axes, source, left=column == 0, pad=0.12)
                axes.tick_params(labelbottom=row == rows - 1)
            if point is None or point.draws is None:
                say(axes, "not run" if point is None else _why(point))
                axes.set_title("\n".join(head), fontsize=NOTE_SIZE)
                continue
            shown = point.draws
            _draw_conditionals(axes, point)
            axes.set_title("\n".join([*head, *_audited(point, scale)]), fontsize=NOTE_SIZE)
        grid[row, 0].set_ylabel(estimator_label(record))
    figure.suptitle(title)
    if shown is not None:
        symbols = shown.x[: len(SYMBOL_COLOURS)]
        handles = [Line2D([], [], **_symbol(k), markersize=4.5) for k in range(len(symbols))]
        names = [f"x = ({', '.join(f'{v:.3g}' for v in x)})" for x in symbols]
        handles.append(Line2D([], [], color=_CIRCLE, linewidth=0.8))
        names.append("radius √D*")
        lenses = any(axes.child_axes for axes in grid.flat)
        note = "; ".join(filter(None, (_LENS if lenses else "", note)))
        add_legend(figure, handles, names, _noted(units, note))
    return figure


def reconstruction_figure(
    records: Sequence[CellRecord],
    units: str,
    note: str = "",
) -> Figure | None:
    """The source and its reconstruction at the highest rate: the first record large.

    Args:
        records: of one case in the plane.
        units: ``nats`` or ``bits``.
        note: a line below it; nothing where empty.

    Returns:
        The figure; None where no record has draws at that rate.
    """
    columns = _columns(records)
    source = source_draws(records)
    if not columns or source is None:
        return None
    last = columns[-1]
    found = [
        (record, next((p for p in record.points if p.beta == last.beta), None))
        for record in records
    ]
    if not any(point is not None and point.draws is not None for _, point in found):
        return None
    scale = nats_per(units)
    across = math.ceil((len(found) - 1) / 2)
    figure = new_figure(PAGE_WIDTH, 4.5 if across else 5.5)
    grid = figure.add_gridspec(2, 2 + across) if across else figure.add_gridspec(2, 2)
    for index, (record, point) in enumerate(found):
        cell = grid[:, :2] if index == 0 else grid[(index - 1) // across, 2 + (index - 1) % across]
        axes = figure.add_subplot(cell)
        plane(axes, source, left=index == 0)
        axes.tick_params(labelbottom=index == 0)
        lines = [estimator_label(record)]
        if point is None or point.draws is None:
            say(axes, "not run" if point is None else _why(point))
        else:
            _draw_reconstruction(axes, point.draws, large=index == 0)
            lines += [", ".join(_audited(point, scale))] if index == 0 else _audited(point, scale)
        axes.set_title("\n".join(lines), fontsize=None if index == 0 else NOTE_SIZE)
    figure.suptitle(f"Source and reconstruction; the truth: {_truth(last, scale, units)}")
    handles = [
        Line2D([], [], **_SOURCE, markersize=4.0),
        Line2D([], [], **_IMAGE, markersize=4.5),
    ]
    add_legend(figure, handles, ["source x", "reconstruction y"], _noted(units, note))
    return figure


_PAGE_HEIGHT = 10.0
_INTERVALS = "R and gap F(q) - F* as audited, in {}, with 95% intervals"
_LENS = "windows: the first x, enlarged"
_CIRCLE = "#555555"
_SOURCE: dict[str, Any] = {
    "linestyle": "none", "marker": "o", "color": SOURCE_COLOUR, "markerfacecolor": "none",
    "markeredgewidth": 0.5,
}  # fmt: skip
_IMAGE: dict[str, Any] = {
    "linestyle": "none",
    "marker": "x",
    "color": IMAGE_COLOUR,
    "markeredgewidth": 0.7,
}


def _draw_reconstruction(axes: Axes, draws: Draws, *, large: bool) -> None:
    x, y = _array(draws.source), _array(draws.reproduction)
    size, edge = (3.4, 0.6) if large else (1.6, 0.4)
    look: dict[str, Any] = {"markersize": size, "markeredgewidth": edge, "rasterized": not large}
    axes.plot(x[:, 0], x[:, 1], **(_SOURCE | look))
    axes.plot(y[:, 0], y[:, 1], **(_IMAGE | look))


def _draw_conditionals(axes: Axes, point: PointRecord) -> None:
    """The source in grey, each x with its draws of y and its circle; a lens on small ones."""
    draws = point.draws
    assert draws is not None
    radius = None
    if point.dist_lo is not None and point.dist_hi is not None:
        radius = math.sqrt(max(0.5 * (point.dist_lo + point.dist_hi), 0.0))
    _draw_clouds(axes, draws, radius)
    lo, hi = axes.get_xlim()
    if radius and draws.x and radius < LENS_BELOW * (hi - lo):
        lens = axes.inset_axes((0.61, 0.61, 0.36, 0.36))
        _draw_clouds(lens, draws, radius)
        x, y = draws.x[0]
        reach = 3.2 * radius
        lens.set(xlim=(x - reach, x + reach), ylim=(y - reach, y + reach), xticks=[], yticks=[])
        for spine in lens.spines.values():
            spine.set(visible=True, color=SYMBOL_COLOURS[0], linewidth=0.8)


def _draw_clouds(axes: Axes, draws: Draws, radius: float | None) -> None:
    source = _array(draws.source)
    axes.plot(source[:, 0], source[:, 1], color="#CFCFCF", zorder=1, **CLOUD)
    for index, (x, y) in enumerate(zip(draws.x, draws.y, strict=True)):
        if index >= len(SYMBOL_COLOURS):
            break
        cloud, look = _array(y), _symbol(index)
        axes.plot(
            cloud[:, 0], cloud[:, 1], color=look["color"], alpha=0.4, zorder=2, gid=f"y{index}",
            **(CLOUD | {"marker": look["marker"], "markersize": 1.5}),
        )  # fmt: skip
        if radius is not None:
            circle = Circle(
                (x[0], x[1]), radius, fill=False, color=_CIRCLE, linewidth=0.6, zorder=3
            )
            axes.add_patch(circle)
        axes.plot([x[0]], [x[1]], **look, markersize=3.6, zorder=4, gid=f"x{index}")


def _symbol(index: int) -> dict[str, Any]:
    return {
        "color": SYMBOL_COLOURS[index], "marker": SYMBOL_MARKERS[index], "linestyle": "none",
        "markeredgecolor": "black", "markerfacecolor": SYMBOL_COLOURS[index],
        "markeredgewidth": 0.7,
    }  # fmt: skip


def _columns(records: Sequence[CellRecord]) -> list[PointRecord]:
    """One point for every slope, by rising slope; one that knows the truth where there is one."""
    found: dict[float, PointRecord] = {}
    for record in records:
        for point in record.points:
            if point.beta not in found or found[point.beta].rate_lo is None:
                found[point.beta] = point
    return [found[beta] for beta in sorted(found)]


def _noted(units: str, note: str) -> str:
    return "; ".join(filter(None, (_INTERVALS.format(units), note)))


def _why(point: PointRecord) -> str:
    return point.status.replace("_", " ") if point.status != "ok" else "no draws kept"


def _audited(point: PointRecord, scale: float) -> list[str]:
    """The audited numbers in two lines: R and D, then the gap with its interval."""
    lines = []
    if point.rate is not None and point.distortion is not None:
        lines.append(f"R = {point.rate / scale:.3g}, D = {point.distortion:.3g}")
    gap = _gap(point, scale)
    return [*lines, *([gap] if gap else [])]


def _gap(point: PointRecord, scale: float) -> str:
    if point.gap_hi is None:
        return "" if point.gap is None else f"gap {point.gap / scale:.2g}"
    if point.side == "upper" or point.gap_lo is None:
        return f"gap ≤ {point.gap_hi / scale:.2g}"
    return f"gap [{point.gap_lo / scale:.2g}, {point.gap_hi / scale:.2g}]"


def _truth(point: PointRecord, scale: float, units: str) -> str:
    """R* and D* of ``point`` by the middle of their brackets; its slope where they are unknown."""
    ends = (point.rate_lo, point.rate_hi, point.dist_lo, point.dist_hi)
    if None in ends:
        return f"β = {point.beta:.3g}"
    rate, distortion = (0.5 * (lo + hi) for lo, hi in (ends[:2], ends[2:]))  # type: ignore[operator]
    return f"R* = {rate / scale:.3g} {units}, D* = {distortion:.3g}"


def _array(vectors: Sequence[Sequence[float]]) -> Float[ndarray, "n 2"]:
    """Draws in the plane as an array, without those that are not finite."""
    points = np.array(vectors, dtype=np.float64).reshape(-1, 2)
    return points[np.isfinite(points).all(axis=1)]
