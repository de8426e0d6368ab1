"""The answer of a case: the numbers of its band, in all units, and whom to trust."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from rdbench.band import Band, Reached, Tangent
from rdbench.codecs import CodecPoint, Units
from rdbench.outcomes import RdbenchError
from rdbench.report.answer import answer, lines
from rdbench.report.codec_lines import codec_lines
from rdbench.report.trust import NO_LOWER, NO_UPPER
from rdbench.report.upper import draw_points
from rdbench.run.records import PointRecord


class Row(PointRecord, frozen=True, kw_only=True):
    """A row that has the columns of lower bounds."""

    lagrangian_lo: float | None = None
    lagrangian_hi: float | None = None
    evidence: str | None = None


NO_TRUTH = dict.fromkeys(
    ("truth_lo", "truth_hi", "truth_kind", "rate_lo", "rate_hi", "dist_lo", "dist_hi", "gap",
     "gap_lo", "gap_hi")
)  # fmt: skip


def upper(point, rate, distortion, half=0.0, **changes):
    """A row without truth, its interval that of R."""
    beta = 1.0 / distortion
    known = {
        "beta": beta, "rate": rate, "distortion": distortion, "rate_half": half,
        "distortion_half": 0.0, "lagrangian": rate + 1.0,
    }  # fmt: skip
    return point(**(NO_TRUTH | known | changes))


def low(beta, level, evidence="searched"):
    return Row(beta=beta, status="ok", side="lower", lagrangian=level + 0.1, lagrangian_lo=level,
               evidence=evidence)  # fmt: skip


@pytest.fixture
def both(cell, point):
    """Two upper estimators and a lower one on a source of four dimensions, without truth."""
    good = cell(estimator="good", dim=4, points=[upper(point, 2.0, 1.0), upper(point, 1.0, 2.0)])
    worse = cell(estimator="worse", dim=4, points=[upper(point, 2.2, 1.0, half=0.1)])
    false = cell(estimator="hopeful", dim=4, points=[upper(point, 0.1, 1.0, side="estimate")])
    under = cell(estimator="dual", dim=4, points=[low(1.0, 2.8)])
    return [good, worse, false, under]


def test_the_numbers_are_those_of_the_band_with_their_names(both):
    found = answer(both, distortions=[1.0, 1.5], rates=[1.5])
    first, between = found.at_distortions
    assert first.rate.lo == pytest.approx(1.8)
    assert first.rate.hi == 2.0
    assert (first.below, first.above) == ("dual", "good")
    assert between.rate.hi == pytest.approx(1.5)
    (level,) = found.at_rates
    assert level.distortion.lo == pytest.approx(1.3)
    assert level.distortion.hi == pytest.approx(1.5)


def test_units_and_dimensions_by_hand(both):
    text = "\n".join(lines(answer(both, distortions=[1.0], rates=[1.5]), "nats"))
    row = next(line for line in text.splitlines() if line.strip().startswith("1.0000"))
    # D, D/d, R >=, R <=, estimate, left
    assert row.split()[:6] == ["1.0000", "0.2500", "1.8000", "2.0000", "2.0000", "0.2000"]
    bits = [1.8 / math.log(2), 2.0 / math.log(2)]
    assert f"[{bits[0]:.4f}, {bits[1]:.4f}]" in row
    assert "[0.4500, 0.5000]" in row  # nats per dimension
    assert f"[{bits[0] / 4:.4f}, {bits[1] / 4:.4f}]" in row
    assert f"{10 * math.log10(1.5 / 1.3):.4f}" in text  # dB between the ends of D
    swapped = "\n".join(lines(answer(both, distortions=[1.0]), "bits"))
    assert "R ≥ (bits)" in swapped
    assert f" {bits[0]:.4f} " in swapped
    assert "[1.8000, 2.0000]" in swapped


def test_it_says_whom_to_trust_and_why(both):
    text = " ".join(answer(both).sentences)
    assert "From above trust good" in text
    assert "side exact: its audit is of F(q) itself, known by exact sums; method atoms" in text
    assert "From below trust dual: searched lower bound" in text
    assert "Not counted: hopeful." in text
    assert "at most 0.2" in text  # 2.0 - 1.8 nats


def test_rows_that_do_not_count_are_counted(cell, point):
    """Of an estimator with three rows one has neither end guaranteed."""
    rows = [upper(point, 2.0, 1.0), upper(point, 1.5, 1.5), upper(point, 0.2, 3.0, side="estimate")]
    text = " ".join(answer([cell(estimator="good", dim=4, points=rows)]).sentences)
    assert "Not counted: good at 1 of 3 points." in text


def test_a_lower_bound_that_says_nothing_is_not_recommended(cell, point):
    good = cell(estimator="good", dim=4, points=[upper(point, 2.0, 1.0), upper(point, 1.0, 2.0)])
    under = cell(estimator="dual", dim=4, points=[low(1.0, -1.3)])
    text = " ".join(answer([good, under], distortions=[1.5]).sentences)
    assert "No lower bound says more than R >= 0 here: dual." in text
    assert "From below trust" not in text


def test_an_upper_audit_and_its_interval_are_told(cell, point):
    row = upper(point, 2.0, 1.0, half=0.05, side="upper")
    text = " ".join(answer([cell(points=[row])]).sentences)
    assert "its audit can only err upwards" in text
    assert "known within 0.0500 nats (95%)" in text


def test_without_a_lower_bound_it_says_so_and_how_to_get_one(cell, point):
    found = answer([cell(points=[upper(point, 2.0, 1.0)])])
    assert NO_LOWER in found.sentences
    assert "--sandwich" in NO_LOWER
    assert found.at_distortions[0].below == ""


def test_without_an_audited_upper_bound_too(cell, point):
    found = answer([cell(points=[upper(point, 2.0, 1.0, side="estimate")])], distortions=[1.0])
    assert NO_UPPER in found.sentences
    assert found.at_distortions[0].rate.hi == math.inf
    assert "∞" in "\n".join(lines(found, "nats"))


def test_a_training_set_limits_what_is_said(cell, point):
    rows = [upper(point, 2.0, 1.0), upper(point, 1.0, 2.0)]
    text = " ".join(answer([cell(n_train=12, points=rows)]).sentences)
    # log 12 = 2.485: one nat below it is 1.485, and one of the two rates is beyond
    assert "log n = 2.4849 nats" in text
    assert "That concerns 1 of the points here" in text


@pytest.mark.parametrize(("of", "said"), [("population", True), ("rows", False)])
def test_rows_of_a_population_limit_it_too(cell, point, of, said):
    own = cell(points=[upper(point, 2.0, 1.0)], cost={"n_source_samples": 12}, data={"of": of})
    assert ("log n = 2.4849" in " ".join(answer([own]).sentences)) == said


def test_bounds_that_contradict_each_other_give_no_number(cell, point):
    records = [cell(points=[upper(point, 2.0, 1.0)]), cell(estimator="bad", points=[low(1.0, 4.0)])]
    found = answer(records, distortions=[1.0])
    assert found.at_distortions == ()
    assert any("contradict each other: bad above good at D = 1, by 1 nats" in s
               for s in found.sentences)  # fmt: skip


def test_a_lower_bound_above_the_truth_is_told(cell, point):
    under = cell(estimator="bad", points=[low(2.0, math.log(2.0) + 0.505)])
    found = answer([cell(points=[point(rate_half=0.0, distortion_half=0.0)]), under])
    assert found.at_distortions == ()
    assert "bad above truth (closed form)" in found.sentences[-1]


def test_the_truth_stands_below_and_the_estimators_above(cell, point):
    found = answer([cell(points=[point(rate_half=0.0, distortion_half=0.0)])])
    (only,) = found.at_distortions
    assert (only.below, only.above) == ("truth (closed form)", "good")
    # R(D) of the record is log 2 at D = 1/4, the audited point .01 above
    assert only.rate.lo == pytest.approx(math.log(2.0))
    assert only.rate.hi == pytest.approx(math.log(2.0) + 0.01)
    # what is known beside the records counts, and so does a constant
    more = answer([cell(points=[point()])], distortions=[9.0], known=Band(silent=9.0))
    assert more.at_distortions[0].rate.hi == 0.0


def test_where_estimators_give_both_ends_the_truth_has_a_column(cell, point):
    rows = [point(rate_half=0.0, distortion_half=0.0)]  # R(D) = log 2 at D = 1/4, F* = log 2 + 1/2
    under = cell(estimator="dual", points=[low(2.0, math.log(2.0) + 0.4)])
    (only,) = answer([cell(points=rows), under]).at_distortions
    assert (only.below, only.above) == ("dual", "good")
    assert only.rate.lo == pytest.approx(math.log(2.0) - 0.1)
    assert only.truth is not None
    assert only.truth.lo == only.truth.hi == pytest.approx(math.log(2.0))
    text = lines(answer([cell(points=rows), under]), "nats")
    assert "truth (nats)" in text[2]
    assert "0.6931" in text[3]
    assert "truth (nats)" not in "\n".join(lines(answer([cell(points=rows)]), "nats"))


def test_the_estimate_is_no_worse_than_the_bound(cell, point):
    """The trusted point is further to the right, where the curve is lower."""
    rows = [upper(point, 2.0, 1.0, distortion_half=0.2, rate_half=0.01), upper(point, 3.0, 0.5)]
    found = answer([cell(points=rows)])
    assert all(k.middle <= k.rate.hi for k in found.at_distortions)


CURVE = Band(
    tuple(Tangent(b, 0.5 * (math.log(2 * b) + 1), "low") for b in (1.0, 2.0, 4.0, 8.0)),
    tuple(Reached(0.5 / b, 0.5 * math.log(2 * b), "up") for b in (1.0, 2.0, 4.0, 8.0)),
)


def test_codecs_beside_it():
    half = 0.25 * math.log(2)  # a quarter of a bit, in nats, above R(D) at D = 1/8
    rate = 0.5 * math.log(8)
    points = [CodecPoint("q", rate + half, 0.125), CodecPoint("q", 0.9, 0.25)]
    text = codec_lines(points, CURVE, 1)
    (row,) = (line for line in text if line.strip().startswith(f"{1.5 + 0.25:.4f}"))
    assert row.split()[2] == "0.2500"
    assert any("BD-rate" in line for line in text)
    with pytest.raises(RdbenchError, match=r"'q'.* cannot be"):
        codec_lines([CodecPoint("q", 0.5, 0.125)], CURVE, 1)
    # a quarter of a bit of rate per dimension in two dimensions is half a bit
    two = codec_lines([CodecPoint("q", 1.0, 0.5, Units("bits", "mse"))], Band(CURVE.tangents), 2)
    assert any(line.split()[:1] == ["1.0000"] and "≤" in line for line in two)


def test_a_codec_better_than_the_upper_bound_is_told():
    band = Band((), (Reached(1.0, 2.0, "loose"),))
    text = codec_lines([CodecPoint("q", 1.5, 1.0)], band, 1)
    assert "[-0.7213, 2.1640]" in "\n".join(text)  # 1.5 - 2 and 1.5 - 0 nats, in bits
    assert text[-1].startswith("A negative end: the codec beats the best upper bound")


def test_the_picture_shades_what_lies_between_the_sides(both):
    axes = Figure().subplots()
    draw_points(axes, both)
    (area,) = (a for a in axes.collections if a.get_gid() == "between")
    ends = np.asarray(area.get_paths()[0].vertices)
    # At D = 1.5: 2.8 - 1.5 from below, midway between R = 2 and R = 1 from above.
    near = ends[np.abs(ends[:, 0] - 1.5) < 0.01]
    assert near[:, 1].min() == pytest.approx(1.3, abs=0.02)
    assert near[:, 1].max() == pytest.approx(1.5, abs=0.02)
    alone = Figure().subplots()
    draw_points(alone, both[:2])
    assert not [a for a in alone.collections if a.get_gid() == "between"]
