"""NERD: its gradients and proposals against quadrature, what it reaches, what it refuses."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit import AuditSize, audit
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators import nerd
from rdbench.estimators.nerd import NERD
from rdbench.estimators.nerd import published as nerd_published
from rdbench.estimators.nerd.channel import Finished, finished, lagrangians
from rdbench.estimators.nerd.generator import ResidualGenerator, _improved, affine_start
from rdbench.estimators.nerd.posterior import LatentEncoder
from rdbench.estimators.nerd.training import _importance, plug_in
from rdbench.fitting import split
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.mixture import GaussianMixture, isotropic_mixture, two_modes
from rdbench.suites import scalar
from rdbench.suites import vector_gaussian as vectors
from rdbench.types import (
    Audited,
    Case,
    Distortion,
    Pushforward,
    RdbenchError,
    TestChannel,
)
from tests.estimators.conftest import FakeMonitor, case_of, channels_of, seeded, view_of

SIZE = AuditSize(500, 1e7, 2000, 0, 8000, 4, 60, local_draws=32)
BETA = 4.0
_CHEAP: dict[str, Any] = {"claim_draws": 500, "held_out_draws": 300}
_SMALL = NERD(components=2, warm_draws=10_000, **_CHEAP)


def _channels(
    case: Case, estimator: NERD, rates: Sequence[float], effort: float = 1.0
) -> list[TestChannel]:
    betas = [case.reference.slope(r) for r in rates]
    view = view_of(case.problem.source, case.problem.distortion, seed=71)
    out = channels_of(estimator, view, betas, FakeMonitor(effort), seed=72)
    assert {c.beta for c in out} == set(betas)
    return out


def _audit(case: Case, channel: TestChannel) -> Audited:
    generator = Generator().manual_seed(73)
    return audit(channel, case.problem, case.reference, size=SIZE, generator=generator)


def _bent(dim: int, size: int, generator: Generator) -> tuple[ResidualGenerator, GaussianMixture]:
    """A generator whose network does something, over a prior of ``size`` components."""
    net = ResidualGenerator(torch.eye(dim, dtype=torch.float64), 8, generator).double()
    with torch.no_grad():
        net.w3.copy_(0.2 * torch.randn(8, dim, generator=generator, dtype=torch.float64))
    means = torch.linspace(-1.0, 1.0, size, dtype=torch.float64)[:, None].expand(size, dim)
    covs = (0.4 * torch.eye(dim, dtype=torch.float64)).expand(size, dim, dim)
    weights = torch.arange(1, size + 1, dtype=torch.float64)
    return net, GaussianMixture(weights / weights.sum(), means.clone(), covs.clone())


def _exact_log_z(net: ResidualGenerator, prior: GaussianMixture, x: Tensor) -> Tensor:
    """log Z(x) on the line by the trapezoidal rule."""
    z = torch.linspace(-9.0, 9.0, 20_001, dtype=torch.float64)[:, None]
    log_p = prior.log_prob(z) + math.log(float(z[1] - z[0]))
    return torch.logsumexp(log_p - BETA * (x - net(z).T).square(), 1)


def test_jacobian_agrees_with_autograd(generator: Generator) -> None:
    net, prior = _bent(3, 1, generator)
    z = prior.sample(5, generator)
    value, jacobian = net.value_and_jacobian(z)
    assert torch.allclose(value, net(z))
    for row, transposed in zip(z, jacobian, strict=True):
        exact = torch.autograd.functional.jacobian(lambda v: net(v[None])[0], row)
        assert torch.allclose(exact.T, transposed, atol=1e-12)


@pytest.mark.parametrize("size", [1, 3])
def test_weighted_draws_estimate_z_without_bias(size: int, generator: Generator) -> None:
    net, prior = _bent(1, size, generator)
    x = torch.linspace(-2.0, 2.0, 5, dtype=torch.float64)[:, None]
    _, log_w, _ = LatentEncoder(net, prior, BETA).weighted_draws(x, 20_000, generator)
    log_z = torch.logsumexp(log_w, 1)
    weights = torch.exp(log_w - log_z[:, None])
    error = (weights.square().sum(1) - 1.0 / weights.shape[1]).sqrt()
    assert float(error.max()) < 0.05
    assert bool(((log_z - _exact_log_z(net, prior, x)).abs() < 4.0 * error + 1e-3).all())


@pytest.mark.parametrize("size", [1, 3])
def test_importance_gradient_is_that_of_the_dual(size: int, generator: Generator) -> None:
    """Against the derivative of the quadrature of F in the last layer's weights."""
    net, prior = _bent(1, size, generator)
    with torch.no_grad():
        net.w3.mul_(0.5)
    x = torch.randn(400, 1, generator=generator, dtype=torch.float64)
    (exact,) = torch.autograd.grad(-_exact_log_z(net, prior, x).mean(), net.w3)
    y, gradient = _importance(net, prior, x, BETA, 100, generator)
    (found,) = torch.autograd.grad(y, net.w3, gradient)
    assert float((found - exact).norm()) < 0.05 * float(exact.norm())


@pytest.mark.parametrize("distortion", [SquaredError(), AbsoluteError()])
def test_plug_in_gradient_is_that_of_its_formula(
    distortion: Distortion, generator: Generator
) -> None:
    net, prior = _bent(2, 1, generator)
    x, z = (prior.sample(n, generator) for n in (6, 50))
    y, gradient = plug_in(net, x, z, BETA, distortion)
    off = x[:, None] - y
    rho = off.square().sum(2) if isinstance(distortion, SquaredError) else off.abs().sum(2)
    loss = -(torch.logsumexp(-BETA * rho, 1) - math.log(50)).mean()
    (exact,) = torch.autograd.grad(loss, y)
    assert torch.allclose(gradient, exact, atol=1e-12)


def test_the_affine_start_of_a_gaussian_fills_water() -> None:
    cov = torch.diag(torch.tensor([4.0, 1.0, 0.25], dtype=torch.float64))
    source = GaussianMixture(torch.ones(1).double(), torch.zeros(1, 3).double(), cov[None])
    start = affine_start(source, 0.5)
    expected = torch.diag(torch.tensor([3.5, 0.5, 0.0], dtype=torch.float64))
    assert torch.allclose(start.linear @ start.linear.T, expected, atol=1e-12)


def test_expectation_maximisation_lowers_the_lagrangian(generator: Generator) -> None:
    source, noise = two_modes(), 2.0
    x, q = source.sample(2000, generator), source
    values = []
    for _ in range(6):
        values.append(-float(q.log_partition(x, 0.5 / noise).mean()))
        improved = _improved(q, x, noise)
        assert improved is not None
        q = improved
    assert all(after <= before + 1e-12 for before, after in itertools.pairwise(values))
    assert values[-1] < values[0] - 0.05


def test_rotated_gaussian_within_a_hundredth_of_a_nat() -> None:
    case, one = vectors.SUITE.cases([2])[0], replace(_SMALL, components=1)
    for channel in _channels(case, one, [0.5, 8.0], effort=0.1):
        result = _audit(case, channel)
        assert result.gap_hi < 0.01
        assert result.conditional_lo < result.conditional_floor


def test_two_modes_and_a_latent_for_each() -> None:
    case = case_of(scalar.SUITE.cases(), "two-modes")
    (channel,) = _channels(case, _SMALL, [4.0], effort=0.1)
    found = _audit(case, channel)
    assert found.gap < 0.01
    # What the test of the encoder and of the prior leaves open comes on top.
    assert found.gap_hi < 0.02
    assert isinstance(channel.marginal, Pushforward)
    assert channel.marginal.prior is not None


@pytest.mark.accuracy
def test_training_leaves_the_affine_start_behind() -> None:
    """Uniform, one component: no Gaussian is within a tenth of a nat at this rate."""
    case = case_of(scalar.SUITE.cases(), "uniform-squared")
    one = replace(_SMALL, components=1)
    (untrained,) = _channels(case, replace(one, iterations=1), [1.9])
    (trained,) = _channels(case, replace(one, draws=512), [1.9], effort=0.5)
    assert _audit(case, untrained).gap > 0.08
    assert _audit(case, trained).gap_hi < 0.04


def test_the_plug_in_saturates_and_importance_weighting_does_not() -> None:
    case, rate = vectors.SUITE.cases([5])[0], 15.0
    optimum = case.reference.point(case.reference.slope(rate)).lagrangian.mid
    (shared,) = _channels(case, NERD("residual", "plug_in", components=1, **_CHEAP), [rate], 0.02)
    (weighted,) = _channels(
        case, NERD("residual", "importance", components=1, **_CHEAP), [rate], 0.02
    )
    assert shared.claim.rate < math.log(16_384)
    assert shared.claim.rate + shared.beta * shared.claim.distortion > optimum + 1.0
    claimed = weighted.claim.rate + weighted.beta * weighted.claim.distortion
    # the standard error of 500 symbols is sqrt(5 / 2 / 500) = .07
    assert abs(claimed - optimum) < 0.3


@pytest.mark.accuracy
def test_absolute_error() -> None:
    case = case_of(scalar.SUITE.cases(), "laplacian-absolute-shifted")
    (channel,) = _channels(case, replace(_SMALL, components=1, draws=512), [1.0], 0.3)
    assert _audit(case, channel).gap < 0.03


def test_the_published_network_and_its_law(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nerd_published, "_CLAIM_DRAWS", 1000)
    source, monitor = vector_gaussian(3), FakeMonitor(effort=0.001)
    before = torch.get_rng_state()
    estimator = NERD(**NERD.info.presets["paper"])
    out = channels_of(estimator, view_of(source), [0.5, 2.0], monitor)
    assert [c.beta for c in out] == [2.0, 0.5]
    assert monitor.gradient_steps == 10
    assert monitor.parameters == 2 * (101 * 3 + 2 * 4 * 3)  # a copy for every slope
    assert torch.equal(before, torch.get_rng_state())
    channel = out[0]
    assert isinstance(channel.marginal, Pushforward)
    assert channel.marginal.latent_dim == 100
    x = source.sample(4, seeded())
    assert channel.sample_conditional(x, 2, seeded()).shape == (4, 2, 3)


def test_a_claim_weighs_every_symbol_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    def means(_: Any, x: Tensor, *__: Any) -> tuple[float, float]:
        return float(x.mean()), float(x.square().mean())

    monkeypatch.setattr(nerd_published, "_CLAIM_DRAWS", 10)
    monkeypatch.setattr(nerd_published, "appendix_a", means)
    view = view_of(lambda n: torch.arange(n, dtype=torch.float64)[:, None] ** 2, n_train=2010)
    (out,) = channels_of(NERD(network="published", draws=8, batch=4, iterations=1), view, [1.0])
    claimed_on = split(view, seeded()).claim(10**6)
    assert len(claimed_on) == 201  # 200 and one
    assert (out.claim.rate, out.claim.distortion) == pytest.approx(means(None, claimed_on))


def test_told_to_stop_it_yields_what_it_has() -> None:
    monitor = FakeMonitor(limit=30)
    estimator = NERD(warm_draws=5000, components=1, draws=256, **_CHEAP)
    out = channels_of(estimator, view_of(vector_gaussian(2)), [1.0, 3.0, 9.0], monitor)
    assert len(out) == 3
    assert monitor.gradient_steps <= 30
    assert all(c.status == "not_converged" for c in out)
    assert monitor.looks
    assert all(math.isnan(c.claim.rate) for look in monitor.looks for c in look)


def test_after_a_stop_few_symbols_are_claimed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """No steps of expectation-maximisation, no training, and claims on few symbols."""
    seen = []

    def counted(found: Finished, x: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
        seen.append(len(x))
        return lagrangians(found, x, *args, **options)

    source = isotropic_mixture(3.0 * torch.eye(25).double()[:3])
    monkeypatch.setattr(nerd, "lagrangians", counted)
    monkeypatch.setattr(nerd, "select_mixture", lambda *_, go_on: source)
    betas = [0.1 * 2**k for k in range(5)]
    out = channels_of(NERD(warm_draws=3000), view_of(source), betas, FakeMonitor(limit=0))
    assert all(math.isfinite(c.claim.rate) for c in out)
    assert seen == [100_000 // (3 * 25**2)] * 5


def test_parameters_are_those_of_what_is_yielded(generator: Generator) -> None:
    """A network that is not used does not count, the affine part and its latents do."""
    monitor = FakeMonitor(limit=0)
    channels_of(NERD(warm_draws=2000), view_of(vector_gaussian(3)), [0.5, 2.0], monitor)
    assert monitor.parameters == 2 * (3 + 6)  # at each slope a mean and a covariance
    net, prior = _bent(2, 3, generator)
    network = 2 * 8 + 8 + 8 * 8 + 8 + 8 * 2
    bent = finished(net, prior, SquaredError(), 1.0)
    assert bent.parameters == network + 2 + 3 * (2 + 3)


@pytest.mark.parametrize("points", [6, 10])
def test_few_training_points(points: int) -> None:
    view = view_of(vector_gaussian(3), n_train=points)
    (out,) = channels_of(NERD(warm_draws=1000, iterations=8), view, [3.0])
    assert out.claim.side == "estimate"
    assert math.isfinite(out.claim.rate)
    assert bool(torch.isfinite(out.marginal.sample(10, seeded())).all())


def test_the_published_network_has_no_proposals() -> None:
    with pytest.raises(RdbenchError, match="plug_in"):
        NERD(network="published", objective="importance")
