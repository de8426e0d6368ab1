"""Codecs beside R(D): units, files, distances in bits and dB, BD-rate, points that cannot be."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbench.band import Band, Reached, Tangent
from rdbench.codecs import CodecPoint, Units, bd_rate, check_possible, distance, parse_units
from rdbench.codecs.compare import bd_rates, contrary, fitting_units
from rdbench.codecs.points import read_points
from rdbench.codecs.units import DISTORTIONS, RATES, check_measure
from rdbench.outcomes import RdbenchError
from rdbench.report.codec_lines import codec_lines

LN2 = math.log(2.0)
SLOPES = np.geomspace(0.5, 5e4, 2500)


def white(dim: int) -> Band:
    """N(0, I): R = d/2 log(d / D), as tangents and points."""
    d = 0.5 * dim / SLOPES
    r = 0.5 * dim * np.log(dim / d)
    return Band(
        tuple(Tangent(float(b), float(rate + b * one), "closed form")
              for b, one, rate in zip(SLOPES, d, r, strict=True)),
        tuple(Reached(float(one), float(rate), "closed form")
              for one, rate in zip(d, r, strict=True)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def eight() -> Band:
    return white(8)


def test_units_by_hand() -> None:
    # 2 bits per pixel of 64 pixels, PSNR 20 dB of peak 2: MSE .04
    point = CodecPoint("jpeg", 2.0, 20.0, Units("bpp", "psnr", 2.0))
    assert point.nats(64) == pytest.approx(128 * LN2)
    assert point.summed(64) == pytest.approx(64 * 0.04)
    assert CodecPoint("x", 3.0, 0.5, Units("bits", "mse")).nats(4) == pytest.approx(3 * LN2)
    assert CodecPoint("x", 3.0, 0.5, Units("nats/dim", "mse")).nats(4) == 12.0
    assert CodecPoint("x", 3.0, 0.5, Units("nats/dim", "mse")).summed(4) == 2.0


@given(
    st.sampled_from(list(RATES)),
    st.sampled_from(list(DISTORTIONS)),
    st.floats(1e-6, 1e6),
    st.integers(1, 100),
    st.floats(0.1, 300),
)
def test_units_there_and_back(rate: str, kind: str, value: float, dim: int, peak: float) -> None:
    units = Units(rate, kind, peak)
    shown = units.shown(np.array([value]), dim)
    assert units.summed(shown, dim)[0] == pytest.approx(value)
    assert parse_units("--axes", str(units)) == Units(
        rate, kind, float(f"{peak:g}") if kind == "psnr" else 1.0
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bps", "takes rate nats, bits, bpp or nats/dim and distortion sum, mse or psnr:PEAK"),
        ("bits,nats", "got 'bits,nats'"),
        ("psnr", "PSNR needs the largest value"),
        ("psnr:-1", "PSNR needs the largest value"),
        ("mse:3", "got 'mse:3'"),
    ],
)
def test_units_that_are_none(text: str, says: str) -> None:
    with pytest.raises(RdbenchError, match=says):
        parse_units("--axes", text)


def test_psnr_is_of_squared_error() -> None:
    check_measure(Units("bits", "psnr"), "squared_error")
    with pytest.raises(RdbenchError, match="PSNR is of squared error"):
        check_measure(Units("bits", "psnr"), "absolute_error")


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "codec.csv"
    path.write_text(
        "\ufeffName, Rate ,distortion,rate_unit,distortion_unit,note\n"
        "a,1,2,,,x\n\n b ,0.5,30,bpp,psnr:255,\n"
    )
    first, second = read_points(path, Units("bits", "mse"))
    assert first == CodecPoint("a", 1.0, 2.0, Units("bits", "mse"))
    assert second == CodecPoint("b", 0.5, 30.0, Units("bpp", "psnr", 255.0))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty; it needs the columns name, rate, distortion"),
        ("name,rate\na,1\n", "has no column distortion"),
        ("name,rate,distortion\n", "has no points below its head"),
        ("name,rate,distortion\na,1,2\nb,x,2\n", "line 3: rate is no finite number, got 'x'"),
        ("name,rate,distortion\nb,1,nan\n", "line 2: distortion is no finite number"),
        ("name,rate,distortion\nb,1\n", "line 2: distortion is no finite number, got ''"),
        ("name,rate,distortion\nb,-1,2\n", "line 2: a rate is not negative"),
        ("name,rate,distortion\nb,1,-2\n", "line 2: a distortion is not negative"),
        ("name,rate,distortion,rate_unit\nb,1,2,kbps\n", "line 2 takes rate nats, bits, bpp"),
        ("name;rate;distortion\nb;1;2\n", "separates values by ;"),
        ("name,rate,distortion,rate\nb,1,2,3\n", "has 2 columns rate"),
        ("name,rate,distortion\nb,5,5,2,1\n", "line 2 has 5 values for 3 columns"),
        ("name,rate,distortion\nb,1,inf\n", "give the distortion 0 as mse or sum"),
        ("name,rate,distortion,distortion_unit\nb,1,-900,psnr:1\n", "a PSNR of -900 dB is none"),
        ("name,rate,distortion\n" + 61 * "x" + ",1,2\n", "a name has at most 60 characters"),
    ],
)
def test_a_file_that_is_none_gets_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "codec.csv"
    path.write_text(text)
    with pytest.raises(RdbenchError) as error:
        read_points(path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(RdbenchError, match="No such file"):
        read_points(tmp_path / "nowhere.csv")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(RdbenchError, match="cannot read the points"):
        read_points(tmp_path / "x.csv")


def test_the_distance_of_the_scalar_quantiser_at_high_rate(eight: Band) -> None:
    """1.53 dB and .2546 bit: H = h(X) - log(step), D = step^2 / 12 (Gish and Pierce, 1968)."""
    step = 0.05
    each = 0.5 * math.log(2 * math.pi * math.e) - math.log(step)
    found = distance(CodecPoint("scalar", 8 * each, 8 * step**2 / 12), eight, 8)
    assert found.excess.width < 1e-4
    assert found.excess.mid / 8 / LN2 == pytest.approx(0.2546, abs=1e-4)
    assert found.loss.mid == pytest.approx(1.533, abs=1e-3)


def test_a_band_gives_brackets_and_better_than_the_upper_side_is_negative() -> None:
    band = Band((Tangent(1.0, 2.0, "low"),), (Reached(1.0, 1.5, "up"),))
    found = distance(CodecPoint("x", 1.2, 1.0), band, 1)
    assert found.excess.lo == pytest.approx(-0.3)
    assert found.excess.hi == pytest.approx(0.2)
    assert found.loss.lo == -math.inf  # no point is known to be reached at R = 1.2
    assert found.loss.hi == pytest.approx(10 * math.log10(1.0 / 0.8))


# The example of FAU's package bjontegaard; its pchip is that of the Excel sheet of JVET-T2010.
ANCHOR = ([40.037, 38.615, 36.845, 34.851], [9487.76, 4593.60, 2486.44, 1358.24])
TEST = ([40.121, 38.651, 36.970, 34.987], [9787.80, 4469.00, 2451.52, 1356.24])


def curve(psnr: list[float], rate: list[float]) -> np.ndarray:
    return np.stack([10.0 ** (-0.1 * np.array(psnr)), np.array(rate)], axis=1)


def test_bd_rate_is_the_published_one() -> None:
    assert bd_rate(curve(*ANCHOR), curve(*TEST)) == pytest.approx(-4.417485350589, abs=1e-10)


def test_bd_rate_of_a_monotone_curve_counts_every_point() -> None:
    """The same package; two of the points of the test curve lie above its lower convex hull."""
    test = ([40.0, 39.0, 36.0, 35.0], [9000.0, 8800.0, 2500.0, 2400.0])
    assert bd_rate(curve(*ANCHOR), curve(*test)) == pytest.approx(45.73018032758167, abs=1e-9)


def test_bd_rate_of_a_scaled_curve_and_of_one_that_is_not_monotone() -> None:
    anchor = curve(*ANCHOR)
    twice = anchor * np.array([1.0, 2.0])
    assert bd_rate(anchor, twice) == pytest.approx(100.0)
    assert bd_rate(twice, anchor) == pytest.approx(-50.0)
    # a point that takes more rate for less quality changes nothing, in whatever order
    worse = np.concatenate([twice[::-1], [[anchor[1, 0] * 1.3, 3.0 * anchor[0, 1]]]])
    assert bd_rate(anchor, worse) == pytest.approx(100.0)


def test_bd_rate_that_is_not_there_is_refused() -> None:
    anchor = curve(*ANCHOR)
    with pytest.raises(RdbenchError, match="no range of distortion in common"):
        bd_rate(anchor, anchor * np.array([100.0, 1.0]))
    with pytest.raises(RdbenchError, match="fewer than two points that none"):
        bd_rate(anchor, anchor[:1])


def test_bd_rates_against_the_curve_and_each_other(eight: Band) -> None:
    d = 8 * np.array([0.01, 0.03, 0.1, 0.3])
    points = [
        CodecPoint(name, float(factor * 4 * np.log(8 / one)), float(one))
        for name, factor in (("a", 1.5), ("b", 3.0))
        for one in d
    ]
    found = {(test, anchor): percent for test, anchor, percent in bd_rates(points, eight, 8)}
    # both curves are multiples of R(D); what is interpolated between four points errs by 1%
    assert found["a", "R(D)"].mid == pytest.approx(50.0, abs=0.015 * 50)
    assert found["b", "R(D)"].mid == pytest.approx(200.0, abs=0.015 * 200)
    assert found["b", "a"].mid == pytest.approx(100.0)
    assert found["a", "b"].mid == pytest.approx(-50.0)


def test_a_point_below_the_bound_is_refused_with_the_units_that_fit(eight: Band) -> None:
    """A curve in bits per dimension and MSE that was read as nats and sums."""
    d = np.array([0.01, 0.05, 0.2])
    true = [(float(1.2 * 0.5 * np.log2(1 / one)), float(one)) for one in d]
    right = [CodecPoint("codec", r, one, Units("bpp", "mse")) for r, one in true]
    check_possible(right, eight, 8)
    wrong = [CodecPoint("codec", r, one) for r, one in true]
    with pytest.raises(RdbenchError) as error:
        check_possible(wrong, eight, 8)
    text = str(error.value)
    assert "cannot be (and 2 more)" in text
    assert "(by closed form)" in text
    assert "bpp,mse" in text.split("all could be: ")[1]
    assert "psnr" not in text  # the distortion falls with the rate
    assert "\n" not in text


def test_psnr_is_offered_where_the_values_rise_with_the_rate(eight: Band) -> None:
    points = [CodecPoint("codec", 1.5 * q / 6.02, q) for q in (10.0, 20.0, 30.0)]
    offered = fitting_units(points, eight, 8)
    assert offered[0] == Units("bpp", "psnr", 1.0)
    assert all(units.distortion == "psnr" for units in offered)


def test_a_curve_that_goes_the_wrong_way_is_named(eight: Band) -> None:
    psnr = [CodecPoint("a", 30.0, 5.0), CodecPoint("a", 40.0, 9.0)]  # dB read as a sum
    right = [CodecPoint("b", 30.0, 5.0), CodecPoint("b", 40.0, 2.0), CodecPoint("c", 30.0, 5.0)]
    assert contrary([*psnr, *right]) == ["a"]
    told = codec_lines([*psnr, *right], eight, 8)
    assert "More rate, more distortion: a. Is the unit right (psnr:PEAK)?" in told
    units = Units("bpp", "psnr", 255.0)
    assert contrary([CodecPoint("a", 1.0, 30.0, units), CodecPoint("a", 2.0, 25.0, units)]) == ["a"]


def test_a_point_that_loses_nothing_has_no_distance_in_decibels(eight: Band) -> None:
    told = "\n".join(codec_lines([CodecPoint("a", 900.0, 0.0)], eight, 8))
    assert "∞" not in told


def test_no_units_fit_a_point_that_cannot_be(eight: Band) -> None:
    # a single point says nothing of the kind: even as PSNR a rate of zero is too little
    with pytest.raises(RdbenchError, match="no other units make them possible"):
        check_possible([CodecPoint("x", 0.0, 1e-3), CodecPoint("x", 0.01, 1e-4)], eight, 8)
    check_possible([CodecPoint("x", 0.0, 1e-3)], Band(), 8)  # nothing is known, nothing is refused
