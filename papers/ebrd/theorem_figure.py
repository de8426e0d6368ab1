"""The picture of Theorem 1: eq. (5) against N, and the N that a small gap takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from rdbench.papers.ebrd.theorem import GAP
from rdbench.report.style import NOTE_COLOUR, NOTE_SIZE, PAGE_WIDTH, TRUTH_COLOUR, new_figure
from rdbench.report.ticks import power_label, tick_logarithmically
from rdbench.report.units import nats_per

# Tol's muted colours: no estimator has one of them.
_LOOKS: dict[str, dict[str, Any]] = {
    "exact": {"color": TRUTH_COLOUR, "marker": "o", "linestyle": "-"},
    "held out": {"color": "#882255", "marker": "^", "linestyle": "--", "markerfacecolor": "white"},
    "fitted": {"color": "#332288", "marker": "v", "linestyle": "--"},
}
_NAMES = {
    "exact": "N draws of the exact q*, fresh symbols",
    "held out": "N free atoms fitted to N symbols, on fresh ones",
    "fitted": "the same atoms on their own N symbols",
}
_FLOOR: dict[str, Any] = {"color": "#117733", "linewidth": 1.3}
_DRAWS: dict[str, Any] = {"color": "#999933", "linewidth": 1.3, "linestyle": (0, (4, 1.5))}
_CEILING: dict[str, Any] = {"color": "#332288", "linewidth": 0.9, "linestyle": ":"}
_LINEAR = 0.01  # nats around zero where the axis is linear
_LEAST_N = 5.0
_COLUMNS = 3


def theorem_figure(tables: Mapping[str, pd.DataFrame], units: str) -> Figure:
    """One panel per case with its floors, and the price of ``GAP`` nats in the last.

    Args:
        tables: those of the experiment.
        units: ``nats`` or ``bits``, of gaps and rates.
    """
    scale = nats_per(units)
    gaps = dict(list(tables["gaps"].groupby(["dim", "true_rate"])))
    floors = list(tables["floors"].groupby(["dim", "true_rate"], sort=False))
    rows = -(-(len(floors) + 1) // _COLUMNS)
    figure = new_figure(PAGE_WIDTH, 2.05 * rows + 0.9)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    for index, axes in enumerate(grid.flat):
        if index < len(floors):
            case, known = floors[index]
            _panel(axes, gaps[case], known, scale, units)
            if index % _COLUMNS == 0:
                axes.set_ylabel(f"eq. (5) - F* [{units}]")
            else:
                axes.tick_params(labelleft=False)
        elif index == len(floors):
            _prices(axes, tables["prices"], scale, units)
        else:
            axes.set_axis_off()
    figure.suptitle("Theorem 1: the plug-in objective with N symbols and N draws")
    handles = grid.flat[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2)
    return figure


def _panel(axes: Axes, gaps: pd.DataFrame, floors: pd.DataFrame, scale: float, units: str) -> None:
    """The three readings of one case and its floors."""
    dim, rate = int(floors["dim"].iloc[0]), float(floors["true_rate"].iloc[0])
    axes.axhline(0.0, color=NOTE_COLOUR, linewidth=0.6)
    for reading, name in _NAMES.items():
        rows = gaps[gaps["reading"] == reading]
        axes.errorbar(
            rows["n"], rows["gap"] / scale, label=name, linewidth=0.9, elinewidth=0.9,
            yerr=((rows["gap"] - rows["gap_lo"]) / scale, (rows["gap_hi"] - rows["gap"]) / scale),
            markersize=3.5, **_LOOKS[reading],
        )  # fmt: skip
    axes.plot(floors["n"], floors["draws"] / scale, label="floor for N draws of q*", **_DRAWS)
    axes.plot(floors["n"], floors["atoms"] / scale, label="floor for any N atoms", **_FLOOR)
    below = floors[floors["fitted"] < 0.0]
    axes.plot(
        below["n"], below["fitted"] / scale, label="ceiling for fitted atoms, log N - F*",
        **_CEILING,
    )  # fmt: skip
    low, high = _LEAST_N, 1.6 * float(floors["n"].max())
    if low <= math.exp(rate) <= high:
        axes.axvline(math.exp(rate), color=NOTE_COLOUR, linewidth=0.7, linestyle=(0, (1, 2)))
        late = math.exp(rate) > math.sqrt(low * high)
        axes.annotate(
            f"N = {_exponential(units)}", (math.exp(rate), 0.96),
            xycoords=axes.get_xaxis_transform(), xytext=(-2 if late else 2, 0),
            textcoords="offset points", color=NOTE_COLOUR, fontsize=NOTE_SIZE,
            ha="right" if late else "left", va="top",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    tick_logarithmically(axes.xaxis, low, high, most=5)
    axes.set_yscale("symlog", linthresh=_LINEAR / scale, linscale=0.5)
    axes.set_ylim(-40.0 / scale, 250.0 / scale)
    axes.yaxis.set_major_locator(FixedLocator([-10, -1, -0.1, 0, 0.1, 1, 10, 100]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(power_label))
    axes.set_xlabel("N")
    axes.set_title(f"d = {dim}, R* = {rate / scale:.3g} {units}")


def _prices(axes: Axes, prices: pd.DataFrame, scale: float, units: str) -> None:
    """N against R on a logarithmic axis, so that exp(R) is a straight line."""
    dim = int(prices["dim"].max())
    rows = prices[prices["dim"] == dim].sort_values("true_rate")
    rates = rows["true_rate"] / scale
    axes.plot(rates, np.exp(rows["draws"]), **_DRAWS)
    axes.plot(rates, np.exp(rows["atoms"]), **_FLOOR)
    axes.plot(
        rates, np.exp(rows["true_rate"]), color=NOTE_COLOUR, linewidth=0.7,
        linestyle=(0, (1, 2)),
    )  # fmt: skip
    found = rows.dropna(subset="measured")
    at = found["true_rate"] / scale
    lo = found["measured_lo"].fillna(found["measured"])
    hi = found["measured_hi"].fillna(math.log(1e20))
    look: dict[str, Any] = {"color": TRUTH_COLOUR}
    axes.plot(np.stack([at, at]), np.exp(np.stack([lo, hi])), linewidth=0.9, **look)
    axes.plot(at, np.exp(found["measured"]), marker="o", markersize=3.5, linestyle="none", **look)
    axes.annotate(
        f"{_exponential(units)} (dotted)", (0.97, 0.06), xycoords="axes fraction", ha="right",
        color=NOTE_COLOUR, fontsize=NOTE_SIZE,
    )  # fmt: skip
    axes.set_yscale("log")
    top = float(np.exp(rows["draws"].max()))
    axes.set_ylim(1.0, top)
    tick_logarithmically(axes.yaxis, 1.0, top, most=6)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"R* [{units}]")
    axes.set_title(f"N for a gap of {GAP / scale:.2g} {units}, d = {dim}")


def _exponential(units: str) -> str:
    """exp(R* in nats) as it is written in the unit of the rates."""
    return "exp R*" if units == "nats" else "2^R*"
