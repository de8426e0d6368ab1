"""A reference that knows nothing: it raises where truth is asked for, and says where to look."""

from __future__ import annotations

import math

import pytest
import torch

from rdbench.audit import SIZES, audit
from rdbench.distortions import SquaredError
from rdbench.inference.particles import conditional
from rdbench.references.unknown import Unknown
from rdbench.run import points
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.types import (
    Atoms,
    Case,
    Claim,
    OutOfRange,
    Problem,
    RdbenchError,
    Reference,
    TestChannel,
)


def test_it_is_a_reference_without_values() -> None:
    reference = Unknown()
    assert isinstance(reference, Reference)
    for ask in (reference.point, reference.rate, reference.slope):
        with pytest.raises(OutOfRange):
            ask(1.0)


def test_between_rungs_the_logarithm_of_the_slope_is_linear() -> None:
    reference = Unknown(((1.0, 2.0), (3.0, 32.0)))
    assert reference.slope(1.0) == 2.0
    assert reference.slope(2.0) == pytest.approx(8.0)
    assert reference.slope(3.0) == 32.0
    for outside in (0.5, 3.5, math.nan):
        with pytest.raises(OutOfRange):
            reference.slope(outside)
    assert Unknown(((1.0, 2.0),)).slope(1.0) == 2.0


@pytest.mark.parametrize(
    "ladder",
    [((1.0, 2.0), (0.5, 3.0)), ((1.0, 2.0), (2.0, 1.0)), ((1.0, 0.0),), (1.0,), ((1.0, "a"),), 3],
)
def test_a_ladder_that_does_not_rise_is_refused(ladder) -> None:
    with pytest.raises(RdbenchError):
        Unknown(ladder)


def test_an_audit_keeps_what_needs_no_truth() -> None:
    """F(q), R and D as ever; the gap and R - R(D) are blank, and the row names no truth."""
    problem = Problem(scalar_gaussian(), SquaredError())
    reference = Unknown(((0.5, 1.0),))
    case = Case("unknown", problem, reference, (0.5,))
    atoms = torch.linspace(-3.0, 3.0, 61, dtype=torch.float64)[:, None]
    log_w = torch.log_softmax(-(atoms.squeeze(1) ** 2), 0)
    q = Atoms(atoms, log_w)
    draw = conditional(q, problem.distortion, 1.0)
    channel = TestChannel(1.0, q, Claim(0.5, 0.5, "estimate"), draw)
    generator = torch.Generator().manual_seed(3)
    found = audit(channel, problem, reference, size=SIZES["quick"], generator=generator)
    # F* of N(0, 1) at beta = 1: D* = 1/2, R* = log(2) / 2
    assert found.lagrangian == pytest.approx(0.5 * math.log(2.0) + 0.5, abs=0.05)
    assert math.isfinite(found.rate)
    assert math.isfinite(found.distortion)
    assert math.isnan(found.gap)
    assert math.isnan(found.gap_hi)
    assert math.isnan(found.rate_error)
    row = points.audited(points.expected(case, 1.0, 0.5), found, 0.1)
    assert row.truth_lo is None
    assert row.truth_kind is None
    assert row.gap is None
    assert row.lagrangian == found.lagrangian
    assert points.bad_numbers(channel, found) == ""
