"""The line of the truth on every suite, for ladders of two and of eight rungs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from rdbench import registry
from rdbench.cli.truth import CPU_S, Allowance, ReferenceSource, TruthSources, _bounded
from rdbench.references.unknown import Unknown
from rdbench.report.rungs import TOLERANCE, Rung
from rdbench.report.series import line_of
from rdbench.report.truth_line import TruthLine, truth_line
from rdbench.types import Bracket, Case

ALL = [
    (name, case) for name in registry.names("suite") for case in registry.load_suite(name).cases()
]
CLOSED = [
    pytest.param(suite, case, id=f"{suite}/{case.name}")
    for suite, case in ALL
    if not _bounded(case.reference) and not isinstance(case.reference, Unknown)
]
SOLVED = [
    pytest.param(suite, case, id=f"{suite}/{case.name}")
    for suite, case in ALL
    if _bounded(case.reference)
]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RDBENCH_CACHE", str(tmp_path / "cache"))


def ladder(case: Case, count: int) -> list[Rung]:
    """The rungs as records state them: two from near the ends, or all."""
    rates = case.rates if count > 2 else (case.rates[1], case.rates[-2])
    points = [case.reference.point(case.reference.slope(rate)) for rate in rates]
    return [
        Rung(p.beta, p.lagrangian.lo, p.lagrangian.hi, p.distortion.mid,
             (p.distortion.hi, p.rate.hi))
        for p in points
    ]  # fmt: skip


def between(line: TruthLine) -> list[tuple[float, float]]:
    """Points (D, R) on the strokes, as a linear and as a logarithmic axis draws them."""
    found = []
    for points in line.lines:
        for (d0, r0), (d1, r1) in itertools.pairwise(points.tolist()):
            for part in (0.0, 0.37, 0.5, 0.81):
                r = r0 + part * (r1 - r0)
                found += [(d0 + part * (d1 - d0), r)]
                found += [(d0 * (d1 / d0) ** part, r)] if d0 > 0.0 else []
    return found


def off(rate: float, truth: Bracket) -> float:
    """How far a drawn rate lies outside what is known."""
    return max(truth.lo - rate, rate - truth.hi)


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize(("suite", "case"), CLOSED)
def test_closed_forms_are_drawn_within_the_tolerance(suite, case, count):
    rungs = ladder(case, count)
    line = truth_line(rungs, ReferenceSource(case.reference, Allowance(0.0)))
    assert line.bands == ()
    (points,) = line.lines
    assert points[[0, -1], 0] == pytest.approx(
        sorted((rungs[0].distortion, rungs[-1].distortion)), rel=1e-9
    )
    drawn = between(line)
    for d, r in drawn[:: max(1, len(drawn) // 120)]:
        assert off(r, case.reference.rate(d)) <= TOLERANCE


class Shipped:
    """A certified case of which every other rung is left out."""

    def __init__(self, case: Case) -> None:
        self.source = ReferenceSource(case.reference, Allowance(0.0))
        self.all = sorted(self.source.known(), key=lambda rung: rung.beta)
        self.shown, self.left_out = self.all[::2], self.all[1::2]

    def known(self) -> list[Rung]:
        return self.shown

    def cost(self, beta: float) -> float:
        return 1.0

    def ask(self, beta: float) -> Rung | None:
        return None


@pytest.mark.parametrize(("suite", "case"), SOLVED)
def test_lines_between_certificates_meet_those_that_were_left_out(suite, case):
    shipped = Shipped(case)
    line = truth_line(shipped.shown, shipped)
    checked = 0
    for rung in shipped.left_out:
        for points in line.lines:
            if points[0, 0] < rung.distortion < points[-1, 0]:
                r = float(np.interp(rung.distortion, points[:, 0], points[:, 1]))
                assert abs(r - rung.rate) <= TOLERANCE + 2.0 * (rung.hi - rung.lo)
                checked += 1
        # Where no line is drawn, the certificate lies in the band.
        for band in line.bands:
            if band[0, 0] < rung.distortion < band[-1, 0]:
                lower, upper = (np.interp(rung.distortion, band[:, 0], band[:, k]) for k in (1, 2))
                assert lower - TOLERANCE <= rung.rate <= upper + TOLERANCE
                checked += 1
    assert checked or len(shipped.left_out) < 2


CHEAP = [one for one in SOLVED if one.id in
         ("discrete/random-500", "scalar/uniform-squared", "high_dimensional/cube-d6")]  # fmt: skip


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize(("suite", "case"), CHEAP)
def test_lines_between_certificates_meet_fresh_ones(suite, case, count):
    source = ReferenceSource(case.reference, Allowance(CPU_S))
    line = truth_line(ladder(case, count), source)
    assert line.bands == ()
    fresh = ReferenceSource(case.reference, Allowance(CPU_S))
    slopes = sorted(rung.beta for rung in ladder(case, count))
    for low, high in itertools.pairwise(slopes):
        rung = fresh.ask(float(f"{low**0.43 * high**0.57:.6g}"))
        assert rung is not None
        (points,) = line.lines
        r = float(np.interp(rung.distortion, points[:, 0], points[:, 1]))
        assert abs(r - rung.rate) <= TOLERANCE + 2.0 * (rung.hi - rung.lo)


def test_beyond_the_allowance_the_free_rungs_still_count():
    (case,) = (c for c in registry.load_suite("heavy_tailed").cases() if c.name == "t5-d50")
    source = ReferenceSource(case.reference, Allowance(0.0))
    assert len(source.known()) == 8
    beta = math.sqrt(source.known()[0].beta * source.known()[1].beta)
    assert source.cost(beta) > 0.1
    assert source.ask(beta) is None
    # the last certificate may take more than was left
    assert len(ReferenceSource(case.reference, Allowance(-3.0)).known()) == 8


# ------------------------------------------------------------------- from a record to its case


@pytest.mark.parametrize("sources", [None, TruthSources()])
def test_a_standard_normal_at_two_rates_is_drawn_right(gaussian, sources):
    line = line_of([gaussian()], sources)
    (points,) = line.lines
    assert points[[0, -1], 0] == pytest.approx([math.exp(-6.0), math.exp(-3.0)])
    for d, r in between(line):
        assert abs(r + 0.5 * math.log(d)) <= TOLERANCE


@pytest.mark.parametrize(
    "changes",
    [{"suite_version": 2}, {"suite": "nobody's"}, {"case": "other"}, {"dim": 3},
     {"case": "gaussian-absolute"}],
)  # fmt: skip
def test_what_is_not_the_case_of_the_records_is_not_asked(gaussian, changes):
    assert TruthSources()([gaussian()]) is not None
    assert TruthSources()([gaussian(**changes)]) is None
    assert TruthSources()([gaussian(), gaussian(case="gaussian-far")]) is None


def test_a_case_of_any_dimension_is_found(gaussian):
    from rdbench.suites.vector_gaussian import SUITE

    (case,) = SUITE.cases([7])
    found = TruthSources()([gaussian(suite="vector_gaussian", case=case.name, dim=7, points=[])])
    assert found is not None
    assert found.ask(1.0) is not None
