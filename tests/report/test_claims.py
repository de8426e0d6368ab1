"""Claims against the audit and the truth: every verdict, at its edges."""

from __future__ import annotations

import math

import pytest

from rdbench.report.claims import (
    VERDICTS,
    claim_excess,
    claimed_gap,
    claimed_lagrangian,
    summarise_claims,
    tolerance,
    verdict,
    verdict_texts,
)
from rdbench.report.conditionals import summarise_conditionals
from rdbench.report.protocol import log_draws, saturated, summarise_protocol

RATE, BETA, DISTORTION = math.log(2.0), 2.0, 0.25
FSTAR = RATE + BETA * DISTORTION
"""Of the point that the fixture makes: N(0, 1) at beta = 2, gap .01 in [.005, .02]."""


def test_the_claimed_lagrangian_weighs_the_distortion(point):
    # In terms of R and D alone, so that beta and the sum are seen to enter.
    made = point(beta=4.0, claimed_rate=1.5, claimed_distortion=0.5)
    assert claimed_lagrangian(made) == 3.5


def test_gap_and_excess_of_a_claim(point):
    made = point(claimed_rate=RATE + 0.2, claimed_distortion=DISTORTION + 0.05)
    assert claimed_gap(made) == pytest.approx(0.3)
    assert claim_excess(made) == pytest.approx(0.29)  # the audited gap is .01


def test_where_the_truth_is_a_bracket_the_gap_is_to_its_middle(point):
    made = point(truth_lo=FSTAR - 0.1, truth_hi=FSTAR + 0.3)
    assert claimed_gap(made) == pytest.approx(-0.1)


# What is claimed beyond F* in d = 1 (tolerance .05), where F(q) - F* is 1 in [.9, 1.1].
@pytest.mark.parametrize(
    ("claimed", "side", "expected"),
    [
        (-0.06, "exact", "below truth"),
        (-0.06, "upper", "below truth"),
        (-0.06, "estimate", "below truth"),
        (-0.06, "lower", "conservative"),
        (-0.04, "estimate", "too good"),
        (0.84, "estimate", "too good"),
        (0.84, "upper", "too good"),
        (0.84, "lower", "conservative"),
        (0.86, "exact", "agrees"),
        (1.00, "estimate", "agrees"),
        (1.14, "upper", "agrees"),
        (1.14, "lower", "agrees"),
        (1.16, "estimate", "too bad"),
        (1.16, "exact", "too bad"),
        (1.16, "lower", "too bad"),
        (1.16, "upper", "conservative"),
    ],
)
def test_verdicts(point, claimed, side, expected):
    made = point(
        claimed_rate=RATE + claimed, claimed_side=side, gap=1.0, gap_lo=0.9, gap_hi=1.1,
        lagrangian=FSTAR + 1.0,
    )  # fmt: skip
    assert verdict(made, 1) == expected


# The same where the audit only bounds F(q) from above: nothing above F* can be refuted.
@pytest.mark.parametrize(
    ("claimed", "side", "expected"),
    [
        (-0.06, "estimate", "below truth"),
        (0.0, "estimate", "unconfirmed"),
        (0.84, "estimate", "unconfirmed"),
        (0.84, "lower", "conservative"),
        (0.86, "estimate", "agrees"),
        (1.16, "estimate", "too bad"),
        (1.16, "upper", "conservative"),
    ],
)
def test_verdicts_where_the_audit_is_an_upper_bound(point, claimed, side, expected):
    for lo in (None, 0.9):  # old rows carry a lower end that means nothing
        made = point(
            claimed_rate=RATE + claimed, claimed_side=side, gap=1.0, gap_lo=lo, gap_hi=1.1,
            lagrangian=FSTAR + 1.0, side="upper",
        )  # fmt: skip
        assert verdict(made, 1) == expected


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [(0.5, "unconfirmed"), (0.1, "too good"), (3.1, "too bad"), (-0.1, "below truth")],
)
def test_verdicts_where_the_audit_knows_a_bracket_only(point, claimed, expected):
    made = point(
        claimed_rate=RATE + claimed, gap=None, lagrangian=None, gap_lo=0.2, gap_hi=3.0
    )  # fmt: skip
    assert verdict(made, 1) == expected


def test_the_doubt_about_the_truth_does_not_excuse_a_claim(point):
    # F* in FSTAR +- 1, so the gap is 0.5 +- (.1 + 1), but F(q) is FSTAR + .5 +- .1 all the same.
    wide = {
        "truth_lo": FSTAR - 1.0, "truth_hi": FSTAR + 1.0, "gap": 0.5, "gap_lo": -0.6,
        "gap_hi": 1.6, "lagrangian": FSTAR + 0.5,
    }  # fmt: skip
    found = [verdict(point(claimed_rate=RATE + c, **wide), 1) for c in (-1.06, 0.3, 0.5, 0.7)]
    assert found == ["below truth", "too good", "agrees", "too bad"]


def test_an_audit_below_the_truth_is_no_licence(point):
    noisy = point(claimed_rate=RATE, gap=-0.4, gap_lo=-0.5, gap_hi=-0.3, lagrangian=FSTAR - 0.4)
    assert verdict(noisy, 1) == "agrees"
    assert verdict(point(claimed_rate=RATE - 0.4, gap=-0.4, gap_lo=-0.5, gap_hi=-0.3), 1) == (
        "below truth"
    )


def test_the_tolerance_grows_with_the_root_of_the_dimension(point):
    assert tolerance(1) == 0.05
    assert tolerance(100) == pytest.approx(0.5)
    made = point(claimed_rate=RATE - 0.4)
    assert verdict(made, 1) == "below truth"
    assert verdict(made, 100) == "agrees"


def test_an_honest_mean_over_2000_symbols_agrees_in_any_dimension(point):
    # f(X) of a Gaussian at high rate is a constant plus chi-square(d) / 2. The truth is reported
    # as the mean over 2,000 symbols; 200 times, at most a few are beyond three standard errors.
    import numpy as np

    generator = np.random.default_rng(11)
    for dim in (1, 10, 1000):
        noise = 0.5 * (generator.chisquare(dim * 2000, size=200) / 2000 - dim)
        exact = {"gap": 0.0, "gap_lo": 0.0, "gap_hi": 0.0, "lagrangian": FSTAR}
        bad = sum(
            verdict(point(claimed_rate=RATE + float(error), **exact), dim) != "agrees"
            for error in noise
        )
        assert bad <= 3
        # And the tolerance is no wider than that: twice the noise is noticed.
        assert 3.0 * float(np.std(noise)) > 0.7 * tolerance(dim)


@pytest.mark.parametrize("changes", [{"claimed_rate": -0.1}, {"claimed_distortion": -1e-3}])
def test_no_channel_has_a_negative_rate_or_distortion(point, changes):
    # At a large beta * D the Lagrangian looks fine.
    made = point(**({"claimed_rate": FSTAR, "claimed_distortion": 0.0} | changes))
    if "claimed_rate" in changes:
        made = point(claimed_rate=-0.1, claimed_distortion=(FSTAR + 0.1) / BETA)
    assert verdict(made, 1) == "below truth"


def test_without_claim_truth_or_audit(point, failed):
    assert verdict(failed("error", "no"), 1) == "no claim"
    assert verdict(point(claimed_distortion=None), 1) == "no claim"
    nothing = dict.fromkeys(("truth_lo", "truth_hi", "gap", "gap_lo", "gap_hi"))
    assert verdict(point(**nothing), 1) == "unchecked"
    audit = dict.fromkeys(("gap", "gap_lo", "gap_hi", "lagrangian"))
    assert verdict(point(**audit), 1) == "unchecked"
    # What no channel reaches needs no audit.
    assert verdict(point(**audit, claimed_rate=RATE - 0.1), 1) == "below truth"
    assert claimed_gap(point(**nothing)) is None
    assert claim_excess(point(lagrangian=None)) is None


def test_a_summary_of_claims(point):
    points = [
        point(claimed_rate=RATE + 0.01),
        point(claimed_rate=RATE - 0.9),
        point(claimed_rate=RATE + 0.5),
        point(claimed_rate=None),
    ]
    found = summarise_claims((1, made) for made in points)
    assert found.mean_gap == pytest.approx((0.01 - 0.9 + 0.5) / 3)
    assert found.worst_gap == pytest.approx(0.5)
    assert found.excess == pytest.approx(-0.91)  # the largest in magnitude, with its sign
    assert verdict_texts(found) == [
        "below truth 1/4", "too bad 1/4", "agrees 1/4", "no claim 1/4",
    ]  # fmt: skip
    assert verdict_texts(summarise_claims([])) == []
    assert {name for name, _ in found.verdicts} <= set(VERDICTS)


# ------------------------------------------------------------------- the paper's own protocol


def test_the_ceiling_of_appendix_a(point):
    low, high = (
        point(n_paper_protocol=1000, gap_paper_protocol=gap, rate_lo=rate, rate_hi=rate)
        for rate, gap in ((6.9, 0.5), (7.0, 20.5))  # log 1000 = 6.908
    )
    assert log_draws(low) == pytest.approx(6.907755)
    assert (saturated(low), saturated(high)) == (False, True)
    found = summarise_protocol([low, high, point()])
    assert found is not None
    assert (found.mean_gap, found.draws, found.beyond, found.points) == (10.5, 1000, 1, 2)
    assert found.ceiling == pytest.approx(6.907755)


def test_without_the_protocol_there_is_no_ceiling(point):
    assert log_draws(point()) is None
    assert log_draws(point(n_paper_protocol=0)) is None
    assert saturated(point()) is None
    assert summarise_protocol([point(), point(n_paper_protocol=0)]) is None


# ------------------------------------------------------------------------- the conditional


def test_conditional_errors_are_means_and_mode_masses_the_worst(point):
    points = [
        point(conditional_error=e, conditional_lo=e - 0.1, conditional_hi=e + 0.3,
              conditional_floor=0.05, mode_mass_error=m)
        for e, m in ((0.2, 0.01), (0.4, 0.6))
    ]  # fmt: skip
    found = summarise_conditionals([*points, point()])
    assert found is not None
    assert [found.error, found.lo, found.hi] == pytest.approx([0.3, 0.2, 0.6])
    assert (found.floor, found.mode_mass) == (0.05, 0.6)
    assert summarise_conditionals([point()]) is None


def test_an_interval_of_some_points_is_no_interval_of_the_mean(point):
    points = [point(conditional_error=1.0, conditional_lo=0.9), point(conditional_error=3.0)]
    found = summarise_conditionals(points)
    assert found is not None
    assert (found.error, found.lo, found.mode_mass) == (2.0, None, None)
