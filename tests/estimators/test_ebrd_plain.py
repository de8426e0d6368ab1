"""EBRD without a mixture: what a network over a weak quadratic reaches, and how."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Generator, Tensor

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators.ebrd import EBRD
from rdbench.estimators.ebrd.plain import fit_plain
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.types import Distortion, Energy, TestChannel, View

SMALL = EBRD(algorithm="plain", iterations=120, batch=256, warm_draws=4000)


class _Monitor:
    """Stops after ``limit`` reports, and counts the checkpoints and steps."""

    effort = 1.0

    def __init__(self, limit: float = math.inf) -> None:
        self.limit, self.reports, self.steps, self.looks = limit, 0, 0, 0

    def advance(self, done: float) -> bool:
        assert 0.0 <= done <= 1.0
        self.reports += 1
        return self.reports <= self.limit

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
        if self.looks == 0:
            for channel in build():
                assert math.isnan(channel.claim.rate)
        self.looks += 1
        return True

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        assert parameters >= 0
        self.steps += gradient_steps


def _channels(
    draw: Callable[[int], Tensor],
    betas: Sequence[float],
    config: EBRD = SMALL,
    distortion: Distortion | None = None,
    monitor: _Monitor | None = None,
) -> list[TestChannel]:
    view = View(draw(1).shape[1], distortion or SquaredError(), torch.device("cpu"), draw)
    found = fit_plain(config, view, betas, Generator().manual_seed(1), monitor or _Monitor())
    out = list(found)
    assert all(isinstance(c, TestChannel) for c in out)
    return sorted(out, key=lambda c: c.beta)  # type: ignore[arg-type, return-value]


def _energy(channel: TestChannel) -> Energy:
    assert isinstance(channel.marginal, Energy)
    return channel.marginal


def test_shifted_gaussian_within_hundredths_of_a_nat() -> None:
    """F(q) by quadrature for N(3, 2^2), reweighted at the low rates and chained at the high one."""
    source, data = scalar_gaussian(3.0, 2.0), Generator().manual_seed(2)
    reference = WaterFilling(source)
    rates = (0.1, 1.0, 4.0)
    monitor = _Monitor()
    channels = _channels(
        lambda n: source.sample(n, data), [reference.slope(r) for r in rates], monitor=monitor
    )
    assert monitor.steps == 2 * SMALL.iterations  # two groups
    assert monitor.looks > 0
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
    data = Generator().manual_seed(3)
    channels = _channels(lambda n: _two_modes(n, data), [0.5, 2.0])
    grid = torch.linspace(-12.0, 12.0, 2401, dtype=torch.float64)[:, None]
    for channel in channels:
        q = torch.softmax(-_energy(channel).value_and_grad(grid)[0], 0)
        assert float(q[:1200].sum()) == pytest.approx(0.3, abs=0.04)


def test_conditional_draws_follow_the_energy() -> None:
    """Lemma 1, where draws start by resampling and where they start near x: moments on a grid."""
    data = Generator().manual_seed(4)
    config = EBRD(algorithm="plain", iterations=15, batch=128, warm_draws=2000)
    channels = _channels(lambda n: _two_modes(n, data), [0.05, 60.0], config)
    x = torch.tensor([[4.5]], dtype=torch.float64)
    grid = torch.linspace(-15.0, 15.0, 60_001, dtype=torch.float64)[:, None]
    for channel in channels:
        energy = _energy(channel).value_and_grad(grid)[0]
        weights = torch.softmax(-energy - channel.beta * (grid[:, 0] - 4.5).square(), 0)
        mean = float(weights @ grid[:, 0])
        std = float((weights @ (grid[:, 0] - mean).square()).sqrt())
        y = channel.sample_conditional(x, 2000, Generator().manual_seed(5))[0, :, 0]
        # the draws share 128 starts at the low slope
        assert float(y.mean()) == pytest.approx(mean, abs=0.2 * std)
        assert float(y.std()) == pytest.approx(std, rel=0.15)


@pytest.mark.parametrize("distortion", [SquaredError(), AbsoluteError()])
def test_energy_gradient_is_the_derivative(distortion: Distortion) -> None:
    data = Generator().manual_seed(6)
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


def test_a_spent_budget_stops_training_but_keeps_the_channels() -> None:
    data, monitor = Generator().manual_seed(7), _Monitor(limit=3)
    channels = _channels(lambda n: _two_modes(n, data), [0.05, 60.0], monitor=monitor)
    assert [c.beta for c in channels] == [0.05, 60.0]
    assert monitor.steps == 3
