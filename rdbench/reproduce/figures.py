"""The figures that any paper gets: curves of every part, and the settings side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rdbench.report.figures import columns_within, legend_entries, run_figure, styles_of
from rdbench.report.gaps import draw_gaps, shared_scale
from rdbench.report.series import Panel, panels_of
from rdbench.report.style import (
    NOTE_COLOUR,
    PAGE_WIDTH,
    PRINT_SIZE,
    SeriesStyle,
    house_style,
    new_figure,
    save,
    say,
)
from rdbench.report.units import nats_per
from rdbench.reproduce.paper import Drawing, Found
from rdbench.reproduce.settings import SIDE_BY_SIDE


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
            figure = run_figure(shown, styles, drawing.units, title, PAGE_WIDTH, note)
            saved += save(figure, drawing.out, f"figure-{part.part.name}")
    return saved


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


def draw_settings(drawing: Drawing) -> list[Path]:
    """``side-by-side``: the gap against the rate of every estimator at all its presets.

    Cells trained on a fixed set are left out. There is no such picture where no estimator has
    records of two presets.

    Raises:
        RdbenchError: an unknown unit, or a folder that cannot be written.
    """
    nats_per(drawing.units)
    # A part with draws has slopes of its own, of cases that are there anyway.
    records = {
        record.cell: record
        for part in drawing.found
        for record in part.records
        if record.n_train is None and not part.part.draws
    }
    panels = panels_of(list(records.values()))
    labels = {(s.estimator, s.label) for panel in panels for s in panel.series}
    if len(labels) == len({name for name, _ in labels}):
        return []
    with house_style(PRINT_SIZE):
        figure = presets_figure(panels, styles_of([panels], drawing.looks), drawing.units)
        return save(figure, drawing.out, SIDE_BY_SIDE)


def presets_figure(
    panels: Sequence[Panel], styles: Mapping[str, SeriesStyle], units: str
) -> Figure:
    """A row per case, a column per estimator; its settings are told apart by line and marker.

    Args:
        panels: the cases.
        styles: the looks of the series, by label.
        units: ``nats`` or ``bits``.
    """
    scale = nats_per(units)
    names = sorted({series.estimator for panel in panels for series in panel.series})
    figure = new_figure(PAGE_WIDTH, 1.0 + 1.35 * len(panels))
    grid = figure.subplots(len(panels), len(names), squeeze=False)
    axis = replace(shared_scale(panels), notes=0)
    for row, panel in enumerate(panels):
        for column, name in enumerate(names):
            axes = grid[row, column]
            draw_gaps(axes, panel, styles, axis, scale, units, only=name, notes=False)
            axes.set_xlabel("")
            axes.set_ylabel(panel.case if column == 0 else "")
            axes.tick_params(labelleft=column == 0)
            if row == 0:
                axes.set_title(name)
            if all(series.estimator != name for series in panel.series):
                say(axes, "not run")
    figure.supylabel(f"gap F(q) - F* ({units})")
    figure.supxlabel(f"true rate R* ({units})")
    handles, texts = _settings(panels, styles)
    figure.legend(
        handles, texts, loc="outside upper center", ncols=columns_within(PAGE_WIDTH, texts)
    )
    return figure


def _settings(
    panels: Sequence[Panel], styles: Mapping[str, SeriesStyle]
) -> tuple[list[Line2D], list[str]]:
    """The looks of the settings, whichever estimator has them."""
    looks: dict[str, SeriesStyle] = {}
    for panel in panels:
        for series in panel.series:
            setting = series.label.removeprefix(series.estimator).lstrip(":, ") or "default"
            looks.setdefault(setting, styles[series.label])
    order = sorted(looks, key=lambda setting: (setting != "default", setting))
    handles = [
        Line2D(
            [], [], color=NOTE_COLOUR, marker="o", linestyle=looks[one].line, linewidth=0.9,
            markerfacecolor=NOTE_COLOUR if looks[one].filled else "white",
        )
        for one in order
    ]  # fmt: skip
    others, names = legend_entries(panels, {}, series=False, curves=False)
    # The truth is the line at zero here.
    return handles + others[1:], order + names[1:]
