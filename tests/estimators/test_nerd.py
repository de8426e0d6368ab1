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
from rdbench.estimators.nerd.neutral import _finished, plug_in_loss
from rdbench.estimators.nerd.pieces import Pieces, log_weights
from rdbench.estimators.nerd.product import gradient
from rdbench.estimators.nerd.training import _importance, plug_in
from rdbench.fitting import split
from rdbench.inference.product import exact_sums
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.mixture import GaussianMixture, isotropic_mixture, two_modes
from rdbench.suites import high_dimensional, scalar
from rdbench.suites import vector_gaussian as vectors
from rdbench.types import (
    Audited,
    Case,
    Distortion,
    Product,
    Pushforward,
    RdbenchError,
    TestChannel,
)
from tests.estimators.conftest import FakeMonitor, case_of, channels_of, seeded, view_of

SIZE = AuditSize(500, 1e7, 2000, 0, 8000, 4, 60, local_draws=32)
BETA = 4.0
_CHEAP: dict[str, Any] = {"claim_draws": 500, "held_out_draws": 300}
_MIXTURE = NERD(**NERD.info.presets["mixture"])
_SMALL = replace(_MIXTURE, components=2, warm_draws=10_000, **_CHEAP)
_FEW = NERD(components=8, hidden=8, warm_draws=5000, first_iterations=600, batch=256, **_CHEAP)


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
    _, log_w, _ = finished(net, prior, SquaredError(), BETA).encoder.weighted_draws(
        x, 20_000, generator
    )
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
    assert channel.start is not None
    assert channel.start.name == "fitted mixture"
    assert channel.is_start
    assert isinstance(channel.marginal, Pushforward)
    assert channel.marginal.prior is not None
    assert channel.q_is == "affine generator"


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
    one = replace(_MIXTURE, components=1, **_CHEAP)
    (shared,) = _channels(case, replace(one, objective="plug_in"), [rate], 0.02)
    (weighted,) = _channels(case, replace(one, objective="importance"), [rate], 0.02)
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

    def points(n: int) -> Tensor:
        return torch.arange(n, dtype=torch.float64)[:, None].expand(n, 3) ** 2

    view = view_of(points, n_train=2010)
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
    out = channels_of(
        replace(_MIXTURE, warm_draws=3000), view_of(source), betas, FakeMonitor(limit=0)
    )
    assert all(math.isfinite(c.claim.rate) for c in out)
    assert seen == [100_000 // (3 * 25**2)] * 5


def test_parameters_are_those_of_what_is_yielded(generator: Generator) -> None:
    """A network that is not used does not count, the affine part and its latents do."""
    monitor = FakeMonitor(limit=0)
    mixture = replace(_MIXTURE, warm_draws=2000)
    channels_of(mixture, view_of(vector_gaussian(3)), [0.5, 2.0], monitor)
    assert monitor.parameters == 2 * (3 + 6)  # at each slope a mean and a covariance
    net, prior = _bent(2, 3, generator)
    network = 2 * 8 + 8 + 8 * 8 + 8 + 8 * 2
    bent = finished(net, prior, SquaredError(), 1.0)
    assert bent.parameters == network + 2 + 3 * (2 + 3)


@pytest.mark.parametrize("points", [6, 10])
@pytest.mark.parametrize("estimator", [NERD(), _MIXTURE], ids=["pieces", "mixture"])
def test_few_training_points(points: int, estimator: NERD) -> None:
    view = view_of(vector_gaussian(3), n_train=points)
    short = replace(estimator, warm_draws=1000, iterations=8, first_iterations=8)
    (out,) = channels_of(short, view, [3.0])
    assert out.claim.side == "estimate"
    assert math.isfinite(out.claim.rate)
    assert bool(torch.isfinite(out.marginal.sample(10, seeded())).all())


def test_the_published_network_has_no_proposals() -> None:
    with pytest.raises(RdbenchError, match="plug_in"):
        NERD(network="published", objective="importance")


# --------------------------------------------------------------------------------------------
# the default: pieces from a neutral start


def _pieces(dim: int, size: int, generator: Generator, bent: float = 0.2) -> Pieces:
    """Pieces that overlap, under a network that does something."""
    net = Pieces(torch.zeros(dim).double(), torch.eye(dim).double(), size, 8, generator)
    with torch.no_grad():
        net.logits.copy_(0.3 * torch.arange(size))
        net.w3.copy_(bent * torch.randn(8, dim, generator=generator, dtype=torch.float64))
    return net


def _exact_log_z_of(net: Pieces, x: Tensor) -> Tensor:
    """log Z(x) on the line: the trapezoidal rule in every piece."""
    z = torch.linspace(-9.0, 9.0, 4001, dtype=torch.float64)
    log_p = -0.5 * z.square() - 0.5 * math.log(2.0 * math.pi) + math.log(float(z[1] - z[0]))
    terms = []
    for c, log_w in enumerate(torch.log_softmax(net.logits, 0)):
        y = net.decode(z[:, None], torch.full((len(z),), c))
        terms.append(torch.logsumexp(log_w + log_p - BETA * (x - y.T).square(), 1))
    return torch.logsumexp(torch.stack(terms), 0)


def test_jacobian_of_a_piece_agrees_with_autograd(generator: Generator) -> None:
    net, c = _pieces(3, 2, generator), torch.tensor([0, 1, 1])
    net.maps.data += 0.3 * torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    z = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    value, jacobian = net.value_and_jacobian(z, c)
    assert torch.allclose(value, net.decode(z, c))
    for k in range(3):
        exact = torch.autograd.functional.jacobian(
            lambda v, k=k: net.decode(v[None], c[k : k + 1])[0], z[k]
        )
        assert torch.allclose(exact.T, jacobian[k], atol=1e-12)


def test_affine_pieces_have_the_potential_of_their_mixture(generator: Generator) -> None:
    net = _pieces(3, 4, generator, bent=0.0)
    x = 2.0 * torch.randn(50, 3, generator=generator, dtype=torch.float64)
    found = torch.logsumexp(net.affine_log_z(x, BETA), 1)
    assert net.is_affine
    assert torch.allclose(found, net.affine_law().log_partition(x, BETA), atol=1e-10)


@pytest.mark.parametrize("size", [1, 3])
def test_pieces_estimate_z_without_bias(size: int, generator: Generator) -> None:
    """Both estimates, of the training and of the audit's latents, against quadrature."""
    net = _pieces(1, size, generator).requires_grad_(False)
    x = torch.linspace(-2.0, 2.0, 5, dtype=torch.float64)[:, None]
    by_training, _ = log_weights(net, x, BETA, 8000, generator, 3)
    found = _finished(net, SquaredError(), BETA)
    _, as_latents, _ = found.encoder.weighted_draws(x, 20_000, generator)
    for log_w in (by_training, as_latents):
        log_z = torch.logsumexp(log_w, 1)
        weights = torch.exp(log_w - log_z[:, None])
        error = (weights.square().sum(1) - 1.0 / weights.shape[1]).sqrt()
        assert float(error.max()) < 0.05
        assert bool(((log_z - _exact_log_z_of(net, x)).abs() < 4.0 * error + 1e-3).all())


@pytest.mark.parametrize("size", [1, 3])
def test_gradients_of_pieces_are_those_of_the_dual(size: int, generator: Generator) -> None:
    net = _pieces(1, size, generator)
    x = torch.randn(300, 1, generator=generator, dtype=torch.float64)
    weights = [net.w3, net.means, net.logits][: 2 + (size > 1)]
    exact = torch.autograd.grad(-_exact_log_z_of(net, x).mean(), weights)
    log_w, _ = log_weights(net, x, BETA, 200, generator, 3)
    weighted = -torch.logsumexp(log_w, 1).mean()
    plug_in_of = plug_in_loss(net, x, BETA, SquaredError(), 60_000, generator)
    for loss in (weighted, plug_in_of):
        for one, true in zip(torch.autograd.grad(loss, weights), exact, strict=True):
            assert float((one - true).norm()) < 0.06 * float(true.norm()) + 0.002


def test_the_default_starts_neutrally_and_finds_the_modes() -> None:
    case = case_of(scalar.SUITE.cases(), "two-modes")
    (channel,) = _channels(case, _FEW, [4.0], effort=0.5)
    assert channel.start is not None
    assert channel.start.name == "8 random Gaussians"
    found = _audit(case, channel)
    assert found.gap_hi < 0.01
    assert found.gain > 0.3


def test_a_gaussian_takes_one_piece_and_no_network() -> None:
    case = vectors.SUITE.cases([2])[0]
    for channel in _channels(case, _FEW, [4.0, 1.0], effort=0.5):
        assert channel.start is not None
        assert (channel.q_is, channel.start.name) == ("affine generator", "N(m, C)")
        assert _audit(case, channel).gap_hi < 0.015  # with 500 symbols


def test_a_network_is_kept_where_it_lowers_f() -> None:
    """A uniform law and one piece: no Gaussian is within a tenth of a nat at this rate."""
    case = case_of(scalar.SUITE.cases(), "uniform-squared")
    one = replace(_FEW, components=1, hidden=32)
    (bent,) = _channels(case, one, [1.9])
    assert bent.q_is == "generator network"
    assert _audit(case, bent).gap_hi < 0.06


def test_without_a_step_q_is_the_start() -> None:
    (out,) = channels_of(_FEW, view_of(vector_gaussian(2)), [1.0], FakeMonitor(limit=0))
    assert out.is_start
    assert out.status == "not_converged"


def test_the_gradient_of_a_product_is_that_of_its_formula(generator: Generator) -> None:
    u = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(2, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    betas = torch.tensor([[3.0], [0.5]], dtype=torch.float64)
    z = torch.exp(-betas[..., None] * (u.T[..., None] - y[:, None]).square()).mean(2)
    (exact,) = torch.autograd.grad(-z.log().sum(0).mean(), y)
    assert torch.allclose(gradient(y.detach(), u, betas), exact, atol=1e-12)


def test_a_product_has_no_limit_log_n() -> None:
    """A cube in six dimensions at more nats than log N, rotated: no axis is given."""
    case = case_of(high_dimensional.SUITE.cases(), "cube-d6")
    product = NERD(**{**NERD.info.presets["product"], "draws": 64, "warm_draws": 20_000})
    (channel,) = _channels(case, replace(product, claim_draws=2000), [6.78], effort=0.5)
    assert isinstance(channel.marginal, Product)
    x = case.problem.source.sample(2000, seeded())
    f = -exact_sums(channel.marginal, x, channel.beta)[0]
    truth = case.reference.point(channel.beta).lagrangian.mid
    assert float(f.mean()) - truth < 0.1
    assert channel.claim.rate > math.log(64) + 2.0
    assert channel.start is not None
    begun = -exact_sums(channel.start.marginal, x, channel.beta)[0]  # type: ignore[arg-type]
    assert float((begun - f).mean()) > 0.2


def test_the_published_network_says_where_nothing_was_published() -> None:
    paper = NERD(network="published", draws=8, batch=4, iterations=1, claim_draws=10)
    (out,) = channels_of(paper, view_of(vector_gaussian(2)), [1.0])
    assert out.reason == "nothing was published for d = 2: layers of 2 units"
    assert out.start is not None
    assert out.start.name == "draws of a random generator"
    (out,) = channels_of(paper, view_of(vector_gaussian(20)), [1.0])
    assert out.reason == ""
