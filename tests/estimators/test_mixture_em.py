"""mixture_em: exact on Gaussians and mixtures, its claim in closed form, what it refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit import SIZES, audit
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators.mixture_em import MixtureEM
from rdbench.references.gaussian import WaterFilling
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.sources.mixture import GaussianMixture, eight_modes, paper_mixture, two_modes
from rdbench.types import (
    Density,
    Estimator,
    Problem,
    RdbenchError,
    Refusal,
    Source,
    TestChannel,
    View,
)


class _Monitor:
    """Counts what it is told; stops after ``limit`` questions."""

    def __init__(self, effort: float = 1.0, limit: float = float("inf")) -> None:
        self.effort = effort
        self.limit = limit
        self.asked = 0
        self.parameters = 0
        self.looks: list[Callable[[], Sequence[TestChannel]]] = []

    def advance(self, done: float) -> bool:
        assert 0.0 <= done <= 1.0
        self.asked += 1
        return self.asked <= self.limit

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
        self.looks.append(build)
        return self.asked <= self.limit

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        self.parameters = max(self.parameters, parameters)


def _view(sample: Callable[[int], Tensor], dim: int, n_train: int | None = None) -> View:
    return View(dim, SquaredError(), torch.device("cpu"), sample, n_train=n_train)


def _fit(
    source: Source,
    betas: Sequence[float],
    monitor: _Monitor | None = None,
    estimator: MixtureEM | None = None,
    seed: int = 0,
) -> list[TestChannel]:
    data = Generator().manual_seed(1000 + seed)
    view = _view(lambda n: source.sample(n, data), source.dim)
    own = Generator().manual_seed(2000 + seed)
    out = list((estimator or MixtureEM()).fit(view, betas, own, monitor or _Monitor()))
    assert all(isinstance(c, TestChannel) for c in out)
    return out  # type: ignore[return-value]


def _q(channel: TestChannel) -> GaussianMixture:
    """The mixture behind the closures of a channel."""
    assert isinstance(channel.marginal, Density)
    q = channel.marginal.log_prob.__self__  # type: ignore[attr-defined]
    assert isinstance(q, GaussianMixture)
    return q


def test_it_is_an_estimator() -> None:
    assert isinstance(MixtureEM(), Estimator)


@pytest.mark.parametrize(
    ("source", "betas", "components"),
    [
        (vector_gaussian(5), (0.8, 2.0, 500.0), 1),
        (paper_mixture(), (0.5, 2.0, 60.0), 3),
        (two_modes(), (0.5, 3.0), 2),
        (eight_modes(4), (0.6, 20.0), 8),
    ],
    ids=["gaussian", "paper", "two-modes", "eight-modes"],
)
def test_gaussians_and_mixtures_are_reached(
    source: Source, betas: Sequence[float], components: int
) -> None:
    """F(q) - F* by the closed forms of q's and the optimal potential, on the same fresh draws."""
    exact = (
        TightShannonBound(source) if isinstance(source, GaussianMixture) else WaterFilling(source)  # type: ignore[arg-type]
    )
    x = source.sample(100_000, Generator().manual_seed(1))
    for channel in _fit(source, betas):
        q = _q(channel)
        assert q.size == components
        gap = float((-q.log_partition(x, channel.beta) - exact.potential(x, channel.beta)).mean())
        assert -3e-4 < gap < 1.5e-3


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
    log_z = _q(channel).log_partition(x, 2.0)
    tolerance = 5 * float(log_z.std()) * (2 / 20_000) ** 0.5
    assert claim.rate + 2.0 * claim.distortion == pytest.approx(-float(log_z.mean()), abs=tolerance)


def test_the_rate_is_a_divergence(generator: Generator) -> None:
    """The claimed R is the mean of log p(y|x) - log q(y), with p(y|x) by Bayes' rule."""
    source = two_modes()
    (channel,) = _fit(source, [1.0])
    q = _q(channel)
    x = source.sample(20_000, generator)
    y = channel.sample_conditional(x, 1, generator)[:, 0]
    # log p(y|x) - log q(y) = -beta rho - log Z
    terms = -(x - y).square().sum(1) - q.log_partition(x, 1.0)
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
            gap = float((-_q(channel).log_partition(draws, channel.beta) - exact).mean())
            assert abs(gap) < 1e-3


def test_what_it_cannot_do_is_refused() -> None:
    generator, flat = Generator().manual_seed(0), torch.ones(3, 2).double()
    view = _view(lambda n: flat[:1].expand(n, 2).clone(), 2)
    constant = list(MixtureEM().fit(view, [1.0, 2.0], generator, _Monitor()))
    assert [type(c) for c in constant] == [Refusal, Refusal]
    assert "constant" in constant[0].reason  # type: ignore[union-attr]

    source, data = scalar_gaussian(), Generator().manual_seed(1)
    view = _view(lambda n: source.sample(n, data), 1)
    zero, one = MixtureEM().fit(view, [0.0, 1.0], generator, _Monitor(0.1))
    assert isinstance(zero, Refusal)
    assert zero.beta == 0.0
    assert isinstance(one, TestChannel)
    absolute = dataclasses.replace(view, distortion=AbsoluteError())
    assert isinstance(next(MixtureEM().fit(absolute, [1.0], generator, _Monitor())), Refusal)
    letters = dataclasses.replace(view, alphabet=flat[:, :1])
    assert isinstance(next(MixtureEM().fit(letters, [1.0], generator, _Monitor())), Refusal)
    for wrong in ({"components": 0}, {"excess": 0.0}, {"draws": 0}, {"iterations": 0}):
        with pytest.raises(RdbenchError):
            MixtureEM(**wrong)  # type: ignore[arg-type]


def test_told_to_stop_it_yields_what_it_has() -> None:
    betas = (0.5, 2.0, 60.0)
    for limit in (0, 1, 40):
        monitor = _Monitor(limit=limit)
        channels = _fit(paper_mixture(), betas, monitor)
        assert monitor.asked <= limit + 1
        assert sorted(c.beta for c in channels) == sorted(betas)
        x = paper_mixture().sample(500, Generator().manual_seed(1))
        assert all(bool(torch.isfinite(_q(c).log_partition(x, c.beta)).all()) for c in channels)


def test_checkpoints_come_close_to_the_end() -> None:
    """The first is one Gaussian, the last the final fit; both draw nothing."""
    monitor = _Monitor()
    last = {c.beta: c for c in _fit(paper_mixture(), (2.0, 60.0), monitor)}
    assert monitor.parameters == 11
    for channel in monitor.looks[-1]():
        assert torch.equal(_q(channel).means, _q(last[channel.beta]).means)
        assert channel.claim.side == "estimate"


def test_every_slope_of_a_ladder_is_fitted() -> None:
    """Below the noise that its modes have, the mixture of a larger slope will not do."""
    source = two_modes()
    x = source.sample(20_000, Generator().manual_seed(1))
    f = [-float(_q(c).log_partition(x, 0.06).mean()) for c in _fit(source, (3.0, 0.06))[1:]]
    f += [-float(_q(c).log_partition(x, 0.06).mean()) for c in _fit(source, (0.06,))]
    assert f[0] == pytest.approx(f[1], abs=2e-3)


def test_few_fixed_points(generator: Generator) -> None:
    """Held-out points are points that no fit has seen; so few of them bound nothing."""
    source = vector_gaussian(2)
    for n in (2, 10, 300):
        fixed = source.sample(n, generator)

        def sample(count: int, fixed: Tensor = fixed) -> Tensor:
            return fixed[torch.randint(len(fixed), (count,), generator=generator)]

        view = _view(sample, 2, n_train=n)
        (channel,) = MixtureEM().fit(view, [3.0], Generator().manual_seed(5), _Monitor())
        assert isinstance(channel, TestChannel)
        assert channel.claim.side == "estimate"
        if n == 300:  # nearly the population's
            x = source.sample(20_000, generator)
            gap = -_q(channel).log_partition(x, 3.0) - WaterFilling(source).potential(x, 3.0)
            assert -0.005 < float(gap.mean()) < 0.05


def test_letters_that_repeat_are_no_held_out_points(generator: Generator) -> None:
    """Of 2,000 fixed draws of three letters the counts matter, not the letters alone."""
    letters = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
    fixed = letters[torch.tensor([0] * 1500 + [1] * 400 + [2] * 100)]

    def sample(count: int) -> Tensor:
        return fixed[torch.randint(len(fixed), (count,), generator=generator)]

    (channel,) = MixtureEM().fit(
        _view(sample, 1, n_train=2000), [100.0], Generator().manual_seed(5), _Monitor(0.3)
    )
    assert isinstance(channel, TestChannel)
    q = _q(channel)
    assert channel.claim.side == "estimate"
    log_z = q.log_partition(letters, 100.0)
    entropy = -float((torch.tensor([0.75, 0.2, 0.05]).double() * log_z).sum())
    assert entropy == pytest.approx(0.690, abs=0.02)  # H(p): one atom per letter
