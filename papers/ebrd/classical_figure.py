"""The picture of a classical energy-based model beside EBRD: energies, draws, and gaps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from rdbench.papers.ebrd.classical import SHOWN
from rdbench.papers.ebrd.samples import CLOUD
from rdbench.report.style import NOTE_SIZE, PAGE_WIDTH, new_figure
from rdbench.report.ticks import tick_logarithmically
from rdbench.report.units import nats_per

_DRAWS = 1500
_LEVELS = (0.5, 1, 2, 3, 4, 6, 8, 10)
_CLASSICAL, _EBRD, _SOURCE = "#882255", "#332288", "0.55"


def classical_figure(tables: Mapping[str, pd.DataFrame], units: str) -> Figure:
    """Two rows of energies and draws, and the gap of F below them.

    Args:
        tables: those of the experiment.
        units: ``nats`` or ``bits``, of gaps; contours are nats.
    """
    energies = tables["energies"]
    names = ["classical", *(f"ebrd {beta:g}" for beta in reversed(SHOWN))]
    titles = ["classical EBM", *(f"EBRD, β = {beta:g}" for beta in reversed(SHOWN))]
    figure = new_figure(PAGE_WIDTH, 5.6)
    grid = figure.add_gridspec(3, len(names), height_ratios=(1.0, 1.0, 1.1))
    for column, (name, title) in enumerate(zip(names, titles, strict=True)):
        above, below = (figure.add_subplot(grid[row, column]) for row in (0, 1))
        colour = _CLASSICAL if name == "classical" else _EBRD
        _contours(above, energies, name, colour)
        _draws(below, energies, name, colour)
        above.set_title(title)
        for axes, label in ((above, "energy"), (below, "draws")):
            _plane(axes)
            if column == 0:
                axes.set_ylabel(label)
    _gaps(figure.add_subplot(grid[2, :]), tables["gaps"], units)
    figure.suptitle("Trained on the paper's mixture: a classical EBM, and EBRD at finite β")
    return figure


def _plane(axes: Axes) -> None:
    axes.set_aspect("equal")
    axes.set_xlim(-8.0, 11.0)
    axes.set_ylim(-10.2, 10.2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([-5, 0, 5]))
    axes.tick_params(labelsize=NOTE_SIZE)


def _contours(axes: Axes, energies: pd.DataFrame, name: str, colour: str) -> None:
    table = energies.pivot(index="y2", columns="y1", values=name)
    axes.contour(
        table.columns, table.index, table.to_numpy(), levels=_LEVELS, colors=colour, linewidths=0.6
    )


def _draws(axes: Axes, energies: pd.DataFrame, name: str, colour: str) -> None:
    """Nodes by their mass, each moved within its cell."""
    rng = np.random.default_rng(0)
    mass = np.exp(-energies[name].to_numpy())
    rows = rng.choice(len(mass), _DRAWS, p=mass / mass.sum())
    nodes = energies[["y1", "y2"]].to_numpy()
    step = float(np.diff(np.unique(nodes[:, 1]))[0])
    points = nodes[rows] + step * (rng.random((_DRAWS, 2)) - 0.5)
    axes.plot(points[:, 0], points[:, 1], color=colour, **CLOUD)


def _gaps(axes: Axes, gaps: pd.DataFrame, units: str) -> None:
    scale = nats_per(units)
    looks = {
        "classical": ("classical EBM as q", _CLASSICAL, "*", "-"),
        "source": ("the source itself as q", _SOURCE, "", ":"),
        "ebrd": ("EBRD", _EBRD, "<", "-"),
    }
    for name, (label, colour, marker, line) in looks.items():
        axes.plot(
            gaps["true_rate"] / scale, gaps[name] / scale, color=colour, marker=marker,
            linestyle=line, linewidth=1.0, markersize=5, label=label,
        )  # fmt: skip
    axes.set_yscale("log")
    values = gaps[list(looks)].to_numpy() / scale
    lo, hi = 0.5 * max(float(values[values > 0].min()), 1e-6), 3.0 * float(values.max())
    axes.set_ylim(lo, hi)
    tick_logarithmically(axes.yaxis, lo, hi, most=6)
    axes.set_xlabel(f"true rate [{units}]")
    axes.set_ylabel(f"F(q) − F* [{units}]")
    axes.legend(fontsize=NOTE_SIZE)
