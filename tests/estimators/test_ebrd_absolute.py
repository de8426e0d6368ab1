"""EBRD under absolute error: the sums over strata, the choice of design, and what both reach."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Generator, Tensor

from rdbench.distortions import AbsoluteError
from rdbench.estimators.ebrd import EBRD
from rdbench.estimators.ebrd.absolute import Coordinates, Rows, independent, objective
from rdbench.estimators.ebrd.scalar import ScalarEnergies
from rdbench.estimators.ebrd.strata import (
    Proposal,
    candidates,
    log_partition,
    log_responsibilities,
)
from rdbench.fitting import Task, standardised
from rdbench.inference.scaling import Scaling
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Energy, TestChannel
from tests.estimators.conftest import FakeMonitor, channels_of, seeded, view_of

RHO = AbsoluteError()
on_mixture = functools.partial(EBRD, **EBRD.info.presets["mixture"])
LAPLACIAN = LaplacianSource(3.0, 2.0)


def _mixture() -> GaussianMixture:
    """Components from wide to narrow on the line."""
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    means = torch.tensor([[0.0], [1.0], [-2.0]], dtype=torch.float64)
    covs = torch.tensor([4.0, 0.25, 1e-4], dtype=torch.float64)[:, None, None]
    return GaussianMixture(weights, means, covs)


def _channels(
    draw: Callable[[int], Tensor], betas: Sequence[float], config: EBRD
) -> list[TestChannel]:
    monitor = FakeMonitor(build_every=40)
    found = channels_of(config, view_of(draw, RHO), betas, monitor, seed=1)
    assert all(math.isnan(c.claim.rate) for look in monitor.looks for c in look)
    return sorted(found, key=lambda c: c.beta)


def _task(draw: Callable[[int], Tensor], warm: int) -> Task:
    """The problem as the method sees it."""
    tasks: list[Task] = []

    def method(task: Task) -> Iterator[TestChannel]:
        tasks.append(task)
        return iter(())

    view = view_of(draw, RHO)
    list(standardised(method, view, [4.0], seeded(5), FakeMonitor(), warm=warm))
    return tasks[0]


def _energy(channel: TestChannel) -> Energy:
    assert isinstance(channel.marginal, Energy)
    return channel.marginal


@pytest.mark.parametrize("beta", [0.1, 3.0, 3000.0])
def test_running_sums_are_the_dense_sums(beta: float) -> None:
    g = seeded(1)
    y = torch.randn(2, 50, generator=g, dtype=torch.float64).sort(1).values
    x = torch.randn(2, 31, generator=g, dtype=torch.float64).sort(1).values
    log_w = torch.randn(2, 50, generator=g, dtype=torch.float64)
    slopes = torch.tensor([beta, 0.5 * beta], dtype=torch.float64)
    logits = log_w[:, None] - slopes[:, None, None] * (x[..., None] - y[:, None]).abs()
    dense = torch.logsumexp(logits, 2)
    assert torch.allclose(log_partition(y, log_w, x, slopes), dense, atol=1e-9, rtol=1e-9)
    means = torch.softmax(logits, 2).mean(1)
    assert torch.allclose(log_responsibilities(y, log_w, x, slopes).exp(), means, atol=1e-9)


def test_the_strata_cover_the_proposal_evenly() -> None:
    """The CDF of g at the j-th of m ordered draws is j / m to about 1 / m, were they strata of g as
    a whole; those of its components overlap, which leaves it well below the 1 / sqrt(m) of luck."""
    proposal, m = Proposal([_mixture()]), 4000
    y = proposal.sample(m, seeded(1))
    grid = torch.cat([torch.linspace(-14.0, 14.0, 200_001).double(), y[0]]).sort().values
    density = proposal.log_prob(grid[None]).exp()[0]
    cdf = torch.cumulative_trapezoid(density, grid)
    assert float(cdf[-1]) == pytest.approx(1.0, abs=1e-4)
    place = torch.searchsorted(grid[1:], y[0]).clamp(max=len(cdf) - 1)
    expected = (torch.arange(m) + 0.5) / m
    assert float((cdf[place] - expected).abs().max()) < 0.2 / math.sqrt(m)


@pytest.mark.parametrize("beta", [0.5, 50.0, 3000.0])
def test_weights_of_the_candidates_integrate_the_posterior(beta: float) -> None:
    """Against the closed form for E = 0: the integral of exp(-beta |x - y|) is 2 / beta, and with
    the energy of the mixture a quadrature."""
    x = torch.tensor([[-2.003, 0.1, 2.5]], dtype=torch.float64)
    slopes = torch.tensor([beta], dtype=torch.float64)
    mixture = _mixture()
    proposal = Proposal([mixture])
    points = candidates(proposal, x, slopes, (2000, 400), seeded(2))
    energy = -mixture.log_prob(points.common[0][:, None])[None]
    near = -mixture.log_prob(points.near.reshape(-1, 1)).reshape(points.near.shape)
    found = torch.logsumexp(torch.cat(points.log_weights(energy, near, x, slopes), 2), 2)[0]
    for i, symbol in enumerate(x[0].tolist()):
        t = torch.linspace(-30.0, 30.0, 60_001, dtype=torch.float64)
        # fine near the kink and near the narrow component
        y = torch.cat([symbol + t / beta, -2.0 + 0.01 * t, 0.5 * t]).unique()
        values = (mixture.log_prob(y[:, None]) - beta * (y - symbol).abs()).exp()
        assert float(found[i]) == pytest.approx(
            math.log(float(torch.trapezoid(values, y))), abs=0.02
        )


def _trained_start() -> tuple[GaussianMixture, ScalarEnergies]:
    mixture = GaussianMixture(
        torch.tensor([0.7, 0.3], dtype=torch.float64),
        torch.tensor([[0.2], [0.0]], dtype=torch.float64),
        torch.tensor([2.0, 0.01], dtype=torch.float64)[:, None, None],
    )
    return mixture, ScalarEnergies([mixture], 8, seeded(4))


@pytest.mark.parametrize("fine", [False, True])
def test_the_objective_has_the_gradient_of_the_lagrangian(fine: bool) -> None:
    """Eq. (4) by strata against F = -mean log Z(x) differentiated on a grid, at the same x."""
    data = LaplacianSource(0.0, 1.0).sample(2000, seeded(3))
    mixture, energy = _trained_start()
    unit = Scaling(torch.zeros(1, dtype=torch.float64), 1.0, 1)
    task = _task(lambda n: data[:n], 2000)
    rows = Rows(on_mixture(batch=4000), task, Coordinates((unit,), (mixture,)), (4.0,), fine, 0.5)
    objective(rows, energy).backward()
    found = torch.cat([p.grad.reshape(-1) for p in energy.parameters() if p.grad is not None])
    energy.zero_grad()
    grid = torch.linspace(-12.0, 12.0, 6001)
    log_q = torch.log_softmax(-energy(grid[None])[0].double(), 0)
    used = task.warm[: 1000 if fine else 2000, 0]
    logits = log_q - 4.0 * (used[:, None] - grid.double()).abs()
    (-torch.logsumexp(logits, 1).mean()).backward()
    exact = torch.cat([p.grad.reshape(-1) for p in energy.parameters() if p.grad is not None])
    assert float((found - exact).norm() / exact.norm()) < 0.05


def test_scalar_energies_are_their_mixtures_and_the_network() -> None:
    mixture, energy = _trained_start()
    y = torch.linspace(-4.0, 4.0, 50)[None]
    with torch.no_grad():
        energy.network.w3.zero_()
        assert torch.allclose(energy(y)[0].double(), -mixture.log_prob(y.double().T), atol=1e-4)
        for p in energy.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=seeded(6)))
    y.requires_grad_()
    (expected,) = torch.autograd.grad(energy(y).sum(), y)
    value, grad = energy.value_and_grad(y.detach())
    assert torch.allclose(value, energy(y).detach(), atol=1e-4)
    assert torch.allclose(grad, expected, atol=1e-3)
    assert torch.allclose(energy.single(0).value_and_grad(y.detach())[0].float(), value, atol=1e-4)
    energy.network.w3.data.zero_()  # what is left is the mixture that has been moved
    (moved,) = energy.mixtures()
    there = energy(y)[0].detach().double()
    assert torch.allclose(there, -moved.log_prob(y.detach().double().T), atol=1e-4)


def test_shifted_laplacian_within_thousandths_of_a_nat() -> None:
    """F(q) by quadrature, with the atom that q* has at the median, against the closed form."""
    reference, data = LaplacianAbsolute(LAPLACIAN), seeded(6)
    betas = [reference.slope(r) for r in (0.1, 1.0, 3.0)]
    config = on_mixture(iterations=80, batch=256, warm_draws=2000, components=2)
    channels = _channels(lambda n: LAPLACIAN.sample(n, data), betas, config)
    t = torch.linspace(-1.0, 1.0, 10_001, dtype=torch.float64)
    grid = 3.0 + 32.0 * t.sign() * t.abs() ** 3  # fine at the atom
    step = torch.gradient(grid)[0].clamp(min=1e-12)
    p = torch.softmax(LAPLACIAN.log_prob(grid[:, None]) + step.log(), 0)
    for channel in channels:
        log_q = torch.log_softmax(
            -_energy(channel).value_and_grad(grid[:, None])[0] + step.log(), 0
        )
        slope = torch.tensor([channel.beta], dtype=torch.float64)
        log_z = log_partition(grid[None], log_q[None], grid[None], slope)[0]
        truth = reference.point(channel.beta).lagrangian.mid
        assert -1e-3 < -float(p @ log_z) - truth < 5e-3


def test_conditional_draws_follow_the_energy() -> None:
    """Lemma 1 at a slope where the energy matters: moments on a grid."""
    data = seeded(7)
    config = on_mixture(iterations=20, batch=128, warm_draws=2000)
    (channel,) = _channels(lambda n: LAPLACIAN.sample(n, data), [0.8], config)
    grid = torch.linspace(-30.0, 36.0, 20_001, dtype=torch.float64)[:, None]
    x = torch.tensor([[5.0]], dtype=torch.float64)
    energy = _energy(channel).value_and_grad(grid)[0]
    weights = torch.softmax(-energy - channel.beta * (grid[:, 0] - 5.0).abs(), 0)
    mean = float(weights @ grid[:, 0])
    std = float((weights @ (grid[:, 0] - mean).square()).sqrt())
    y = channel.sample_conditional(x, 4000, seeded(1))[0, :, 0]
    assert float(y.mean()) == pytest.approx(mean, abs=5 * std / 63)
    assert float(y.std()) == pytest.approx(std, rel=0.06)


def _correlated(n: int, g: Generator) -> Tensor:
    z = torch.randn(n, 2, generator=g, dtype=torch.float64)
    return torch.stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1]], 1)


def test_dependent_coordinates_are_told_from_independent_ones() -> None:
    g = seeded(8)
    for draw, expected in (
        (lambda n: LAPLACIAN.sample(2 * n, g).reshape(n, 2), True),
        (lambda n: _correlated(n, g), False),
    ):
        found = independent(on_mixture(components=2), _task(draw, 2000))
        assert (found is not None) == expected


def test_coordinates_that_do_not_vary_where_they_are_judged_are_independent() -> None:
    def draw(n: int) -> Tensor:
        return torch.arange(n, dtype=torch.float64)[:, None].clamp(min=50.0).expand(n, 2)

    assert independent(on_mixture(components=2, judging_draws=50), _task(draw, 2000)) is not None


def test_independent_coordinates_add_up() -> None:
    """Two Laplacians of different scales and a constant: the claim is the sum of closed forms."""
    other, g = LaplacianSource(-1.0, 0.5), seeded(10)

    def draw(n: int) -> Tensor:
        parts = [LAPLACIAN.sample(n, g), other.sample(n, g), torch.full((n, 1), 7.0).double()]
        return torch.cat(parts, 1)

    config = on_mixture(iterations=60, batch=128, warm_draws=4000, components=2)
    (channel,) = _channels(draw, [3.0], config)
    truth = sum(LaplacianAbsolute(s).point(3.0).lagrangian.mid for s in (LAPLACIAN, other))
    claimed = channel.claim.rate + 3.0 * channel.claim.distortion
    # 666 symbols, whose potentials have the standard deviations 1 and 1, and an atom of some width
    assert claimed == pytest.approx(truth, abs=5 * math.sqrt(2.0 / 666) + 0.03)
    x = draw(200)
    y = channel.sample_conditional(x, 2, seeded(1))
    distortion = float((y - x[:, None]).abs().sum(2).mean())
    assert distortion == pytest.approx(channel.claim.distortion, rel=0.15)


def test_dependent_coordinates_get_one_energy() -> None:
    g = seeded(11)
    config = on_mixture(iterations=20, batch=128, warm_draws=2000, components=2)
    low, high = _channels(lambda n: _correlated(n, g), [1.5, 60.0], config)
    x = _correlated(200, g)
    for channel, tolerance in ((low, 0.15), (high, 0.6)):
        y = channel.marginal.sample(5, seeded(1))
        _, grad = _energy(channel).value_and_grad(y)
        for i in range(2):
            h = torch.zeros(2, dtype=torch.float64)
            h[i] = 1e-4
            ahead, behind = (_energy(channel).value_and_grad(y + s * h)[0] for s in (1, -1))
            assert torch.allclose((ahead - behind) / 2e-4, grad[:, i], atol=1e-3, rtol=1e-3)
        y = channel.sample_conditional(x, 2, seeded(2))
        distortion = float((y - x[:, None]).abs().sum(2).mean())
        # at the high slope 2,000 draws of q, which the claim knows, do not reach the noise's scale
        assert distortion == pytest.approx(channel.claim.distortion, rel=tolerance)
