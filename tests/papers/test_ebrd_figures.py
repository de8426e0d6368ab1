"""The paper's figures show what the records say, and nothing where there is nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from msgspec.structs import replace

from rdbench.papers.ebrd import figures, samples
from rdbench.papers.ebrd.figures import draw
from rdbench.papers.ebrd.samples import CLOUD, conditional_figure, reconstruction_figure
from rdbench.report.style import PAGE_WIDTH, PALETTE, Look, house_style, save
from rdbench.reproduce import figures as reproduced
from rdbench.reproduce.figures import draw_settings
from rdbench.reproduce.paper import Drawing, Found, Part
from rdbench.run.records import CellRecord, Draws, PointRecord
from rdbench.types import RdbenchError
from tests.report.conftest import make_cell

LOOKS = {"ours": Look("#0072B2", "o"), "grid": Look("#D55E00", "s")}
RATES = (0.5, 2.0, 6.0)


def point(rate: float, /, **changes: Any) -> PointRecord:
    """A point of a Gaussian in the plane with variances 1, whose R(D) is log(2 / D)."""
    distortion = 2.0 * math.exp(-rate)
    beta = 1.0 / distortion
    fstar = rate + beta * distortion
    values: dict[str, Any] = {
        "beta": beta, "target_rate": rate, "status": "ok", "rate": rate + 0.01,
        "distortion": distortion, "lagrangian": fstar + 0.01, "gap": 0.01, "gap_lo": -0.002,
        "gap_hi": 0.02, "side": "exact", "truth_lo": fstar, "truth_hi": fstar, "rate_lo": rate,
        "rate_hi": rate, "dist_lo": distortion, "dist_hi": distortion,
    }  # fmt: skip
    return PointRecord(**(values | changes))


def failed(rate: float, status: str = "unsupported") -> PointRecord:
    names = ("rate", "distortion", "lagrangian", "gap", "gap_lo", "gap_hi", "side")
    return point(rate, **dict.fromkeys(names), status=status, reason="no")


def draws(shift: float = 0.0) -> Draws:
    """Four x, five y at each and six pairs, all of them different."""
    x = [[-6.0, 0.0], [6.0, 0.0], [0.0, 6.0], [0.0, -6.0]]
    y = [[[a + 0.1 * k, b + shift] for k in range(5)] for a, b in x]
    source = [[float(k), float(-k)] for k in range(-3, 3)]
    return Draws(x=x, y=y, source=source, reproduction=[[a + 0.5, b + shift] for a, b in source])


def cell(estimator: str, points: list[PointRecord], **changes: Any) -> CellRecord:
    values = {"case": "toy-d2", "dim": 2, "estimator": estimator, "points": points,
              "budget": "quick"} | changes  # fmt: skip
    names = ("case", "estimator", "preset", "seed", "n_train")
    return make_cell(cell="-".join(str(values.get(name)) for name in names), **values)


def part(name: str, **changes: Any) -> Part:
    return Part(name, f"Part {name}", "toy", ("toy-d2",), ("ours", "grid"), **changes)


@pytest.fixture(scope="module")
def found() -> list[Found]:
    """All parts, of two estimators; one of them fails at the highest rate."""
    ours = [point(r, draws=draws(r)) for r in RATES]
    grid = [*(point(r, side="upper", draws=draws(-r)) for r in RATES[:2]), failed(RATES[2])]
    both = (cell("ours", ours), cell("grid", grid))
    fixed = (cell("ours", ours, n_train=5000), cell("grid", grid, n_train=5000))
    return [
        Found(part("2"), both),
        Found(part("3"), both, missing=("a", "b"), stale=("c",)),
        Found(part("4a"), both),
        Found(part("4b", n_train=5000), fixed),
        Found(part("5", draws=5), both),
    ]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that would be written, by stem, without the seconds that writing takes."""
    return _keep_figures(monkeypatch)


def _keep_figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    kept: dict[str, Figure] = {}

    def keep(figure: Figure, out: Path, stem: str) -> list[Path]:
        kept[stem] = figure
        return [out / stem]

    monkeypatch.setattr(figures, "save", keep)
    monkeypatch.setattr(reproduced, "save", keep)
    monkeypatch.setattr(figures, "_experiments", lambda *_: [])  # they have tests of their own
    return kept


def drawing(found: Sequence[Found], units: str = "nats", out: Path | None = None) -> Drawing:
    return Drawing(found, out or Path(), LOOKS, units)


@pytest.fixture(scope="module")
def everything(found: list[Found]) -> dict[str, Figure]:
    """All figures of ``found``, in nats."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        kept = _keep_figures(monkeypatch)
        draw(drawing(found))
    return kept


def by_gid(axes: Any, prefix: str) -> dict[str, np.ndarray]:
    return {
        str(line.get_gid()): np.column_stack(line.get_data())
        for line in axes.get_lines()
        if str(line.get_gid()).startswith(prefix)
    }


def colours_of(figure: Figure) -> dict[str, tuple[Any, Any]]:
    """Colour and marker by label, from the handles of the legends."""
    found: dict[str, tuple[Any, Any]] = {}
    legends: list[Any] = [*figure.legends, *(a.get_legend() for a in figure.axes)]
    for legend in filter(None, legends):
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            found[text.get_text()] = (handle.get_color(), handle.get_marker())
    return {name: found[name] for name in LOOKS if name in found}


def test_every_figure_is_drawn_once_and_estimators_look_alike_in_all(everything):
    stems = ["figure-2", "figure-3", "figure-4", "figure-5", "figure-5-alone", "figure-6"]
    assert list(everything) == stems
    expected = {name: (look.colour, look.marker) for name, look in LOOKS.items()}
    for stem in stems[:3]:
        assert colours_of(everything[stem]) == expected
        assert everything[stem].get_size_inches()[0] == PAGE_WIDTH


def test_no_text_is_too_small_to_be_read_in_print(everything):
    for figure in everything.values():
        texts: Any = figure.findobj(Text)
        assert min(text.get_fontsize() for text in texts if text.get_text()) >= 6.5


def test_points_stand_where_the_records_say(drawn, found):
    draw(drawing([one for one in found if one.part.name in ("2", "4a")], "bits"))
    scale = math.log(2.0)
    for stem, column in (("figure-2", 0), ("figure-4", 1)):
        across = len(drawn[stem].axes) // 2
        above, below = drawn[stem].axes[column], drawn[stem].axes[across + column]
        hollow = [line for line in above.get_lines() if line.get_marker() == "o"]
        truth = [2.0 * math.exp(-r) for r in RATES]
        np.testing.assert_allclose(hollow[0].get_xdata(), truth)
        np.testing.assert_allclose(hollow[0].get_ydata(), [(r + 0.01) / scale for r in RATES])
        marks = [line for line in below.get_lines() if line.get_marker() == "o"]
        ours = next(line for line in marks if line.get_gid() is None)
        np.testing.assert_allclose(ours.get_xdata(), np.array(RATES) / scale)
        np.testing.assert_allclose(ours.get_ydata(), 0.01 / scale)
        # One estimator is bounded from above only, at two rates, and fails at the third.
        assert sum(line.get_gid() == "one-sided" for line in below.get_lines()) == 2
        crosses = [line for line in below.get_lines() if line.get_marker() == "x"]
        np.testing.assert_allclose(crosses[0].get_xdata(), [RATES[2] / scale])


def test_what_was_not_run_is_told(everything):
    title = everything["figure-3"].legends[0].get_title().get_text()
    assert title == "2 cells not run; 1 cell by earlier code"
    assert everything["figure-2"].legends[0].get_title().get_text() == ""


def test_the_source_beside_figure_4_is_that_of_the_draws(drawn, found, everything):
    left = everything["figure-4"].axes[0]
    np.testing.assert_array_equal(np.column_stack(left.get_lines()[0].get_data()), draws().source)
    draw(drawing([one for one in found if one.part.name == "4a"]))
    assert not drawn["figure-4"].axes[0].get_lines()


# ------------------------------------------------------------------------------- the samples


def test_conditionals_are_the_draws_at_their_symbols(found):
    figure = conditional_figure(found[4].records, "title", "nats")
    panels = figure.axes[:6]
    for row, sign in ((0, 1.0), (1, -1.0)):
        for column, rate in enumerate(RATES):
            clouds = by_gid(panels[3 * row + column], "y")
            symbols = by_gid(panels[3 * row + column], "x")
            if row == 1 and column == 2:
                assert not clouds
                assert [text.get_text() for text in panels[5].texts] == ["unsupported"]
                continue
            kept = draws(sign * rate)
            for k in range(4):
                np.testing.assert_array_equal(clouds[f"y{k}"], kept.y[k])
                np.testing.assert_array_equal(symbols[f"x{k}"], [kept.x[k]])
            circles: Any = panels[3 * row + column].patches
            radii = [circle.radius for circle in circles]
            assert radii == pytest.approx([math.sqrt(2.0 * math.exp(-rate))] * 4)


def test_titles_hold_the_audited_numbers_and_the_side(found):
    figure = conditional_figure(found[4].records, "title", "bits")
    titles = [axes.get_title() for axes in figure.axes[:6]]
    bits = math.log(2.0)
    assert titles[0].split("\n") == [
        f"R* = {0.5 / bits:.3g} bits, D* = 1.21",
        f"R = {0.51 / bits:.3g}, D = 1.21",
        f"gap [{-0.002 / bits:.2g}, {0.02 / bits:.2g}]",
    ]
    assert titles[3].split("\n")[1] == f"gap ≤ {0.02 / bits:.2g}"
    assert titles[5] == ""


def test_small_clouds_have_a_lens(found):
    figure = conditional_figure(found[4].records[:1], "title", "nats")
    lenses = [len(axes.child_axes) for axes in figure.axes[:3]]
    # sqrt(D*) = 1.1, .52 and .07 on an axis of 7.
    assert lenses == [0, 0, 1]
    lens = figure.axes[2].child_axes[0]
    assert sum(lens.get_xlim()) / 2 == pytest.approx(-6.0)


def test_the_reconstruction_is_that_of_the_highest_rate(found):
    figure = reconstruction_figure(found[4].records, "nats")
    assert figure is not None
    large, small = figure.axes
    x, y = (np.column_stack(line.get_data()) for line in large.get_lines())
    np.testing.assert_array_equal(x, draws().source)
    np.testing.assert_array_equal(y, draws(6.0).reproduction)
    assert "R* = 6 nats" in figure.get_suptitle()
    assert "R = 6.01" in large.get_title()
    assert [text.get_text() for text in small.texts] == ["unsupported"]


def test_the_lowest_seed_is_shown(drawn):
    records = tuple(
        cell("ours", [point(2.0, draws=draws(float(seed)))], seed=seed) for seed in (2, 1)
    )
    draw(drawing([Found(part("5", draws=5), records)]))
    clouds = by_gid(drawn["figure-5"].axes[0], "y")
    np.testing.assert_array_equal(clouds["y0"], draws(1.0).y[0])


# ----------------------------------------------------------------------------- side by side


def test_presets_stand_in_the_column_of_their_estimator(drawn, found):
    printed = (cell("ours", [point(9.0, gap=3.0, gap_lo=2.0, gap_hi=4.0)], preset="paper"),)
    more = [*found, Found(part("side-by-side"), printed)]
    assert draw_settings(drawing(more)) == [Path("side-by-side")]
    grid, ours = drawn["side-by-side"].axes
    assert (grid.get_title(), ours.get_title()) == ("grid", "ours")
    assert grid.get_xlim() == ours.get_xlim()
    assert all(line.get_marker() != "o" for line in grid.get_lines())
    marks = [line for line in ours.get_lines() if line.get_marker() == "o"]
    assert [(m.get_markerfacecolor(), list(m.get_ydata())) for m in marks] == [
        ("#0072B2", [0.01] * 3), ("white", [3.0]),
    ]  # fmt: skip
    names = [text.get_text() for text in drawn["side-by-side"].legends[0].get_texts()]
    assert names[:2] == ["default", "paper"]


def test_without_presets_nothing_stands_side_by_side(drawn, found):
    assert draw_settings(drawing(found)) == []
    assert draw_settings(drawing([])) == []


# --------------------------------------------------------------------------------- odd input


def test_parts_without_records_have_no_figure(drawn, found):
    empty = [Found(one.part, (), ("a",)) for one in found]
    assert draw(drawing(empty)) == []
    assert draw(drawing([])) == []
    assert [p.name for p in draw(drawing(found[3:4]))] == ["figure-4"]


def test_settings_that_differ_within_a_figure_are_named(drawn, found):
    printed = cell("ours", [point(2.0, draws=draws())], preset="paper", budget="full")
    both = Found(part("2"), (*found[0].records, printed))
    draw(drawing([both, *found[1:]]))
    names = {text.get_text() for text in drawn["figure-2"].legends[0].get_texts()}
    assert {"ours, budget quick", "ours:paper, budget full"} <= names


_UNKNOWN = dict.fromkeys(
    ("rate", "distortion", "gap", "gap_lo", "gap_hi", "rate_lo", "rate_hi", "dist_lo", "dist_hi",
     "truth_lo", "truth_hi", "target_rate")
)  # fmt: skip


@pytest.mark.parametrize(
    "points",
    [
        [],
        [failed(2.0, "error")],
        [failed(2.0, "error"), failed(6.0, "timeout")],
        [point(2.0)],
        [point(2.0, draws=draws())],
        [point(2.0, draws=draws(), **_UNKNOWN)],
        [point(2.0, draws=draws(), gap_lo=None, gap_hi=None, dist_lo=None)],
        [point(2.0, draws=draws(), gap=None, side="upper")],
        [point(2.0, draws=Draws(x=[], y=[], source=[], reproduction=[]))],
        [
            # The first of them is the source that the axes are made for.
            point(6.0, draws=replace(
                draws(), source=[[math.inf, 0.0], [1.0, 2.0]], reproduction=[[0.0, 0.0], [1.0, 1.0]]
            )),
            point(2.0, draws=draws(math.nan)),
        ],
        [point(2.0, draws=Draws(x=[[1.0]], y=[[[1.0]]], source=[[1.0]], reproduction=[[1.0]]))],
    ],
    ids=["none", "failed", "all-failed", "no-draws", "one", "unknown", "no-ends", "no-gap",
         "empty-draws", "not-finite", "line"],
)  # fmt: skip
def test_any_records_can_be_drawn(drawn, points):
    records = (cell("ours", points, dim=1 if points and points[0].draws
                    and points[0].draws.x == [[1.0]] else 2),)  # fmt: skip
    parts = [Found(part(name), records) for name in ("2", "4a", "5")]
    draw(drawing(parts))
    assert "figure-2" in drawn
    for figure in drawn.values():
        # Warnings are errors here: the layout must be possible, too.
        figure.draw_without_rendering()


def test_units_and_folders_are_checked_first(tmp_path: Path, found):
    with pytest.raises(RdbenchError, match="unknown units"):
        draw(drawing(found, "bytes", tmp_path))
    with pytest.raises(RdbenchError, match="unknown units"):
        draw_settings(drawing(found, "bytes", tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(RdbenchError, match="cannot write"):
        draw(drawing(found[:1], "nats", tmp_path / "file" / "out"))


def test_files_are_the_same_each_time(tmp_path: Path, found):
    # Clouds are pictures within the drawing, which have names of their own in an SVG.
    with house_style():
        written = [
            save(conditional_figure(found[4].records[:1], "title", "nats"), tmp_path / name, "x")
            for name in ("a", "b")
        ]
    assert [path.name for path in written[0]] == ["x.pdf", "x.png", "x.svg"]
    for one, other in zip(*written, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_symbols_do_not_look_like_estimators():
    assert not set(samples.SYMBOL_COLOURS) & set(PALETTE)
    assert len(set(samples.SYMBOL_COLOURS)) == len(set(samples.SYMBOL_MARKERS)) == 4
    assert CLOUD["rasterized"]
