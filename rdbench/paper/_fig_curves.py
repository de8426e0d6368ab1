"""Figures 2, 3 and 4: the rate-distortion curve above, the gap below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from rdbench.paper._fig_parts import CLOUD, SMALL, legend_below, plane
from rdbench.report.curves import draw_curve
from rdbench.report.figures import legend_entries
from rdbench.report.gaps import draw_gaps, gap_endings, shared_scale
from rdbench.report.labels import label_lines
from rdbench.report.series import Panel
from rdbench.report.style import PAGE_WIDTH, SeriesStyle, new_figure
from rdbench.report.units import nats_per


def curves_figure(
    panels: Sequence[Panel],
    styles: Mapping[str, SeriesStyle],
    units: str,
    title: str,
    note: str = "",
) -> Figure:
    """One column per case.

    Args:
        panels: the cases.
        styles: the looks of the series, by label.
        units: ``nats`` or ``bits``.
        title: of the figure.
        note: a line below it; nothing where empty.
    """
    figure = new_figure(PAGE_WIDTH, 4.6)
    grid = figure.subplots(2, len(panels), squeeze=False)
    titles = [f"{panel.case} (d = {panel.dim})" for panel in panels]
    _draw_columns(grid, titles, panels, styles, units)
    figure.suptitle(title)
    _name_series(figure, grid[1, -1], panels, styles, units, note)
    return figure


def curves_beside_source(
    halves: Sequence[tuple[str, Panel]],
    source: Float[ndarray, "n d"] | None,
    styles: Mapping[str, SeriesStyle],
    units: str,
    note: str = "",
) -> Figure:
    """Draws of the source on the left, then one column per half with its title.

    Args:
        halves: titles and cases.
        source: draws in the plane; None where none were kept.
        styles: the looks of the series, by label.
        units: ``nats`` or ``bits``.
        note: a line below it; nothing where empty.
    """
    figure = new_figure(PAGE_WIDTH, 4.6)
    grid = figure.subplots(2, len(halves) + 1, squeeze=False)
    left, below = grid[:, 0]
    below.set_axis_off()
    if source is None:
        left.set_axis_off()
    else:
        plane(left, source, left=True)
        left.plot(source[:, 0], source[:, 1], color="black", alpha=0.5, **CLOUD)
        left.set_title(f"{len(source)} draws of the source")
    panels = [panel for _, panel in halves]
    _draw_columns(grid[:, 1:], [title for title, _ in halves], panels, styles, units)
    handles, names = legend_entries(panels, styles)
    below.legend(
        handles, names, title=note or None, title_fontproperties={"size": SMALL}, loc="center"
    )
    return figure


def _draw_columns(
    grid: ndarray,
    titles: Sequence[str],
    panels: Sequence[Panel],
    styles: Mapping[str, SeriesStyle],
    units: str,
) -> None:
    scale, axis = nats_per(units), shared_scale(panels)
    for column, (title, panel) in enumerate(zip(titles, panels, strict=True)):
        above, below = grid[0, column], grid[1, column]
        draw_curve(above, panel, styles, scale, units)
        draw_gaps(below, panel, styles, axis, scale, units)
        above.set_title(title)
        if column:
            above.set_ylabel("")
            below.set_ylabel("")
            below.tick_params(labelleft=False)


def _name_series(
    figure: Figure,
    last: Axes,
    panels: Sequence[Panel],
    styles: Mapping[str, SeriesStyle],
    units: str,
    note: str,
) -> None:
    """Names beside the lines of the last panel if all series are there, else in the legend."""
    shown = {series.label for panel in panels for series in panel.series}
    ends = gap_endings(last, panels[-1], nats_per(units))
    labelled = {end.label for end in ends} == shown and label_lines(last, ends, styles)
    handles, names = legend_entries(panels, styles, series=not labelled)
    legend_below(figure, handles, names, note)
