"""The pictures of papers show the numbers of their tables and records."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from rdbench.papers.discretisation.figure import orders_figure
from rdbench.papers.discretisation.orders import DATA
from rdbench.papers.ebrd.theorem import GAP
from rdbench.papers.root_tracking.figure import vanishing_figure
from rdbench.papers.sample_size.figure import sizes_figure
from rdbench.papers.sample_size.sizes import needed
from rdbench.papers.wgd.figure import particles_figure
from rdbench.report.style import SeriesStyle, house_style
from tests.report.conftest import make_cell, make_point


@pytest.fixture(autouse=True)
def style():
    with house_style():
        yield


def _lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_the_vanishing_atom():
    (axes,) = vanishing_figure().axes
    lines = _lines(axes)
    assert lines["published"].get_xdata()[0] == 0.86
    assert lines["β = log(7/3)"].get_xdata()[0] == pytest.approx(math.log(7.0 / 3.0))
    masses = dict(zip(*lines["tracked"].get_data(), strict=True))
    assert masses[0.86] == pytest.approx(0.0065645, abs=1e-6)


def test_the_errors_of_grids():
    table = pd.read_csv(DATA / "errors.csv")
    by_step, by_mass = orders_figure(table).axes
    line = _lines(by_step)["uniform, midpoints"]
    mine = table.query("source == 'uniform' and cost == 'midpoints'")
    assert list(line.get_xdata()) == list(mine["h"])
    assert line.get_ydata()[0] == pytest.approx(abs(mine["error_lo"].iloc[0]), rel=1e-4)
    assert len(by_mass.get_lines()) == 4  # of the uniform source there is none to see


def _record(n, gaps, **changes):
    points = [
        make_point(beta=rate, target_rate=rate, rate_lo=rate, rate_hi=rate, gap=gap, gap_lo=gap,
                   gap_hi=gap) for rate, gap in gaps.items()
    ]  # fmt: skip
    return make_cell(cell=f"{n}{changes}", n_train=n, points=points, **changes)


def test_sizes_are_read_off_the_records():
    gaps = {100: {1.0: 0.2, 2.0: 0.5}, 1000: {1.0: 0.0125, 2.0: 0.3}}
    records = [_record(n, of, estimator="wgd", preset="default") for n, of in gaps.items()]
    found = needed(records, gaps)
    assert needed(records, (100, 1000, 10_000)) == {}
    assert list(found) == ["wgd"]
    # No gap at the least size: 100 draws are not enough, so that it changes nothing.
    fewer = [_record(10, {}, estimator="wgd", preset="default"), *records]
    assert needed(fewer, (10, 100, 1000))["wgd"] == found["wgd"]
    # Without 100 draws rate 2, where 1,000 are not enough, is still known; rate 1 is not.
    assert needed(records[1:], (100, 1000)) == {"wgd": [found["wgd"][1]]}
    low, high = found["wgd"]
    assert low.log_n == pytest.approx(math.log(100) + 0.5 * math.log(10))  # .2 -> .0125: half way
    assert (high.known, high.log_n) == ("more than", math.log(1000))
    (axes,) = sizes_figure(found, {"wgd": SeriesStyle("#000000", "o")}).axes
    assert list(_lines(axes)["wgd"].get_ydata()) == pytest.approx([100 * math.sqrt(10), 1000])
    assert _lines(axes)["log N = R"].get_ydata()[-1] == pytest.approx(math.exp(6.0))
    assert f"{GAP:g}" in axes.get_ylabel()


def test_gaps_stand_at_their_particles():
    records = [
        _record(None, {1.0: gap}, estimator="wgd", preset=preset, dim=5,
                fields={"particles": particles})
        for particles, preset, gap in ((100, "default", 0.01), (10, "default", 0.5),
                                       (10, "paper", 0.6))
    ]  # fmt: skip
    (axes,) = particles_figure(records).axes
    lines = _lines(axes)
    assert axes.get_title() == "d = 5"
    assert lines["flow, our default"].get_xydata().tolist() == [[10.0, 0.5], [100.0, 0.01]]
    assert lines["flow, as published but shorter"].get_xydata().tolist() == [[10.0, 0.6]]
