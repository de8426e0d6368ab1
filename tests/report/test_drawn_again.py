"""Pictures of selections: bands, points and codecs stand where the records say, in any units."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rdbench.band import Band, Reached, Tangent
from rdbench.codecs import CodecPoint, Units
from rdbench.outcomes import RdbenchError
from rdbench.report import drawn_again
from rdbench.report.band_panel import BandPanel, codec_key, draw_band
from rdbench.report.drawn_again import draw_again
from rdbench.report.selection import selected
from rdbench.report.series import panels_of
from rdbench.report.style import house_style, new_figure, series_styles

BAND = Band((Tangent(2.0, 1.1, "low"),), (Reached(0.2, 1.0, "up"), Reached(0.5, 0.2, "up")))
CODECS = (CodecPoint("mine", 1.0, 0.3, Units("bits", "sum")),)


def drawn(records, units, codecs=CODECS, band=BAND):
    (panel,) = panels_of(records)
    names = [(s.estimator, s.label) for s in panel.series] + [
        (codec_key(c.name),) * 2 for c in codecs
    ]
    with house_style():
        axes = new_figure(5, 4).subplots()
        draw_band(axes, BandPanel(panel, band, tuple(codecs)), series_styles(names), units)
    return axes


def line(axes, gid):
    (found,) = (one for one in axes.get_lines() if one.get_gid() == gid)
    return np.array(found.get_data())


@pytest.fixture
def records(cell, point):
    return [cell(dim=4, points=[point()])]


@pytest.mark.parametrize(
    ("units", "rate", "distortion"),
    [
        (Units(), 1.0, lambda d: d),
        (Units("bpp", "mse"), 4 * math.log(2), lambda d: d / 4),
        (Units("bits", "psnr", 2.0), math.log(2), lambda d: 10 * np.log10(4.0 / (d / 4))),
    ],
)
def test_the_sides_and_the_codecs_stand_where_they_should(records, units, rate, distortion):
    axes = drawn(records, units)
    x, y = line(axes, "upper")
    at = [distortion(d) for d in (0.26, 0.275, 0.29)]  # the axis is that of the points
    order = np.argsort(x)
    assert np.interp(at, x[order], y[order]) == pytest.approx(
        np.array([0.84, 0.8, 0.76]) / rate, abs=2e-3
    )
    most = y.max()
    x, y = line(axes, "lower")
    order = np.argsort(x)
    assert np.interp(distortion(0.28), x[order], y[order]) == pytest.approx(0.54 / rate, abs=2e-3)
    y_low = y.min()
    x, y = line(axes, "codec mine")
    assert x == pytest.approx([distortion(0.3)])
    assert y == pytest.approx([math.log(2) / rate])
    (grey,) = axes.collections
    ends = grey.get_paths()[0].vertices[:, 1]
    assert ends.min() == pytest.approx(y_low)
    assert ends.max() == pytest.approx(most)
    assert ("PSNR" in axes.get_xlabel()) == (units.distortion == "psnr")
    assert units.rate in axes.get_ylabel()


def test_without_a_lower_bound_nothing_is_grey(records):
    axes = drawn(records, Units(), band=Band((), BAND.reached))
    assert not axes.collections
    assert not [one for one in axes.get_lines() if one.get_gid() == "lower"]


def test_a_file_of_every_format(realistic, tmp_path):
    for ending in ("pdf", "svg"):
        path = draw_again(realistic, tmp_path / f"x.{ending}", units=Units("bits"))
        assert path == tmp_path / f"x.{ending}"
        assert path.stat().st_size > 5000
    text = (tmp_path / "x.svg").read_text()
    for word in ("ramp-d2", "ramp-d10", "R(D) is here", "rate R (bits)", "gap F(q) - F* (bits)"):
        assert word in text


def test_only_what_is_there_is_drawn(realistic, cell, point, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(drawn_again, "draw_gaps", lambda axes, *_, **__: seen.append(axes))
    known = dict.fromkeys(("gap", "gap_lo", "gap_hi", "truth_lo", "truth_hi", "rate_lo", "rate_hi",
                           "dist_lo", "dist_hi"))  # fmt: skip
    no_truth = [cell(points=[point(**known, rate_half=0.0, distortion_half=0.0)])]
    draw_again(no_truth, tmp_path / "x.svg", kinds=("band", "gap"), units=Units())
    assert seen == []
    text = (tmp_path / "x.svg").read_text()
    assert "upper bound" in text
    assert "lower bound" not in text
    assert "truth" not in text
    draw_again(realistic, tmp_path / "y.svg", kinds=("excess", "gap"), units=Units())
    assert len(seen) == 6  # three dimensions
    assert "is here" not in (tmp_path / "y.svg").read_text()


def test_what_cannot_be_drawn_is_refused(realistic, cell, point, tmp_path):
    with pytest.raises(RdbenchError, match="belong to one case"):
        draw_again(realistic, tmp_path / "x.png", units=Units(), codecs=CODECS)
    other = [cell(distortion="absolute_error", points=[point()])]
    with pytest.raises(RdbenchError, match="PSNR is of squared error"):
        draw_again(other, tmp_path / "x.png", units=Units("bits", "psnr"))
    assert list(tmp_path.iterdir()) == []


def test_a_codec_of_an_estimators_name_has_a_look_of_its_own(records, tmp_path):
    same = [CodecPoint("good", 1.0, 0.3)]
    text = draw_again(records, tmp_path / "x.svg", units=Units(), codecs=same).read_text()
    assert text.count(">good</text>") == 2  # both are in the legend


def test_a_selection_is_by_case_and_label(realistic):
    found, labels = selected(realistic, "*-d5", ["ebrd"])
    assert {(r.case, r.estimator) for r in found} == {("ramp-d5", "ebrd")}
    assert labels == ["ebrd"]
    with pytest.raises(RdbenchError, match="unknown case 'nothing'"):
        selected(realistic, "nothing")
    with pytest.raises(RdbenchError, match="unknown stored estimator 'nobody'"):
        selected(realistic, None, ["nobody"])
