"""The picture of beta -> infinity: densities on the line, divergences, and gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from rdbench.report.style import NOTE_COLOUR, NOTE_SIZE, PAGE_WIDTH, TRUTH_COLOUR, new_figure
from rdbench.report.ticks import tick_logarithmically
from rdbench.report.units import nats_per

# Tol's muted colours and markers by order of the sources: no estimator has one of them.
_SOURCES: tuple[dict[str, Any], ...] = (
    {"color": "#117733", "marker": "<"},
    {"color": "#882255", "marker": "*"},
)
_LINES = ("--", ":", "-.")
_APART = 1.25


def limit_figure(tables: Mapping[str, pd.DataFrame], units: str) -> Figure:
    """Three panels: what is learned, how far it is from the classical EBM, and the gradients.

    Args:
        tables: those of the experiment.
        units: ``nats`` or ``bits``, of divergences.
    """
    scale = nats_per(units)
    learned = tables["learned"]
    names = learned["source"].unique()
    looks = dict(zip(names, _SOURCES, strict=True))
    figure = new_figure(PAGE_WIDTH, 2.9)
    left, middle, right = figure.subplots(1, 3)
    _densities(left, tables["densities"])
    _divergences(middle, learned, looks, scale, units)
    _gradients(right, learned, looks)
    figure.suptitle("As β grows, EBRD becomes the classical energy-based model")
    handles: list[Any] = [Line2D([], [], linestyle="none", **looks[name]) for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def _densities(axes: Axes, densities: pd.DataFrame) -> None:
    # Every other slope from the second up: at the first q* is so narrow that it hides the rest.
    betas = np.unique(densities["beta"])[1 : 2 * len(_LINES) : 2]
    shown = [(beta, densities[densities["beta"] == beta]) for beta in betas]
    _, first = shown[0]
    axes.fill_between(first["y"], first["source"], color="0.88", linewidth=0.0)
    axes.plot(first["y"], first["ebm"], color=TRUTH_COLOUR, linewidth=1.0, label="classical")
    for (beta, rows), line in zip(shown, _LINES, strict=True):
        axes.plot(
            rows["y"], rows["ebrd"], color="#332288", linestyle=line, linewidth=1.1,
            label=f"β = {beta:g}",
        )  # fmt: skip
    axes.set_xlim(-6.5, 6.5)
    axes.set_xlabel("y")
    axes.set_ylabel("density")
    axes.set_title("Learned on two modes")
    axes.set_ylim(0.0, 1.5 * max(rows["ebrd"].max() for _, rows in shown))
    axes.xaxis.set_major_locator(FixedLocator([-5, 0, 5]))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.legend(loc="upper center", ncols=2, fontsize=NOTE_SIZE, handlelength=1.8,
                columnspacing=1.0)  # fmt: skip


def _divergences(
    axes: Axes, learned: pd.DataFrame, looks: dict[str, dict[str, Any]], scale: float, units: str
) -> None:
    for name, look in looks.items():
        rows = learned[learned["source"] == name]
        one = rows[rows["seed"] == rows["seed"].min()]
        axes.plot(one["beta"], one["kl_optimal"] / scale, color=look["color"], linewidth=0.9)
        axes.plot(  # one marker per seed: the spread is all of them
            rows["beta"], rows["kl"] / scale, linestyle="none", markersize=3.5,
            markeredgewidth=0.8, **look,
        )  # fmt: skip
    values = learned[["kl", "kl_optimal"]] / scale
    _axes(axes, learned["beta"], values.min().min(), values.max().max())
    axes.set_ylabel(f"KL [{units}]")
    axes.set_title("KL(classical || EBRD)")
    axes.annotate(
        "points: learned\nlines: KL(p || q*)", (0.03, 0.04), xycoords="axes fraction",
        color=NOTE_COLOUR, fontsize=NOTE_SIZE,
    )  # fmt: skip


def _gradients(axes: Axes, learned: pd.DataFrame, looks: dict[str, dict[str, Any]]) -> None:
    for place, (name, look) in enumerate(looks.items()):
        shift = _APART ** (place - 0.5 * (len(looks) - 1))  # sources stand side by side
        rows = learned[learned["source"] == name]
        for column, face in (("gradient_start", "white"), ("gradient_end", look["color"])):
            found = rows.groupby("beta")[column].agg(["min", "mean", "max"])
            at = found.index * shift
            ends = np.stack([found["min"], found["max"]])
            axes.plot(
                np.stack([at, at]), ends, color=look["color"], linewidth=0.8, zorder=1.9
            )  # fmt: skip
            axes.plot(
                at, found["mean"], linestyle="none", markersize=3.5, markeredgewidth=0.8,
                markerfacecolor=face, **look,
            )  # fmt: skip
    last = learned[learned["beta"] == learned["beta"].max()]
    betas = np.unique(learned["beta"])
    axes.plot(
        betas, 1.8 * last["gradient_end"].max() * betas[-1] / betas, color=NOTE_COLOUR,
        linewidth=0.7, linestyle=(0, (1, 2)),
    )  # fmt: skip
    axes.annotate(
        "1 / β (dotted)", (0.97, 0.96), xycoords="axes fraction", ha="right", va="top",
        color=NOTE_COLOUR, fontsize=NOTE_SIZE,
    )  # fmt: skip
    values = learned[["gradient_start", "gradient_end"]]
    _axes(axes, learned["beta"], values.min().min(), 2.5 * values.max().max())
    axes.set_ylabel("relative difference")
    axes.set_title("Gradients at one theta")
    axes.annotate(
        "open: initial theta\nfilled: trained theta", (0.03, 0.04), xycoords="axes fraction",
        color=NOTE_COLOUR, fontsize=NOTE_SIZE,
    )  # fmt: skip


def _axes(axes: Axes, betas: pd.Series[float], least: float, most: float) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.7 * betas.min(), 1.4 * betas.max())
    tick_logarithmically(axes.xaxis, betas.min(), betas.max(), most=5)
    lo, hi = 0.3 * least, 2.0 * most
    axes.set_ylim(lo, hi)
    tick_logarithmically(axes.yaxis, lo, hi, most=7)
    axes.set_xlabel("β")
