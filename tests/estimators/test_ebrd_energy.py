"""The default of EBRD: one energy per slope from a neutral start."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Generator, Tensor

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators.ebrd import EBRD, pure
from rdbench.estimators.ebrd.grid import Strata
from rdbench.fitting import Task, standardised
from rdbench.inference.experts import Experts
from rdbench.inference.lemma import Lemma1, Whitening
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Distortion, Energy, Gaussians, TestChannel
from tests.estimators.conftest import FakeMonitor, channels_of, seeded, view_of

F64 = torch.float64
SMALL = EBRD(iterations=100, batch=128, hidden=32, warm_draws=4000, claim_draws=500)
GRID = torch.linspace(-15.0, 15.0, 3001, dtype=F64)[:, None]


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


def _two_modes(n: int, g: Generator) -> Tensor:
    sign = torch.where(torch.rand(n, 1, generator=g) < 0.3, -1.0, 1.0)
    return 6.0 * sign + torch.randn(n, 1, generator=g, dtype=F64)


def _random(batch: int, dim: int) -> Experts:
    g = seeded(1)
    energy = Experts(batch, dim, 8, g)
    with torch.no_grad():
        for p in energy.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=g))
    return energy.double()


def test_the_gradient_that_is_written_out_is_that_of_autograd() -> None:
    energy, g = _random(2, 3), seeded(2)
    w = (2.0 * torch.randn(2, 7, 3, generator=g, dtype=F64)).requires_grad_()
    value = energy(w)
    (grad,) = torch.autograd.grad(value.sum(), w)
    found, by_hand = energy.value_and_grad(w.detach())
    assert torch.allclose(found, value, atol=1e-12)
    assert torch.allclose(by_hand, grad, atol=1e-12)


@pytest.mark.parametrize("distortion", [SquaredError(), AbsoluteError()])
def test_its_start_is_the_energy_before_the_first_step(distortion: Distortion) -> None:
    """A Student t of the source's mean and shape, but for what sixteen normal laws leave of it."""
    data, mix = seeded(3), torch.tensor([[2.0, 0.0], [1.0, 0.5]], dtype=F64)

    def draw(n: int) -> Tensor:
        return 7.0 + torch.randn(n, 2, generator=data, dtype=F64) @ mix.T

    config = EBRD(iterations=1, learning_rate=1e-9, batch=32, warm_draws=2000, claim_draws=100)
    (made,) = _channels(draw, [1.0], config, distortion)
    assert made.start is not None
    start, y = made.start.marginal, draw(2000)
    assert isinstance(start, Gaussians)
    normals = GaussianMixture(start.weights, start.means, start.covs)
    apart = _energy(made).value_and_grad(y)[0] + normals.log_prob(y)
    assert float(apart.std()) < 0.02
    assert made.q_is == "energy network"
    assert not made.is_start


def _fit(rows: Sequence[float], kind: pure.Kind, strata: bool) -> pure._Fit:
    """A fit of a two-mode source on the line whose energies are random."""
    data, tasks = seeded(6), []

    def method(task: Task) -> list[TestChannel]:
        tasks.append(task)
        return []

    view = view_of(lambda n: _two_modes(n, data))
    list(standardised(method, view, rows, seeded(7), FakeMonitor(), warm=4000))  # type: ignore[arg-type]
    (task,) = tasks
    config = EBRD(batch=1500, hidden=8, warm_draws=4000, pool=1, refresh=0.5, conditional_steps=20)
    white = Whitening.of(task.warm, True)
    symbols = white.forward(task.warm).float()
    fit = pure._Fit(config, task, white, symbols, Strata(symbols) if strata else None, kind)
    with torch.no_grad():
        for p in fit.energy.parameters():
            p.add_(0.2 * torch.randn(p.shape[1:], generator=seeded(8)))
        fit.energy.stretch.fill_(1.0)  # q within the box of the strata
    return fit


@pytest.mark.parametrize(
    ("kind", "strata"), [("weights", True), ("weights", False), ("pairs", True), ("fresh", True)]
)
def test_points_and_weights_are_those_of_eq_4(kind: pure.Kind, strata: bool) -> None:
    """sum_j weight_j g(y_j) against quadrature on the line, for two bounded g."""
    fit = _fit([0.1], kind, strata)
    for i in range(1 if strata and kind == "weights" else 20):
        at, weight = fit._moved(i)  # chains settle
    line = torch.linspace(-6.0, 6.0, 2401, dtype=F64)
    energy = fit.energy.double().value_and_grad(line[None, :, None])[0][0]
    x = fit._drawn(4000)[0, :, 0].double()
    q = torch.softmax(-energy, 0)
    tilt = -float(fit.lemma.weight) * (x[:, None] - line).square() - energy
    under_p = torch.softmax(tilt, 1).mean(0)
    for g in (lambda y: y.abs().clamp(max=1.0), lambda y: (2.0 * y).cos()):
        found = float((weight[0].double() * g(at[0, :, 0].double())).sum())
        assert found == pytest.approx(float((under_p - q) @ g(line)), abs=0.05)


def test_shifted_gaussian_within_hundredths_of_a_nat() -> None:
    """F(q) by quadrature for N(3, 2^2): weights at the low rates, chains at the high one."""
    source, data = scalar_gaussian(3.0, 2.0), seeded(2)
    reference = WaterFilling(source)
    betas = [reference.slope(r) for r in (0.1, 1.0, 5.5)]
    monitor = FakeMonitor(build_every=1000)
    channels = _channels(lambda n: source.sample(n, data), betas, monitor=monitor)
    assert monitor.gradient_steps == 2 * SMALL.iterations  # two groups
    assert all(math.isnan(c.claim.rate) for look in monitor.looks for c in look)
    grid = torch.linspace(-13.0, 19.0, 6401, dtype=F64)
    p = torch.softmax(source.log_prob(grid[:, None]), 0)
    squares = (grid[:, None] - grid).square()
    for channel in channels:
        log_q = torch.log_softmax(-_energy(channel).value_and_grad(grid[:, None])[0], 0)
        log_z = torch.logsumexp(log_q - channel.beta * squares, 1)
        gap = -float(p @ log_z) - reference.point(channel.beta).lagrangian.mid
        assert -1e-3 < gap < 0.01


def test_modes_far_apart_keep_their_mass_and_draws_follow_the_energy() -> None:
    """No Langevin step crosses between -6 and 6; Lemma 1 holds for what is drawn."""
    data = seeded(3)
    for channel in _channels(lambda n: _two_modes(n, data), [0.3, 60.0]):
        energy = _energy(channel).value_and_grad(GRID)[0]
        q, line = torch.softmax(-energy, 0), GRID[:, 0]
        assert float(q[:1500].sum()) == pytest.approx(0.3, abs=0.08)
        drawn = channel.marginal.sample(4000, seeded(4))[:, 0]
        assert float((drawn < 0.0).double().mean()) == pytest.approx(
            float(q[:1500].sum()), abs=0.05
        )
        fine = 4.5 + torch.linspace(-6.0, 6.0, 60_001, dtype=F64)[:, None]
        energy = _energy(channel).value_and_grad(fine)[0]
        weights = torch.softmax(-energy - channel.beta * (fine[:, 0] - 4.5).square(), 0)
        mean = float(weights @ fine[:, 0])
        std = float((weights @ (fine[:, 0] - mean).square()).sqrt())
        y = channel.sample_conditional(torch.tensor([[4.5]], dtype=F64), 2000, seeded(5))[0, :, 0]
        assert float(y.mean()) == pytest.approx(mean, abs=0.2 * std)
        assert float(y.std()) == pytest.approx(std, rel=0.15)
        assert line[0] < 0.0


@pytest.mark.parametrize("distortion", [SquaredError(), AbsoluteError()])
def test_energy_gradient_is_the_derivative(distortion: Distortion) -> None:
    data = seeded(6)
    mix = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.3, 0.2, 0.1]]).double()

    def draw(n: int) -> Tensor:
        return 100.0 + torch.randn(n, 3, generator=data, dtype=F64) @ mix.T

    config = EBRD(iterations=3, batch=64, warm_draws=500, claim_draws=50)
    for channel in _channels(draw, [0.3, 100.0], config, distortion):
        y = draw(5)
        _, grad = _energy(channel).value_and_grad(y)
        for i in range(3):
            h = torch.zeros(3, dtype=F64)
            h[i] = 1e-4
            ahead, behind = (_energy(channel).value_and_grad(y + s * h)[0] for s in (1, -1))
            assert torch.allclose((ahead - behind) / 2e-4, grad[:, i], atol=1e-3, rtol=1e-3)


def test_the_end_of_the_budget_stops_training_but_keeps_the_channels() -> None:
    data, monitor = seeded(7), FakeMonitor(limit=3)
    channels = _channels(lambda n: _two_modes(n, data), [0.05, 60.0], monitor=monitor)
    assert [c.beta for c in channels] == [0.05, 60.0]
    assert {c.status for c in channels} == {"not_converged"}
    assert monitor.gradient_steps == 3


@pytest.mark.parametrize("squared", [True, False])
def test_whitened_distortions_are_the_distortions(squared: bool) -> None:
    g = seeded(9)
    x = torch.randn(500, 3, generator=g, dtype=F64) @ torch.tensor(
        [[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.3, 0.2, 0.1]], dtype=F64
    )
    white = Whitening.of(x, squared)
    w = white.forward(x)
    assert torch.allclose(white.backward(w), x)
    lemma = Lemma1(torch.tensor(3.0) * white.scale.square()[None, None], 2)
    if not squared:
        lemma = Lemma1(torch.tensor(3.0) * white.scale[None, None], 1)
    rho = (SquaredError() if squared else AbsoluteError()).value_and_grad(x[:250], x[250:])[0]
    assert torch.allclose(lemma.rho((w[:250] - w[250:])[None])[0], 3.0 * rho)
