"""The picture of a run: the audited curve against the truth, and the gap against the rate."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rdbench.report.curves import CEILING_LINE, draw_curve, protocol_ceiling
from rdbench.report.gaps import PROTOCOL_LINE, draw_gaps, shared_scale, shows_protocol
from rdbench.report.labels import (
    band_handle,
    columns_within,
    handle,
    missing_handle,
    truth_handle,
)
from rdbench.report.series import Panel, Sources, by_suite, panels_of
from rdbench.report.style import Look, SeriesStyle, house_style, new_figure, save, series_styles
from rdbench.report.summary import SCORED
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord

MOST_PANELS = 12
"""Cases on one picture; a suite with more gets several."""
RUN_FORMATS = ("png", "svg")
_LONGEST = 80
"""Letters of a file's name."""


def save_run_figures(
    records: Sequence[CellRecord],
    out_dir: Path,
    units: str = "nats",
    styles: Mapping[str, Look] | None = None,
    sources: Sources | None = None,
    variants: Mapping[str, str] | None = None,
) -> list[Path]:
    """Draw every suite of ``records``: a PNG and an SVG each, named after suite and variant.

    Above, the audited points (D, R) over the true curve with its bracket, and where it crosses the
    panel the rate log N that the paper's protocol cannot exceed; below, the gap with its 95%
    interval against the true rate. Points without a gap are marked and counted, and points
    far above the curve sit at the edge of the axis.

    Args:
        records: finished cells.
        out_dir: the folder; it is made if need be.
        units: ``nats`` or ``bits``.
        styles: colours and markers that estimators ask for, by name.
        sources: where the truth between the points of the records is known.
        variants: by suite, what sets this run apart from others of the suite (see `file_stem`).

    Returns:
        The files, PNG first, suite by suite; empty without records.

    Raises:
        RdbenchError: an unknown unit, or a folder that cannot be written.
    """
    nats_per(units)
    saved = []
    with house_style():
        for suite, members in sorted(by_suite(records).items()):
            panels = panels_of(members, sources)
            looks = series_styles(
                ((s.estimator, s.label) for panel in panels for s in panel.series), styles
            )
            pages = [panels[i : i + MOST_PANELS] for i in range(0, len(panels), MOST_PANELS)]
            for page, shown in enumerate(pages, start=1):
                stem = file_stem(suite, (variants or {}).get(suite, ""))
                stem += f"-{page}" if page > 1 else ""
                figure = run_figure(shown, looks, units, title=suite)
                saved += save(figure, out_dir, stem, RUN_FORMATS)
    return saved


def file_stem(suite: str, variant: str) -> str:
    """The name of a picture, without its ending: different runs of a suite have different ones.

    Args:
        suite: its name.
        variant: the options that set the run apart, such as ``dims=10-budget=quick``; empty for
            the suite as it is. A digest of it follows where it is long, or holds letters that a
            file's name should not.
    """
    name = f"{suite}-{variant}" if variant else suite
    safe = re.sub(r"[^\w.,=-]+", "_", name)
    if variant and (safe != name or len(safe) > _LONGEST):
        safe = f"{safe[:_LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return safe


def run_figure(
    panels: Sequence[Panel], styles: Mapping[str, SeriesStyle], units: str, title: str
) -> Figure:
    """One picture of up to ``MOST_PANELS`` cases, to be made within ``house_style``.

    Args:
        panels: the cases.
        styles: the looks of the series, by label.
        units: ``nats`` or ``bits``.
        title: what the cases belong to.
    """
    scale = nats_per(units)
    across = columns_for(len(panels))
    blocks = -(-len(panels) // across)
    figure = new_figure(max(3.3 * across, 5.0), 5.4 * blocks + 0.9)
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
    figure.suptitle(title)
    handles, names = legend_entries(panels, styles)
    figure.legend(
        handles, names, loc="outside lower center",
        ncols=columns_within(float(figure.get_size_inches()[0]), names),
    )  # fmt: skip
    return figure


def columns_for(panels: int) -> int:
    """How many cases stand side by side: one row up to four, then the fuller of three or four."""
    if panels <= 4:
        return max(panels, 1)
    return 3 if panels in (5, 6, 9) else 4


def legend_entries(
    panels: Sequence[Panel], styles: Mapping[str, SeriesStyle], *, series: bool = True
) -> tuple[list[Line2D], list[str]]:
    """Handles and names of what ``panels`` show.

    Args:
        panels: the cases.
        styles: the looks of the series, by label.
        series: whether the series are part of it.
    """
    handles, names = [truth_handle()], ["truth"]
    if any(panel.line.bands for panel in panels):
        handles.append(band_handle())
        names.append("truth, between bounds")
    if series:
        labels = sorted({one.label for panel in panels for one in panel.series})
        names += labels
        handles += [handle(styles[label]) for label in labels]
    if {point.status for panel in panels for point in panel.points} - set(SCORED):
        handles.append(missing_handle())
        names.append("no result at this rate")
    if any(map(protocol_ceiling, panels)):
        handles.append(Line2D([], [], **CEILING_LINE))
        names.append("log N: ceiling of Appendix A")
    if any(map(shows_protocol, panels)):
        handles.append(Line2D([], [], **PROTOCOL_LINE))
        names.append("least gap by Appendix A")
    return handles, names
