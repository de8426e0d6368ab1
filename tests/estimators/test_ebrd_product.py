"""The preset ``product`` of EBRD: its gradient, its grids, and a rotated product that it solves."""

from __future__ import annotations

import math

import pytest
import torch

from rdbench.estimators.ebrd import EBRD
from rdbench.estimators.ebrd.grid import Strata
from rdbench.estimators.ebrd.product import _posterior
from rdbench.types import Product
from tests.estimators.conftest import FakeMonitor, channels_of, seeded, view_of

F64 = torch.float64
PRESET = EBRD(**EBRD.info.presets["product"])


def test_the_mean_posterior_is_that_of_its_formula() -> None:
    g = seeded(1)
    x, y = torch.randn(2, 5, generator=g, dtype=F64), torch.randn(4, 6, generator=g, dtype=F64)
    log_weight = torch.randn(4, 6, generator=g, dtype=F64)
    tilts = torch.tensor([[0.5], [2.0], [3.0], [9.0]], dtype=F64)
    found = _posterior(x, y, log_weight, tilts)
    for row in range(4):  # two slopes, and of each the two axes
        axis, expected = row % 2, torch.zeros(6, dtype=F64)
        for at in x[axis]:
            terms = torch.exp(log_weight[row] - tilts[row] * (at - y[row]).square())
            expected += terms / terms.sum() / 5
        torch.testing.assert_close(found[row], expected)


def test_points_along_axes_stand_for_their_law() -> None:
    """Weighted by 1/g they integrate over the box, whatever the quantiles of the draws."""
    draws = torch.randn(20_000, 3, generator=seeded(2), dtype=F64) * torch.tensor([1.0, 2.0, 0.5])
    strata = Strata(draws)
    y, sizes = strata.along(4160)
    # An axis has 65 cells, 64 points in each, of equal mass under g.
    widths = sizes.exp() * (strata.knots.shape[1] - 1) / 4160
    normal = torch.exp(-0.5 * y.square()) / math.sqrt(2.0 * math.pi)
    torch.testing.assert_close(
        (widths * normal)[0].sum(), torch.tensor(1.0, dtype=F64), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(
        widths.sum(1), strata.knots[:, -1] - strata.knots[:, 0], atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("high", [False, True])
def test_a_rotated_product_of_uniforms(high: bool) -> None:
    """F of a product is the sum of its coordinates' F; R(D) of a uniform is near log(1 / width)."""
    data, turn = seeded(3), torch.linalg.qr(torch.randn(4, 4, generator=seeded(4), dtype=F64)).Q

    def draw(n: int) -> torch.Tensor:
        u = torch.rand(n, 4, generator=data, dtype=F64) - 0.5
        found: torch.Tensor = 5.0 + u @ turn
        return found

    beta = 300.0 if high else 30.0
    (made,) = channels_of(PRESET, view_of(draw), [beta], FakeMonitor(effort=0.4), seed=7)
    assert isinstance(made.marginal, Product)
    assert made.q_is == "product of energy networks"
    f = made.claim.rate + beta * made.claim.distortion
    # The Shannon lower bound with h = 0, which is what R + beta D tends to.
    bound = 4 * 0.5 * math.log(beta / math.pi)
    assert bound < f < bound + (0.5 if high else 0.9)
    y = made.sample_conditional(draw(50), 20, seeded(5))
    assert y.shape == (50, 20, 4)
    assert float((y - 5.0).abs().max()) < 1.2


def test_a_budget_that_ends_at_once_gives_an_answer_all_the_same() -> None:
    data = seeded(8)

    def draw(n: int) -> torch.Tensor:
        return torch.randn(n, 2, generator=data, dtype=F64)

    found = channels_of(PRESET, view_of(draw), [1.0, 4.0], FakeMonitor(limit=1))
    assert len(found) == 2
    assert all("stopped" in one.reason or "budget" in one.reason for one in found)
