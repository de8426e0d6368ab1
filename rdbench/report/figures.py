"""The picture of a run: the audited curve against the truth, and the gap against the rate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rdbench.report.curves import CEILING_LINE, draw_curve, protocol_ceiling
from rdbench.report.gaps import draw_gaps, shared_scale
from rdbench.report.series import Panel, panels_of
from rdbench.report.style import NOTE_COLOUR, TRUTH_COLOUR, Look, SeriesStyle, series_styles
from rdbench.report.summary import SCORED
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord
from rdbench.types import RdbenchError

MOST_PANELS = 12
"""Cases on one picture; a suite with more gets several."""
DPI = 150


def save_run_figures(
    records: Sequence[CellRecord],
    out_dir: Path,
    units: str = "nats",
    styles: Mapping[str, Look] | None = None,
) -> list[Path]:
    """Draw every suite of ``records``: a PNG and an SVG each, named after the suite.

    Above, the audited points (D, R) over the true curve with its bracket, and where it crosses the
    panel the rate log N that the paper's protocol cannot exceed; below, the gap with its 95%
    interval against the true rate. Points without a gap are marked and counted, and points
    far above the curve sit at the edge of the axis.

    Args:
        records: finished cells.
        out_dir: the folder; it is made if need be.
        units: ``nats`` or ``bits``.
        styles: colours and markers that estimators ask for, by name.

    Returns:
        The files, PNG first, suite by suite; empty without records.

    Raises:
        RdbenchError: an unknown unit, or a folder that cannot be written.
    """
    nats_per(units)
    suites: dict[str, list[CellRecord]] = {}
    for record in records:
        suites.setdefault(record.suite, []).append(record)
    saved = []
    rc: Any = _rc()
    with rc_context(rc):
        for suite, members in sorted(suites.items()):
            panels = panels_of(members)
            looks = series_styles(
                ((s.estimator, s.label) for panel in panels for s in panel.series), styles
            )
            pages = [panels[i : i + MOST_PANELS] for i in range(0, len(panels), MOST_PANELS)]
            for page, shown in enumerate(pages, start=1):
                stem = re.sub(r"[^\w.-]+", "_", suite) + (f"-{page}" if page > 1 else "")
                figure = run_figure(shown, looks, units, title=suite)
                saved += _save(figure, out_dir, stem)
    return saved


def run_figure(
    panels: Sequence[Panel], styles: Mapping[str, SeriesStyle], units: str, title: str
) -> Figure:
    """One picture of up to ``MOST_PANELS`` cases; free of pyplot and its global state.

    Args:
        panels: the cases.
        styles: the looks of the series, by label.
        units: ``nats`` or ``bits``.
        title: what the cases belong to.
    """
    scale = nats_per(units)
    across = columns_for(len(panels))
    blocks = -(-len(panels) // across)
    figure = Figure(figsize=(max(3.3 * across, 5.0), 5.4 * blocks + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2 * blocks, across, squeeze=False)
    axis = shared_scale(panels)
    for index in range(blocks * across):
        above = grid[2 * (index // across)][index % across]
        below = grid[2 * (index // across) + 1][index % across]
        if index >= len(panels):
            above.set_axis_off()
            below.set_axis_off()
            continue
        panel = panels[index]
        draw_curve(above, panel, styles, scale, units)
        draw_gaps(below, panel, styles, axis, scale, units)
        above.set_title(f"{panel.case} (d = {panel.dim})")
        if index % across:
            above.set_ylabel("")
            below.set_ylabel("")
            below.tick_params(labelleft=False)
    figure.suptitle(title, fontsize=11, fontweight="bold")
    _legend(figure, panels, styles)
    return figure


def columns_for(panels: int) -> int:
    """How many cases stand side by side: one row up to four, then the fuller of three or four."""
    if panels <= 4:
        return max(panels, 1)
    return 3 if panels in (5, 6, 9) else 4


def _legend(figure: Figure, panels: Sequence[Panel], styles: Mapping[str, SeriesStyle]) -> None:
    labels = sorted({series.label for panel in panels for series in panel.series})
    handles = [Line2D([], [], color=TRUTH_COLOUR, linewidth=1.4)]
    for label in labels:
        style = styles[label]
        face = style.colour if style.filled else "white"
        look: dict[str, Any] = {"linestyle": style.line, "linewidth": 0.8, "markersize": 5.5}
        handles.append(
            Line2D([], [], color=style.colour, marker=style.marker, markerfacecolor=face, **look)
        )
    statuses = {p.status for panel in panels for s in panel.series for p in s.points}
    names = ["truth", *labels]
    if statuses - set(SCORED):
        handles.append(
            Line2D([], [], color=NOTE_COLOUR, marker="x", linestyle="none", markersize=4.5)
        )
        names.append("no result at this rate")
    if any(protocol_ceiling(panel) for panel in panels):
        handles.append(Line2D([], [], **CEILING_LINE))
        names.append("log N: ceiling of Appendix A")
    width = float(figure.get_size_inches()[0])
    columns = int(width / (0.6 + 0.075 * max(map(len, names))))
    figure.legend(
        handles, names, loc="outside lower center", frameon=False,
        ncols=max(1, min(len(names), columns)),
    )  # fmt: skip


def _save(figure: Figure, out_dir: Path, stem: str) -> list[Path]:
    paths = [out_dir / f"{stem}.png", out_dir / f"{stem}.svg"]
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        figure.savefig(paths[0], dpi=DPI)
        # Without a date the same records give the same file.
        figure.savefig(paths[1], metadata={"Date": None})
    except OSError as error:
        raise RdbenchError(f"cannot write to {out_dir}: {error.strerror or error}") from error
    return paths


def _rc() -> dict[str, Any]:
    import seaborn as sns  # here: it loads pyplot, and takes a second

    return sns.axes_style("ticks") | {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9,
        "axes.titlesize": 9.5,
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        # Labels are literal: a "$" in a parameter starts no formula.
        "text.parse_math": False,
        "svg.hashsalt": "rdbench",
        "svg.fonttype": "none",
    }
