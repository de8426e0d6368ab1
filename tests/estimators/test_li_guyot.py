"""One energy for q and p(y|x), and MINE for the rate: against closed forms of the Gaussian."""

from __future__ import annotations

import math

import pytest
import torch

from rdbench.distortions import SquaredError
from rdbench.estimators.li_guyot import LiGuyot
from rdbench.estimators.li_guyot.frozen import Frozen
from rdbench.estimators.li_guyot.mine import Critic, best_scale, bound, shuffled, trained, values
from rdbench.fitting import RunningMean, Task, split
from rdbench.inference.experts import Experts
from rdbench.inference.lemma import Whitening
from rdbench.papers.li_guyot.extra_network import integral
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.types import Energy
from tests.estimators.conftest import FakeMonitor, channels_of, seeded, view_of

F64 = torch.float64
SMALL = LiGuyot(
    iterations=80, batch=128, hidden=16, warm_draws=4000, claim_pairs=1000, critic_hidden=32,
    critic_steps=150, pool=4,
)  # fmt: skip
CORRELATION = 0.9
INFORMATION = -0.5 * math.log(1.0 - CORRELATION**2)


def _pairs(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Correlated normal pairs, (1, n, 1) each."""
    g = seeded(seed)
    x, z = torch.randn(2, 1, n, 1, generator=g)
    return x, CORRELATION * x + math.sqrt(1.0 - CORRELATION**2) * z


def test_mine_finds_the_information_of_correlated_normals() -> None:
    critic = Critic(1, 1, 32, seeded(1), None)
    average = RunningMean(critic, 0.95)
    assert trained(
        SMALL, critic, average, lambda i: _pairs(256, 100 + i), 200, lambda _: True, seeded(2)
    )
    x, y = _pairs(4000, 7)
    found = bound(values(average.mean.single(0), x[0].double(), y[0].double(), 4, seeded(3)))
    assert found == pytest.approx(INFORMATION, abs=0.06)


def test_pairs_of_the_product_are_never_pairs_of_the_joint_law() -> None:
    y = torch.arange(50.0).reshape(1, 50, 1)
    for seed in range(20):
        other = shuffled(y, seeded(seed))
        assert not bool((other == y).any())
        assert torch.equal(other.sort(1).values, y)


def test_the_factor_saves_a_network_that_is_too_sure() -> None:
    """T = 8 x y is far too steep for a correlation of 0.9; x y alone has a positive bound."""
    x, y = _pairs(2000, 11)
    other = shuffled(y, seeded(1))
    steep = (8.0 * (x * y)[0, :, 0].double(), 8.0 * (x * other)[0, :, 0].double())
    assert bound(steep) < 0.0
    scale = best_scale(steep)
    assert 0.0 < scale < 0.5
    assert 0.0 < bound(steep, scale) < INFORMATION


def _normal(n_symbols: int = 2000) -> Frozen:
    """An untrained energy: q is N(0, 1) but for its thousand degrees of freedom."""
    energy = Experts(1, 1, 4, seeded(1)).requires_grad_(False)
    energy.log_degrees.fill_(math.log(1000.0))
    x = torch.randn(n_symbols, 1, generator=seeded(2), dtype=F64)
    white = Whitening.of(torch.tensor([[-1.0], [1.0]], dtype=F64) / math.sqrt(2.0), squared=True)
    ones = torch.ones(1, 1, 1, dtype=F64)
    return Frozen(energy.double(), white, x[None, :256], ones, x)


@pytest.mark.parametrize("slope", [0.3, 5.0])
def test_one_energy_has_the_conditional_of_every_slope(slope: float) -> None:
    x = torch.full((4000, 1), 1.5, dtype=F64)
    y = _normal().sample_conditional(x, 1, slope, seeded(4), rounds=5)[:, 0, 0]
    gain = 2.0 * slope / (1.0 + 2.0 * slope)
    variance = 1.0 / (1.0 + 2.0 * slope)
    assert float(y.mean()) == pytest.approx(1.5 * gain, abs=5.0 * math.sqrt(variance / 4000))
    assert float(y.var()) == pytest.approx(variance, rel=0.12)


def test_the_integral_over_slopes_is_the_lagrangian_of_q() -> None:
    """F of q = N(0, 1) at X ~ N(0, 1): log(1 + 2 beta) / 2 + beta E X^2 / (1 + 2 beta)."""
    beta, x = 3.0, torch.randn(1500, 1, generator=seeded(5), dtype=F64)
    view = view_of(scalar_gaussian())
    task = Task(
        1, SquaredError(), torch.device("cpu"), (beta,), x, split(view, seeded()), 1.0, seeded(6),
        FakeMonitor(),
    )  # fmt: skip
    value, distortion, error = integral(_normal(), x, beta, task)
    second = float(x.square().mean())
    assert value == pytest.approx(
        0.5 * math.log(1.0 + 2.0 * beta) + beta * second / (1.0 + 2.0 * beta), abs=4.0 * error
    )
    assert error < 0.05
    # E |x - y|^2 = x^2 / (1 + 2 beta)^2 + 1 / (1 + 2 beta)
    expected = second / (1.0 + 2.0 * beta) ** 2 + 1.0 / (1.0 + 2.0 * beta)
    assert distortion == pytest.approx(expected, rel=0.15)


@pytest.mark.trials
@pytest.mark.parametrize("critic", ["plain", "lemma"])
def test_a_gaussian_gets_reverse_water_filling(critic: str) -> None:
    source = scalar_gaussian(mean=3.0, std=2.0)
    beta = 0.5
    config = LiGuyot(**{**vars(SMALL), "critic": critic})
    (channel,) = channels_of(config, view_of(source), [beta], FakeMonitor(build_every=0))
    truth = WaterFilling(source).point(beta)
    assert channel.claim.side == "lower"
    assert channel.claim.rate == pytest.approx(truth.rate.mid, abs=0.12)
    assert channel.claim.distortion == pytest.approx(truth.distortion.mid, rel=0.15)
    assert "lower bound of I(X; Y), no bound of R(D)" in channel.reason
    assert isinstance(channel.marginal, Energy)
    y = torch.linspace(-12.0, 18.0, 2001, dtype=F64)[:, None]
    q = torch.softmax(-channel.marginal.at(y), 0)
    mean = float(q @ y[:, 0])
    # q* = N(3, 4 - 1 / (2 beta))
    assert mean == pytest.approx(3.0, abs=0.2)
    assert float(q @ (y[:, 0] - mean) ** 2) == pytest.approx(4.0 - 0.5 / beta, rel=0.25)


def test_a_rate_near_the_limit_of_its_pairs_says_so() -> None:
    """At R = 9 nats no estimate on 200 pairs can follow; the row tells the limit."""
    config = LiGuyot(**{**vars(SMALL), "iterations": 5, "critic_steps": 5, "claim_pairs": 200})
    (channel,) = channels_of(config, view_of(scalar_gaussian()), [3e7], FakeMonitor(build_every=0))
    assert "at most about log N = 5.3 nats on 200 pairs" in channel.reason
    assert channel.claim.rate < 5.4


def test_a_stop_leaves_valid_channels() -> None:
    for limit in (3, 85):
        (channel,) = channels_of(
            SMALL, view_of(scalar_gaussian()), [2.0], FakeMonitor(limit=limit, build_every=0)
        )
        assert channel.status == "not_converged"
        assert math.isfinite(channel.claim.rate)
