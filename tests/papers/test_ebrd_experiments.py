"""The committed tables of the two experiments are drawn, and the page says what they say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from rdbench.estimators.ebrd import reference
from rdbench.papers.ebrd import PAPER, limit, theorem
from rdbench.papers.ebrd.figures import _experiments
from rdbench.papers.ebrd.limit_figure import limit_figure
from rdbench.papers.ebrd.theorem_figure import theorem_figure
from rdbench.report import style
from rdbench.reproduce import published
from rdbench.types import RdbenchError

THEOREM, LIMIT = theorem.load(), limit.load()


@pytest.mark.parametrize(("units", "scale"), [("nats", 1.0), ("bits", math.log(2.0))])
def test_what_is_drawn_is_what_was_found(units: str, scale: float):
    with style.house_style():
        panel = theorem_figure(THEOREM, units).axes[1]
        divergences = limit_figure(LIMIT, units).axes[1]
    gaps = THEOREM["gaps"]
    rows = gaps[(gaps["dim"] == 10) & (gaps["true_rate"] == 2.0) & (gaps["reading"] == "exact")]
    drawn = panel.containers[0]
    assert isinstance(drawn, ErrorbarContainer)
    curve, _, (bars,) = drawn.lines
    assert list(np.asarray(curve.get_xdata())) == list(rows["n"])
    assert list(np.asarray(curve.get_ydata())) == pytest.approx(list(rows["gap"] / scale))
    lower = [float(segment[0][1]) for segment in bars.get_segments()]
    assert lower == pytest.approx(list(rows["gap_lo"] / scale))
    assert panel.get_title() == f"d = 10, R* = {2.0 / scale:.3g} {units}"
    kl = LIMIT["learned"].query("source == 'two modes'")["kl"]
    assert list(np.asarray(divergences.lines[1].get_ydata())) == pytest.approx(list(kl / scale))
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


def exponent(rows: pd.DataFrame, name: str) -> float:
    """a of value ~ beta^a over beta >= 5, where the leading term has taken over."""
    used = rows[rows["beta"] >= 5.0]
    return float(np.polyfit(np.log(used["beta"]), np.log(used[name]), 1)[0])


def test_the_page_says_what_the_tables_say():
    learned, gaps, prices = LIMIT["learned"], THEOREM["gaps"], THEOREM["prices"]
    said = {"gradient_start": (-1.0, -1.0), "gradient_end": (-0.96, -0.96), "kl": (-2.02, -1.85)}
    for name, (steep, flat) in said.items():
        found = [exponent(rows, name) for _, rows in learned.groupby(["source", "seed"])]
        assert (round(min(found), 2), round(max(found), 2)) == (steep, flat)
    plane = learned[learned["dim"] == 2]
    at = dict(zip(plane["true_rate"].round(1), plane["tv_optimal"], strict=True))
    assert (round(at[6.0], 3), round(at[2.5], 2)) == (0.003, 0.11)
    measured = prices[prices["dim"] == 10].dropna(subset="measured")
    slope = np.polyfit(measured["true_rate"], measured["measured"], 1)[0]
    assert round(float(slope), 2) == 1.44
    exact = gaps[(gaps["reading"] == "exact") & (gaps["n"] == 100_000)].set_index("true_rate")
    assert exact["gap"][exact.index <= 6.0].max() < 0.035
    assert (round(exact["rate"][20.0], 2), round(exact["gap"][20.0])) == (11.29, 24)
    (price,) = prices["draws"][prices["true_rate"] == 30.0]
    assert math.exp(price) == pytest.approx(3.4e14, rel=0.02)


def test_what_decides_nothing_is_told_by_the_estimator_in_these_words():
    left_out = {one.not_if for one in published.read(PAPER.published)} - {""}
    said = (
        *(reference._BUDGET, reference._UNJUDGED),
        *(reference._NO_GAIN, reference._UNSAFE),
    )
    assert all(reason.startswith(tuple(left_out)) for reason in said)
