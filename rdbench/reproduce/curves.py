"""Curves of one part: the rate-distortion curve above, the gap below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rdbench.report.figures import run_figure
from rdbench.report.series import Panel, panels_of
from rdbench.report.style import (
    PAGE_WIDTH,
    PRINT_SIZE,
    Look,
    SeriesStyle,
    house_style,
    save,
    series_styles,
)
from rdbench.report.units import nats_per
from rdbench.reproduce.paper import Drawing, Found


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
