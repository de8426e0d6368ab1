"""Claims against the audit and the truth: every verdict, at its edges."""

from __future__ import annotations

import math

import pytest

from rdbench.report.claim_limits import curve_of, noise, tolerance
from rdbench.report.claims import (
    VERDICTS,
    claim_excess,
    claimed_gap,
    claimed_lagrangian,
    summarise_claims,
    verdict,
    verdict_in,
    verdict_texts,
)
from rdbench.report.protocol import log_draws, saturated, summarise_protocol
from rdbench.report.summary import summarise_conditionals

RATE, BETA, DISTORTION = math.log(2.0), 2.0, 0.25
FSTAR = RATE + BETA * DISTORTION
"""Of the point that the fixture makes: N(0, 1) at beta = 2, gap .01 in [.005, .02]."""


def test_gap_and_excess_of_a_claim(point):
    # In terms of R and D alone, so that beta and the sum are seen to enter.
    made = point(beta=4.0, claimed_rate=1.5, claimed_distortion=0.5)
    assert claimed_lagrangian(made) == 3.5
    made = point(claimed_rate=RATE + 0.2, claimed_distortion=DISTORTION + 0.05)
    assert claimed_gap(made) == pytest.approx(0.3)
    assert claim_excess(made) == pytest.approx(0.29)  # the audited gap is .01
    # Where the truth is a bracket the gap is to its middle.
    made = point(truth_lo=FSTAR - 0.1, truth_hi=FSTAR + 0.3)
    assert claimed_gap(made) == pytest.approx(-0.1)


def test_of_a_lower_bound_more_is_better(point):
    # F_lo = F* - .1, claimed .03 above that: C itself is as claimed, and what is left of it turns.
    low = FSTAR - 0.1
    made = point(side="lower", lagrangian=low, claimed_lagrangian=low + 0.03)
    assert claimed_lagrangian(made) == low + 0.03
    assert claimed_gap(made) == pytest.approx(0.07)
    assert claim_excess(made) == pytest.approx(-0.03)  # better than found


# Claimed beyond F* in d = 1, where F(q) - F* is 1 in [.98, 1.02] (at three standard errors
# [.969, 1.031]), with R = log 2, D = 1/4: .0119 is too small to matter, another .05 may be noise.
@pytest.mark.parametrize(
    ("claimed", "side", "expected"),
    [
        (-0.07, "exact", "below truth"),
        (-0.07, "upper", "below truth"),
        (-0.07, "estimate", "below truth"),
        (-0.07, "lower", "loose"),
        (-0.05, "estimate", "too good"),
        (0.90, "estimate", "too good"),
        (0.90, "upper", "too good"),
        (0.90, "lower", "conservative"),
        (0.60, "lower", "loose"),
        (0.91, "exact", "within noise"),
        (0.95, "exact", "within noise"),
        (0.96, "exact", "agrees"),
        (1.00, "estimate", "agrees"),
        (1.04, "upper", "agrees"),
        (1.05, "upper", "within noise"),
        (1.09, "lower", "within noise"),
        (1.10, "estimate", "too bad"),
        (1.10, "exact", "too bad"),
        (1.10, "lower", "too bad"),
        (1.10, "upper", "conservative"),
        (1.34, "upper", "conservative"),
        (1.35, "upper", "loose"),
        (100.0, "upper", "loose"),
    ],
)
def test_verdicts(point, claimed, side, expected):
    made = point(
        claimed_rate=RATE + claimed, claimed_side=side, gap=1.0, gap_lo=0.98, gap_hi=1.02,
        lagrangian=FSTAR + 1.0,
    )  # fmt: skip
    assert verdict(made, 1) == expected


# The same where the audit only bounds F(q) from above: nothing above F* can be refuted.
@pytest.mark.parametrize(
    ("claimed", "side", "expected"),
    [
        (-0.07, "estimate", "below truth"),
        (0.0, "estimate", "unconfirmed"),
        (0.90, "estimate", "unconfirmed"),
        (0.90, "lower", "conservative"),
        (0.96, "estimate", "agrees"),
        (1.10, "estimate", "too bad"),
        (1.10, "upper", "conservative"),
    ],
)
@pytest.mark.parametrize("lo", [None, 0.98])  # old rows carry a lower end that means nothing
def test_verdicts_where_the_audit_is_an_upper_bound(point, claimed, side, expected, lo):
    made = point(
        claimed_rate=RATE + claimed, claimed_side=side, gap=1.0, gap_lo=lo, gap_hi=1.02,
        lagrangian=FSTAR + 1.0, side="upper",
    )  # fmt: skip
    assert verdict(made, 1) == expected


@pytest.mark.parametrize(
    ("claimed", "hi", "expected"),
    [
        (1.5, 3.0, "unconfirmed"), (-0.05, 3.0, "unconfirmed"), (5.0, 3.0, "too bad"),
        (-0.1, 3.0, "below truth"), (0.1, 0.3, "too good"),
    ],
)  # fmt: skip
def test_verdicts_where_the_gate_failed_and_a_bracket_is_known(point, claimed, hi, expected):
    made = point(claimed_rate=RATE + claimed, gap=None, lagrangian=None, gap_lo=0.2, gap_hi=hi)
    assert verdict(made, 1) == expected


def test_the_doubt_about_the_truth_does_not_excuse_a_claim(point):
    # F* in FSTAR +- 1, so the gap is 0.5 +- (.03 + 1), but F(q) is FSTAR + .5 +- .03 all the same.
    wide = {
        "truth_lo": FSTAR - 1.0, "truth_hi": FSTAR + 1.0, "gap": 0.5, "gap_lo": -0.53,
        "gap_hi": 1.53, "lagrangian": FSTAR + 0.5,
    }  # fmt: skip
    made = [
        point(claimed_rate=RATE + c, claimed_distortion=DISTORTION + d, **wide)
        for c, d in ((-0.5, -0.3), (0.3, 0.0), (0.5, 0.0), (0.7, 0.0))
    ]
    assert [verdict(one, 1) for one in made] == ["below truth", "too good", "agrees", "too bad"]


def _audit(gap: float, lo: float, hi: float) -> dict[str, float]:
    return {"gap": gap, "gap_lo": lo, "gap_hi": hi, "lagrangian": FSTAR + gap}


@pytest.mark.parametrize(
    ("found", "claimed", "expected"),
    [
        # What no channel does cannot confirm anything, not even the truth.
        (_audit(-5.58, -5.64, -5.52), 0.0, "unchecked"),
        (_audit(-5.58, -5.64, -5.52), -5.58, "below truth"),
        # Rounding below F* is none.
        (_audit(-3e-5, -4e-5, -2e-5), 0.0, "agrees"),
        # An interval that is too wide to decide still contradicts what is far away.
        (_audit(0.5, 0.45, 0.55), 0.5, "agrees"),
        (_audit(0.5, 0.4, 0.6), 0.5, "undecided"),
        (_audit(0.5, 0.4, 0.6), 0.8, "too bad"),
        (_audit(0.5, 0.4, 0.6), 0.2, "too good"),
    ],
)
def test_verdicts_by_the_audits_interval(point, found, claimed, expected):
    assert verdict(point(claimed_rate=RATE + claimed, **found), 1) == expected


def test_the_noise_of_a_claim_scales_with_the_rate_and_the_distortion():
    assert tolerance(1) == 0.05
    assert tolerance(100) == pytest.approx(0.5)
    # At d = 10, R = .5 a tenth of R, not a third; at high rate .05 sqrt(d).
    assert noise(0.5, 2.0, 2.5, 10).rate == pytest.approx(0.05)
    assert noise(30.0, 2.0, 2.5, 10).rate == pytest.approx(0.05 * math.sqrt(10))
    assert noise(0.5, 2.0, 2.5, 10).distortion == pytest.approx(0.1 * 2.0 / math.sqrt(10))
    assert noise(0.0, 0.0, 2.5, 10).lagrangian == 0.0
    # A useless channel has a large D, hence a noisy F.
    assert noise(1.0, 100.0, 2.5, 10).lagrangian == pytest.approx(2.5 * 10.0 / math.sqrt(10))


def test_rates_off_by_a_third_at_low_rate_do_not_agree(point):
    beta, distortion = 2.5, 2.0
    known = {
        "beta": beta, "rate_lo": 0.5, "rate_hi": 0.5, "dist_lo": distortion,
        "dist_hi": distortion, "truth_lo": 5.5, "truth_hi": 5.5, "rate": 0.5,
        "distortion": distortion, "lagrangian": 5.5, "gap": 0.0, "gap_lo": 0.0, "gap_hi": 0.0,
        "rate_half": 0.0, "distortion_half": 0.0, "claimed_distortion": distortion,
    }  # fmt: skip
    for factor, expected in (
        (1.0, "agrees"), (1.08, "within noise"), (1.25, "misplaced"), (1.4, "too bad"),
    ):  # fmt: skip
        assert verdict(point(**known, claimed_rate=0.5 * factor), 10) == expected


@pytest.mark.parametrize("dim", [1, 10, 1000])
@pytest.mark.parametrize("per_coordinate", [0.05, 0.5, 3.0])
def test_an_honest_claim_on_2000_symbols_is_never_called_wrong(point, dim, per_coordinate):
    """R and D of the optimal channel of N(0, I_d), as means over 2,000 symbols.

    With D = e^{-2r} a coordinate, E[rho | x] = D(1 - D) + D^2 x^2 and
    f(x) = r + x^2 / 2, so that R = f - beta E[rho | x] with beta = 1 / (2 D).
    """
    import numpy as np

    each = math.exp(-2.0 * per_coordinate)
    beta = 0.5 / each
    rate, distortion = dim * per_coordinate, dim * each
    best = rate + beta * distortion
    exact = {
        "beta": beta, "rate": rate, "distortion": distortion, "lagrangian": best, "gap": 0.0,
        "gap_lo": 0.0, "gap_hi": 0.0, "rate_half": 0.0, "distortion_half": 0.0, "truth_lo": best,
        "truth_hi": best, "rate_lo": rate, "rate_hi": rate, "dist_lo": distortion,
        "dist_hi": distortion,
    }  # fmt: skip
    generator = np.random.default_rng(11)
    squares = generator.chisquare(dim * 2000, size=200) / 2000
    bad = 0
    for square in map(float, squares):
        d = dim * each * (1.0 - each) + each**2 * square
        r = dim * per_coordinate + 0.5 * square - beta * d
        made = point(**exact, claimed_rate=r, claimed_distortion=d)
        bad += verdict(made, dim, LADDER_OF[dim]) not in ("agrees", "within noise")
    assert bad <= 3


def _tangent(dim: int, per_coordinate: float) -> tuple[float, float]:
    """beta and F* of N(0, I_d): F* = d (r + 1/2)."""
    return 0.5 * math.exp(2.0 * per_coordinate), dim * (per_coordinate + 0.5)


LADDER_OF = {
    dim: tuple(_tangent(dim, r) for r in (0.05, 0.2, 0.5, 1.0, 2.0, 3.0)) for dim in (1, 10, 1000)
}


@pytest.mark.parametrize("side", ["exact", "upper", "estimate", "lower"])
@pytest.mark.parametrize("changes", [(-0.1, 0.4), (0.7, -1e-3), (-5.0, -1.0)])
def test_no_channel_has_a_negative_rate_or_distortion(point, changes, side):
    # At a large beta * D the Lagrangian looks fine; a lower bound says no such thing either.
    rate, distortion = changes
    made = point(claimed_rate=rate, claimed_distortion=distortion, claimed_side=side)
    assert verdict(made, 1) == "below truth"
    nothing = dict.fromkeys(("truth_lo", "truth_hi", "gap", "gap_lo", "gap_hi"))
    alone = point(claimed_rate=rate, claimed_distortion=distortion, claimed_side=side, **nothing)
    assert verdict(alone, 1) == "below truth"


def test_a_rate_below_zero_by_its_noise_is_none(point):
    tiny = {"rate": 0.01, "rate_lo": 0.01, "rate_hi": 0.01}
    lagrangian = 0.01 + BETA * 0.5
    tiny |= {"distortion": 0.5, "truth_lo": lagrangian, "truth_hi": lagrangian, "gap": 0.0}
    tiny |= {"lagrangian": lagrangian, "gap_lo": 0.0, "gap_hi": 0.0, "claimed_distortion": 0.5}
    assert verdict(point(**tiny, claimed_rate=-0.002), 1) in ("agrees", "within noise")
    assert verdict(point(**tiny, claimed_rate=-0.03), 1) == "below truth"


# ---------------------------------------------------------------------------- R and D as a pair

PAIR = {"rate_half": 0.004, "distortion_half": 0.002, "gap": 0.0, "gap_lo": -0.001,
        "gap_hi": 0.001, "lagrangian": FSTAR, "rate": RATE, "distortion": DISTORTION}  # fmt: skip


def _moved(factor: float) -> dict[str, float]:
    """D scaled by a factor, R moved so that F stays what it is."""
    moved = DISTORTION * factor
    return {"claimed_distortion": moved, "claimed_rate": FSTAR - BETA * moved}


ENCODER = {"claimed_side": "upper", "conditional_kind": "encoder"}
AT_ONE = {"beta": 1.0, "rate": 0.3466, "distortion": 0.5, "lagrangian": 0.8466,
          "truth_lo": 0.8466, "truth_hi": 0.8466, "rate_lo": 0.3466, "rate_hi": 0.3466}  # fmt: skip
OLD = {"rate_half": None, "distortion_half": None}


@pytest.mark.parametrize(
    ("changes", "curve", "expected"),
    [
        # R(D / 20) of N(0, 1) is R + .5 log 20 = R + 1.5; R + .475 is claimed.
        (_moved(0.05), True, "below truth"),
        (_moved(0.05) | {"claimed_side": "exact"}, True, "below truth"),
        (_moved(0.05) | {"claimed_side": "upper"}, True, "below truth"),
        (_moved(0.05) | {"claimed_side": "lower"}, True, "conservative"),
        # The point's own tangent cannot tell, and then the audited pair does.
        (_moved(0.05), False, "misplaced"),
        *((_moved(factor), False, "misplaced") for factor in (0.5, 0.8, 1.25, 2.0)),
        # R and D swapped; at beta = 1 the Lagrangian is the same.
        ({"claimed_rate": DISTORTION, "claimed_distortion": RATE}, False, "too bad"),
        (AT_ONE | {"claimed_rate": 0.5, "claimed_distortion": 0.3466}, False, "misplaced"),
        # The intervals of R and D widen what is granted.
        (_moved(1.25) | {"rate_half": 0.05, "distortion_half": 0.04}, False, "undecided"),
        (_moved(1.25) | {"rate_half": 0.3, "distortion_half": 0.2}, False, "undecided"),
        # Where the audit bounds from above another pair is not confirmed.
        (_moved(0.5) | {"side": "upper", "gap_lo": None}, False, "unconfirmed"),
        # An encoder with F(q) + e is another channel than q's own, with other R and D.
        (
            ENCODER | {"claimed_rate": RATE + 0.15, "claimed_distortion": DISTORTION - 0.05},
            False,
            "within noise",
        ),
        # The same for free is none of an encoder's.
        (
            ENCODER | {"claimed_rate": RATE + 0.2, "claimed_distortion": DISTORTION - 0.1},
            False,
            "misplaced",
        ),
        # Old records do not say how sure their rates are.
        (_moved(0.8) | OLD, False, "agrees"),
        (_moved(0.05) | OLD, True, "below truth"),
    ],
)
def test_verdicts_on_r_and_d_as_a_pair(point, changes, curve, expected):
    assert verdict(point(**(PAIR | changes)), 1, LADDER_OF[1] if curve else ()) == expected


def test_the_tangents_of_a_cell_are_those_of_its_whole_ladder(point, cell):
    steep = point(beta=20.0, truth_lo=2.344, status="error", claimed_rate=None)
    made = point(**PAIR, **_moved(0.05))
    record = cell(points=[made, steep])
    assert curve_of(record) == ((BETA, FSTAR), (20.0, 2.344))
    assert verdict_in(record, made) == "below truth"
    assert verdict_in(cell(points=[made]), made) == "misplaced"


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


def test_a_summary_of_claims(point, cell):
    points = [
        point(claimed_rate=RATE + 0.01),
        point(claimed_rate=RATE - 0.9),
        point(claimed_rate=RATE + 0.5),
        point(claimed_rate=None),
    ]
    found = summarise_claims((cell(), made) for made in points)
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
