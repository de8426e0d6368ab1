"""beta-VAE: a bound that is one, an exact start, an encoder that is its density."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit.evaluation import optimal_potential
from rdbench.audit.sums import product
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators.beta_vae import BetaVAE
from rdbench.estimators.beta_vae.encoder import ComponentEncoder
from rdbench.estimators.beta_vae.flow import Flow
from rdbench.estimators.beta_vae.model import MixtureVAE
from rdbench.estimators.beta_vae.neutral import neutral
from rdbench.estimators.beta_vae.published import (
    FactorisedVAE,
    FlowVAE,
    learning_rate,
    looks_gaussian,
)
from rdbench.estimators.beta_vae.tied import TiedVAE
from rdbench.inference.em import mixture_moments
from rdbench.inference.product import principal
from rdbench.sources.mixture import GaussianMixture, paper_mixture
from rdbench.suites import high_dimensional, planar, scalar, vector_gaussian
from rdbench.types import (
    Case,
    Density,
    Distortion,
    Gaussians,
    Product,
    Pushforward,
    RdbenchError,
    TestChannel,
)
from tests.estimators.conftest import FakeMonitor, case_of, channels_of, view_of

MIXTURE = dict(BetaVAE.info.presets["mixture"])
FAST = BetaVAE(**MIXTURE | {"steps": 10, "warm_draws": 5000})


def _fit(case: Case, estimator: BetaVAE, rates: Sequence[float]) -> list[TestChannel]:
    betas = [case.reference.slope(r) for r in rates]
    view = view_of(case.problem.source, case.problem.distortion)
    return channels_of(estimator, view, betas)


def _gap(case: Case, channel: TestChannel) -> float:
    """F(q) - F*: of a product exactly, else by importance sampling with its encoder or p(y|x)."""
    generator, draws = Generator().manual_seed(3000), 50
    x = case.problem.source.sample(1000, generator)
    q = channel.marginal
    optimal = optimal_potential(case.reference, x, channel.beta)
    assert optimal is not None
    if isinstance(q, Product):
        return float((product(q, x, None, channel.beta, 1e9).potential - optimal).mean())
    if isinstance(q, Gaussians):
        law = GaussianMixture(q.weights, q.means, q.covs)
        own, exact = Density(law.sample, law.log_prob), law.proposal(channel.beta)
        q = Pushforward(lambda z: z, law.dim, own, exact)
    elif isinstance(q, Density):  # its proposal is p(y|x)
        q = Pushforward(lambda z: z, x.shape[1], q, q.proposal)
    assert isinstance(q, Pushforward)
    assert q.encoder is not None
    z = q.encoder.sample(x, draws, generator)
    y = q.decode(z.flatten(0, 1)).reshape(len(x), draws, -1)
    rho = case.problem.distortion.value_and_grad(x[:, None].expand_as(y), y)[0]
    log_w = q.log_prior(z.flatten(0, 1)).reshape(rho.shape) - q.encoder.log_prob(z, x)
    f = math.log(draws) - torch.logsumexp(log_w - channel.beta * rho, 1)
    return float((f - optimal).mean())


def _model(distortion: Distortion, beta: float = 2.0) -> MixtureVAE:
    """Two components in the plane, with everything moved away from the start."""
    covs = torch.tensor([[[1.0, 0.4], [0.4, 0.6]], [[0.3, -0.1], [-0.1, 0.9]]]).double()
    means = torch.tensor([[-1.0, 0.5], [1.5, 0.0]]).double()
    fitted = GaussianMixture(torch.tensor([0.3, 0.7]).double(), means, covs)
    slopes = torch.tensor([beta], dtype=torch.float64)
    noise = 0.5 / slopes
    generator = Generator().manual_seed(4)
    model = MixtureVAE(fitted, [fitted], slopes, noise, 8, 2, 4, generator)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.15 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return model


def _grid(reach: float, points: int) -> tuple[Tensor, float]:
    axis = torch.linspace(-reach, reach, points, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), float(axis[1] - axis[0]) ** 2


def test_the_start_is_exact_where_the_prior_is_a_mixture() -> None:
    """Networks at zero: the bound is -log E_q exp(-beta rho), symbol by symbol."""
    mixture, beta = paper_mixture(), 1.3
    slopes = torch.tensor([beta], dtype=torch.float64)
    model = MixtureVAE(mixture, [mixture], slopes, 0.5 / slopes, 8, 2, 4, Generator())
    x = 5.0 * torch.randn(50, 2, generator=Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        rate, rho = model.bound(x, SquaredError(), Generator())
    assert torch.allclose(rate + beta * rho, -mixture.log_partition(x, beta), atol=1e-9)


@pytest.mark.parametrize("distortion", [SquaredError(), AbsoluteError()])
def test_the_bound_is_the_mean_over_the_encoder_and_above_the_potential(
    distortion: Distortion,
) -> None:
    """Closed forms and one draw against E log e(z|x) / p(z) + beta rho(x, g(z)) by quadrature.

    The bound counts the label k as a latent too, so it lies above that, and that above f(x).
    """
    model, beta = _model(distortion), 2.0
    prior, encoder = model.density(), ComponentEncoder(model, distortion)
    x = torch.tensor([[0.3, -0.4]], dtype=torch.float64)
    z, cell = _grid(9.0, 500)
    with torch.no_grad():
        log_p, y = prior.log_prob(z), z + model.correction(z[None])[0]
        log_e = encoder.log_prob(z[None], x)[0]
        rho = distortion.value_and_grad(x.expand_as(y), y)[0]
        e = log_e.exp() * cell
        many = model.bound(x.expand(100_000, 2), distortion, Generator().manual_seed(2))
    assert float(e.sum()) == pytest.approx(1.0, abs=1e-6)
    assert float(log_p.exp().sum() * cell) == pytest.approx(1.0, abs=1e-4)
    distorted = float((e * rho).sum())
    error = float(many[1].std()) / math.sqrt(100_000)
    assert float(many[1].mean()) == pytest.approx(distorted, abs=5 * error + 1e-6)
    lower = float((e * (log_e - log_p)).sum())
    assert float(many[0].mean()) > lower - 5 * float(many[0].std()) / math.sqrt(100_000)
    potential = -float(torch.logsumexp(log_p - beta * rho, 0) + math.log(cell))
    assert lower + beta * distorted > potential


def test_gradients_are_those_of_the_expected_bound() -> None:
    """The draw of the label is differentiated by its probability: against finite differences."""
    model = _model(SquaredError())
    x = torch.tensor([[0.3, 0.4]], dtype=torch.float64).expand(50_000, 2)
    with torch.no_grad():
        model.decoder.w3.mul_(5.0)  # g far from the identity, so that its draw matters

    def value(tilt: float) -> Tensor:
        model.encoder.b3.data[0, 0, 4] = tilt  # of the first component's responsibility
        rate, rho = model.bound(x, SquaredError(), Generator().manual_seed(3))
        return (rate + 2.0 * rho).mean()

    value(1.0).backward()
    assert model.encoder.b3.grad is not None
    slope = float(model.encoder.b3.grad[0, 0, 4])
    with torch.no_grad():
        change = float(value(1.2) - value(0.8)) / 0.4
    assert slope == pytest.approx(change, abs=0.05)
    assert abs(slope) > 0.2


def test_encoder_draws_have_its_density() -> None:
    """Moments of the draws against quadrature of exp(log_prob)."""
    model = _model(SquaredError())
    encoder = ComponentEncoder(model, SquaredError())
    x = torch.tensor([[0.3, -0.4], [-2.0, 1.0]], dtype=torch.float64)
    draws = encoder.sample(x, 40_000, Generator().manual_seed(1))
    z, cell = _grid(9.0, 400)
    for i in range(2):
        e = encoder.log_prob(z[None], x[i : i + 1])[0].exp() * cell
        for power in (1, 2):
            found, std = draws[i].pow(power).mean(0), draws[i].pow(power).std(0)
            exact = (e[:, None] * z.pow(power)).sum(0)
            assert bool(((found - exact).abs() < 5 * std / 200).all())


def test_flow_inverse_and_determinant() -> None:
    generator = Generator().manual_seed(5)
    eye = torch.eye(3, dtype=torch.float64)[None]
    flow = Flow(1.5 * eye, torch.ones(1, 1, 3, dtype=torch.float64), 2, 6, generator)
    y = 3.0 * torch.randn(1, 40, 3, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(flow(y)[0], y)
        assert float(flow(y)[1].abs().max()) < 1e-9
        for p in flow.parameters():
            p.add_(0.7 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
        z, log_det = flow(y)
    assert float((z - y).abs().max()) > 0.5
    assert torch.allclose(flow.inverse(z), y, atol=1e-9)
    jacobian = torch.autograd.functional.jacobian(lambda t: flow(t[None, None])[0][0, 0], y[0, 0])
    assert float(log_det[0, 0]) == pytest.approx(float(torch.linalg.slogdet(jacobian)[1]))


def test_rotated_gaussian_at_low_and_high_rates() -> None:
    """Inactive and active directions; the authors' factorised prior is 3 nats away here."""
    case = vector_gaussian.SUITE.cases([5])[0]
    for channel in _fit(case, FAST, [0.3, 15.0]):
        assert -0.005 < _gap(case, channel) < 0.01
        assert channel.claim.side == "upper"
        claimed = channel.claim.rate + channel.beta * channel.claim.distortion
        assert claimed == pytest.approx(case.reference.point(channel.beta).lagrangian.mid, abs=0.1)


def test_training_learns_what_no_mixture_start_has() -> None:
    """Uniform, squared error: one Gaussian is .1 nats away; flow and networks do better."""
    case = case_of(scalar.SUITE.cases(), "uniform-squared")
    gaps = []
    for steps in (1, 100):
        estimator = BetaVAE(
            **MIXTURE | {"steps": steps, "components": 1, "warm_draws": 5000, "batch": 128}
        )
        gaps.append(_gap(case, _fit(case, estimator, [1.9])[0]))
    assert gaps[0] > 0.08
    assert gaps[1] < 0.5 * gaps[0]


def test_modes_and_absolute_error() -> None:
    laplacian = case_of(scalar.SUITE.cases(), "laplacian-absolute-shifted")
    for case, rate, components in ((planar.SUITE.cases()[0], 3.0, 3), (laplacian, 2.0, 1)):
        estimator = BetaVAE(
            **MIXTURE | {"steps": 40, "batch": 128, "components": components, "warm_draws": 4000}
        )
        (channel,) = _fit(case, estimator, [rate])
        assert -0.01 < _gap(case, channel) < 0.04


def test_of_fixed_training_points_some_choose_and_others_are_claimed_on() -> None:
    """So few points bound nothing, wherever they are claimed on."""
    source = vector_gaussian.SUITE.cases([2])[0].problem.source
    view = view_of(source, n_train=500)
    (channel,) = channels_of(BetaVAE(steps=2, warm_draws=500), view, [1.0])
    assert channel.claim.side == "estimate"


def test_a_spent_budget_keeps_the_start() -> None:
    """No step taken: the linear-Gaussian optimum is returned all the same."""
    case, monitor = vector_gaussian.SUITE.cases([2])[0], FakeMonitor(limit=0)
    beta = case.reference.slope(2.0)
    (channel,) = channels_of(BetaVAE(**MIXTURE), view_of(case.problem.source), [beta], monitor)
    assert monitor.gradient_steps == 0
    assert channel.is_start
    assert _gap(case, channel) < 0.005


def test_after_a_stop_few_symbols_are_claimed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """No optimiser is made, and the starts and the claims are judged on few symbols."""
    seen: list[int] = []
    bound = MixtureVAE.bound

    def counted(model: MixtureVAE, x: Tensor, *args: Any) -> tuple[Tensor, Tensor]:
        seen.append(len(x))
        return bound(model, x, *args)

    def made(*_: Any) -> None:
        raise AssertionError("there is nothing to train")

    monkeypatch.setattr(MixtureVAE, "bound", counted)
    monkeypatch.setattr(torch.optim, "Adam", made)
    view, monitor = view_of(paper_mixture()), FakeMonitor(limit=0)
    out = channels_of(BetaVAE(**MIXTURE | {"warm_draws": 2000}), view, [1.0, 4.0], monitor)
    assert all(math.isfinite(c.claim.rate) for c in out)
    assert seen == [300, 300]


def test_the_published_model() -> None:
    """Closed-form bound of the factorised model, and what its factorised prior costs."""
    slopes = torch.tensor([2.0], dtype=torch.float64)
    model = FactorisedVAE(slopes, 2, Generator().manual_seed(1))
    x = torch.tensor([[0.5, -1.0]], dtype=torch.float64)
    with torch.no_grad():
        (mean, std), prior = (p[0, 0] for p in model.posterior(x)), model.density()
        scale = torch.nn.functional.softplus(model.raw_scale[0, 0])
        rate, rho = model.bound(x.expand(100_000, 2), SquaredError(), Generator())
        normal = torch.distributions.Normal
        exact = torch.distributions.kl_divergence(
            normal(mean, std), normal(model.mean[0, 0], scale)
        )
    assert float(rate.mean()) == pytest.approx(
        float(exact.sum()), abs=5 * float(rate.std()) / math.sqrt(1e5)
    )
    assert float(rho.mean()) == pytest.approx(
        float((std.square() + (mean - x[0]).square()).sum()),
        abs=5 * float(rho.std()) / math.sqrt(1e5),
    )
    draws = prior.sample(20_000, Generator().manual_seed(3))
    assert torch.allclose(draws.std(0), scale, rtol=0.03)
    assert [learning_rate(t) for t in (0.0, 0.6, 0.8, 0.9)] == pytest.approx([1, 0.2, 0.04, 0.008])


def test_splines_have_a_knot_in_the_middle() -> None:
    with pytest.raises(RdbenchError, match="beta_vae: bins must be even, got 5"):
        BetaVAE(bins=5)


# --------------------------------------------------------------------------------------------
# from a neutral start


def test_the_neutral_start_has_the_moments_of_the_source_and_no_more() -> None:
    x = paper_mixture().sample(50_000, Generator().manual_seed(1)) + 100.0
    one = neutral(x, 1, Generator().manual_seed(2))
    assert torch.allclose(one.means[0], x.mean(0))
    assert torch.allclose(one.covs[0], torch.cov(x.T), rtol=1e-6)
    many = neutral(x, 4000, Generator().manual_seed(2))
    mean, cov = mixture_moments(many)
    assert torch.allclose(mean, x.mean(0), atol=0.4)
    assert torch.allclose(cov, torch.cov(x.T), atol=2.0)  # variances are 19


def test_the_closed_form_of_the_affine_part_is_the_bound() -> None:
    """Networks at zero, prior anywhere: `potential` against `bound`, and its gradient."""
    model = _model(SquaredError())
    with torch.no_grad():
        for p in model.network_parameters:
            p.zero_()
    x = torch.randn(30, 2, generator=Generator().manual_seed(1), dtype=torch.float64)
    rate, rho = model.bound(x, SquaredError(), Generator())
    bound = rate + 2.0 * rho
    assert torch.allclose(model.potential(x), bound, atol=1e-10)
    slopes = [
        torch.autograd.grad(f.sum(), model.prior_parameters) for f in (model.potential(x), bound)
    ]
    for closed, drawn in zip(*slopes, strict=True):
        assert torch.allclose(closed, drawn, atol=1e-8)


def test_training_finds_the_gaussian_and_the_modes_from_the_neutral_start() -> None:
    """Affine steps alone: one Gaussian stays one, three modes take several; a mean of 100."""
    affine = BetaVAE(steps=1, warm_draws=5000, components=8)
    gaussian = vector_gaussian.SUITE.cases([5])[0]
    for channel in _fit(gaussian, affine, [0.5, 15.0]):
        assert channel.q_is == "Gaussian"
        assert -0.005 < _gap(gaussian, channel) < 0.01
    modes = planar.SUITE.cases()[0]
    (channel,) = _fit(modes, affine, [5.0])
    assert channel.q_is == "8 Gaussians"
    assert -0.01 < _gap(modes, channel) < 0.02
    assert channel.start is not None
    begun = replace(channel, marginal=channel.start.marginal)
    assert _gap(modes, begun) > 0.5


def test_networks_bend_what_one_gaussian_cannot() -> None:
    """The banana with one component: decoder and encoder are trained together."""
    case = case_of(planar.SUITE.cases(), "banana-d2")
    gaps = []
    for steps in (1, 150):
        estimator = BetaVAE(components=1, warm_draws=5000, affine_steps=200, steps=steps)
        (channel,) = _fit(case, estimator, [1.4])
        gaps.append(_gap(case, channel))
    assert channel.q_is == "decoder network"
    assert gaps[0] > 0.4
    assert gaps[1] < 0.3 * gaps[0]


@pytest.mark.parametrize("algorithm", ["vae", "tied", "published", "published_flow"])
def test_without_a_step_q_is_the_start_and_says_so(algorithm: Any) -> None:
    estimator = BetaVAE(algorithm=algorithm, components=8)
    view = view_of(paper_mixture())
    (channel,) = channels_of(estimator, view, [1.0], FakeMonitor(limit=0))
    assert channel.is_start
    assert channel.status == "not_converged"
    assert math.isfinite(channel.claim.rate)


# --------------------------------------------------------------------------------------------
# tied


def test_the_tied_law_is_what_was_trained() -> None:
    """The loss of the model is F of the product that it yields, as the audit sums it."""
    beta, generator = 1.7, Generator().manual_seed(1)
    x = paper_mixture().sample(5000, generator)
    model = TiedVAE(principal(x)[0], x, 3, generator)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.4 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
        potential = model.potential(x[:40], beta)
    found = product(model.law(beta), x[:40], None, beta, 1e9)
    assert torch.allclose(found.potential, potential, rtol=0.0, atol=1e-12)


def test_tied_finds_the_axes_of_a_rotated_product() -> None:
    case = case_of(high_dimensional.SUITE.cases([6]), "laplacian-d6")
    tied = dict(BetaVAE.info.presets["tied"]) | {"affine_steps": 500}
    (channel,) = _fit(case, BetaVAE(**tied), [5.0])
    assert channel.start is not None
    assert _gap(case, channel) < 0.06
    assert _gap(case, replace(channel, marginal=channel.start.marginal)) > 0.3


# --------------------------------------------------------------------------------------------
# the authors' flow


def test_the_autoregressive_prior_is_a_density_with_its_sampler() -> None:
    """Mass and moments by quadrature; masked networks see only earlier coordinates."""
    generator = Generator().manual_seed(3)
    model = FlowVAE(torch.tensor([2.0]).double(), 2, 6, 3, 5, generator)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(0.4)  # else scales of three flows in a row multiply to 1e4
            p.add_(0.1 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
    prior = model.density()
    z, cell = _grid(25.0, 900)
    mass = prior.log_prob(z).exp() * cell
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-3)
    draws = prior.sample(40_000, generator)
    for power in (1, 2):
        exact, found = (mass[:, None] * z.pow(power)).sum(0), draws.pow(power)
        assert bool(((found.mean(0) - exact).abs() < 5 * found.std(0) / 200 + 1e-3).all())
    wide = FlowVAE(torch.tensor([2.0]).double(), 4, 6, 1, 5, generator)
    jacobian = torch.autograd.functional.jacobian(wide.made[0], torch.randn(4).double())[0, 0]
    for part in jacobian.split(4):
        assert float(part.triu().abs().max()) == 0.0


def test_the_authors_gaussian_set_up_says_where_it_was_not_used() -> None:
    generator = Generator().manual_seed(1)
    gaussian = vector_gaussian.SUITE.cases([10])[0].problem.source
    assert looks_gaussian(gaussian.sample(1000, generator))
    banana = case_of(planar.SUITE.cases(), "banana-d2").problem.source
    for estimator, source, told in (
        (BetaVAE(algorithm="published", steps=2), banana, True),
        (BetaVAE(algorithm="published", steps=2), gaussian, False),
        (BetaVAE(algorithm="published_flow", steps=2), banana, False),
    ):
        (channel,) = channels_of(estimator, view_of(source), [1.0])
        assert ("paper_maf" in channel.reason) == told
        assert channel.status == "ok"
