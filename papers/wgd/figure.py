"""The picture of the noisy sphere: the gap against the number of particles, by dimension."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from matplotlib.figure import Figure

from rdbench.report.scores import ends, is_scored, shown_gap
from rdbench.report.style import NOTE_COLOUR, PAGE_WIDTH, PRINT_SIZE, house_style, new_figure, save
from rdbench.report.ticks import tick_logarithmically
from rdbench.reproduce.paper import Drawing
from rdbench.run.records import CellRecord

_KINDS = {
    "default": ("flow, our default", "#CC7700", "o"),
    "paper": ("flow, as published but shorter", "#332288", "^"),
    "paper_hybrid": ("hybrid, as published but shorter", "#882255", "s"),
}
_LEAST = 1e-4


def draw(drawing: Drawing) -> list[Path]:
    """``figure-sphere``; nothing without records.

    Raises:
        RdbenchError: a folder that cannot be written.
    """
    records = [record for part in drawing.found for record in part.records]
    if not records:
        return []
    with house_style(PRINT_SIZE):
        return save(particles_figure(records), drawing.out, "figure-sphere")


def particles_figure(records: Iterable[CellRecord]) -> Figure:
    """A panel per dimension; an interval that reaches zero is cut at the end of the axis."""
    found = list(records)
    dims = sorted({record.dim for record in found})
    figure = new_figure(PAGE_WIDTH, 2.9)
    grid = figure.subplots(1, len(dims), squeeze=False, sharey=True)[0]
    for axes, dim in zip(grid, dims, strict=True):
        for preset, (name, colour, marker) in _KINDS.items():
            rows = [
                (record.fields["particles"], point)
                for record in sorted(found, key=lambda record: record.fields["particles"])
                if record.dim == dim and record.preset == preset
                for point in record.points
                if is_scored(point)
            ]
            x, gaps = [n for n, _ in rows], [shown_gap(point) for _, point in rows]
            axes.plot(x, gaps, color=colour, marker=marker, markersize=4, linewidth=0.9, label=name)
            for n, point in rows:
                lo, hi = ends(point)
                axes.plot([n, n], [max(lo, _LEAST), max(hi, _LEAST)], color=colour, linewidth=0.9)
        axes.set(xscale="log", yscale="log", ylim=(_LEAST, 2.0), xlim=(7.0, 1500.0),
                 xlabel="particles", title=f"d = {dim}")  # fmt: skip
        axes.grid(axis="y", color=NOTE_COLOUR, linewidth=0.3)
        tick_logarithmically(axes.xaxis, 7.0, 1500.0, most=4)
        tick_logarithmically(axes.yaxis, _LEAST, 2.0, most=6)
    grid[0].set_ylabel("gap F(q) − F* (nats)")
    figure.suptitle("Noisy sphere at β = 5")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
