"""The picture of the orders: errors against the step and against the mass that is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rdbench.papers.discretisation.orders import COSTS, DATA
from rdbench.report.style import NOTE_COLOUR, PAGE_WIDTH, PRINT_SIZE, house_style, new_figure, save
from rdbench.report.ticks import tick_logarithmically

_COLOURS = {"gaussian": "#332288", "laplacian": "#882255", "uniform": "#117733"}
_MARKERS = dict(zip(COSTS, ("o", "^"), strict=True))


def draw(out: Path) -> list[Path]:
    """``figure-orders`` from the committed table.

    Raises:
        RdbenchError: a folder that cannot be written.
    """
    with house_style(PRINT_SIZE):
        return save(orders_figure(pd.read_csv(DATA / "errors.csv")), out, "figure-orders")


def orders_figure(table: pd.DataFrame) -> Figure:
    """|F - F*| against h for both costs, and what truncation alone costs, beside lines of an order.

    Args:
        table: the rows of ``errors.csv``.
    """
    figure = new_figure(PAGE_WIDTH, 3.2)
    by_step, by_mass = figure.subplots(1, 2)
    table = table.assign(size=(0.5 * (table["error_lo"] + table["error_hi"])).abs())
    for source, colour in _COLOURS.items():
        mine = table[table["source"] == source]
        for kind, marker in _MARKERS.items():
            rows = mine[(mine["varied"] == "step") & (mine["cost"] == kind)]
            by_step.plot(rows["h"], rows["size"], color=colour, marker=marker, markersize=4,
                         markerfacecolor=colour if kind == COSTS[0] else "white", linewidth=0.9,
                         label=f"{source}, {kind}")  # fmt: skip
        rows = mine[mine["varied"] == "truncation"]
        by_mass.plot(rows["mass_out"], rows["size"], color=colour, marker="o", markersize=4,
                     linewidth=0.9)  # fmt: skip
    h = np.geomspace(0.016, 1.0, 2)
    by_step.plot(h, 0.3 * h**2, color=NOTE_COLOUR, linewidth=0.9, linestyle=":", label="h²")
    by_step.set(xscale="log", yscale="log", xlabel="width h of a cell", ylabel="|F − F*| (nats)")
    m = np.geomspace(5e-5, 0.3, 2)
    by_mass.plot(m, 3.0 * m, color=NOTE_COLOUR, linewidth=0.9, linestyle="--",
                 label="mass left out")  # fmt: skip
    by_mass.set(xscale="log", yscale="log", xlabel="P(|X| > T)", ylabel="|F of [-T, T] − F| (nats)")
    for axes in (by_step, by_mass):
        tick_logarithmically(axes.xaxis, *axes.get_xlim(), most=4)
        tick_logarithmically(axes.yaxis, *axes.get_ylim(), most=5)
    figure.suptitle("What a grid costs: its step, and its truncation")
    handles = [a.get_legend_handles_labels() for a in (by_step, by_mass)]
    figure.legend(handles[0][0] + handles[1][0], handles[0][1] + handles[1][1],
                  loc="outside lower center", ncols=4)  # fmt: skip
    return figure
