"""The band of R(D): convex, decreasing, around the closed forms, and honest about noise."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rdbench.band import Band, Reached, Tangent
from rdbench.band.hull import decreasing_hull
from rdbench.bracket import Bracket
from rdbench.outcomes import RdbenchError
from rdbench.references.gaussian import WaterFilling
from rdbench.run.records import CellRecord, Cost, PointRecord, Provenance
from rdbench.sources.gaussian import GaussianSource

MADE = Provenance(
    commit="", dirty=None, versions={}, processor="", platform="", device="cpu", threads=1, jobs=1,
    started="", finished="",
)  # fmt: skip


def cell(points: list[PointRecord], estimator: str = "e", seed: int = 0) -> CellRecord:
    return CellRecord(
        cell=f"{estimator}{seed}", suite="s", suite_version=1, case="c", dim=1,
        distortion="squared_error", estimator=estimator, preset="default", params={}, fields={},
        seed=seed, budget="default", status="ok", points=points, cost=Cost(), provenance=MADE,
    )  # fmt: skip


def audited(beta: float, rate: float, distortion: float, **changes: object) -> PointRecord:
    values = {
        "beta": beta, "status": "ok", "side": "exact", "rate": rate, "distortion": distortion,
        "lagrangian": rate + beta * distortion, "rate_half": 0.0, "distortion_half": 0.0,
    }  # fmt: skip
    return PointRecord(**(values | changes))  # type: ignore[arg-type]


class Row(PointRecord, frozen=True, kw_only=True):
    """A row that has the ends of the interval of F."""

    lagrangian_lo: float | None = None
    lagrangian_hi: float | None = None


LOWER = Row(beta=1.0, status="ok", side="lower", lagrangian=2.0, lagrangian_lo=1.9)


def gaussian(d: float, variance: float = 1.0) -> float:
    return max(0.5 * math.log(variance / d), 0.0)


def test_one_row_bounds_from_both_sides_by_hand() -> None:
    band = Band((Tangent(2.0, 3.0, "low"),), (Reached(1.0, 1.5, "a"), Reached(3.0, 0.5, "b")))
    assert band.rate(1.0) == Bracket(1.0, 1.5)
    assert band.rate(2.0) == Bracket(0.0, 1.0)  # time-sharing above, zero below
    assert band.rate(0.5) == Bracket(2.0, math.inf)
    assert band.rate(9.0) == Bracket(0.0, 0.5)  # more distortion takes no more rate
    assert band.distortion(1.0) == Bracket(1.0, 2.0)
    assert band.distortion(0.1) == Bracket(1.45, math.inf)
    assert band.width(2.0) == 1.0
    assert (band.above(2.0), band.above(1.0), band.below(1.0), band.below(2.0)) == (
        "a, b", "a", "low", "",
    )  # fmt: skip
    silent = Band(band.tangents, band.reached, silent=4.0)
    assert silent.rate(4.0) == Bracket(0.0, 0.0)
    assert silent.rate(3.5).hi == pytest.approx(0.25)


def test_an_empty_band_knows_nothing() -> None:
    assert Band().rate(1.0) == Bracket(0.0, math.inf)
    assert Band().distortion(1.0) == Bracket(0.0, math.inf)
    assert Band().crossing is None
    assert Band().above(1.0) == Band().below(1.0) == ""


@settings(max_examples=40, deadline=None)
@given(
    variances=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5),
    betas=st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=12, unique=True),
)
def test_the_band_of_a_gaussian_is_convex_decreasing_and_around_the_truth(
    variances: list[float], betas: list[float]
) -> None:
    stds = torch.tensor(variances, dtype=torch.float64).sqrt()
    dim = len(variances)
    source = GaussianSource(
        "g", torch.zeros(dim, dtype=torch.float64), stds, torch.eye(dim, dtype=torch.float64)
    )
    reference = WaterFilling(source)
    band = Band.of_reference(reference, betas)
    assert band.crossing is None
    d = np.geomspace(1e-6 * sum(variances), 1.5 * sum(variances), 60)
    lower, upper = band.least(d), band.most(d)
    truth = np.array([_water_filling(np.array(variances), one) for one in d])
    slack = 1e-8 * (1.0 + truth)
    assert (lower <= truth + slack).all()
    assert (truth <= upper + slack).all()
    for side in (lower, upper[np.isfinite(upper)]):
        at = d[-len(side) :]
        slopes = np.diff(side) / np.diff(at)
        assert (slopes <= 1e-9).all()
        assert (np.diff(slopes) >= -1e-6 * np.abs(slopes[:-1]) - 1e-9).all()
    for one, level in zip(d, truth, strict=True):
        found = band.distortion(float(level))
        assert found.lo <= one * (1 + 1e-8)
        assert level == 0.0 or found.hi >= one * (1 - 1e-8)


def _water_filling(variances: np.ndarray, distortion: float) -> float:
    """R(D) of independent Gaussians, the water level by bisection."""
    if distortion >= variances.sum():
        return 0.0
    lo, hi = 0.0, float(variances.max())
    for _ in range(200):
        level = 0.5 * (lo + hi)
        if np.minimum(variances, level).sum() > distortion:
            hi = level
        else:
            lo = level
    return float(0.5 * np.log(np.maximum(variances / hi, 1.0)).sum())


def test_the_hull_drops_what_time_sharing_beats_and_what_does_not_fall() -> None:
    d = np.array([1.0, 2.0, 3.0, 1.0, 4.0])
    r = np.array([4.0, 3.5, 1.0, 5.0, 1.0])
    assert decreasing_hull(d, r) == [0, 2]
    assert decreasing_hull(np.zeros(0), np.zeros(0)) == []


def _ladder(rng: np.random.Generator, sigma: float, seed: int) -> CellRecord:
    """N(0, 1) at six slopes as an audit of noisy symbols sees it: errors of R and D that nearly
    cancel in F, each with its 95% interval.
    """
    points = []
    for rate in (0.3, 0.6, 1.0, 1.6, 2.4, 3.2):
        d = math.exp(-2.0 * rate)
        beta = 0.5 / d
        of_d, of_f = sigma * d * rng.standard_normal(), 0.02 * sigma * rng.standard_normal()
        half_d, half_f = 1.96 * sigma * d, 1.96 * 0.02 * sigma
        f = rate + beta * d + of_f
        points.append(
            audited(
                beta, f - beta * (d + of_d), d + of_d, rate_half=half_f + beta * half_d,
                distortion_half=half_d, gap=of_f, gap_lo=of_f - half_f, gap_hi=of_f + half_f,
            )
        )  # fmt: skip
    return cell(points, seed=seed)


def test_the_upper_side_holds_at_all_points_at_once_where_audits_are_noisy() -> None:
    rng = np.random.default_rng(5)
    sets = [[_ladder(rng, 0.005, seed) for seed in range(4)] for _ in range(200)]

    def misses(trusted: bool) -> float:
        wrong = 0
        for records in sets:
            band = Band.of_records(records, trusted=trusted)
            wrong += any(p.rate < gaussian(p.distortion) for p in band.reached)
        return wrong / len(sets)

    assert misses(trusted=True) <= 0.05  # 2.5% and three standard errors of 200
    assert misses(trusted=False) > 0.5  # the middle of the intervals is no bound
    # and yet it is of the size of the interval of F, not of those of R and D
    ends = [
        (p.rate - gaussian(p.distortion), p) for one in sets for p in Band.of_records(one).reached
    ]
    excess = np.median([gap for gap, p in ends if p.rate < 3.0])
    assert excess < 0.2 * 1.96 * 0.005


def test_an_estimate_and_a_failed_row_bound_nothing() -> None:
    good = audited(0.5, 1.0, 1.0)
    false = [
        audited(0.5, 0.1, 0.1, side="estimate"),
        audited(0.5, 0.1, 0.1, status="error"),
        audited(0.5, 0.1, 0.1, rate_half=None, distortion_half=None),  # no interval
    ]
    assert Band.of_records([cell([good, *false])]).reached == (Reached(1.0, 1.0, "e"),)


def test_a_row_that_the_truth_proves_false_is_left_out() -> None:
    known = {"truth_lo": 2.0, "truth_kind": "closed form"}
    rows = [audited(1.0, 1.0, 1.0, **known), audited(1.0, 0.1, 0.5, **known)]
    rows += [audited(1.0, 9.0, -0.5, **known)]
    for truth in (True, False):
        assert [p.rate for p in Band.of_records([cell(rows)], truth=truth).reached] == [1.0]
    assert [p.rate for p in Band.of_records([cell(rows)], trusted=False).reached] == [1.0]
    # where nothing is known nothing says that it is false, but no distortion is negative
    unknown = [msgspec.structs.replace(row, truth_lo=None) for row in rows]
    assert [p.rate for p in Band.of_records([cell(unknown)]).reached] == [pytest.approx(0.1)]


def test_the_columns_of_a_lower_bound_and_of_the_truth_count() -> None:
    with_truth = audited(1.0, 1.5, 1.0, truth_lo=2.2, truth_kind="certified", rate_hi=1.4,
                         dist_hi=0.9)  # fmt: skip
    record = cell([LOWER, with_truth])
    band = Band.of_records([record], truth=False)
    assert band.tangents == (Tangent(1.0, 1.9, "e"),)
    assert Band.of_records([record], truth=False, trusted=False).tangents[0].lagrangian == 2.0
    both = Band.of_records([record])
    assert both.below(1.0) == both.above(1.0) == "truth (certified)"
    assert both.rate(0.9).lo == pytest.approx(1.3)
    assert both.rate(0.9).hi == pytest.approx(1.4)


def test_many_lower_ends_are_stretched() -> None:
    (only,) = Band.of_records([cell([LOWER] * 40)]).tangents
    # 1 - .025 / 40 of the normal law is at 3.227, that of one at 1.960
    assert only.lagrangian == pytest.approx(2.0 - 0.1 * 3.2272 / 1.95996, abs=1e-4)


def test_the_end_of_f_is_taken_where_the_row_has_it() -> None:
    row = Row(
        beta=1.0, status="ok", side="upper", rate=1.0, distortion=1.0, lagrangian=2.0,
        lagrangian_hi=2.1, rate_half=0.5, distortion_half=0.0,
    )  # fmt: skip
    assert Band.of_records([cell([row])]).reached[0].rate == pytest.approx(1.1)


def test_sides_that_contradict_each_other_are_told() -> None:
    band = Band((Tangent(1.0, 3.0, "false"),), (Reached(1.0, 1.5, "a"), Reached(2.0, 0.9, "b")))
    crossing = band.crossing
    assert crossing is not None
    assert crossing == Reached(1.0, 0.5, "false above a")
    with pytest.raises(RdbenchError, match=r"at D = 1: 2 from below, 1.5 from above"):
        band.rate(1.0)
    with pytest.raises(RdbenchError, match=r"at R = 1\.2"):
        band.distortion(1.2)
    # rounding is none
    assert Band((Tangent(1.0, 2.5 + 1e-12),), band.reached).crossing is None
    assert Band((Tangent(1.0, 2.5 + 1e-12),), band.reached).rate(1.0).width == 0.0
