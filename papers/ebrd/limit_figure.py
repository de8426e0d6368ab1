"""The picture of beta -> infinity: densities on the line, divergences, and gradients."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from rdbench.papers.ebrd.limit import Limit
from rdbench.report.style import NOTE_COLOUR, NOTE_SIZE, PAGE_WIDTH, TRUTH_COLOUR, new_figure
from rdbench.report.ticks import tick_logarithmically
from rdbench.report.units import nats_per

# Tol's muted colours and markers by order of the sources: no estimator has one of them.
_SOURCES: tuple[dict[str, Any], ...] = (
    {"color": "#117733", "marker": "<"},
    {"color": "#882255", "marker": "*"},
)
_LINES = ("--", ":", "-.")
_SHOWN = 3
_APART = 1.25


def limit_figure(limit: Limit, units: str) -> Figure:
    """Three panels: what is learned, how far it is from the classical EBM, and the gradients.

    Args:
        limit: the rows.
        units: ``nats`` or ``bits``, of divergences.
    """
    scale = nats_per(units)
    names = list(dict.fromkeys(row.source for row in limit.learned))
    looks = {name: _SOURCES[k % len(_SOURCES)] for k, name in enumerate(names)}
    figure = new_figure(PAGE_WIDTH, 2.9)
    left, middle, right = figure.subplots(1, 3)
    _densities(left, limit)
    _divergences(middle, limit, looks, scale, units)
    _gradients(right, limit, looks)
    figure.suptitle("As β grows, EBRD becomes the classical energy-based model")
    handles: list[Any] = [Line2D([], [], linestyle="none", **looks[name]) for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def _densities(axes: Axes, limit: Limit) -> None:
    # Every other slope from the second up: at the first q* is so narrow that it hides the rest.
    betas = sorted({row.beta for row in limit.densities})[1 : 2 * _SHOWN : 2]
    rows = [row for row in limit.densities if row.beta == betas[0]]
    y = [row.y for row in rows]
    axes.fill_between(y, [row.source for row in rows], color="0.88", linewidth=0.0)
    axes.plot(y, [row.ebm for row in rows], color=TRUTH_COLOUR, linewidth=1.0, label="classical")
    for beta, line in zip(betas, _LINES, strict=False):
        shown = [row for row in limit.densities if row.beta == beta]
        axes.plot(
            [row.y for row in shown], [row.ebrd for row in shown],
            color="#332288", linestyle=line, linewidth=1.1, label=f"β = {beta:g}",
        )  # fmt: skip
    axes.set_xlim(-6.5, 6.5)
    axes.set_xlabel("y")
    axes.set_ylabel("density")
    axes.set_title("Learned on two modes")
    highest = max(row.ebrd for row in limit.densities if row.beta in betas)
    axes.set_ylim(0.0, 1.5 * highest)
    axes.xaxis.set_major_locator(FixedLocator([-5, 0, 5]))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.legend(loc="upper center", ncols=2, fontsize=NOTE_SIZE, handlelength=1.8,
                columnspacing=1.0)  # fmt: skip


def _divergences(
    axes: Axes, limit: Limit, looks: dict[str, dict[str, Any]], scale: float, units: str
) -> None:
    for name, look in looks.items():
        rows = [row for row in limit.learned if row.source == name]
        seed = rows[0].seed
        one = [row for row in rows if row.seed == seed]
        beta = [row.beta for row in one]
        axes.plot(beta, [row.kl_optimal / scale for row in one], color=look["color"], linewidth=0.9)
        axes.plot(  # one marker per seed: the spread is all of them
            [row.beta for row in rows], [row.kl / scale for row in rows], linestyle="none",
            markersize=3.5, markeredgewidth=0.8, **look,
        )  # fmt: skip
    values = [v / scale for row in limit.learned for v in (row.kl, row.kl_optimal)]
    _axes(axes, limit, values)
    axes.set_ylabel(f"KL [{units}]")
    axes.set_title("KL(classical || EBRD)")
    axes.annotate(
        "points: learned\nlines: KL(p || q*)", (0.03, 0.04), xycoords="axes fraction",
        color=NOTE_COLOUR, fontsize=NOTE_SIZE,
    )  # fmt: skip


def _gradients(axes: Axes, limit: Limit, looks: dict[str, dict[str, Any]]) -> None:
    for name, look in looks.items():
        rows = [row for row in limit.learned if row.source == name]
        shift = _APART ** (list(looks).index(name) - 0.5 * (len(looks) - 1))
        starts: dict[float, list[float]] = {}
        ends: dict[float, list[float]] = {}
        for row in rows:
            starts.setdefault(row.beta, []).append(row.gradient_start)
            ends.setdefault(row.beta, []).append(row.gradient_end)
        _spread(axes, starts, shift, look | {"markerfacecolor": "white"})
        _spread(axes, ends, shift, look)
    last = max(limit.learned, key=lambda row: (row.beta, row.gradient_end))
    beta = sorted({row.beta for row in limit.learned})
    axes.plot(
        beta, [1.8 * last.gradient_end * last.beta / b for b in beta],
        color=NOTE_COLOUR, linewidth=0.7, linestyle=(0, (1, 2)),
    )  # fmt: skip
    axes.annotate(
        "1 / β (dotted)", (0.97, 0.96), xycoords="axes fraction", ha="right", va="top",
        color=NOTE_COLOUR, fontsize=NOTE_SIZE,
    )  # fmt: skip
    values = [v for row in limit.learned for v in (row.gradient_start, row.gradient_end)]
    _axes(axes, limit, [*values, *(2.5 * v for v in values)])
    axes.set_ylabel("relative difference")
    axes.set_title("Gradients at one theta")
    axes.annotate(
        "open: initial theta\nfilled: trained theta", (0.03, 0.04), xycoords="axes fraction",
        color=NOTE_COLOUR, fontsize=NOTE_SIZE,
    )  # fmt: skip


def _spread(
    axes: Axes, values: dict[float, list[float]], shift: float, look: dict[str, Any]
) -> None:
    """The mean over seeds and their range, by slope; ``shift`` keeps sources side by side."""
    for beta, found in values.items():
        ends = [min(found), max(found)]
        axes.plot([beta * shift] * 2, ends, color=look["color"], linewidth=0.8, zorder=1.9)
    axes.plot(
        [beta * shift for beta in values], [sum(found) / len(found) for found in values.values()],
        linestyle="none", markersize=3.5, markeredgewidth=0.8, **look,
    )  # fmt: skip


def _axes(axes: Axes, limit: Limit, values: list[float]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    betas = [row.beta for row in limit.learned]
    positive = [value for value in values if value > 0.0]
    axes.set_xlim(0.7 * min(betas), 1.4 * max(betas))
    tick_logarithmically(axes.xaxis, min(betas), max(betas), most=5)
    lo, hi = 0.3 * min(positive), 2.0 * max(positive)
    axes.set_ylim(lo, hi)
    tick_logarithmically(axes.yaxis, lo, hi, most=7)
    axes.set_xlabel("β")
