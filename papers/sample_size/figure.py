"""Figure 8: N for a gap of .05 nats against the rate, one line per kind of estimator."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from rdbench.papers.ebrd.theorem import GAP
from rdbench.papers.sample_size import SIZES
from rdbench.papers.sample_size.sizes import CASE, Needed, needed, plug_in
from rdbench.report.files import write_whole
from rdbench.report.style import (
    NOTE_COLOUR,
    PAGE_WIDTH,
    PRINT_SIZE,
    TRUTH_COLOUR,
    SeriesStyle,
    house_style,
    new_figure,
    save,
    series_styles,
)
from rdbench.report.ticks import tick_logarithmically
from rdbench.reproduce.paper import Drawing

_OPEN = {"at most": "v", "more than": "^"}


def draw(drawing: Drawing) -> list[Path]:
    """``figure-8`` and its numbers.

    Raises:
        RdbenchError: a folder that cannot be written.
    """
    found = needed([record for part in drawing.found for record in part.records], SIZES)
    names = ((label.partition(":")[0].partition("[")[0], label) for label in found)
    styles = series_styles(names, drawing.looks)
    with house_style(PRINT_SIZE):
        saved = save(sizes_figure(found, styles), drawing.out, "figure-8")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("estimator", "rate", "n", "known"))
    for label, row in _plug_in_rows() + [(k, r) for k, all_of in found.items() for r in all_of]:
        writer.writerow((label, f"{row.rate:g}", f"{math.exp(row.log_n):.4g}", row.known))
    return [*saved, write_whole(text.getvalue().encode(), drawing.out / "figure-8.csv")]


def _plug_in_rows() -> list[tuple[str, Needed]]:
    table = plug_in().dropna(subset=["measured"])
    return [
        ("plug-in, draws of q*", Needed(rate, log_n, "measured"))
        for rate, log_n in zip(table["true_rate"], table["measured"], strict=True)
    ]


def sizes_figure(
    found: Mapping[str, Sequence[Needed]], styles: Mapping[str, SeriesStyle]
) -> Figure:
    """N against R on a logarithmic axis, with the theory's lines.

    Args:
        found: by label.
        styles: the looks of the series, by label.
    """
    figure = new_figure(PAGE_WIDTH, 3.8)
    axes = figure.subplots()
    table = plug_in()
    few = table[table["true_rate"] <= 6.5]
    measured = few.dropna(subset=["measured"])
    axes.plot(few["true_rate"], np.exp(few["draws"]), color=TRUTH_COLOUR, linewidth=0.9,
              linestyle="--", label="plug-in: no fewer draws can do")  # fmt: skip
    rates = np.linspace(1.0, 6.0, 2)
    axes.plot(rates, np.exp(rates), color=NOTE_COLOUR, linewidth=0.9, linestyle=":",
              label="log N = R")  # fmt: skip
    axes.plot(measured["true_rate"], np.exp(measured["measured"]), color=TRUTH_COLOUR, marker="o",
              markersize=4, label="plug-in, draws of q*")  # fmt: skip
    for label, rows in found.items():
        style = styles[label]
        x, y = [r.rate for r in rows], [math.exp(r.log_n) for r in rows]
        axes.plot(x, y, color=style.colour, linestyle=style.line, linewidth=0.9, label=label)
        for row in rows:
            axes.plot(row.rate, math.exp(row.log_n), color=style.colour, markersize=5,
                      marker=_OPEN.get(row.known, style.marker),
                      markerfacecolor="white" if row.known in _OPEN else style.face)  # fmt: skip
    axes.set(yscale="log", xlabel="rate R* (nats)", ylabel=f"N for a gap of {GAP:g} nats",
             ylim=(2.0, 2e5), xlim=(0.8, 6.2))  # fmt: skip
    tick_logarithmically(axes.yaxis, 2.0, 2e5, most=6)
    figure.suptitle(f"What a rate costs in samples: {CASE}")
    note = f"open triangles: N is at most {min(SIZES)} (down), more than {max(SIZES):,} (up)"
    figure.legend(loc="outside lower center", ncols=3, title=note)
    return figure
