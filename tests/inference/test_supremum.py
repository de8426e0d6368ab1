"""Limits of c(y), against the exact ones of counts."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chi2

from rdbench.inference.supremum import limits


@pytest.mark.parametrize("count", [1, 4, 30, 400])
def test_limits_are_those_of_a_count(count):
    # Of n draws each is seen with a small probability: k equal shares are a Poisson count of k.
    shares = torch.zeros(200_000, 1, dtype=torch.float64)
    shares[:count] = 1.0 / count
    lo, hi = (float(end.exp()) * count for end in limits(shares))
    assert hi == pytest.approx(0.5 * chi2.ppf(0.975, 2 * count + 2), rel=0.005)
    exact = 0.5 * chi2.ppf(0.025, 2 * count)
    # Of one draw the approximation is half of .025: it errs on the safe side.
    assert lo <= exact * 1.001
    assert lo == pytest.approx(exact, rel=0.02 if count > 1 else 0.6)


def test_a_constant_c_is_known():
    lo, hi = limits(torch.full((1000, 1), 1e-3, dtype=torch.float64))
    assert abs(float(lo)) < 1e-4
    assert abs(float(hi)) < 1e-4
