"""Which points nothing can reach; a lower bound has a gap alone."""

from __future__ import annotations

import pytest

from rdbench.report.impossible import is_impossible
from rdbench.report.truth_line import TruthLine


@pytest.mark.parametrize(
    ("gap", "hi", "impossible"),
    [(-0.5, -0.4, True), (-0.5, -0.2, False), (-0.5, 17.0, False), (1e-12, 2e-12, False)],
)
@pytest.mark.parametrize("side", ["lower", "exact"])
def test_a_gap_below_zero_by_more_than_twice_its_interval_cannot_be(
    point, side, gap, hi, impossible
) -> None:
    found = point(side=side, gap=gap, gap_lo=2.0 * gap - hi, gap_hi=hi, rate=None, distortion=None)
    assert is_impossible(found, TruthLine()) is impossible
