"""mixture_em: exact on Gaussians and mixtures, its claim in closed form, what it refuses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit import SIZES, audit
from rdbench.distortions import SquaredError
from rdbench.estimators.mixture_em import MixtureEM
from rdbench.inference.reproduction import parameters
from rdbench.references.gaussian import WaterFilling
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.sources.mixture import GaussianMixture, eight_modes, paper_mixture, two_modes
from rdbench.types import Gaussians, Problem, Source, TestChannel
from tests.estimators.conftest import FakeMonitor, channels_of, seeded, view_of


def _fit(
    source: Source, betas: Sequence[float], monitor: FakeMonitor | None = None
) -> list[TestChannel]:
    return channels_of(MixtureEM(), view_of(source), betas, monitor)


def _log_partition(channel: TestChannel, x: Tensor) -> Tensor:
    """log Z(x) by another density of the observed law: N(m_k, S_k + v I), v = 1 / (2 beta)."""
    q, v = channel.marginal, 0.5 / channel.beta
    assert isinstance(q, Gaussians)
    eye = torch.eye(x.shape[1], dtype=x.dtype)
    parts = torch.distributions.MultivariateNormal(q.means, q.covs + v * eye)
    log_p = torch.logsumexp(parts.log_prob(x[:, None]) + q.weights.log(), 1)
    return log_p + 0.5 * x.shape[1] * math.log(math.pi / channel.beta)


@pytest.mark.parametrize(
    ("source", "betas", "count"),
    [
        (vector_gaussian(5), (0.8, 2.0, 500.0), parameters(1, 5, tied=False)),
        (paper_mixture(), (0.5, 2.0, 60.0), parameters(3, 2, tied=True)),
        (two_modes(), (0.5, 3.0), parameters(2, 1, tied=True)),
        (eight_modes(4), (0.6, 20.0), parameters(8, 4, tied=True)),
    ],
    ids=["gaussian", "paper", "two-modes", "eight-modes"],
)
def test_gaussians_and_mixtures_are_reached(
    source: Source, betas: Sequence[float], count: int
) -> None:
    """F(q) - F* by the closed forms of q's and the optimal potential, on the same fresh draws."""
    exact = (
        TightShannonBound(source) if isinstance(source, GaussianMixture) else WaterFilling(source)  # type: ignore[arg-type]
    )
    x = source.sample(100_000, Generator().manual_seed(1))
    monitor = FakeMonitor(build_every=0)
    for channel in _fit(source, betas, monitor):
        gap = -_log_partition(channel, x) - exact.potential(x, channel.beta)
        assert -3e-4 < float(gap.mean()) < 1.5e-3
    assert monitor.parameters == count


def test_the_audit_agrees_and_the_claim_is_its_own_formula() -> None:
    source = paper_mixture()
    (channel,) = _fit(source, [2.0])
    problem, reference = Problem(source, SquaredError()), TightShannonBound(source)
    generator = Generator().manual_seed(3)
    found = audit(channel, problem, reference, size=SIZES["quick"], generator=generator)
    assert -0.005 < found.gap < 0.008
    assert found.conditional_lo < 0.0 < found.conditional_hi + 0.005

    # R + beta D and D of p(y|x) by draws of p(y|x) itself
    x = source.sample(20_000, generator)
    y = channel.sample_conditional(x, 1, generator)[:, 0]
    rho = (x - y).square().sum(1)
    claim = channel.claim
    assert claim.side == "upper"
    assert float(rho.mean()) == pytest.approx(claim.distortion, abs=5 * float(rho.std()) / 141)
    log_z = _log_partition(channel, x)
    tolerance = 5 * float(log_z.std()) * (2 / 20_000) ** 0.5
    assert claim.rate + 2.0 * claim.distortion == pytest.approx(-float(log_z.mean()), abs=tolerance)


def test_the_rate_is_a_divergence(generator: Generator) -> None:
    """The claimed R is the mean of log p(y|x) - log q(y), with p(y|x) by Bayes' rule."""
    source = two_modes()
    (channel,) = _fit(source, [1.0])
    x = source.sample(20_000, generator)
    y = channel.sample_conditional(x, 1, generator)[:, 0]
    # log p(y|x) - log q(y) = -beta rho - log Z
    terms = -(x - y).square().sum(1) - _log_partition(channel, x)
    error = float(terms.std()) * (2 / 20_000) ** 0.5
    assert channel.claim.rate == pytest.approx(float(terms.mean()), abs=5 * error)


def test_far_and_small_sources() -> None:
    """Mean 100, standard deviation 1e-3 and 1e3; the order of the slopes does not matter."""
    x = torch.randn(50_000, 1, generator=Generator().manual_seed(1), dtype=torch.float64)
    for scale in (1e-3, 1e3):
        source = scalar_gaussian(100.0, scale)
        betas = [b / scale**2 for b in (30.0, 0.01, 0.7, 3000.0)]
        channels = _fit(source, betas)
        assert sorted(c.beta for c in channels) == sorted(betas)
        for channel in channels:
            draws = 100.0 + scale * x
            exact = WaterFilling(source).potential(draws, channel.beta)
            gap = float((-_log_partition(channel, draws) - exact).mean())
            assert abs(gap) < 1e-3


def test_told_to_stop_it_yields_what_it_has() -> None:
    betas = (0.5, 2.0, 60.0)
    for limit in (0, 1, 40):
        monitor = FakeMonitor(limit=limit)
        channels = _fit(paper_mixture(), betas, monitor)
        assert monitor.reports <= limit + 1
        assert sorted(c.beta for c in channels) == sorted(betas)
        x = paper_mixture().sample(500, Generator().manual_seed(1))
        assert all(bool(torch.isfinite(_log_partition(c, x)).all()) for c in channels)


def test_checkpoints_come_close_to_the_end() -> None:
    """The first is one Gaussian, the last the final fit; both draw nothing."""
    monitor, x = FakeMonitor(), paper_mixture().sample(50, seeded())
    last = {c.beta: c for c in _fit(paper_mixture(), (2.0, 60.0), monitor)}
    for channel in monitor.looks[-1]:
        assert torch.equal(_log_partition(channel, x), _log_partition(last[channel.beta], x))
        assert channel.claim.side == "estimate"


def test_every_slope_of_a_ladder_is_fitted() -> None:
    """Below the noise that its modes have, the mixture of a larger slope will not do."""
    source = two_modes()
    x = source.sample(20_000, Generator().manual_seed(1))
    f = [-float(_log_partition(c, x).mean()) for c in _fit(source, (3.0, 0.06))[1:]]
    f += [-float(_log_partition(c, x).mean()) for c in _fit(source, (0.06,))]
    assert f[0] == pytest.approx(f[1], abs=2e-3)


def test_few_fixed_points() -> None:
    """Held-out points are points that no fit has seen; so few of them bound nothing."""
    source = vector_gaussian(2)
    for n in (6, 10, 300):
        (channel,) = channels_of(MixtureEM(), view_of(source, n_train=n), [3.0])
        assert channel.claim.side == "estimate"
    x = source.sample(20_000, seeded())  # 240 points are nearly the population
    gap = -_log_partition(channel, x) - WaterFilling(source).potential(x, 3.0)
    assert -0.005 < float(gap.mean()) < 0.05


def test_of_letters_that_repeat_the_counts_are_learned() -> None:
    """2,000 fixed draws of three letters, in order: some of each are held out."""
    letters = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
    fixed = letters[torch.tensor([0] * 1500 + [1] * 400 + [2] * 100)]
    view = view_of(lambda n: fixed[:n], n_train=2000)
    (channel,) = channels_of(MixtureEM(), view, [100.0], FakeMonitor(0.3))
    assert channel.claim.side == "estimate"
    log_z = _log_partition(channel, letters)
    entropy = -float((torch.tensor([0.75, 0.2, 0.05]).double() * log_z).sum())
    assert entropy == pytest.approx(0.690, abs=0.02)  # H(p): one atom per letter


def test_fixed_points_heed_the_caps_and_the_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "rdbench.estimators.mixture_em"
    fitted, claimed = [], []

    def fit(x: Tensor, start: GaussianMixture, *_: Any, **__: Any) -> GaussianMixture:
        fitted.append(len(x))
        return start

    def point(_: Any, x: Tensor, *__: Any) -> tuple[float, float]:
        claimed.append(len(x))
        return 0.0, 1.0

    monkeypatch.setattr(f"{module}.fit_observed", fit)
    monkeypatch.setattr(f"{module}._point", point)
    monkeypatch.setattr(f"{module}._MOST_TERMS", 1200)
    view = view_of(two_modes(), n_train=3000)
    estimator = MixtureEM(components=2, first_draws=1000, claim_draws=400)
    channels_of(estimator, view, [2.0], FakeMonitor(0.5))
    channels_of(replace(estimator, draws=250), view, [2.0], FakeMonitor(0.5))
    assert fitted == [600, 250]
    assert claimed == [200, 200]
