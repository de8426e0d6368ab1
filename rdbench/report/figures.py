"""The picture of a run: the audited curve against the truth, and the gap against the rate."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy import ndarray

from rdbench.report.curves import CEILING_LINE, draw_curve, protocol_ceiling, shows_band
from rdbench.report.gaps import (
    NO_RESULT,
    PROTOCOL_LINE,
    WITHHELD,
    draw_gaps,
    over_curve,
    shared_scale,
    shows_protocol,
)
from rdbench.report.scales import Axis
from rdbench.report.scores import SCORED, is_start, is_withheld
from rdbench.report.series import Panel, Sources, by_suite, panels_of
from rdbench.report.style import (
    BAND_ALPHA,
    NOTE_COLOUR,
    SMALL,
    START_COLOUR,
    TRUTH_COLOUR,
    Look,
    SeriesStyle,
    house_style,
    new_figure,
    save,
    series_styles,
)
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord

MOST_PANELS = 12
"""Cases on one picture; a suite with more gets several."""
RUN_FORMATS = ("png", "svg")
CEILING, PROTOCOL = "log N: ceiling of Appendix A", "least gap by Appendix A"
"""What the lines of the EBRD paper's protocol are called."""
_LONGEST = 80
"""Letters of a file's name."""
_LEGEND_ROWS = 6
"""Of a legend for which a figure has room."""
_LETTER = 0.0083
"""The mean width of a letter in inches per point of size."""


def save_run_figures(
    records: Sequence[CellRecord],
    out_dir: Path,
    units: str = "nats",
    styles: Mapping[str, Look] | None = None,
    sources: Sources | None = None,
    variants: Mapping[str, str] | None = None,
) -> list[Path]:
    """Draw every suite of ``records``: a PNG and an SVG each, named after suite and variant.

    Above, R - R(D) against the true rate: how far the audited point (D, R) lies over the curve;
    below, the gap F(q) - F*, both with 95% intervals. Points without a gap are marked and counted.

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
            looks = styles_of([panels], styles)
            pages = [panels[i : i + MOST_PANELS] for i in range(0, len(panels), MOST_PANELS)]
            for page, shown in enumerate(pages, start=1):
                stem = file_stem(suite, (variants or {}).get(suite, ""))
                stem += f"-{page}" if page > 1 else ""
                figure = run_figure(shown, looks, units, title=suite, over_truth=True)
                saved += save(figure, out_dir, stem, RUN_FORMATS)
    return saved


def styles_of(
    drawn: Iterable[Sequence[Panel]], looks: Mapping[str, Look] | None
) -> dict[str, SeriesStyle]:
    """One style per series of all the panels, the same in every figure."""
    panels = [panel for some in drawn for panel in some]
    return series_styles(((s.estimator, s.label) for p in panels for s in p.series), looks)


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
    panels: Sequence[Panel],
    styles: Mapping[str, SeriesStyle],
    units: str,
    title: str,
    width: float | None = None,
    note: str = "",
    *,
    over_truth: bool = False,
) -> Figure:
    """One picture of several cases, to be made within ``house_style``.

    Args:
        panels: the cases, on a screen at most ``MOST_PANELS``.
        styles: the looks of the series, by label.
        units: ``nats`` or ``bits``.
        title: what the cases belong to.
        width: of a printed page in inches; None for a screen.
        note: a line above the legend; nothing where empty.
        over_truth: R - R(D) instead of the curves themselves, on which all who are right coincide.
    """
    across = columns_for(len(panels))
    blocks = -(-len(panels) // across)
    size = (max(3.3 * across, 5.0), 5.4 * blocks + 0.9) if width is None else (width, 4.6 * blocks)
    figure = new_figure(*size)
    grid = figure.subplots(2 * blocks, across, squeeze=False)
    axis = shared_scale(panels)
    above = shared_scale([over_curve(panel) for panel in panels]) if over_truth else None
    for index in range(blocks * across):
        row, column = 2 * (index // across), index % across
        pair = grid[row : row + 2, column]
        if index < len(panels):
            panel = panels[index]
            draw_case(pair, panel, styles, axis, units, first=column == 0, above=above)
            pair[0].set_title(f"{panel.case} (d = {panel.dim})")
        else:
            for axes in pair:
                axes.set_axis_off()
    figure.suptitle(title)
    add_legend(figure, *legend_entries(panels, styles, curves=not over_truth), note)
    return figure


def draw_case(
    pair: ndarray,
    panel: Panel,
    styles: Mapping[str, SeriesStyle],
    axis: Axis,
    units: str,
    *,
    first: bool,
    above: Axis | None = None,
) -> None:
    """The curve of a case above, or R - R(D); its gap below.

    Args:
        pair: the two axes.
        panel: the case.
        styles: the looks of the series, by label.
        axis: the gap axis that the cases of the figure share.
        units: ``nats`` or ``bits``.
        first: whether it is the first of its row, which alone has labels on the left.
        above: the shared axis of R - R(D), to draw that instead of the curve.
    """
    upper, lower = pair
    scale = nats_per(units)
    if above is None:
        draw_curve(upper, panel, styles, scale, units)
    else:
        draw_gaps(upper, over_curve(panel), styles, above, scale, units, notes=False)
        upper.set(xlabel="", ylabel=f"R - R(D) ({units})")
        upper.tick_params(labelleft=first)
    draw_gaps(lower, panel, styles, axis, scale, units)
    if not first:
        upper.set_ylabel("")
        lower.set_ylabel("")
        lower.tick_params(labelleft=False)


def add_legend(
    figure: Figure, handles: Sequence[Line2D], names: Sequence[str], note: str = ""
) -> None:
    """A legend below everything, with a small line of text over it; a long one makes room."""
    columns = columns_within(figure.get_figwidth(), names)
    more = -(-len(names) // columns) - _LEGEND_ROWS
    if more > 0:  # else it would cover the panels
        line = 1.5 * 0.9 * float(rcParams["font.size"]) / 72.0
        figure.set_figheight(figure.get_figheight() + more * line)
    figure.legend(
        handles, names, title=note or None, title_fontproperties={"size": SMALL},
        loc="outside lower center", ncols=columns,
    )  # fmt: skip


def columns_within(width: float, names: Sequence[str]) -> int:
    """How many columns a legend of ``names`` may have in ``width`` inches."""
    letter = _LETTER * 0.9 * float(rcParams["font.size"])
    widths = [0.5 + letter * len(name) for name in names]
    if sum(widths) <= width:
        return max(len(names), 1)
    return max(1, int(width / max(widths)))


def columns_for(panels: int) -> int:
    """How many cases stand side by side: one row up to four, then the fuller of three or four."""
    if panels <= 4:
        return max(panels, 1)
    return 3 if panels in (5, 6, 9) else 4


def style_handles(styles: Mapping[str, SeriesStyle]) -> tuple[list[Line2D], list[str]]:
    """Handles and names of series, in the order of their names."""
    handles = [
        Line2D([], [], color=style.colour, marker=style.marker, markerfacecolor=style.face,
               linestyle=style.line, linewidth=0.9)
        for _, style in sorted(styles.items())
    ]  # fmt: skip
    return handles, sorted(styles)


def legend_entries(
    panels: Sequence[Panel],
    styles: Mapping[str, SeriesStyle],
    *,
    series: bool = True,
    curves: bool = True,
) -> tuple[list[Line2D], list[str]]:
    """Handles and names of what ``panels`` show.

    Args:
        panels: the cases.
        styles: the looks of the series, by label.
        series: whether the series are part of it.
        curves: whether R(D) itself is shown.
    """
    handles, names = [Line2D([], [], color=TRUTH_COLOUR, linewidth=1.4)], ["truth"]
    if curves and any(map(shows_band, panels)):
        handles.append(Line2D([], [], color=TRUTH_COLOUR, alpha=BAND_ALPHA, linewidth=6.0))
        names.append("truth, between bounds")
    shown = {one.label for panel in panels for one in panel.series} if series else ()
    own = style_handles({label: styles[label] for label in shown})
    handles, names = handles + own[0], names + own[1]
    if any(is_start(point) for panel in panels for point in panel.points):
        handles.append(Line2D([], [], color=START_COLOUR, marker="o", linestyle="none"))
        names.append("q is its start")
    points = [point for panel in panels for point in panel.points]
    strip = (
        ({point.status for point in points} - set(SCORED), NO_RESULT, "no result at this rate"),
        (any(map(is_withheld, points)), WITHHELD, "R and D withheld by the audit"),
    )
    for present, mark, name in strip:
        if present:
            handles.append(Line2D([], [], color=NOTE_COLOUR, linestyle="none", **mark))
            names.append(name)
    if any(map(protocol_ceiling, panels)):
        handles.append(Line2D([], [], **CEILING_LINE))
        names.append(CEILING)
    if any(map(shows_protocol, panels)):
        handles.append(Line2D([], [], **PROTOCOL_LINE))
        names.append(PROTOCOL)
    return handles, names
