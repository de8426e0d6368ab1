"""Langevin chains, mixtures fitted by EM and networks against what they stand for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator, Tensor

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.inference.em import fit_gaussian, fit_mixture, refined, select_mixture, widened
from rdbench.inference.langevin import adapted, mala
from rdbench.inference.networks import BatchedMLP, single
from rdbench.inference.plug_in import appendix_a
from rdbench.inference.scaling import fit_scaling
from rdbench.sources.mixture import GaussianMixture, isotropic_mixture, paper_mixture


def _correlated() -> GaussianMixture:
    cov = torch.tensor([[4.0, 1.5], [1.5, 1.0]], dtype=torch.float64)
    return GaussianMixture(torch.ones(1).double(), torch.tensor([[1.0, -2.0]]).double(), cov[None])


@pytest.mark.parametrize("tau", [0.1, 0.8])
def test_mala_leaves_its_target_invariant(tau: float, generator: Generator) -> None:
    """Exact draws stay exact whatever the step; without the acceptance they would not."""
    target = _correlated()
    y = target.sample(40_000, generator)
    factor = 0.7 * torch.linalg.cholesky(target.covs[0])
    step = torch.tensor(tau, dtype=torch.float64)
    y, rate = mala(target.energy_and_grad, y, 10, step, factor, generator)
    assert 0.2 < float(rate) <= 1.0
    assert torch.allclose(y.mean(0), target.means[0], atol=0.06)
    assert torch.allclose(torch.cov(y.T), target.covs[0], atol=0.12)


def test_mala_reaches_its_target(generator: Generator) -> None:
    target = _correlated()
    y = torch.zeros(20_000, 2, dtype=torch.float64)
    factor = torch.linalg.cholesky(target.covs[0])
    step = torch.tensor(0.5, dtype=torch.float64)
    y, _ = mala(target.energy_and_grad, y, 40, step, factor, generator)
    assert torch.allclose(torch.cov(y.T), target.covs[0], atol=0.15)


def test_mala_batches_do_not_mix(generator: Generator) -> None:
    """Two batches with step sizes of their own: a step of zero size does not move."""

    def bowl(y: Tensor) -> tuple[Tensor, Tensor]:
        return 0.5 * y.square().sum(-1), y

    y = torch.ones(2, 100, 3, dtype=torch.float64)
    steps = torch.tensor([1e-12, 0.5], dtype=torch.float64)
    factor = torch.eye(3, dtype=torch.float64).expand(2, 3, 3)
    out, rate = mala(bowl, y, 5, steps, factor, generator)
    assert float((out[0] - 1.0).abs().max()) < 1e-4
    assert float((out[1] - 1.0).abs().mean()) > 0.1
    assert rate.shape == (2,)


def test_step_size_moves_towards_the_acceptance() -> None:
    tau = torch.tensor([0.3, 0.3])
    up, down = adapted(tau, torch.tensor([1.0, 0.1])).tolist()
    assert down < 0.3 < up


def test_em_finds_separated_components(generator: Generator) -> None:
    source = paper_mixture()
    fitted = fit_mixture(source.sample(6000, generator), 3, generator, restarts=12)
    order = torch.cdist(source.means, fitted.means).argmin(1)
    assert sorted(order.tolist()) == [0, 1, 2]
    assert torch.allclose(fitted.means[order], source.means, atol=0.12)
    assert torch.allclose(fitted.weights, torch.full((3,), 1 / 3).double(), atol=0.03)
    assert torch.allclose(fitted.covs[order], source.covs, atol=0.15)


def test_selection_counts_components(generator: Generator) -> None:
    gaussian = _correlated()
    assert select_mixture(gaussian.sample(5000, generator), 8, generator).size == 1
    assert select_mixture(paper_mixture().sample(5000, generator), 8, generator).size == 3


class _StopsAfter:
    """Says yes so many times, then no."""

    def __init__(self, yes: int) -> None:
        self.yes, self.asked = yes, 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked <= self.yes


@pytest.mark.parametrize("yes", [0, 1, 30, 200])
def test_em_stops_when_told(yes: int, generator: Generator) -> None:
    """Every no ends the work soon, and what was found so far comes back."""
    x = paper_mixture().sample(4000, generator)
    start = fit_mixture(x, 3, generator, restarts=1)
    calls = (
        lambda told: select_mixture(x, 4, generator, go_on=told),
        lambda told: fit_mixture(x, 3, generator, go_on=told),
        lambda told: refined(start, x, 1000, go_on=told),
    )
    for call in calls:
        told = _StopsAfter(yes)
        found = call(told)
        assert yes < told.asked <= yes + 5
        assert bool(torch.isfinite(found.log_prob(x)).all())
    assert select_mixture(x, 4, generator, go_on=_StopsAfter(0)).size == 1


def test_em_stops_within_a_large_step(generator: Generator) -> None:
    """A step on many numbers asks between parts of it, and half a step is no step."""
    x = torch.randn(30_000, 40, generator=generator, dtype=torch.float64)
    start = fit_mixture(x[:1000], 4, generator, restarts=1)
    told = _StopsAfter(3)
    assert refined(start, x, 1, go_on=told) is start
    assert told.asked == 4


def test_one_component_is_the_sample_moments(generator: Generator) -> None:
    x = _correlated().sample(500, generator)
    fitted = fit_gaussian(x)
    assert torch.allclose(fitted.covs[0], torch.cov(x.T))
    assert torch.allclose(fitted.means[0], x.mean(0))


def test_network_gradient_and_single(generator: Generator) -> None:
    network = BatchedMLP(3, 4, 16, generator, output_scale=1.0)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    y = torch.randn(3, 7, 4, generator=generator).requires_grad_()
    (expected,) = torch.autograd.grad(network(y).sum(), y)
    value, grad = network.value_and_grad(y.detach())
    assert torch.allclose(value, network(y), atol=1e-6)
    assert torch.allclose(grad, expected, atol=1e-5)
    assert torch.allclose(single(network, 1)(y[1:2]), network(y)[1:2], atol=1e-6)


def test_widened_keeps_the_mean_and_adds_tails() -> None:
    mixture = isotropic_mixture(torch.tensor([[1.0], [3.0]]).double())
    wide = widened(mixture)
    mean = float((wide.weights[:, None] * wide.means).sum())
    assert mean == pytest.approx(2.0)
    far = torch.tensor([[12.0]]).double()
    assert float(wide.log_prob(far)) > float(mixture.log_prob(far))


@pytest.mark.parametrize("rho", [SquaredError(), AbsoluteError()])
def test_scaling_round_trip(rho: SquaredError | AbsoluteError, generator: Generator) -> None:
    x = 100.0 + 3.0 * torch.randn(5000, 2, generator=generator, dtype=torch.float64)
    scaling = fit_scaling(x, rho)
    z = scaling.forward(x)
    assert torch.allclose(scaling.backward(z), x)
    assert scaling.scale == pytest.approx(3.0, rel=0.05)
    # beta rho is the same number in both coordinates
    distortion = rho.pairwise(x[:1], x[1:2])
    there = rho.pairwise(z[:1], z[1:2])
    assert float(2.0 * distortion) == pytest.approx(scaling.beta(2.0) * float(there))
    assert scaling.distortion(float(there)) == pytest.approx(float(distortion))


def test_scaling_of_a_constant() -> None:
    assert fit_scaling(torch.full((10, 1), 7.0).double(), SquaredError()).scale == 1.0


def test_appendix_a_saturates_at_log_n(generator: Generator) -> None:
    x = torch.randn(500, 8, generator=generator, dtype=torch.float64)
    y = torch.randn(300, 8, generator=generator, dtype=torch.float64)
    rate, distortion = appendix_a(SquaredError(), x, y, 1e4)
    assert rate <= math.log(300) + 1e-9
    nearest = SquaredError().pairwise(x, y).min(1).values.mean()
    assert distortion == pytest.approx(float(nearest), rel=1e-3)


def test_em_survives_fewer_draws_than_dimensions(generator: Generator) -> None:
    x = torch.randn(40, 60, generator=generator, dtype=torch.float64)
    for fitted in (fit_gaussian(x), fit_mixture(x, 3, generator, restarts=3)):
        assert torch.isfinite(fitted.log_prob(x)).all()
    assert select_mixture(x, 8, generator).size == 1


def test_em_is_as_good_as_that_of_another_library(generator: Generator) -> None:
    """Eight modes in ten dimensions, of which poor starts merge some."""
    sklearn_mixture = pytest.importorskip("sklearn.mixture")
    means = 2.0 * torch.randn(8, 10, generator=generator, dtype=torch.float64)
    labels = torch.randint(8, (12_000,), generator=generator)
    x = means[labels] + torch.randn(12_000, 10, generator=generator, dtype=torch.float64)
    fitted = fit_mixture(x[:6000], 8, generator)
    theirs = sklearn_mixture.GaussianMixture(8, n_init=3, random_state=0).fit(x[:6000].numpy())
    ours = float(fitted.log_prob(x[6000:]).mean())
    assert ours >= theirs.score(x[6000:].numpy()) - 1e-3
