"""Paired differences: against numpy on the same numbers, and by how often they cover."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from scipy import stats

from rdbench.report.paired import Entrant, difference, standing

Z95 = 1.959963984540054


@pytest.fixture
def members(cell, point):
    """Points with their cells: of one estimator, from the blocks of every slope and seed."""

    def make(blocks, *, seeds=(0,), common=0.0, side="exact", n_train=None, **changes):
        found = []
        for seed in seeds:
            points = []
            for k, mine in enumerate(blocks[seed] if isinstance(blocks, dict) else blocks):
                gap = float(np.mean(mine))
                half = Z95 * math.hypot(np.std(mine, ddof=1) / math.sqrt(len(mine)), common)
                values = {
                    "beta": float(k + 1), "gap": gap, "gap_hi": gap + half,
                    "gap_lo": None if side == "upper" else gap - half, "side": side,
                    "gap_blocks": [float(b) for b in mine], "gap_common_se": common,
                }  # fmt: skip
                points.append(point(**(values | changes)))
            record = cell(seed=seed, points=points, n_train=n_train)
            found += [(record, one) for one in points]
        return found

    return make


def compared(mine, other):
    """The difference, which has to be known."""
    found = difference(mine, other)
    assert found is not None
    return found


def symmetric(values):
    """The values and their mirror images: no skewness, so that no tail is allowed for."""
    return np.concatenate([values, 2.0 * np.mean(values) - values])


def test_one_slope_is_students_interval_of_the_block_differences(members):
    generator = np.random.default_rng(1)
    shared = 0.09 * generator.standard_normal(64)
    noise = symmetric(0.003 * generator.standard_normal(32))
    found = compared(members([0.05 + shared + noise]), members([shared]))
    d = 0.05 + noise
    half = stats.t.ppf(0.975, 63) * np.std(d, ddof=1) / 8.0
    assert found.value == pytest.approx(np.mean(d), rel=1e-9)
    assert (found.lo, found.hi) == pytest.approx((np.mean(d) - half, np.mean(d) + half), rel=1e-6)
    assert (found.holds, found.better, found.worse) == ("exact", 0, 1)
    assert (found.paired, found.points) == (1, 1)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_end_on_the_side_of_a_long_tail_moves_out(members, sign):
    d = sign * np.array([0.0] * 15 + [1.0])
    found = compared(members([d]), members([0.0 * d]))
    se = np.std(d, ddof=1) / 4.0
    half = stats.t.ppf(0.975, 15) * se
    # g (2 z^2 + 1) / (6 sqrt(16)) with g = 14 / sqrt(15): more than one standard error, so one.
    moved = np.std(d) / 4.0
    out, near = (found.hi, found.lo) if sign > 0.0 else (-found.lo, -found.hi)
    assert out == pytest.approx(1.0 / 16.0 + half + moved, rel=1e-9)
    assert near == pytest.approx(1.0 / 16.0 - half, rel=1e-9)


def test_the_errors_of_slopes_add_as_variances(members):
    generator = np.random.default_rng(2)
    noise = [symmetric(s * generator.standard_normal(8)) for s in (0.1, 0.2, 0.4)]
    found = compared(members([n + 1.0 for n in noise]), members([0.0 * n for n in noise]))
    v = np.array([np.var(n, ddof=1) / 16.0 for n in noise])
    freedom = v.sum() ** 2 / (v**2 / 15.0).sum()  # Welch and Satterthwaite
    half = stats.t.ppf(0.975, freedom) * math.sqrt(v.sum()) / 3.0
    assert found.value == pytest.approx(1.0 + np.mean([n.mean() for n in noise]), rel=1e-9)
    assert 0.5 * (found.hi - found.lo) == pytest.approx(half, rel=1e-6)


def test_the_shorter_one_says_which_blocks_are_common(members):
    shared = np.random.default_rng(3).standard_normal(64)
    short = shared[:5] + symmetric(np.array([0.1, 0.3]))[[0, 1, 2, 3, 0]]
    found = compared(members([short]), members([shared]))
    d = short - shared[:5]
    assert found.value == pytest.approx(np.mean(d))
    half = stats.t.ppf(0.975, 4) * np.std(d, ddof=1) / math.sqrt(5.0)
    # and at most one standard error on the side of the longer tail
    assert found.hi - found.value >= half - 1e-9
    assert found.hi - found.lo <= 2.0 * half + np.std(d, ddof=1) / math.sqrt(5.0)


def test_what_all_blocks_share_does_not_average_out(members):
    noise = symmetric(1e-6 * np.arange(32.0))
    a, b = members([noise], common=0.03), members([0.0 * noise], common=0.04)
    found = compared(a, b)
    assert 0.5 * (found.hi - found.lo) == pytest.approx(Z95 * 0.05, rel=1e-3)


def test_exact_sums_differ_exactly(cell, point):
    sums = {"gap_blocks": [], "gap_common_se": 0.0, "gap_lo": None}
    a, b = (
        [(cell(), point(**(sums | {"gap": gap, "gap_lo": gap, "gap_hi": gap})))]
        for gap in (0.02, 0.015)
    )
    found = compared(a, b)
    assert (found.lo, found.value, found.hi) == pytest.approx((0.005,) * 3, abs=1e-11)
    assert (found.paired, found.worse) == (1, 1)
    # What is equal up to rounding is equal.
    near = [(cell(), msgspec.structs.replace(b[0][1], gap=0.015 + 1e-15))]
    equal = compared(near, b)
    assert equal.lo < 0.0 < equal.hi


def test_exact_sums_keep_the_bracket_of_their_quadrature(cell, point):
    a, b = (
        [(cell(), point(gap=g, gap_lo=g - e, gap_hi=g + e, gap_common_se=0.0))]
        for g, e in ((0.02, 0.001), (0.015, 0.002))
    )
    found = compared(a, b)
    assert (found.lo, found.hi) == pytest.approx((0.002, 0.008), abs=1e-11)


def test_the_truths_width_cancels(cell, point):
    wide = {"truth_lo": 0.0, "truth_hi": 2.0, "gap_common_se": 0.0}
    a, b = ([(cell(), point(gap=g, gap_lo=g - 1.0, gap_hi=g + 1.0, **wide))] for g in (0.3, 0.1))
    found = compared(a, b)
    assert (found.lo, found.hi) == pytest.approx((0.2, 0.2), abs=1e-11)


def test_old_records_are_compared_by_their_own_intervals_and_say_so(cell, point):
    a = [(cell(), point(beta=b, gap=0.10, gap_lo=0.07, gap_hi=0.12)) for b in (1.0, 2.0)]
    b = [(cell(), point(beta=b, gap=0.02, gap_lo=0.01, gap_hi=0.06)) for b in (1.0, 2.0)]
    found = compared(a, b)
    # [.07 - .06, .12 - .01], in the mean of two slopes as well: nothing is known of dependence.
    assert (found.lo, found.value, found.hi) == pytest.approx((0.01, 0.08, 0.11))
    assert (found.paired, found.points) == (0, 2)


def test_the_bracket_of_annealing_stays(members):
    # What the interval has beyond ten standard errors is no sampling error.
    noise = symmetric(0.01 * np.random.default_rng(4).standard_normal(32))
    plain = members([noise])
    se = float(np.std(noise, ddof=1)) / 8.0
    gap = float(np.mean(noise))
    wide = members([noise], gap_hi=gap + 12.0 * se, gap_lo=gap - 12.0 * se)
    found, narrow = compared(wide, plain), difference(plain, plain)
    assert narrow is not None
    assert found.hi == pytest.approx((12.0 - Z95) * se, rel=1e-6)
    assert narrow.hi < 1e-9


def test_only_equal_seeds_slopes_and_settings_are_paired(members, cell):
    blocks = [np.linspace(0.0, 1.0, 8)] * 2
    mine, other = members(blocks), members([b + 1.0 for b in blocks])
    for changes in (
        {"suite": "other"}, {"suite_version": 2}, {"case": "other"}, {"budget": "quick"},
        {"provenance": msgspec.structs.replace(mine[0][0].provenance, device="cuda")},
    ):  # fmt: skip
        moved = [(msgspec.structs.replace(r, **changes), p) for r, p in other]
        assert difference(mine, moved) is None
    moved = [(r, msgspec.structs.replace(p, beta=p.beta * (1.0 + 1e-6))) for r, p in other]
    assert difference(mine, moved) is None
    # Other seeds have other symbols: compared, but not in pairs.
    seeds = [(msgspec.structs.replace(r, seed=5), p) for r, p in other]
    found = compared(mine, seeds)
    assert found.value == pytest.approx(-1.0)
    assert (found.paired, found.points) == (0, 2)
    # The number of training points changes no symbol of the audit.
    few = [(msgspec.structs.replace(r, n_train=100), p) for r, p in other]
    found = compared(mine, few)
    assert found.paired == 2


def test_points_that_failed_take_no_part_and_slopes_weigh_the_same(members, cell, failed):
    a = members([np.full(4, 1.0), np.full(4, 3.0)], seeds=(0, 1))
    a = [(r, p) for r, p in a if (r.seed, p.beta) != (1, 2.0)]
    b = members([np.full(4, 0.0), np.full(4, 0.0)], seeds=(0, 1))
    found = compared(a, b)
    assert found.value == pytest.approx(2.0)
    assert found.points == 3
    dead = [(cell(), failed("timeout", "slow", beta=beta)) for beta in (1.0, 2.0)]
    assert difference(a, dead) is None


def test_three_seeds_or_more_speak_for_others(members):
    flat = {seed: [np.full(8, level)] for seed, level in enumerate((0.1, 0.2, 0.6))}
    zero = {seed: [np.zeros(8)] for seed in flat}
    found = compared(members(flat, seeds=(0, 1, 2)), members(zero, seeds=(0, 1, 2)))
    half = stats.t.ppf(0.975, 2) * np.std([0.1, 0.2, 0.6], ddof=1) / math.sqrt(3.0)
    assert (found.value, found.hi) == pytest.approx((0.3, 0.3 + half))
    two = compared(members(flat, seeds=(0, 1)), members(zero, seeds=(0, 1)))
    assert two.hi == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("sides", "holds"),
    [
        (("exact", "exact"), "exact"),
        (("upper", "exact"), "upper"),
        (("exact", "upper"), "lower"),
        (("upper", "upper"), "audited"),
        (("estimate", "exact"), "estimate"),
        (("upper", "estimate"), "estimate"),
    ],
)
def test_which_ends_hold_follows_from_the_sides(members, sides, holds):
    a, b = (members([np.arange(4.0)], side=side) for side in sides)
    found = compared(a, b)
    assert found.holds == holds


def test_no_truth_is_needed(members):
    gone = dict.fromkeys(("gap", "gap_lo", "gap_hi", "truth_lo", "truth_hi"))
    a, b = (members([np.arange(4.0) + shift], **gone) for shift in (1.5, 1.0))
    found = compared(a, b)
    assert found.value == pytest.approx(0.5)


def test_the_interval_covers(members):
    """Symbols in common with nine tenths of the noise, skewed differences, four slopes."""
    generator = np.random.default_rng(20261129)
    runs, covered, widths = 400, 0, []
    for _ in range(runs):
        shared = generator.standard_normal((4, 64))
        own = 0.1 * (generator.exponential(size=(4, 64)) - 1.0)
        found = compared(members(list(0.02 + shared + own)), members(list(shared)))
        covered += found.lo <= 0.02 <= found.hi
        widths.append(found.hi - found.lo)
    # 95% with three standard errors of the number of runs.
    assert covered / runs >= 0.95 - 3.0 * math.sqrt(0.95 * 0.05 / runs)
    # The unpaired interval of one such mean is [-.123, .123].
    assert np.mean(widths) < 0.05


# ------------------------------------------------------------------------------ who is best


def names(found):
    return None if found is None else (found.best, sorted(found.leaders))


def test_the_best_and_who_is_not_significantly_worse(members):
    shared = np.random.default_rng(5).standard_normal((3, 64))
    noise = np.array([symmetric(0.01 * row[:32]) for row in np.random.default_rng(6)
                      .standard_normal((3, 64))])  # fmt: skip
    entrants = {
        "a": Entrant(tuple(members(list(shared)))),
        "b": Entrant(tuple(members(list(shared + noise + 0.0004)))),  # half a standard error
        "c": Entrant(tuple(members(list(shared + noise + 0.05)))),
    }
    assert names(standing(entrants)) == ("a", ["a", "b"])
    # By the points' own intervals nothing could be told apart.
    old = {
        key: Entrant(
            tuple(
                (r, msgspec.structs.replace(p, gap_blocks=[], gap_common_se=None))
                for r, p in one.members
            )
        )
        for key, one in entrants.items()
    }
    assert names(standing(old)) == ("a", ["a", "b", "c"])


def test_a_leader_lacks_nothing(members, cell, failed):
    good, bad = members([np.zeros(8)] * 2), members([np.ones(8)] * 2)
    hole = [good[0], (good[1][0], failed("timeout", "slow", beta=2.0))]
    dead = tuple((r, failed("unsupported", "no", beta=p.beta)) for r, p in good)
    for entrants, expected in (
        ({"a": good, "b": bad}, ("a", ["a"])),
        ({"a": hole, "b": bad}, ("b", [])),
        ({"a": hole[:1], "b": bad}, ("b", [])),
        ({"a": hole, "b": good}, ("b", ["b"])),
        ({"a": good, "b": bad, "c": dead}, ("a", ["a"])),
        ({"a": good, "c": dead}, None),
        ({"a": good}, None),
        ({}, None),
    ):
        whole = {key: Entrant(tuple(one)) for key, one in entrants.items()}
        assert names(standing(whole)) == expected
    not_whole = {"a": Entrant(tuple(good), whole=False), "b": Entrant(tuple(bad))}
    assert names(standing(not_whole)) == ("b", [])


def test_an_upper_bound_is_ranked_by_what_it_shows(members):
    # Its estimate .01 lies below .02, its upper end .03 does not: the exact one is best, and the
    # other is not shown to be worse.
    exact = members([symmetric(np.full(4, 0.02))])
    upper = members([np.full(8, 0.01)], side="upper", gap_hi=0.03, gap_lo=None)
    found = standing({"exact": Entrant(tuple(exact)), "upper": Entrant(tuple(upper))})
    assert names(found) == ("exact", ["exact", "upper"])
