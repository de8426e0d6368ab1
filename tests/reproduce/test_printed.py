"""A printed point in our conventions: every unit is taken out once, and F is theirs."""

from __future__ import annotations

import math

import pytest

from rdbench.references.gaussian import WaterFilling
from rdbench.reproduce.printed import Printed
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.suites import published
from rdbench.types import RdbenchError


def test_bits_with_a_slope_in_nats_are_those_of_nerd():
    """R = 10.878 bits and D = .1869 at β = 20: 7.5401 + 3.738 nats, worked out by hand."""
    point = Printed(slope=20.0, rate=10.878, distortion=0.1869, rate_in="bits").point()
    assert point.beta == 20.0
    assert point.rate == pytest.approx(7.54006, abs=1e-5)
    assert point.lagrangian == pytest.approx(11.27806, abs=1e-5)


def test_means_over_coordinates_are_those_of_the_sandwich_bounds():
    """λ = 3 for the mean over two coordinates is β = 1.5, and R + λD stays as it is."""
    given = Printed(slope=3.0, rate=1.2342, distortion=0.33382, distortion_is="mean", dim=2)
    point = given.point()
    assert point.beta == 1.5
    assert point.distortion == pytest.approx(0.66764)
    assert point.lagrangian == pytest.approx(1.2342 + 3.0 * 0.33382)


def test_halves_are_those_of_wgd():
    point = Printed(slope=10.0, rate=1.0, distortion=0.1, distortion_is="half").point()
    assert point == pytest.approx((5.0, 2.0, 1.0, 0.2))


def test_bits_per_coordinate_weigh_the_mean():
    """The Gaussian of 1,000 variances: their truth is our truth, per coordinate and in bits."""
    (case,) = (c for c in published.SUITE.cases() if c.name == "variances-d1000")
    for slope, bits in ((1.0, 0.87662), (30.0, 3.19627)):  # by hand from their file of variances
        given = Printed(slope=slope, lagrangian=bits, slope_in="bits", rate_of="coordinate",
                        distortion_is="mean", dim=1000).point()  # fmt: skip
        assert given.beta == pytest.approx(slope * math.log(2.0))
        truth = case.reference.point(given.beta).lagrangian.mid
        assert given.lagrangian == pytest.approx(truth, abs=5e-6 * 1000)


@pytest.mark.parametrize("rate_in", ["nats", "bits"])
@pytest.mark.parametrize("distortion_is", ["summed", "mean", "half"])
def test_any_units_of_one_point_of_a_curve_give_the_same(rate_in, distortion_is):
    """The Gaussian at β = 2, written in other units and read again."""
    truth = WaterFilling(scalar_gaussian()).point(2.0)
    rate, distortion = truth.rate.mid, truth.distortion.mid
    share = {"summed": 1.0, "mean": 1.0, "half": 0.5}[distortion_is]
    given = Printed(
        slope=2.0 / share, rate=rate / (math.log(2.0) if rate_in == "bits" else 1.0),
        distortion=distortion * share, rate_in=rate_in, distortion_is=distortion_is,
    )  # fmt: skip
    assert given.point() == pytest.approx((2.0, truth.lagrangian.mid, rate, distortion))


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"rate": math.nan}, "finite"), ({"dim": 0}, "dimension"), ({"slope": -1.0}, "slope")],
)
def test_what_no_paper_prints_is_refused(changes, says):
    with pytest.raises(RdbenchError, match=says):
        Printed(**({"slope": 1.0} | changes)).point()


def test_without_a_distortion_there_is_no_lagrangian():
    assert Printed(slope=1.0, rate=2.0).point().lagrangian is None
