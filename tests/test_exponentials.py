"""Sums of exponentials against torch's own, where terms underflow and where they are missing."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rdbench.exponentials import boltzmann, log_sum_exp

INF = math.inf


@settings(deadline=None)
@given(st.lists(st.floats(-1e5, 1e5) | st.just(-INF), min_size=1, max_size=9))
def test_the_sum_is_that_of_torch(exponents):
    values = torch.tensor([exponents, exponents[::-1]]).double()
    for dim in (0, 1):
        expected = torch.logsumexp(values, dim)
        torch.testing.assert_close(log_sum_exp(values, dim), expected, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_terms_far_below_the_largest_do_not_count(dtype):
    far = torch.full((1, 1_000_001), -5000.0, dtype=dtype)
    far[0, 0] = 3.0
    assert float(log_sum_exp(far, 1)) == 3.0


def test_what_is_not_finite():
    values = torch.tensor([[-INF, -INF], [INF, 0.0], [math.nan, 0.0]]).double()
    found = log_sum_exp(values, 1)
    assert found[0] == -INF
    assert found[1] == INF
    assert found[2].isnan()


def test_gradients_are_those_of_torch():
    values = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(log_sum_exp(values, 1).sum(), values)
    torch.testing.assert_close(found, torch.softmax(values, 1))


def test_the_mean_under_the_weights():
    exponent = 300.0 * torch.randn(5, 40, dtype=torch.float64)
    rho = 1e6 + torch.rand(5, 40, dtype=torch.float64)
    log_z, mean = boltzmann(exponent, rho)
    torch.testing.assert_close(log_z, torch.logsumexp(exponent, 1))
    expected = (torch.softmax(exponent, 1) * rho).sum(1)
    torch.testing.assert_close(mean, expected, rtol=1e-15, atol=0.0)


def test_what_is_forbidden_costs_nothing():
    exponent = torch.tensor([[-INF, 0.0, math.log(3.0)], [-INF, -INF, -INF]]).double()
    rho = torch.tensor([[INF, 4.0, 8.0], [INF, 1.0, 2.0]]).double()
    log_z, mean = boltzmann(exponent, rho)
    assert float(log_z[0]) == pytest.approx(math.log(4.0))
    assert float(mean[0]) == pytest.approx(7.0)
    assert log_z[1] == -INF
    assert mean[1].isnan()
