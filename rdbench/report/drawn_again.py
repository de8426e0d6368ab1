"""Any selection of records as one picture: bands with codecs, R - R(D), gaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rdbench.band import Band
from rdbench.band.rows import bounds_below
from rdbench.codecs.points import CodecPoint
from rdbench.codecs.units import Units, check_measure
from rdbench.outcomes import RdbenchError
from rdbench.report.answer import sides
from rdbench.report.band_panel import (
    BOUND,
    LOWER_LINE,
    UPPER_LINE,
    BandPanel,
    codec_key,
    draw_band,
)
from rdbench.report.figures import (
    CEILING,
    PROTOCOL,
    add_legend,
    columns_for,
    legend_entries,
    style_handles,
)
from rdbench.report.gaps import draw_gaps, over_curve, shared_scale
from rdbench.report.scores import is_scored
from rdbench.report.series import Series, Sources, by_suite, panels_of
from rdbench.report.style import (
    BAND_ALPHA,
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

KINDS = ("band", "excess", "gap")
"""What a case can be drawn as, from top to bottom: R(D) between its bounds, R - R(D), the gap."""


def draw_again(
    records: Sequence[CellRecord],
    out: Path,
    *,
    kinds: Sequence[str] = ("band", "gap"),
    units: Units,
    codecs: Sequence[CodecPoint] = (),
    looks: Mapping[str, Look] | None = None,
    sources: Sources | None = None,
    known: Callable[[Sequence[CellRecord]], Band] | None = None,
    title: str = "",
) -> Path:
    """Draw records again into one file.

    Args:
        records: of one or several cases; a case is a column.
        out: the file; its ending says the format, out of ``rdbench.report.style.FORMATS``.
        kinds: out of ``KINDS``; ``excess`` and ``gap`` are left out where no record has one.
        units: of the axes; gaps are in bits where its rate is.
        codecs: operational points, which belong to the one case of ``records``.
        looks: colours and markers that estimators ask for, by name.
        sources: where more of the truth is known.
        known: what is known of R(D) beside the records of a case; None for nothing.
        title: of the picture; the names of the suites where empty.

    Raises:
        RdbenchError: codecs with several cases, PSNR of another measure than squared error, or a
            file that cannot be written.
    """
    suites = by_suite(records)
    panels = [(s, panel) for s, own in suites.items() for panel in panels_of(own, sources)]
    if codecs and len(panels) > 1:
        raise RdbenchError("the points of a codec belong to one case")
    for _, panel in panels:
        check_measure(units, panel.distortion)
    cases = []
    for suite, panel in panels:
        own = [r for r in suites[suite] if (r.case, r.dim) == (panel.case, panel.dim)]
        shown, whole = sides(own, None if known is None else known(own))
        # The estimators' own band where they have both sides, beside the truth; else all.
        both = any(bounds_below(p) for r in own for p in r.points)
        cases.append(BandPanel(panel, shown if both else whole, tuple(codecs)))
    names = [(s.estimator, s.label) for _, panel in panels for s in panel.series]
    styles = series_styles([*names, *((codec_key(c.name),) * 2 for c in codecs)], looks)
    with house_style():
        figure = _figure(cases, styles, kinds, units, title or ", ".join(suites))
        (path,) = save(figure, out.parent, out.stem, [out.suffix.removeprefix(".").lower()])
    return path


def _figure(
    cases: Sequence[BandPanel],
    styles: Mapping[str, SeriesStyle],
    kinds: Sequence[str],
    units: Units,
    title: str,
) -> Figure:
    """Blocks of rows, one for each kind, the cases side by side."""
    panels = [one.panel for one in cases]
    lifted = [over_curve(panel) for panel in panels]
    rows: list[str] = []
    for kind in kinds:
        drawn = {"gap": panels, "excess": lifted}.get(kind)
        if drawn is None or any(is_scored(p) for panel in drawn for p in panel.points):
            rows.append(kind)
    rows = rows or ["band"]
    across = columns_for(len(cases))
    blocks = -(-len(cases) // across)
    height = sum(3.6 if kind == "band" else 2.5 for kind in rows)
    wide = 4.6 if len(cases) == 1 else 3.3 * across
    figure = new_figure(max(wide, 5.0), height * blocks + 0.9)
    grid = figure.subplots(
        len(rows) * blocks, across, squeeze=False,
        height_ratios=[3.6 if kind == "band" else 2.5 for kind in rows] * blocks,
    )  # fmt: skip
    word = "bits" if units.rate in ("bits", "bpp") else "nats"
    scales = {"gap": shared_scale(panels), "excess": replace(shared_scale(lifted), notes=0)}
    for place in range(blocks * across):
        first = (place // across) * len(rows)
        column = grid[first : first + len(rows), place % across]
        if place >= len(cases):
            for axes in column:
                axes.set_axis_off()
            continue
        for axes, kind in zip(column, rows, strict=True):
            if kind == "band":
                draw_band(axes, cases[place], styles, units)
            else:
                one = (panels if kind == "gap" else lifted)[place]
                notes = kind == "gap"
                draw_gaps(axes, one, styles, scales[kind], nats_per(word), word, notes=notes)
            if kind == "excess":
                axes.set_ylabel(f"R - R(D) ({word})")
            if place % across:
                axes.set_ylabel("")
        column[0].set_title(f"{panels[place].case} (d = {panels[place].dim})")
    figure.suptitle(title)
    add_legend(figure, *_legend(cases, styles, rows))
    return figure


def _legend(
    cases: Sequence[BandPanel], styles: Mapping[str, SeriesStyle], rows: Sequence[str]
) -> tuple[list[Line2D], list[str]]:
    panels = [one.panel for one in cases]
    codecs = {codec_key(point.name): point.name for one in cases for point in one.codecs}
    if rows == ["band"]:  # a lower bound is a line there, and has no point
        panels = [replace(p, series=tuple(s for s in p.series if _has_points(s))) for p in panels]
        styles = {k: v if k in codecs else replace(v, filled=False) for k, v in styles.items()}
    handles, names = legend_entries(panels, styles, curves=False)
    unused = set() if any(panel.line.lines for panel in panels) else {"truth"}
    if not {"gap", "excess"} & {*rows}:
        unused |= {CEILING, PROTOCOL}
    kept = [pair for pair in zip(handles, names, strict=True) if pair[1] not in unused]
    handles, names = [handle for handle, _ in kept], [name for _, name in kept]
    bands = "band" in rows
    if bands:
        lines = [("upper bound", UPPER_LINE)] if any(c.band.reached for c in cases) else []
        if any(c.band.tangents for c in cases):
            lines.append(("lower bound", LOWER_LINE))
            handles.append(Line2D([], [], color=TRUTH_COLOUR, alpha=BAND_ALPHA, linewidth=6.0))
            names.append("R(D) is here")
        for name, style in lines:
            handles.append(Line2D([], [], linestyle=style, **BOUND))
            names.append(name)
    own = style_handles({name: styles[key] for key, name in codecs.items() if bands})
    return handles + own[0], names + own[1]


def _has_points(series: Series) -> bool:
    return any(point.distortion is not None for point in series.points)
