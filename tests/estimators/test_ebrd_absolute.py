"""EBRD under absolute error: the sums over strata, the choice of design, and what both reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Generator, Tensor

from rdbench.distortions import AbsoluteError
from rdbench.estimators.ebrd import EBRD
from rdbench.estimators.ebrd.absolute import _independent, fit_absolute
from rdbench.estimators.ebrd.line import Coordinates, _objective, _Task
from rdbench.estimators.ebrd.strata import (
    Proposal,
    candidates,
    log_partition,
    log_shares,
)
from rdbench.inference.energies import ReferencedEnergy
from rdbench.inference.scaling import Scaling
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Energy, TestChannel, View

RHO = AbsoluteError()
LAPLACIAN = LaplacianSource(3.0, 2.0)


class _Monitor:
    effort = 1.0

    def advance(self, done: float) -> bool:
        return True

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
        for channel in build():
            assert math.isnan(channel.claim.rate)
        return True

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        pass


def _view(draw: Callable[[int], Tensor], dim: int) -> View:
    return View(dim, RHO, torch.device("cpu"), draw)


def _mixture() -> GaussianMixture:
    """Components from wide to narrow on the line."""
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    means = torch.tensor([[0.0], [1.0], [-2.0]], dtype=torch.float64)
    covs = torch.tensor([4.0, 0.25, 1e-4], dtype=torch.float64)[:, None, None]
    return GaussianMixture(weights, means, covs)


def _channels(
    draw: Callable[[int], Tensor], dim: int, betas: Sequence[float], config: EBRD
) -> list[TestChannel]:
    out = list(
        fit_absolute(config, _view(draw, dim), betas, Generator().manual_seed(1), _Monitor())
    )
    assert all(isinstance(c, TestChannel) for c in out)
    return sorted(out, key=lambda c: c.beta)  # type: ignore[arg-type, return-value]


def _energy(channel: TestChannel) -> Energy:
    assert isinstance(channel.marginal, Energy)
    return channel.marginal


@pytest.mark.parametrize("beta", [0.1, 3.0, 3000.0])
def test_running_sums_are_the_dense_sums(beta: float) -> None:
    g = Generator().manual_seed(1)
    y = torch.randn(2, 50, generator=g, dtype=torch.float64).sort(1).values
    x = torch.randn(2, 31, generator=g, dtype=torch.float64).sort(1).values
    log_w = torch.randn(2, 50, generator=g, dtype=torch.float64)
    slopes = torch.tensor([beta, 0.5 * beta], dtype=torch.float64)
    logits = log_w[:, None] - slopes[:, None, None] * (x[..., None] - y[:, None]).abs()
    dense = torch.logsumexp(logits, 2)
    assert torch.allclose(log_partition(y, log_w, x, slopes), dense, atol=1e-9, rtol=1e-9)
    shares = torch.softmax(logits, 2).mean(1)
    assert torch.allclose(log_shares(y, log_w, x, slopes).exp(), shares, atol=1e-9)


def test_the_strata_cover_the_proposal_evenly() -> None:
    """The CDF of g at the j-th of m ordered draws is j / m to about 1 / m, were they strata of g as
    a whole; those of its components overlap, which leaves it well below the 1 / sqrt(m) of luck."""
    proposal, m = Proposal([_mixture()]), 4000
    y = proposal.sample(m, Generator().manual_seed(1))
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
    points = candidates(proposal, x, slopes, (2000, 400), Generator().manual_seed(2))
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


@pytest.mark.parametrize("fine", [False, True])
def test_the_objective_has_the_gradient_of_the_lagrangian(fine: bool) -> None:
    """Eq. (4) by strata against F = -mean log Z(x) differentiated on a grid, at the same x."""
    data = LaplacianSource(0.0, 1.0).sample(2000, Generator().manual_seed(3))
    mixture = GaussianMixture(
        torch.tensor([0.7, 0.3], dtype=torch.float64),
        torch.tensor([[0.2], [0.0]], dtype=torch.float64),
        torch.tensor([2.0, 0.01], dtype=torch.float64)[:, None, None],
    )
    energy = ReferencedEnergy([mixture], 8, Generator().manual_seed(4))
    unit = Scaling(torch.zeros(1, dtype=torch.float64), 1.0, 1)
    view = _view(lambda n: data[:n], 1)
    task = _Task(EBRD(batch=4000), view, Coordinates((unit,), (mixture,)), (4.0,), fine, 0.5)
    _objective(task, energy, Generator().manual_seed(5)).backward()
    found = torch.cat([p.grad.reshape(-1) for p in energy.parameters() if p.grad is not None])
    energy.zero_grad()
    grid = torch.linspace(-12.0, 12.0, 6001)
    log_q = torch.log_softmax(-energy(grid[None, :, None])[0].double(), 0)
    used = data[: 1000 if fine else 2000, 0]
    logits = log_q - 4.0 * (used[:, None] - grid.double()).abs()
    (-torch.logsumexp(logits, 1).mean()).backward()
    exact = torch.cat([p.grad.reshape(-1) for p in energy.parameters() if p.grad is not None])
    assert float((found - exact).norm() / exact.norm()) < 0.05


def test_shifted_laplacian_within_thousandths_of_a_nat() -> None:
    """F(q) by quadrature, with the atom that q* has at the median, against the closed form."""
    reference, data = LaplacianAbsolute(LAPLACIAN), Generator().manual_seed(6)
    betas = [reference.slope(r) for r in (0.1, 1.0, 3.0)]
    config = EBRD(iterations=80, batch=256, warm_draws=2000, components=2)
    channels = _channels(lambda n: LAPLACIAN.sample(n, data), 1, betas, config)
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
    data = Generator().manual_seed(7)
    config = EBRD(iterations=20, batch=128, warm_draws=2000)
    (channel,) = _channels(lambda n: LAPLACIAN.sample(n, data), 1, [0.8], config)
    grid = torch.linspace(-30.0, 36.0, 20_001, dtype=torch.float64)[:, None]
    x = torch.tensor([[5.0]], dtype=torch.float64)
    energy = _energy(channel).value_and_grad(grid)[0]
    weights = torch.softmax(-energy - channel.beta * (grid[:, 0] - 5.0).abs(), 0)
    mean = float(weights @ grid[:, 0])
    std = float((weights @ (grid[:, 0] - mean).square()).sqrt())
    y = channel.sample_conditional(x, 4000, Generator().manual_seed(1))[0, :, 0]
    assert float(y.mean()) == pytest.approx(mean, abs=5 * std / 63)
    assert float(y.std()) == pytest.approx(std, rel=0.06)


def _correlated(n: int, g: Generator) -> Tensor:
    z = torch.randn(n, 2, generator=g, dtype=torch.float64)
    return torch.stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1]], 1)


def test_dependent_coordinates_are_told_from_independent_ones() -> None:
    g = Generator().manual_seed(8)
    for draw, independent in (
        (lambda n: LAPLACIAN.sample(2 * n, g).reshape(n, 2), True),
        (lambda n: _correlated(n, g), False),
    ):
        view, x = _view(draw, 2), draw(2000)
        found = _independent(EBRD(components=2), view, x, Generator().manual_seed(9), _Monitor())
        assert (found is not None) == independent


def test_independent_coordinates_add_up() -> None:
    """Two Laplacians of different scales and a constant: the claim is the sum of closed forms."""
    other, g = LaplacianSource(-1.0, 0.5), Generator().manual_seed(10)

    def draw(n: int) -> Tensor:
        parts = [LAPLACIAN.sample(n, g), other.sample(n, g), torch.full((n, 1), 7.0).double()]
        return torch.cat(parts, 1)

    config = EBRD(iterations=60, batch=128, warm_draws=4000, components=2)
    (channel,) = _channels(draw, 3, [3.0], config)
    truth = sum(LaplacianAbsolute(s).point(3.0).lagrangian.mid for s in (LAPLACIAN, other))
    claimed = channel.claim.rate + 3.0 * channel.claim.distortion
    # 666 symbols, whose potentials have the standard deviations 1 and 1, and an atom of some width
    assert claimed == pytest.approx(truth, abs=5 * math.sqrt(2.0 / 666) + 0.03)
    x = draw(200)
    y = channel.sample_conditional(x, 2, Generator().manual_seed(1))
    spent = float((y - x[:, None]).abs().sum(2).mean())
    assert spent == pytest.approx(channel.claim.distortion, rel=0.15)


def test_dependent_coordinates_get_one_energy() -> None:
    g = Generator().manual_seed(11)
    config = EBRD(iterations=20, batch=128, warm_draws=2000, components=2)
    low, high = _channels(lambda n: _correlated(n, g), 2, [1.5, 60.0], config)
    x = _correlated(200, g)
    for channel, tolerance in ((low, 0.15), (high, 0.6)):
        y = channel.marginal.sample(5, Generator().manual_seed(1))
        _, grad = _energy(channel).value_and_grad(y)
        for i in range(2):
            h = torch.zeros(2, dtype=torch.float64)
            h[i] = 1e-4
            ahead, behind = (_energy(channel).value_and_grad(y + s * h)[0] for s in (1, -1))
            assert torch.allclose((ahead - behind) / 2e-4, grad[:, i], atol=1e-3, rtol=1e-3)
        y = channel.sample_conditional(x, 2, Generator().manual_seed(2))
        spent = float((y - x[:, None]).abs().sum(2).mean())
        # at the high slope 2,000 draws of q, which the claim knows, do not reach the noise's scale
        assert spent == pytest.approx(channel.claim.distortion, rel=tolerance)
