"""Figures: what is drawn stands where the records say, and nothing disappears."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot
import numpy as np
import pytest
from matplotlib.figure import Figure

from rdbench import registry
from rdbench.report import figures
from rdbench.report.figures import columns_for, run_figure, save_run_figures
from rdbench.report.scales import gap_scale
from rdbench.report.series import panels_of
from rdbench.report.style import (
    MARKERS,
    PALETTE,
    Look,
    house_style,
    save,
    series_styles,
)
from rdbench.report.ticks import decades, logarithmic_ticks, power_label, tick_label
from rdbench.types import RdbenchError


def draw(records: Any, units: str = "nats") -> Figure:
    panels = panels_of(records)
    styles = series_styles((s.estimator, s.label) for panel in panels for s in panel.series)
    return run_figure(panels, styles, units, "title")


def _is_marked(line: Any) -> bool:
    return line.get_gid() is None and line.get_marker() not in ("None", None, "", "x", 6)


def points_in(axes: Any) -> set[tuple[float, float]]:
    """Everything drawn as a marker, in data coordinates."""
    found = set()
    for line in axes.get_lines():
        if _is_marked(line):
            found |= {(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)}
    return found


def texts_in(axes: Any) -> str:
    return "\n".join(text.get_text() for text in axes.texts)


def test_files_are_pictures_named_after_the_suite_whatever_the_order(tmp_path: Path, realistic):
    paths = save_run_figures(realistic, tmp_path / "new" / "figures")
    assert [path.name for path in paths] == ["vector_gaussian.png", "vector_gaussian.svg"]
    head = paths[0].read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    assert width > 1000
    assert height > 600
    svg = paths[1].read_text()
    assert "ramp-d10" in svg
    assert "blahut_arimoto: all unsupported" in svg
    assert matplotlib.pyplot.get_fignums() == []  # none is kept alive
    again = save_run_figures(realistic[::-1], tmp_path / "again")
    assert svg == again[1].read_text()


UNITS = pytest.mark.parametrize(("units", "scale"), [("nats", 1.0), ("bits", math.log(2.0))])


@UNITS
def test_points_and_their_intervals_stand_where_the_records_say(cell, point, units, scale):
    known = point(rate=0.8, distortion=0.3, rate_half=0.05, distortion_half=0.02, gap=0.07)
    figure = draw([cell(points=[known, point(beta=3.0, rate=0.9, distortion=0.4)])], units)
    curve, gaps = figure.axes
    assert (0.3, 0.8 / scale) in points_in(curve)
    assert (math.log(2.0) / scale, 0.07 / scale) in points_in(gaps)
    assert all(units in text for text in (curve.get_ylabel(), gaps.get_ylabel(), gaps.get_xlabel()))
    bars: list[Any] = [
        line.get_data() for line in curve.get_lines() if line.get_gid() == "interval"
    ]
    across, up = sorted(bars, key=lambda data: bool(data[0][0] == data[0][1]))
    assert list(across[0]) == pytest.approx([0.28, 0.32])
    assert list(across[1]) == [0.8 / scale] * 2
    assert list(up[0]) == [0.3] * 2
    assert list(up[1]) == pytest.approx([0.75 / scale, 0.85 / scale])


@UNITS
def test_the_papers_protocol_is_drawn_where_it_saturates(cell, point, units, scale):
    def run(rate: float) -> tuple[Figure, list[float], list[list[float]]]:
        rates = {"rate": rate, "rate_lo": rate, "rate_hi": rate, "n_paper_protocol": 1000}
        cells = [
            cell(estimator=name, points=[point(**rates, gap_paper_protocol=gap)])
            for name, gap in (("a", 3.0), ("b", 2.0), ("c", None))
        ]
        figure = draw(cells, units)
        above, below = (axes.get_lines() for axes in figure.axes)
        flat = [np.asarray(line.get_ydata()) for line in above]
        least = [line for line in below if line.get_gid() == "protocol"]
        ceilings = [float(y[0]) for y in flat if y.size == 2 and y[0] == y[1]]
        return figure, ceilings, [np.column_stack(line.get_data())[0].tolist() for line in least]

    figure, ceilings, least = run(9.0)
    assert ceilings == [pytest.approx(math.log(1000.0) / scale)]
    assert least == [pytest.approx([9.0 / scale, 2.0 / scale])]
    assert "log 1000" in texts_in(figure.axes[0])
    assert "log N" in " ".join(text.get_text() for text in figure.legends[0].get_texts())
    # Where no rate comes near the ceiling there is nothing to warn of.
    figure, ceilings, least = run(2.0)
    assert not ceilings
    assert not least
    assert "log" not in texts_in(figure.axes[0])


def _size(lines: list[Any]) -> int:
    return sum(len(line.get_xdata()) for line in lines)


def test_every_scored_point_is_drawn_and_every_other_one_is_named(realistic):
    figure = draw(realistic)
    below = figure.axes[3:]
    lines = [line for axes in below for line in axes.get_lines()]
    crosses = [line for line in lines if line.get_marker() == "x"]
    marked = [line for line in lines if _is_marked(line)]
    points = [p for record in realistic for p in record.points]
    assert _size(marked) == sum(p.gap is not None for p in points)
    assert _size(crosses) == sum(p.status in ("unsupported", "crashed") for p in points)
    assert "ebrd: 2 of 16 no gap" in texts_in(below[1])
    assert "ebrd: 2 of 16 crashed" in texts_in(below[2])
    assert "2 points above" in texts_in(figure.axes[2])
    for axes in figure.axes:
        (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
        assert all(x0 < x < x1 and y0 < y < y1 for x, y in points_in(axes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"gap": 0.0, "gap_lo": 0.0, "gap_hi": 0.0},
        {"gap": -0.5, "gap_lo": -0.6, "gap_hi": -0.4},
        {"gap": 1e-9, "gap_lo": 1e-10, "gap_hi": 1e-8},
        {"gap": 1e6, "gap_lo": -1e6, "gap_hi": 1e7},
        {"gap_lo": None, "gap_hi": None},
        {"gap": None, "gap_lo": None, "gap_hi": 3.0},
        {"rate": None, "distortion": None},
        {"rate_lo": None, "rate_hi": None, "dist_lo": None, "dist_hi": None, "target_rate": None},
        {"rate_lo": 0.0, "rate_hi": 0.0, "rate": 0.0, "target_rate": 0.0},
        {"side": "upper"},
    ],
)
def test_one_point_of_any_kind_can_be_drawn(tmp_path: Path, cell, point, changes):
    # Warnings are errors here, so an empty or degenerate axis would show.
    assert len(save_run_figures([cell(points=[point(**changes)])], tmp_path)) == 2


def test_nothing_but_failures_can_be_drawn(tmp_path: Path, cell, failed):
    unknown = dict.fromkeys(("rate_lo", "rate_hi", "dist_lo", "dist_hi", "target_rate"))
    cells = [
        cell(points=[failed("unsupported", "no")]),
        cell(case="toy-d3", dim=3, points=[failed("error", "no", **unknown)]),
        cell(case="toy-d4", dim=4, points=[]),
    ]
    assert len(save_run_figures(cells, tmp_path)) == 2
    figure = draw(cells)
    assert "good: all unsupported" in texts_in(figure.axes[3])
    assert "good: all error" in texts_in(figure.axes[4])


def test_labels_are_literal_and_names_safe(tmp_path: Path, cell):
    assert save_run_figures([], tmp_path) == []
    odd = cell(suite="../two/x", case="$x_1^2", estimator="a_b", params={"cost": "$5"})
    paths = save_run_figures([cell(suite="one"), odd], tmp_path)
    assert all(path.parent == tmp_path for path in paths)
    assert len({path.name for path in paths}) == 4
    assert any("a_b[cost=$5]" in path.read_text() for path in paths if path.suffix == ".svg")


def test_many_cases_wrap_and_turn_the_page(tmp_path: Path, cell, monkeypatch):
    assert [columns_for(n) for n in (1, 3, 4, 5, 6, 7, 9, 12)] == [1, 3, 4, 3, 3, 4, 3, 4]
    cells = [cell(case=f"c-d{d}", dim=d) for d in range(1, 6)]
    titles = [axes.get_title() for axes in draw(cells).axes if axes.get_title()]
    assert titles == [f"c-d{d} (d = {d})" for d in range(1, 6)]
    monkeypatch.setattr(figures, "MOST_PANELS", 1)
    paths = save_run_figures(cells[:2], tmp_path)
    assert [path.name for path in paths] == ["toy.png", "toy.svg", "toy-2.png", "toy-2.svg"]
    assert "c-d2" in paths[3].read_text()


def test_an_unwritable_folder_is_one_line(tmp_path: Path, cell):
    (tmp_path / "file").write_text("")
    with pytest.raises(RdbenchError, match=r"cannot write to .*file/figures") as caught:
        save_run_figures([cell()], tmp_path / "file" / "figures")
    assert "\n" not in str(caught.value)


def test_a_later_run_keeps_the_picture_of_an_earlier_one(tmp_path: Path, cell):
    plain = save_run_figures([cell()], tmp_path)
    before = [path.read_bytes() for path in plain]
    later = save_run_figures(
        [cell(estimator="other")], tmp_path, variants={"toy": "estimators=other"}
    )
    assert [path.name for path in later] == ["toy-estimators=other.png", "toy-estimators=other.svg"]
    assert [path.read_bytes() for path in plain] == before
    assert save_run_figures([cell()], tmp_path, variants={"toy": ""}) == plain


def test_names_of_pictures_are_short_safe_and_different():
    variants = ["", "dims=2,5", "estimators=ebrd:paper", "estimators=ebrd_paper", "cases=a/*",
                "rates=" + "1," * 99, "rates=" + "1," * 98]  # fmt: skip
    stems = [figures.file_stem("toy", one) for one in variants]
    assert stems[:2] == ["toy", "toy-dims=2,5"]
    assert len(set(stems)) == len(stems)
    assert all(len(stem) < 100 and not set(stem) & set(" /\\:*[]") for stem in stems)


def test_what_no_channel_reaches_is_counted_and_not_drawn(cell, point):
    good = point(rate=0.7, distortion=0.26)
    # D < 0; R < R(D) = .693 at D = .25; the same within the interval of R.
    false = [point(rate=9.0, distortion=-0.1), point(rate=0.5, distortion=0.25)]
    near = point(rate=0.5, distortion=0.25, rate_half=0.25, distortion_half=0.01)
    above = draw([cell(points=[good, *false, near])]).axes[0]
    assert points_in(above) == {(0.26, 0.7), (0.25, 0.5)}
    assert "2 points with impossible R, D not drawn" in texts_in(above)
    assert "impossible" not in texts_in(draw([cell(points=[good, near])]).axes[0])


def test_importing_the_report_loads_no_plotting_library():
    code = (
        "import sys, rdbench.report.tables, rdbench.report.figures\n"
        "sys.exit('matplotlib.pyplot' in sys.modules or 'seaborn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------ axes, looks


def test_the_gap_axis_is_logarithmic_only_above_zero(point):
    positive = gap_scale([point(gap=g, gap_lo=g / 2, gap_hi=2 * g) for g in (1e-9, 40.0)])
    assert positive.kind == "log"
    assert positive.lo <= 5e-10
    assert positive.hi >= 80.0
    mixed = gap_scale([point(gap=0.002, gap_lo=-0.003, gap_hi=0.007), point(gap=40.0, gap_hi=41.0)])
    assert mixed.linear == pytest.approx(1e-2)
    assert mixed.lo < -0.003
    assert mixed.hi > 41.0


def test_ticks_are_few_and_read_as_numbers():
    assert decades(1e-9, 40.0, most=6) == pytest.approx([1e-9, 1e-7, 1e-5, 1e-3, 1e-1, 10.0])
    assert [power_label(v) for v in (0.0, 1e-3, -0.1, 100.0, 1e-9, -1e4)] == [
        "0", "0.001", "-0.1", "100", "10⁻⁹", "-10⁴",
    ]  # fmt: skip
    # A short logarithmic axis has some between the decades.
    assert logarithmic_ticks(0.04, 0.9, most=5) == [0.05, 0.1, 0.2, 0.5]
    assert logarithmic_ticks(0.02, 4.0, most=5) == [0.03, 0.1, 0.3, 1.0, 3.0]
    assert logarithmic_ticks(1e-3, 40.0, most=5) == [1e-3, 1e-2, 0.1, 1.0, 10.0]
    assert [tick_label(v) for v in (0.05, 0.1, 300.0, 1e-5)] == ["0.05", "0.1", "300", "10⁻⁵"]


BUILT_IN = {
    "ebrd": Look("#0072B2", "o"), "blahut_arimoto": Look("#D55E00", "s"),
    "nerd": Look("#009E73", "^"), "beta_vae": Look("#CC79A7", "D"), "wgd": Look("#E69F00", "v"),
    "mixture_em": Look("#56B4E9", "P"),
}  # fmt: skip


@pytest.mark.parametrize("count", [1, 6, 12, 130])
def test_strangers_look_like_nobody_else(count):
    names = [*BUILT_IN, *(f"stranger-{k}" for k in range(count))]
    styles = series_styles(((n, n) for n in names), BUILT_IN)
    assert all(styles[n].colour == BUILT_IN[n].colour for n in BUILT_IN)
    assert len({(s.colour.upper(), s.marker) for s in styles.values()}) == len(names)
    # As many as the palette has room for differ in colour and in marker.
    strangers = sorted(names[len(BUILT_IN) :])[: len(PALETTE) - len(BUILT_IN)]
    few = [styles[n] for n in (*BUILT_IN, *strangers)]
    assert len({s.colour for s in few}) == len({s.marker for s in few}) == len(few)
    assert {s.marker for s in styles.values()} <= set(MARKERS)
    assert styles == series_styles(((n, n) for n in names[::-1]), BUILT_IN)


def test_registered_looks_are_kept_and_the_others_keep_clear_of_them():
    for name, look in BUILT_IN.items():
        info = registry.load_estimator(name).info
        assert (info.colour, info.marker) == (look.colour, look.marker)
    infos = [registry.load_estimator(name).info for name in registry.names("estimator")]
    assert len({(info.colour, info.marker) for info in infos}) == len(infos)
    names = [f"e{k}" for k in range(5)]
    for colour in PALETTE:
        styles = series_styles(((n, n) for n in names), {"e0": Look(colour.lower(), "*")})
        assert (styles["e0"].colour, styles["e0"].marker) == (colour.lower(), "*")
        assert colour not in {styles[n].colour for n in names[1:]}


def test_registrations_that_are_alike_or_ask_for_half_a_look_are_kept():
    asked = {f"e{k}": Look("#123456") for k in range(20)} | {"twin": Look("#123456", "o")}
    styles = series_styles(((n, n) for n in asked), asked)
    assert {s.colour for s in styles.values()} == {"#123456"}
    assert len({s.marker for s in styles.values()}) == len(MARKERS)


def test_variants_share_the_colour_and_differ_in_fill_and_line():
    labels = ["e", "e:paper", "e:plain", *(f"e[steps={k}]" for k in range(5))]
    styles = series_styles(("e", one) for one in labels)
    assert len({(s.colour, s.marker) for s in styles.values()}) == 1
    assert len({(s.filled, s.line) for s in styles.values()}) == 8
    assert styles["e"].filled
    # A variant keeps its line, whatever else is drawn.
    together = series_styles(("e", one) for one in labels[:3])
    for one in labels[:3]:
        assert series_styles([("e", one)])[one] == together[one]


def test_variants_are_told_apart_by_their_lines_in_both_panels(cell, point):
    other = {"beta": 8.0, "distortion": 0.1, "rate": 1.2, "rate_lo": 1.1, "rate_hi": 1.1}
    points = [point(distortion=0.3), point(**other)]
    cells = [cell(points=points), cell(points=points, preset="paper")]
    for axes, xs in zip(draw(cells).axes, ([0.1, 0.3], [math.log(2.0), 1.1]), strict=True):
        dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
        assert [np.asarray(line.get_xdata()).tolist() for line in dashed] == [xs]


# ------------------------------------------------------------------------------- intervals


def _bars(axes: Any) -> list[tuple[float, float]]:
    """The vertical lines, from below to above."""
    drawn = [line.get_data() for line in axes.get_lines() if line.get_transform() != axes.transAxes]
    return [
        (float(min(y)), float(max(y)))
        for x, y in drawn
        if len(x) == 2 and x[0] == x[1] and tuple(y) != (0, 1)
    ]


def _arrows(axes: Any) -> list[tuple[float, float]]:
    arrows = [line for line in axes.get_lines() if line.get_gid() == "one-sided"]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in arrows]


@pytest.mark.parametrize("side", ["exact", "estimate", "upper"])
def test_an_upper_bound_has_an_arrow_and_no_lower_end(cell, point, side):
    bit = math.log(2.0)
    found = point(gap=0.03 * bit, gap_lo=0.01 * bit, gap_hi=0.08 * bit, side=side)
    below = draw([cell(points=[found])], "bits").axes[1]
    if side == "upper":
        # The mark stands at the bound, as the tables print it.
        assert _bars(below) == []
        assert list(points_in(below)) == [pytest.approx((1.0, 0.08))]
        assert _arrows(below) == [pytest.approx((1.0, 0.08))]
    else:
        assert _bars(below) == [pytest.approx((0.01, 0.08))]
        assert _arrows(below) == []


# ------------------------------------------------------------------------------------ files


def test_equal_figures_are_equal_files_in_every_format(tmp_path: Path, cell):
    def written(folder: Path) -> list[bytes]:
        with house_style():
            paths = save(draw([cell()]), folder, "x")
        assert [path.name for path in paths] == ["x.pdf", "x.png", "x.svg"]
        return [path.read_bytes() for path in paths]

    first = written(tmp_path / "a")
    assert first == written(tmp_path / "b")
    # Embedded as TrueType, not as Type 3.
    assert b"/CIDFontType2" in first[0]
    assert b"/Type3" not in first[0]


def test_a_lower_twin_is_hollow_and_dashed():
    names = ("wgd", "wgd+lower")
    upper, lower = (series_styles((n, n) for n in names)[n] for n in names)
    assert (upper.filled, upper.line) == (True, "-")
    assert (lower.filled, lower.line) == (False, "--")


def test_what_the_audit_withholds_is_marked(cell, point):
    withheld = point(
        rate=None,
        distortion=None,
        lagrangian=None,
        gap=None,
        gap_lo=1e3,
        gap_hi=2e3,
        rate_error=None,
    )
    figure = draw([cell(points=[point(), withheld])])
    assert "R and D withheld by the audit" in {
        text.get_text() for text in figure.legends[0].get_texts()
    }
    squares = [line for line in figure.axes[-1].get_lines() if line.get_marker() == "s"]
    assert any(line.get_markerfacecolor() == "none" for line in squares)
    assert "withheld" not in str(draw([cell()]).legends[0].get_texts())


def test_a_long_legend_covers_no_panel(cell, point):
    records = [
        cell(estimator=f"a_method_of_a_long_name_{i:02d}", points=[point(gap=0.01 * i)])
        for i in range(60)
    ]
    with house_style():
        figure = draw(records)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    top = legend.get_window_extent().y1
    for axes in figure.axes:
        assert axes.get_window_extent().height > 100
        assert axes.get_window_extent().y0 >= top
