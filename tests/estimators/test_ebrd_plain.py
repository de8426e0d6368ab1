"""EBRD without a mixture: what a network over a weak quadratic reaches, and how."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Generator, Tensor

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators.ebrd import EBRD
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.types import Distortion, Energy, TestChannel
from tests.estimators.conftest import FakeMonitor, channels_of, seeded, view_of

SMALL = EBRD(algorithm="plain", iterations=120, batch=256, warm_draws=4000)


def _channels(
    draw: Callable[[int], Tensor],
    betas: Sequence[float],
    config: EBRD = SMALL,
    distortion: Distortion | None = None,
    monitor: FakeMonitor | None = None,
) -> list[TestChannel]:
    monitor = monitor or FakeMonitor(build_every=1000)
    found = channels_of(config, view_of(draw, distortion), betas, monitor, seed=1)
    return sorted(found, key=lambda c: c.beta)


def _energy(channel: TestChannel) -> Energy:
    assert isinstance(channel.marginal, Energy)
    return channel.marginal


def test_shifted_gaussian_within_hundredths_of_a_nat() -> None:
    """F(q) by quadrature for N(3, 2^2), reweighted at the low rates and chained at the high one."""
    source, data = scalar_gaussian(3.0, 2.0), seeded(2)
    reference = WaterFilling(source)
    rates = (0.1, 1.0, 4.0)
    monitor = FakeMonitor(build_every=1000)
    channels = _channels(
        lambda n: source.sample(n, data), [reference.slope(r) for r in rates], monitor=monitor
    )
    assert monitor.gradient_steps == 2 * SMALL.iterations  # two groups
    assert all(math.isnan(c.claim.rate) for look in monitor.looks for c in look)
    assert len(monitor.looks) > 0
    grid = torch.linspace(-13.0, 19.0, 3201, dtype=torch.float64)
    p = torch.softmax(source.log_prob(grid[:, None]), 0)
    squares = (grid[:, None] - grid).square()
    for channel in channels:
        log_q = torch.log_softmax(-_energy(channel).value_and_grad(grid[:, None])[0], 0)
        log_z = torch.logsumexp(log_q - channel.beta * squares, 1)
        gap = -float(p @ log_z) - reference.point(channel.beta).lagrangian.mid
        assert -1e-3 < gap < 0.01


def _two_modes(n: int, g: Generator) -> Tensor:
    sign = torch.where(torch.rand(n, 1, generator=g) < 0.3, -1.0, 1.0)
    return 6.0 * sign + torch.randn(n, 1, generator=g, dtype=torch.float64)


def test_modes_far_apart_keep_their_mass() -> None:
    """Langevin steps alone never cross between -6 and 6; the masses are those of the source."""
    data = seeded(3)
    channels = _channels(lambda n: _two_modes(n, data), [0.5, 2.0])
    grid = torch.linspace(-12.0, 12.0, 2401, dtype=torch.float64)[:, None]
    for channel in channels:
        q = torch.softmax(-_energy(channel).value_and_grad(grid)[0], 0)
        assert float(q[:1200].sum()) == pytest.approx(0.3, abs=0.04)


def test_conditional_draws_follow_the_energy() -> None:
    """Lemma 1, where draws start by resampling and where they start near x: moments on a grid."""
    data = seeded(4)
    config = EBRD(algorithm="plain", iterations=15, batch=128, warm_draws=2000)
    channels = _channels(lambda n: _two_modes(n, data), [0.05, 60.0], config)
    x = torch.tensor([[4.5]], dtype=torch.float64)
    grid = torch.linspace(-15.0, 15.0, 60_001, dtype=torch.float64)[:, None]
    for channel in channels:
        energy = _energy(channel).value_and_grad(grid)[0]
        weights = torch.softmax(-energy - channel.beta * (grid[:, 0] - 4.5).square(), 0)
        mean = float(weights @ grid[:, 0])
        std = float((weights @ (grid[:, 0] - mean).square()).sqrt())
        y = channel.sample_conditional(x, 2000, seeded(5))[0, :, 0]
        # the draws share 128 starts at the low slope
        assert float(y.mean()) == pytest.approx(mean, abs=0.2 * std)
        assert float(y.std()) == pytest.approx(std, rel=0.15)


@pytest.mark.parametrize("distortion", [SquaredError(), AbsoluteError()])
def test_energy_gradient_is_the_derivative(distortion: Distortion) -> None:
    data = seeded(6)
    mix = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.3, 0.2, 0.1]]).double()

    def draw(n: int) -> Tensor:
        return 100.0 + torch.randn(n, 3, generator=data, dtype=torch.float64) @ mix.T

    config = EBRD(algorithm="plain", iterations=3, batch=64, warm_draws=500)
    for channel in _channels(draw, [0.3, 100.0], config, distortion):
        y = draw(5)
        _, grad = _energy(channel).value_and_grad(y)
        for i in range(3):
            h = torch.zeros(3, dtype=torch.float64)
            h[i] = 1e-4
            ahead, behind = (_energy(channel).value_and_grad(y + s * h)[0] for s in (1, -1))
            assert torch.allclose((ahead - behind) / 2e-4, grad[:, i], atol=1e-3, rtol=1e-3)


def test_the_end_of_the_budget_stops_training_but_keeps_the_channels() -> None:
    data, monitor = seeded(7), FakeMonitor(limit=3)
    channels = _channels(lambda n: _two_modes(n, data), [0.05, 60.0], monitor=monitor)
    assert [c.beta for c in channels] == [0.05, 60.0]
    assert {c.status for c in channels} == {"not_converged"}
    assert monitor.gradient_steps == 3


def test_no_symbol_is_judged_by_itself() -> None:
    """The draws of which some have to be effective for a symbol are others than the symbol."""
    seen: list[Tensor] = []

    class Spy(SquaredError):
        def pairwise(self, x: Tensor, y: Tensor) -> Tensor:
            seen.append(torch.cdist(x, y))
            return super().pairwise(x, y)

    _channels(
        lambda n: torch.arange(n, dtype=torch.float64)[:, None],
        [1.0],
        EBRD(algorithm="plain", iterations=1, batch=256, warm_draws=300),
        Spy(),
    )
    assert seen[0].shape == (150, 150)
    assert float(seen[0].min()) > 0.0
