"""The line of the truth: within its tolerance, convex, and never below what no channel can do."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from rdbench.report.rungs import TOLERANCE, Rung, complete, cubic, in_order, pieces_of
from rdbench.report.truth_line import TruthLine, truth_line


def gaussian(rate: float, dim: int = 1, width: float = 0.0) -> Rung:
    """The rung of N(0, I) at a rate: D = d exp(-2 R / d), beta = d / (2 D)."""
    d = dim * math.exp(-2.0 * rate / dim)
    f = rate + 0.5 * dim
    return Rung(0.5 * dim / d, f, f + width, d, (d, rate + width))


class Gaussian:
    """N(0, I) as a source of the truth; it counts what it is asked."""

    def __init__(self, dim: int, seconds: float = 0.0, purse: float = math.inf) -> None:
        self.dim, self.seconds, self.purse, self.asked = dim, seconds, purse, 0

    def known(self) -> list[Rung]:
        return []

    def cost(self, beta: float) -> float:
        return self.seconds

    def ask(self, beta: float) -> Rung | None:
        if self.seconds > self.purse:
            return None
        self.purse -= self.seconds
        self.asked += 1
        return gaussian(0.5 * self.dim * math.log(2.0 * beta), self.dim)


def off(line: TruthLine, truth) -> float:
    """The largest distance from ``truth(D)``, on the strokes of a linear and of a log axis."""
    worst = 0.0
    for points in line.lines:
        for (d0, r0), (d1, r1) in itertools.pairwise(points):
            for part in np.linspace(0.0, 1.0, 5):
                r = r0 + part * (r1 - r0)
                for d in (d0 + part * (d1 - d0), d0 ** (1.0 - part) * d1**part):
                    worst = max(worst, abs(r - truth(d)))
    return worst


def shannon(dim: int):
    return lambda d: 0.5 * dim * math.log(dim / d)


def covers(line: TruthLine, lo: float, hi: float) -> bool:
    """Whether one line goes from ``lo`` to ``hi``."""
    (only,) = line.lines
    return bool(np.isclose(only[0, 0], lo) and np.isclose(only[-1, 0], hi))


@pytest.mark.parametrize("rates", [(1.5, 3.0), (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)])
@pytest.mark.parametrize("source", [None, Gaussian(1), Gaussian(1, 0.1)])
def test_a_gaussian_is_drawn_right_with_and_without_a_source(rates, source):
    rungs = [gaussian(rate) for rate in rates]
    line = truth_line(rungs, source)
    assert covers(line, rungs[-1].distortion, rungs[0].distortion)
    assert off(line, shannon(1)) < TOLERANCE


def test_what_is_free_is_asked_until_the_line_is_proven():
    ends = gaussian(30.0, 10), gaussian(1.0, 10)
    found = complete(ends, Gaussian(10), (ends[0].distortion, ends[1].distortion), 30.0)
    assert max(piece.width for piece in pieces_of(found)) <= TOLERANCE
    assert len(found) < 400


def test_what_costs_is_asked_no_more_than_the_line_needs():
    source = Gaussian(10, 0.1)
    rungs = [gaussian(rate, 10) for rate in (1.0, 2.0, 4.0, 8.0)]
    assert off(truth_line(rungs, source), shannon(10)) < TOLERANCE
    # The cubic in log D is exact here, and the inner rungs show it.
    assert source.asked <= 2


def test_where_too_little_is_known_there_is_a_band_and_no_line():
    rungs = [gaussian(1.0, 10), gaussian(8.0, 10)]
    line = truth_line(rungs, Gaussian(10, 1.0, purse=0.5))
    assert line.lines == ()
    (band,) = line.bands
    d, lower, upper = band.T
    truth = np.array([shannon(10)(one) for one in d])
    assert np.all(lower <= truth + 1e-12)
    assert np.all(upper >= truth - 1e-12)
    assert float((upper - lower).max()) > 0.5


def test_without_a_source_the_band_stands_beside_the_line():
    line = truth_line([gaussian(1.0, 10), gaussian(8.0, 10)])
    assert len(line.lines) == len(line.bands) == 1


def test_the_curve_goes_on_to_the_points_where_that_is_free():
    rungs = [gaussian(1.0), gaussian(2.0)]
    ends = gaussian(0.2).distortion, gaussian(2.5).distortion
    on = truth_line(rungs, Gaussian(1), (ends[1], ends[0]), top=3.0)
    assert covers(on, ends[1], ends[0])
    assert off(on, shannon(1)) < TOLERANCE
    assert covers(truth_line(rungs, None, (ends[1], ends[0])), *(r.distortion for r in rungs[::-1]))


def test_the_line_stays_between_tangents_and_chords_and_convex():
    # A kink between two known points, as where a mixture's modes are told apart.
    a, b = (
        Rung(0.61, 2.3004, 2.3004, 1.64, (1.64, 1.3)),
        Rung(0.03, 1.042, 1.042, 15.4, (15.4, 0.58)),
    )
    (points,) = truth_line([b, a]).lines
    d, rate = points.T
    chord = a.rate + (d - a.distortion) * (b.rate - a.rate) / (b.distortion - a.distortion)
    tangent = np.maximum(a.lo - a.beta * d, b.lo - b.beta * d)
    assert np.all(rate <= chord + 1e-12)
    assert np.all(rate >= tangent - 1e-12)
    slopes = np.diff(rate) / np.diff(d)
    assert np.all(np.diff(slopes) >= -1e-9)


def test_a_straight_piece_is_straight_on_both_axes():
    # R(D) = 2 - D on [.1, 1.6]: tangents and chord are one.
    ends = [Rung(1.0 + s, 2.0 - s * d, 2.0 - s * d, d, (d, 2.0 - d))
            for s, d in ((1e-3, 0.1), (-1e-3, 1.6))]  # fmt: skip
    ends = [Rung(r.beta, 2.0 - r.distortion + r.beta * r.distortion,
                 2.0 - r.distortion + r.beta * r.distortion, r.distortion, r.reached)
            for r in ends]  # fmt: skip
    assert off(truth_line(ends), lambda d: 2.0 - d) < TOLERANCE


def test_mere_bounds_are_a_band():
    # F* within 1 nat; what is reached lies right of the middle of D*.
    rungs = [Rung(b, f, f + 1.0, d, (1.8 * d, f + 1.0 - 0.2 * b * d))
             for b, f, d in ((1.0, 1.0, 0.5), (2.0, 1.4, 0.25))]  # fmt: skip
    line = truth_line(rungs)
    assert line.lines == ()
    (band,) = line.bands
    assert np.all(band[:, 1] <= band[:, 2])


def test_nothing_is_drawn_of_nothing_and_one_rung_is_a_point():
    assert truth_line([]).lines == truth_line([]).bands == ()
    (alone,) = truth_line([gaussian(1.0)]).lines
    assert alone.tolist() == [[gaussian(1.0).distortion, pytest.approx(1.0)]]


def test_the_tangents_bound_every_distortion():
    rungs = [gaussian(rate, 4) for rate in (0.5, 2.0, 6.0)]
    line = truth_line(rungs)
    d = np.array([-0.1, 1e-3, 0.3, 1.0, 4.0, 50.0])
    expected = [max(0.0, *(r.lo - r.beta * one for r in rungs)) for one in d]
    np.testing.assert_allclose(line.least(d), expected)
    assert TruthLine().least(d).tolist() == [0.0] * 6


def test_slopes_and_distortions_occur_once_the_narrowest_bracket_first():
    wide, narrow = gaussian(1.0, 1, 0.1), gaussian(1.0)
    assert in_order([wide, narrow, gaussian(2.0)]) == [gaussian(2.0), narrow]


def test_the_cubic_meets_points_and_slopes():
    a, b = gaussian(3.0, 6), gaussian(1.0, 6)
    d = np.array([a.distortion, a.distortion * (1 + 1e-6), b.distortion])
    r = cubic(a, b, d)
    assert r[[0, 2]] == pytest.approx([3.0, 1.0])
    assert (r[1] - r[0]) / (d[1] - d[0]) == pytest.approx(-a.beta, rel=1e-4)
