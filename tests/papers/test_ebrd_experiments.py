"""The committed tables of the two experiments are drawn, and the page says what they say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from rdbench.estimators.ebrd import reference
from rdbench.papers.ebrd import PAPER, limit, theorem
from rdbench.papers.ebrd.figures import _experiments
from rdbench.papers.ebrd.limit_figure import limit_figure
from rdbench.papers.ebrd.rows import read, write
from rdbench.papers.ebrd.theorem_figure import theorem_figure
from rdbench.report import style
from rdbench.reproduce import published
from rdbench.types import RdbenchError

THEOREM, LIMIT = theorem.load(), limit.load()


def test_a_table_reads_back_as_it_was_written(tmp_path: Path):
    for rows in (THEOREM.needed, LIMIT.learned):  # unknown ends among them
        write(rows, tmp_path / "rows.csv")
        assert read(tmp_path / "rows.csv", type(rows[0])) == rows
    committed = theorem.FILES["needed"].read_bytes()
    write(THEOREM.needed, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == committed


@pytest.mark.parametrize(("units", "scale"), [("nats", 1.0), ("bits", math.log(2.0))])
def test_what_is_drawn_is_what_was_found(units: str, scale: float):
    with style.house_style():
        panel = theorem_figure(THEOREM, units).axes[1]
        divergences = limit_figure(LIMIT, units).axes[1]
    rows = [
        row for row in THEOREM.plug_in
        if (row.dim, row.true_rate, row.reading) == (10, 2.0, "exact")
    ]  # fmt: skip
    drawn = panel.containers[0]
    assert isinstance(drawn, ErrorbarContainer)
    curve, _, (bars,) = drawn.lines
    assert list(np.asarray(curve.get_xdata())) == [row.n for row in rows]
    gaps = list(np.asarray(curve.get_ydata()))
    assert gaps == pytest.approx([row.gap / scale for row in rows])
    lower = [float(segment[0][1]) for segment in bars.get_segments()]
    assert lower == pytest.approx([row.gap_lo / scale for row in rows])
    assert panel.get_title() == f"d = 10, R* = {2.0 / scale:.3g} {units}"
    learned = [row for row in LIMIT.learned if row.source == "two modes"]
    points = np.asarray(divergences.lines[1].get_ydata())
    assert list(points) == pytest.approx([row.kl / scale for row in learned])
    assert units in divergences.get_ylabel()
    with pytest.raises(RdbenchError, match="unknown units"):
        theorem_figure(THEOREM, "hartleys")


def test_pictures_and_tables_are_written(tmp_path: Path):
    with style.house_style():
        names = {path.name for path in _experiments(tmp_path, "nats")}
    assert names == {path.name for path in tmp_path.iterdir()}
    assert {f"figure-{path.name}" for path in theorem.FILES.values()} <= names
    for name in names:
        if name.endswith(".csv"):
            assert f"({name})" in PAPER.prose


def exponent(rows: list[limit.LearnedRow], name: str) -> float:
    """a of value ~ beta^a over beta >= 5, where the leading term has taken over."""
    used = [row for row in rows if row.beta >= 5.0]
    x, y = (np.log([getattr(row, column) for row in used]) for column in ("beta", name))
    return float(np.polyfit(x, y, 1)[0])


def test_the_page_says_what_the_tables_say():
    runs = [
        [row for row in LIMIT.learned if (row.source, row.seed) == key]
        for key in {(row.source, row.seed) for row in LIMIT.learned}
    ]
    said = {"gradient_start": (-1.0, -1.0), "gradient_end": (-0.96, -0.96), "kl": (-2.02, -1.85)}
    for name, (steep, flat) in said.items():
        found = [exponent(rows, name) for rows in runs]
        assert (round(min(found), 2), round(max(found), 2)) == (steep, flat)
    at = {round(r.true_rate, 1): r.tv_optimal for r in LIMIT.learned if r.dim == 2}
    assert (round(at[6.0], 3), round(at[2.5], 2)) == (0.003, 0.11)
    measured = {r.true_rate: r.measured for r in THEOREM.needed if r.dim == 10 and r.measured}
    slope = np.polyfit(list(measured), list(measured.values()), 1)[0]
    assert round(float(slope), 2) == 1.44
    exact = [r for r in THEOREM.plug_in if r.reading == "exact" and r.n == 100_000]
    assert max(r.gap for r in exact if r.true_rate <= 6.0) < 0.035
    (last,) = (r for r in exact if r.true_rate == 20.0)
    assert (round(last.rate, 2), round(last.gap)) == (11.29, 24)
    (price,) = (r.draws for r in THEOREM.needed if r.true_rate == 30.0)
    assert math.exp(price) == pytest.approx(3.4e14, rel=0.02)


def test_what_decides_nothing_is_told_by_the_estimator_in_these_words():
    left_out = {one.not_if for one in published.read(PAPER.published)} - {""}
    said = (reference._BUDGET, reference._UNJUDGED, reference._NO_GAIN)
    assert all(reason.startswith(tuple(left_out)) for reason in said)
