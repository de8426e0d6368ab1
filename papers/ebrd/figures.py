"""The figures of the paper, from records and from the tables of its experiments."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxtyping import Float
from matplotlib.figure import Figure
from numpy import ndarray

from rdbench.papers.ebrd import classical, limit, theorem
from rdbench.papers.ebrd.classical_figure import classical_figure
from rdbench.papers.ebrd.limit_figure import limit_figure
from rdbench.papers.ebrd.samples import (
    CLOUD,
    conditional_figure,
    plane,
    reconstruction_figure,
    source_draws,
)
from rdbench.papers.ebrd.theorem_figure import theorem_figure
from rdbench.report.figures import draw_case, legend_entries, run_figure, styles_of
from rdbench.report.gaps import shared_scale
from rdbench.report.series import Panel, panels_of
from rdbench.report.style import (
    PAGE_WIDTH,
    PRINT_SIZE,
    SMALL,
    SeriesStyle,
    house_style,
    new_figure,
    save,
)
from rdbench.report.units import nats_per
from rdbench.reproduce.figures import absent
from rdbench.reproduce.files import first_seeds
from rdbench.reproduce.paper import Drawing, Found

_CURVES, _HALVES, _DRAWS = ("2", "3"), ("4a", "4b"), "5"
"""The names of the parts."""


def draw(drawing: Drawing) -> list[Path]:
    """Draw Figures 2 to 6, Theorem 1, the limit β -> ∞ and a classical model.

    All are as wide as both columns of a paper.

    2 and 3 show the audited points over the true curve and their gaps below; 4 the same for
    training on fresh and on fixed draws, beside draws of the source; 5 draws of p(y|x), for all
    estimators and for the first one alone; 6 the source and its reconstruction at the highest
    rate. A part without records has no figure.

    Raises:
        RdbenchError: an unknown unit, or a folder that cannot be written.
    """
    nats_per(drawing.units)
    parts = {one.part.name: one for one in drawing.found if one.records}
    curves = (*_CURVES, *_HALVES)
    panels = {
        name: panels_of(part.records, drawing.sources if name in curves else None)
        for name, part in parts.items()
    }
    styles = styles_of(panels.values(), drawing.looks)
    units, out = drawing.units, drawing.out
    saved: list[Path] = []
    with house_style(PRINT_SIZE):
        for name in _CURVES:
            if name in parts:
                title, note = parts[name].part.title, absent([parts[name]])
                figure = run_figure(panels[name], styles, units, title, PAGE_WIDTH, note)
                saved += save(figure, out, f"figure-{name}")
        halves = [name for name in _HALVES if name in parts]
        if halves:
            titled = [(parts[name].part.title, panel) for name in halves for panel in panels[name]]
            source = source_draws(parts[_DRAWS].records) if _DRAWS in parts else None
            note = absent([parts[name] for name in halves])
            figure = curves_beside_source(titled, source, styles, units, note)
            saved += save(figure, out, "figure-4")
        if _DRAWS in parts:
            saved += _samples(parts[_DRAWS], out, units)
        saved += _experiments(out, units)
    return saved


def _samples(part: Found, out: Path, units: str) -> list[Path]:
    """Figures 5 and 6, of the lowest seed of each estimator; only of sources in the plane."""
    records = first_seeds([record for record in part.records if record.dim == 2])
    kept = [record for record in records if any(point.draws for point in record.points)]
    if not kept:
        return []
    note = absent([part])
    saved = save(conditional_figure(records, part.part.title, units, note), out, "figure-5")
    figure = conditional_figure(kept[:1], part.part.title, units)
    saved += save(figure, out, "figure-5-alone")
    reconstruction = reconstruction_figure(records, units, note)
    return saved + (save(reconstruction, out, "figure-6") if reconstruction else [])


def _experiments(out: Path, units: str) -> list[Path]:
    """Figures from the committed tables of the experiments, and those tables beside them."""
    saved = save(theorem_figure(theorem.load(), units), out, "figure-theorem-1")
    saved += save(limit_figure(limit.load(), units), out, "figure-limit")
    saved += save(classical_figure(classical.load(), units), out, "figure-classical")
    for path in (*theorem.FILES.values(), *limit.FILES.values(), *classical.FILES.values()):
        saved.append(out / f"figure-{path.name}")
        shutil.copyfile(path, saved[-1])
    return saved


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
    axis = shared_scale(panels)
    for column, (title, panel) in enumerate(halves, start=1):
        draw_case(grid[:, column], panel, styles, axis, units, first=column == 1)
        grid[0, column].set_title(title)
    handles, names = legend_entries(panels, styles)
    below.legend(
        handles, names, title=note or None, title_fontproperties={"size": SMALL}, loc="center"
    )
    return figure
