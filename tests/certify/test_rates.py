"""D*, R* and R(D) from brackets of F*: the Gaussian, where all of them are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdbench.certify.certificate import Certificate
from rdbench.certify.rates import (
    Known,
    distortion_bracket,
    rate_at,
    rate_bracket,
    side_step,
)
from rdbench.certify.rungs import slope_of_rate
from rdbench.types import OutOfRange


def _truth(beta: float) -> tuple[float, float]:
    """R and D of N(0, 1)."""
    return (0.0, 1.0) if beta <= 0.5 else (0.5 * math.log(2 * beta), 0.5 / beta)


def _known(beta: float, below: float = 0.0, above: float = 0.0) -> Known:
    rate, distortion = _truth(beta)
    f = rate + beta * distortion
    return Known(beta, f - below, f + above)


def _certificate(beta: float, below: float = 0.0, above: float = 0.0) -> Certificate:
    known = _known(beta, below, above)
    one = np.ones((1, 1))
    kind = "certified"
    return Certificate(beta, known.lo, known.hi, one, one[0], _truth(beta)[1], kind, 1e-3)  # type: ignore[arg-type]


errors = st.floats(0.0, 1.0)


@given(st.floats(0.01, 1e4), st.floats(1e-10, 1e-2), errors, errors, errors)
@settings(max_examples=200, deadline=None)
def test_brackets_contain_the_truth(
    beta: float, width: float, a: float, b: float, c: float
) -> None:
    rate, distortion = _truth(beta)
    step = side_step(width, beta, distortion)
    centre = _known(beta, width * a, width * (1 - a))
    sides = [
        _known(beta - step, width * b, width * (1 - b)),
        _known(beta + step, width * c, width * (1 - c)),
    ]
    d = distortion_bracket(centre, sides)
    assert d.lo <= distortion <= d.hi
    r = rate_bracket(centre, d)
    assert r.lo <= rate + 1e-12
    assert rate <= r.hi + 1e-12


@pytest.mark.parametrize("width", [1e-9, 1e-6, 1e-3])
@pytest.mark.parametrize("beta", [2.0, 300.0])
def test_the_bracket_of_d_is_as_narrow_as_predicted(beta: float, width: float) -> None:
    """About 4 sqrt(width |F''|) in all, with |F''| = D / beta."""
    distortion = _truth(beta)[1]
    step = side_step(width, beta, distortion)
    known = [_known(b, width / 2, width / 2) for b in (beta, beta - step, beta + step)]
    found = distortion_bracket(known[0], known[1:])
    assert found.width <= 5.0 * math.sqrt(width * distortion / beta)
    half = [
        distortion_bracket(
            known[0], [_known(b, width / 2, width / 2) for b in (beta - s, beta + s)]
        )
        for s in (0.3 * step, 3.0 * step)
    ]
    assert found.width < min(other.width for other in half)


def test_zero_is_always_known() -> None:
    """Where nothing is sent F* = beta D_max: the origin alone gives the upper end of D."""
    assert distortion_bracket(_known(0.2), []).hi == pytest.approx(1.0)
    assert side_step(1.0, 0.2, 1.0) <= 0.2


def test_contradictions_are_not_hidden() -> None:
    with pytest.raises(ValueError, match="contradictory"):
        distortion_bracket(Known(1.0, 0.9, 0.9), [Known(2.0, 2.5, 2.5)])


def test_rate_of_a_distortion_lies_between_tangents_and_chords() -> None:
    betas = [0.6, 1.0, 2.0, 5.0, 20.0]
    certificates = [_certificate(b, 1e-6, 1e-6) for b in betas]
    known = [Known.of(c) for c in certificates]
    for distortion in np.geomspace(0.5 / 20, 1.2, 60):
        truth = max(0.0, 0.5 * math.log(1 / distortion))
        found = rate_at(float(distortion), known, certificates)
        assert found.lo <= truth + 1e-12
        assert truth <= found.hi + 1e-12
        assert found.width < 0.25
    at_rung = rate_at(0.25, known, certificates)
    assert at_rung.width < 1e-5
    with pytest.raises(OutOfRange, match=r"certified down to D = 0\.025"):
        rate_at(0.02, known, certificates)
    with pytest.raises(OutOfRange):
        rate_at(0.02, [], [])


@pytest.mark.parametrize("rate", [1e-3, 0.1, 1.0, 8.0])
def test_slope_of_a_rate(rate: float) -> None:
    asked: list[float] = []

    def solve(beta: float) -> Certificate:
        asked.append(beta)
        return _certificate(beta)

    beta = slope_of_rate(solve, rate)
    assert _truth(beta)[0] == pytest.approx(rate, rel=2.1e-4)
    assert beta == float(f"{beta:.6g}")
    assert len(asked) < 25


def test_a_search_that_starts_near_goes_no_farther_than_it_must() -> None:
    """What lies beyond costs more: no slope far above the right one may be tried."""
    asked: list[float] = []

    def solve(beta: float) -> Certificate:
        asked.append(beta)
        return _certificate(beta)

    beta = slope_of_rate(solve, 3.0, near=0.9 * math.exp(6.0) / 2.0, steepness=0.5)
    assert _truth(beta)[0] == pytest.approx(3.0, rel=2.1e-4)
    assert len(asked) <= 4
    assert max(asked) <= 1.02 * beta


def test_a_wrong_steepness_costs_steps_and_no_accuracy() -> None:
    for steepness in (1e-3, 50.0):
        beta = slope_of_rate(_certificate, 8.0, steepness=steepness)
        assert _truth(beta)[0] == pytest.approx(8.0, rel=2.1e-4)


def test_a_rate_that_is_never_reached() -> None:
    def coin(beta: float) -> Certificate:
        one = np.ones((1, 1))
        return Certificate(beta, 0.5, 0.5, one, one[0], 0.0, "certified", 1.0)

    with pytest.raises(
        OutOfRange, match=r"above the largest rate that can be certified, 0\.5 nats"
    ):
        slope_of_rate(coin, 2.0)
