"""Curves of one part: the rate-distortion curve above, the gap below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy import ndarray

from rdbench.report.curves import draw_curve
from rdbench.report.figures import legend_entries
from rdbench.report.gaps import draw_gaps, gap_endings, shared_scale
from rdbench.report.labels import columns_within, label_lines
from rdbench.report.series import Panel, panels_of
from rdbench.report.style import (
    PAGE_WIDTH,
    PRINT_SIZE,
    Look,
    SeriesStyle,
    house_style,
    new_figure,
    save,
    series_styles,
)
from rdbench.report.units import nats_per
from rdbench.reproduce.paper import Drawing, Found

SMALL = 6.8
"""Points: the smallest text of the figures."""


def draw_curves(drawing: Drawing) -> list[Path]:
    """``figure-NAME`` for every part with records: what a paper without figures of its own gets.

    Raises:
        RdbenchError: an unknown unit, or a folder that cannot be written.
    """
    nats_per(drawing.units)
    parts = [part for part in drawing.found if part.records]
    panels = [panels_of(part.records, drawing.sources) for part in parts]
    styles = styles_of(panels, drawing.looks)
    saved: list[Path] = []
    with house_style(PRINT_SIZE):
        for part, shown in zip(parts, panels, strict=True):
            title, note = part.part.title, absent([part])
            figure = curves_figure(shown, styles, drawing.units, title, note)
            saved += save(figure, drawing.out, f"figure-{part.part.name}")
    return saved


def styles_of(
    drawn: Iterable[Sequence[Panel]], looks: Mapping[str, Look]
) -> dict[str, SeriesStyle]:
    """One style per series of all the panels, the same in every figure."""
    panels = [panel for some in drawn for panel in some]
    return series_styles(((s.estimator, s.label) for p in panels for s in p.series), looks)


def absent(parts: Sequence[Found]) -> str:
    """How many cells of the parts were not run or are of earlier code; empty if none."""
    missing, stale = (
        sum(len(getattr(part, field)) for part in parts) for field in ("missing", "stale")
    )
    texts = [
        f"{count} cell{'' if count == 1 else 's'} {what}"
        for count, what in ((missing, "not run"), (stale, "by earlier code"))
        if count
    ]
    return "; ".join(texts)


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
    draw_columns(grid, titles, panels, styles, units)
    figure.suptitle(title)
    _name_series(figure, grid[1, -1], panels, styles, units, note)
    return figure


def draw_columns(
    grid: ndarray,
    titles: Sequence[str],
    panels: Sequence[Panel],
    styles: Mapping[str, SeriesStyle],
    units: str,
) -> None:
    """The curve and the gap of every panel in its column of a grid of two rows.

    Args:
        grid: axes, two rows and a column for every panel.
        titles: of the columns.
        panels: the cases.
        styles: the looks of the series, by label.
        units: ``nats`` or ``bits``.
    """
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


def legend_below(
    figure: Figure, handles: Sequence[Line2D], names: Sequence[str], note: str
) -> None:
    """A legend below everything, with a small line of text over it."""
    figure.legend(
        handles, names, title=note or None, title_fontproperties={"size": SMALL},
        loc="outside lower center", ncols=columns_within(PAGE_WIDTH, names),
    )  # fmt: skip
