"""The picture of Theorem 1: eq. (5) against N, and the N that a small gap takes."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from rdbench.papers.ebrd.theorem import GAP, PlugInRow, Reading, Theorem
from rdbench.report.style import NOTE_COLOUR, NOTE_SIZE, PAGE_WIDTH, TRUTH_COLOUR, new_figure
from rdbench.report.ticks import power_label, tick_logarithmically
from rdbench.report.units import nats_per

# Tol's muted colours: no estimator has one of them.
_LOOKS: dict[Reading, dict[str, Any]] = {
    "exact": {"color": TRUTH_COLOUR, "marker": "o", "linestyle": "-"},
    "held out": {"color": "#882255", "marker": "^", "linestyle": "--", "markerfacecolor": "white"},
    "fitted": {"color": "#332288", "marker": "v", "linestyle": "--"},
}
_NAMES: dict[Reading, str] = {
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


def theorem_figure(theorem: Theorem, units: str) -> Figure:
    """One panel per case with its floors, and the price of ``GAP`` nats in the last.

    Args:
        theorem: the rows.
        units: ``nats`` or ``bits``, of gaps and rates.
    """
    scale = nats_per(units)
    cases = list(dict.fromkeys((row.dim, row.true_rate) for row in theorem.floors))
    rows = -(-(len(cases) + 1) // _COLUMNS)
    figure = new_figure(PAGE_WIDTH, 2.05 * rows + 0.9)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    for index, axes in enumerate(grid.flat):
        if index < len(cases):
            _panel(axes, theorem, cases[index], scale, units)
            if index % _COLUMNS == 0:
                axes.set_ylabel(f"eq. (5) - F* [{units}]")
            else:
                axes.tick_params(labelleft=False)
        elif index == len(cases):
            _prices(axes, theorem, scale, units)
        else:
            axes.set_axis_off()
    figure.suptitle("Theorem 1: the plug-in objective with N symbols and N draws")
    handles = grid.flat[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2)
    return figure


def _panel(axes: Axes, theorem: Theorem, case: tuple[int, float], scale: float, units: str) -> None:
    dim, rate = case
    floors = [row for row in theorem.floors if (row.dim, row.true_rate) == case]
    n = [row.n for row in floors]
    axes.axhline(0.0, color=NOTE_COLOUR, linewidth=0.6)
    for reading, name in _NAMES.items():
        rows = [
            row
            for row in theorem.plug_in
            if (row.dim, row.true_rate) == case and row.reading == reading
        ]
        _curve(axes, rows, scale, name, _LOOKS[reading])
    atoms, draws = [row.atoms / scale for row in floors], [row.draws / scale for row in floors]
    axes.plot(n, draws, label="floor for N draws of q*", **_DRAWS)
    axes.plot(n, atoms, label="floor for any N atoms", **_FLOOR)
    own = [row.fitted / scale for row in floors]
    below = [(a, b) for a, b in zip(n, own, strict=True) if b < 0.0]
    axes.plot(
        [a for a, _ in below], [b for _, b in below],
        label="ceiling for fitted atoms, log N - F*", **_CEILING,
    )  # fmt: skip
    low, high = _LEAST_N, 1.6 * max(n)
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


def _curve(
    axes: Axes, rows: list[PlugInRow], scale: float, name: str, look: dict[str, Any]
) -> None:
    gaps = [row.gap / scale for row in rows]
    below = [(row.gap - row.gap_lo) / scale for row in rows]
    above = [(row.gap_hi - row.gap) / scale for row in rows]
    axes.errorbar(
        [row.n for row in rows], gaps, yerr=(below, above), label=name,
        linewidth=0.9, elinewidth=0.9, markersize=3.5, **look,
    )  # fmt: skip


def _prices(axes: Axes, theorem: Theorem, scale: float, units: str) -> None:
    """N against R on a logarithmic axis, so that exp(R) is a straight line."""
    dim = max(row.dim for row in theorem.needed)
    rows = sorted((row for row in theorem.needed if row.dim == dim), key=lambda row: row.true_rate)
    rates = [row.true_rate / scale for row in rows]
    axes.plot(rates, [math.exp(row.draws) for row in rows], **_DRAWS)
    axes.plot(rates, [math.exp(row.atoms) for row in rows], **_FLOOR)
    axes.plot(
        rates, [math.exp(row.true_rate) for row in rows],
        color=NOTE_COLOUR, linewidth=0.7, linestyle=(0, (1, 2)),
    )  # fmt: skip
    for row in rows:
        if row.measured is None:
            continue
        lo = row.measured if row.measured_lo is None else row.measured_lo
        hi = math.log(1e20) if row.measured_hi is None else row.measured_hi
        axes.plot(
            [row.true_rate / scale] * 2, [math.exp(lo), math.exp(hi)],
            color=TRUTH_COLOUR, linewidth=0.9,
        )  # fmt: skip
        axes.plot(
            row.true_rate / scale, math.exp(row.measured),
            color=TRUTH_COLOUR, marker="o", markersize=3.5,
        )  # fmt: skip
    axes.annotate(
        f"{_exponential(units)} (dotted)", (0.97, 0.06), xycoords="axes fraction", ha="right",
        color=NOTE_COLOUR, fontsize=NOTE_SIZE,
    )  # fmt: skip
    axes.set_yscale("log")
    top = max(math.exp(row.draws) for row in rows)
    axes.set_ylim(1.0, top)
    tick_logarithmically(axes.yaxis, 1.0, top, most=6)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"R* [{units}]")
    axes.set_title(f"N for a gap of {GAP / scale:.2g} {units}, d = {dim}")


def _exponential(units: str) -> str:
    """exp(R* in nats) as it is written in the unit of the rates."""
    return "exp R*" if units == "nats" else "2^R*"
