"""The presets of EBRD: the mixture, its network and when it is kept; the published algorithm."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from rdbench.audit import AuditSize, audit
from rdbench.estimators.ebrd import EBRD
from rdbench.estimators.ebrd.channel import Claimed, Tilted, bracket, channel
from rdbench.estimators.ebrd.correction import (
    ReferenceSampler,
    Schedule,
    chosen_strength,
    log_partition,
    score,
    train,
)
from rdbench.estimators.ebrd.network import Network
from rdbench.sources.mixture import GaussianMixture, paper_mixture, two_modes
from rdbench.suites import planar, scalar, vector_gaussian
from rdbench.types import (
    Audited,
    Case,
    Density,
    Energy,
    Estimator,
    Gaussians,
    TestChannel,
    View,
)
from tests.estimators.conftest import (
    FakeMonitor,
    case_of,
    channels_of,
    seeded,
    view_of,
)

SIZE = AuditSize(2000, 1e7, 4000, 2000, 8000, 4, 60)
on_mixture = functools.partial(EBRD, **EBRD.info.presets["mixture"])
SMALL = on_mixture(draws=8000, iterations=10, components=1)
SCALAR = scalar.SUITE.cases()
F64 = torch.float64


def _view(case: Case) -> View:
    return view_of(case.problem.source, case.problem.distortion)


def _channels(case: Case, estimator: EBRD, rates: Sequence[float]) -> list[TestChannel]:
    betas = [case.reference.slope(r) for r in rates]
    return channels_of(estimator, _view(case), betas, FakeMonitor(build_every=0))


def _audit(case: Case, made: TestChannel) -> Audited:
    return audit(made, case.problem, case.reference, size=SIZE, generator=seeded(3000))


def test_it_is_an_estimator() -> None:
    assert isinstance(EBRD(), Estimator)


def test_shifted_gaussian_within_a_few_thousandths_of_a_nat() -> None:
    """N(3, 2^2): an untrained standard normal is nats away here."""
    for found in _channels(SCALAR[1], SMALL, [0.1, 3.0]):
        result = _audit(SCALAR[1], found)
        assert abs(result.gap) < 0.004
        assert isinstance(found.marginal, Gaussians)
        assert found.claim.rate + found.beta * found.claim.distortion == pytest.approx(
            result.lagrangian, abs=0.15
        )


def test_ten_dimensions_are_claimed_from_above() -> None:
    case = vector_gaussian.SUITE.cases([10])[0]
    for found in _channels(
        case, on_mixture(draws=20_000, iterations=10, components=1), [0.5, 30.0]
    ):
        assert isinstance(found.marginal, Gaussians)
        assert _audit(case, found).gap < 0.01
        assert found.claim.side == "upper"


def test_a_uniform_source_needs_many_components() -> None:
    """The optimum is atoms; one Gaussian leaves .05 to .2 nats."""
    case = case_of(SCALAR, "uniform-squared")
    (found,) = _channels(case, on_mixture(draws=8000, iterations=10, components=2), [0.4])
    assert _audit(case, found).gap < 0.006


def test_every_mode_gets_its_mass() -> None:
    case = planar.SUITE.cases()[0]
    means = case.problem.source.means  # type: ignore[attr-defined]
    several = dataclasses.replace(SMALL, components=2)
    (found,) = _channels(case, several, [2.0])
    y = found.marginal.sample(6000, seeded())
    masses = torch.bincount(torch.cdist(y, means).argmin(1), minlength=3) / 6000
    assert torch.allclose(masses, torch.full((3,), 1 / 3), atol=0.04)


# --------------------------------------------------------------------------------------------
# the network over the reference, against quadrature on the line

GRID = torch.linspace(-9.0, 9.0, 3601, dtype=F64)[:, None]
STEP = 18.0 / 3600


def _gaussian(cov: Tensor) -> GaussianMixture:
    return GaussianMixture(torch.ones(1).double(), torch.zeros(1, len(cov)).double(), cov[None])


def _network(cov: Tensor, hidden: int = 8, scale: float = 1.0, seed: int = 4) -> Network:
    """An untrained network; a large ``scale`` makes its output matter."""
    network = Network(torch.linalg.cholesky(cov)[None], hidden, seeded(seed))
    with torch.no_grad():
        network.network.w3.mul_(scale)
    return network


def _tilted(strength: float) -> Tilted:
    network = _network(torch.eye(1).double(), scale=60.0).single(0)
    return Tilted(two_modes(), network, strength, 0.8)


def test_its_draws_are_those_of_the_tilted_energy() -> None:
    tilted, generator = _tilted(0.7), seeded()
    energy, _ = tilted.value_and_grad(GRID)
    x = torch.tensor([[0.4]], dtype=F64)
    for draws, exponent in (
        (tilted.sample(20_000, generator), -energy),
        (
            tilted.sample_conditional(x, 20_000, generator)[0],
            -energy - 0.8 * (GRID[:, 0] - 0.4).square(),
        ),
    ):
        density = torch.softmax(exponent, 0)
        mean = float(density @ GRID[:, 0])
        std = float((density @ (GRID[:, 0] - mean).square()).sqrt())
        assert float(draws.mean()) == pytest.approx(mean, abs=5 * std / 141)
        assert float(draws.std()) == pytest.approx(std, rel=0.04)
    # and the tilt matters to that
    means = [torch.softmax(-_tilted(a).value_and_grad(GRID)[0], 0) @ GRID[:, 0] for a in (0.7, 0.0)]
    assert abs(float(means[0] - means[1])) > 0.2


def test_importance_sampling_gives_log_z_and_the_lagrangian_of_quadrature() -> None:
    tilted, generator = _tilted(0.7), seeded(2)
    density = torch.exp(-tilted.value_and_grad(GRID)[0])
    exact = float((density.sum() * STEP).log())
    found, error = log_partition(tilted.tilt, tilted.reference, 1e-9, 40_000, generator)
    assert found == pytest.approx(exact, abs=5 * error)
    assert 0.0 < error < 0.01
    x = two_modes().sample(2000, generator)
    kernel = torch.exp(-0.8 * (x - GRID[:, 0]).square())
    f = -torch.log(kernel @ density / density.sum()).mean()
    assert tilted.network is not None
    scored = score(tilted.network, tilted.reference, x, 0.8, (0.0, 0.7), generator)
    assert float(scored.lagrangian[1]) == pytest.approx(float(f), abs=0.03)
    alone = -two_modes().log_partition(x, 0.8).mean()
    assert float(scored.lagrangian[0]) == pytest.approx(float(alone), abs=1e-9)


def test_log_z_takes_as_many_draws_as_its_error_needs() -> None:
    """f = a y under N(0, 1): log Z = a^2 / 2, and the weights have the variance exp(a^2) - 1."""
    asked: list[int] = []

    def log_z(a: float, going: bool = True) -> tuple[float, float]:
        asked.clear()
        return log_partition(
            lambda y: a * y[:, 0],
            _gaussian(torch.eye(1).double()),
            1e-3,
            1_500_000,
            seeded(),
            lambda: bool(asked.append(1)) or going,  # type: ignore[func-returns-value]
        )

    found, error = log_z(0.8)  # 900,000 draws
    assert error <= 1e-3
    assert found == pytest.approx(0.32, abs=5e-3)
    assert 38 <= len(asked) <= 44
    assert log_z(0.8, going=False)[1] > 2e-3  # at the end of the budget
    assert log_z(2.0)[1] > 1e-2  # no use going on
    assert len(asked) == 0


def test_training_finds_the_modes_that_one_gaussian_lacks() -> None:
    source, slope, data = two_modes(), 3.0, seeded(7)
    reference = _gaussian(torch.full((1, 1), 9.83).double())
    trained = train(
        _network(torch.full((1, 1), 10.0).double(), hidden=16, seed=3),
        ReferenceSampler([reference], [slope]),
        lambda n: source.sample(n, data),
        Schedule(400, 256, 4, 1e-2),
        0.99,
        seeded(5),
        lambda done, mean: True,
    ).single(0)
    held_out, generator = source.sample(4000, data), seeded(6)
    scored = score(trained, reference, held_out, slope, (0.0, 1.0), generator)
    optimum = source.deconvolved(0.5 / slope)
    before, after = (scored.lagrangian + optimum.log_partition(held_out, slope).mean()).tolist()
    assert before > 0.2
    assert after < 0.05
    strengths = [
        chosen_strength(trained, q, held_out, slope, on_mixture(), generator)
        for q in (reference, optimum)
    ]
    assert strengths[0] >= 0.75
    assert strengths[1] == 0.0


class _Well(Network):
    """f(y) = -60 far out, where no draw of N(0, 1) comes but chains do: a slope leads there."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward(self, y: Tensor) -> Tensor:
        return 10.0 * (y[..., 0] - 2.0).clamp(0.0, 6.0).neg()

    def value_and_grad(self, y: Tensor) -> tuple[Tensor, Tensor]:
        inside = (y[..., :1] > 2.0) & (y[..., :1] < 8.0)
        return self(y), -10.0 * inside.double() * torch.ones_like(y)


def test_a_network_whose_log_z_no_draw_tells_is_not_kept() -> None:
    """Importance sampling claims a gain; q is nearly all in a well that p_ref does not visit."""
    reference, x = (
        _gaussian(torch.eye(1).double()),
        torch.randn(500, 1, generator=seeded(2)).double(),
    )
    honest = _tilted(0.7)
    assert bracket(honest, honest.reference.sample(500, seeded(3))) < 0.03
    far = Tilted(reference, _Well(), 1.0, 2.0)
    few = x[x[:, 0].abs() < 1.5]
    claimed = score(_Well(), reference, few, 2.0, (0.0, 1.0), seeded(4)).lagrangian
    energy = far.value_and_grad(GRID)[0]
    log_z = float(torch.logsumexp(-energy, 0) + math.log(STEP))
    base = float(torch.logsumexp(-reference.energy_and_grad(GRID)[0], 0) + math.log(STEP))
    assert log_z - base > 10.0  # what q pays at every symbol
    assert float(claimed[1]) < log_z - base - 3.0  # what is claimed
    assert bracket(far, few) > 0.5


def test_one_component_is_one() -> None:
    """Four used to be tried in the plane."""
    (found,) = _channels(planar.SUITE.cases()[0], SMALL, [1.0])
    assert found.start is not None
    assert isinstance(found.start.marginal, Gaussians)
    assert len(found.start.marginal.weights) == 1
    assert found.is_start == (found.q_is == "mixture")


def test_a_tilted_density_is_normalised() -> None:
    eye, generator = torch.eye(3, dtype=F64), seeded(8)
    tilted = Tilted(_gaussian(eye), _network(eye, scale=30.0).single(0), 1.0, 2.0)
    x = torch.randn(500, 3, generator=generator, dtype=F64)
    made = channel(tilted, Claimed(x, "upper", generator)).marginal
    look = channel(tilted, None).marginal
    assert isinstance(made, Density)
    assert isinstance(look, Density)
    assert torch.allclose(look.log_prob(x), made.log_prob(x), atol=0.03)
    z = 1.4 * torch.randn(40_000, 3, generator=generator, dtype=F64)
    wide = -0.5 * (z / 1.4).square().sum(1) - 3 * math.log(1.4 * math.sqrt(2 * math.pi))
    weights = torch.exp(made.log_prob(z) - wide)
    assert float(weights.mean()) == pytest.approx(1.0, abs=5 * float(weights.std()) / 200)
    assert float(tilted.tilt(z).std()) > 0.1


@pytest.mark.parametrize("tilted", [True, False])
def test_energy_gradient_is_the_derivative(tilted: bool) -> None:
    marginal = Energy(_tilted(0.7).sample, _tilted(0.7).value_and_grad)
    if not tilted:
        made = _channels(SCALAR[0], EBRD(algorithm="published", iterations=2), [1.0])[0].marginal
        assert isinstance(made, Energy)
        marginal = made
    y = torch.randn(5, 1, generator=seeded(), dtype=F64)
    _, grad = marginal.value_and_grad(y)
    h = 1e-3
    slope = (marginal.value_and_grad(y + h)[0] - marginal.value_and_grad(y - h)[0]) / (2 * h)
    assert torch.allclose(slope, grad[:, 0], atol=2e-3, rtol=1e-3)


def test_one_network_starts_many() -> None:
    one = _network(torch.eye(1).double())
    many = one.repeated(3)
    y = torch.randn(3, 4, 1, generator=seeded())
    assert torch.allclose(many(y), torch.cat([one(part[None]) for part in y]))


def test_the_reference_sampler_is_conjugate() -> None:
    """Its batched draws of p_ref(y|x) have the moments of the mixture's own."""
    generator, betas = seeded(20240607), [2.0, 0.3]
    mixtures = [paper_mixture().deconvolved(0.1), two_modes_in_the_plane()]
    sampler = ReferenceSampler(mixtures, betas)
    x = torch.tensor([[2.0, 1.0]])
    y = sampler.sample_conditional(x.expand(2, 20_000, 2), generator).double()
    for b, mixture in enumerate(mixtures):
        exact = mixture.sample_conditional(x.double(), 20_000, betas[b], generator)[0]
        assert torch.allclose(y[b].mean(0), exact.mean(0), atol=0.06)
        assert torch.allclose(torch.cov(y[b].T), torch.cov(exact.T), atol=0.06, rtol=0.06)
        draws = sampler.sample(20_000, generator)[b].double()
        expected = (mixture.weights[:, None] * mixture.means).sum(0)
        assert torch.allclose(draws.mean(0), expected, atol=0.15)


def two_modes_in_the_plane() -> GaussianMixture:
    """Fewer components than the paper's mixture: the sampler has to fill them up."""
    means = torch.tensor([[2.0, 0.0], [-1.0, 1.0]], dtype=F64)
    covs = torch.stack([torch.eye(2), 0.2 * torch.eye(2)]).double()
    return GaussianMixture(torch.tensor([0.3, 0.7], dtype=F64), means, covs)


# --------------------------------------------------------------------------------------------
# the protocol


def test_shift_and_scale_do_not_matter() -> None:
    """The same data, moved by 1000 and stretched by 50: the same energy."""
    source, beta = SCALAR[0].problem.source, SCALAR[0].reference.slope(1.0)
    energies = []
    for shift, scale in ((0.0, 1.0), (1000.0, 50.0)):
        data = seeded(5)
        view = view_of(lambda n: shift + scale * source.sample(n, data), dim=1)  # noqa: B023
        (found,) = channels_of(SMALL, view, [beta / scale**2])
        q = found.marginal
        assert isinstance(q, Gaussians)
        grid = torch.linspace(-6, 6, 101, dtype=F64)[:, None]
        law = GaussianMixture(q.weights, q.means, q.covs)
        energy = law.energy_and_grad(shift + scale * grid)[0]
        energies.append(energy - energy.min())
    assert torch.allclose(energies[0], energies[1], atol=5e-3)


def test_determinism_and_counts() -> None:
    case = vector_gaussian.SUITE.cases([2])[0]
    runs = []
    for _ in range(2):
        monitor = FakeMonitor(effort=0.1, build_every=20)
        runs.append(channels_of(on_mixture(components=1), _view(case), [1.0, 5.0], monitor))
    assert [c.claim for c in runs[0]] == [c.claim for c in runs[1]]
    # A Gaussian needs no network, which the first 45 steps of the highest slope find out.
    assert monitor.gradient_steps == 45
    assert monitor.parameters == 2 * (2 + 3)  # of a Gaussian, at two slopes
    assert all("gained nothing" in c.reason for c in runs[0])
    assert {len(look) for look in monitor.looks} == {2}


def test_checkpoints_show_the_network_and_the_counts_include_it() -> None:
    """One Gaussian under two modes: what bends its log density is the network."""
    data = seeded(5)

    def draw(n: int) -> Tensor:
        x = torch.randn(n, 3, generator=data, dtype=F64)
        x[:, 0] += 3.0 * (torch.rand(n, generator=data) < 0.5) - 1.5
        return x

    def bent(channel: TestChannel) -> bool:
        if isinstance(channel.marginal, Gaussians):
            return len(channel.marginal.weights) > 1
        assert isinstance(channel.marginal, Density)
        line = torch.zeros(21, 3, dtype=F64)
        line[:, 0] = torch.linspace(-3.0, 3.0, 21)
        return float(channel.marginal.log_prob(line).diff(n=3).abs().max()) > 1e-3

    looks: list[bool] = []

    class Looking(FakeMonitor):
        def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
            self.offers += 1
            if self.offers % 25 == 1:
                looks.append(bent(build()[0]))
            return True

    monitor = Looking()
    config = on_mixture(components=1, draws=4000, iterations=30, hidden=32, batch=128)
    (found,) = channels_of(config, view_of(draw, dim=3), [2.0], monitor, seed=6)
    assert bent(found)
    assert found.reason == ""
    assert monitor.parameters == 9 + 3 * 16 + 16 + 16 * 16 + 16 + 16  # a Gaussian and the network
    assert not any(looks[:2])  # the 45 steps of the pilot
    assert all(looks[3:])
    assert len(looks) > 6


@pytest.mark.parametrize("limit", [1, 12])
def test_the_end_of_the_budget_stops_the_work_but_keeps_the_channels(limit: int) -> None:
    monitor = FakeMonitor(limit=limit)
    for found in channels_of(SMALL, _view(SCALAR[0]), [1.0, 5.0], monitor):
        assert _audit(SCALAR[0], found).gap < 0.01
    assert monitor.reports == limit + 1


@pytest.mark.parametrize("points", [6, 10, 30])
def test_few_training_points_are_answered(points: int) -> None:
    """No network, as nothing could judge it, and no claim to lie above what they do not tell."""
    view = view_of(lambda n: torch.randn(n, 2, generator=seeded(3), dtype=F64), n_train=points)
    monitor = FakeMonitor()
    for found in channels_of(SMALL, view, [0.01, 1.0, 3e3], monitor):
        assert bool(found.marginal.sample(100, seeded()).isfinite().all())
        assert found.claim.rate > -0.1
        assert found.claim.side == "estimate"
        assert "too few training points" in found.reason
    assert monitor.gradient_steps == 0


def test_the_published_algorithm_stays_where_its_chains_start() -> None:
    """K steps of epsilon^2 / 2 are a Langevin time of 3.6e-3: draws stay near N(0, 1), which is
    far from N(3, 2^2), and the plug-in that scores them says so."""
    (made,) = _channels(SCALAR[1], EBRD(algorithm="published", iterations=5, hidden=16), [1.0])
    y = made.marginal.sample(2000, seeded())
    assert abs(float(y.mean())) < 0.2
    assert float(y.std()) == pytest.approx(1.0, abs=0.1)
    assert _audit(SCALAR[1], made).gap_paper_protocol > 0.5


def test_epsilon_as_the_time_step_is_a_longer_step() -> None:
    """-t grad + sqrt(2 t) z is the printed rule at epsilon = sqrt(2 t): the same draws."""
    small = {**EBRD.info.presets["paper_timestep"], "iterations": 3, "hidden": 8, "batch": 32}
    one, other = (
        _channels(SCALAR[1], EBRD(**{**small, **more}), [1.0])[0].marginal.sample(100, seeded())
        for more in ({}, {"epsilon_is": "noise", "epsilon": math.sqrt(2.0 * 1.2e-2)})
    )
    assert torch.allclose(one, other)


class _Step(Network):
    """f(y) = -2.5 where y_1 > 0."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward(self, y: Tensor) -> Tensor:
        return -2.5 * (y[..., 0] > 0.0).double()

    def value_and_grad(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return self(y), torch.zeros_like(y)


def test_draws_of_a_density_are_draws_of_q() -> None:
    """A component of weight .05 is raised to .39, at an effective share of .2: jumps must reach it.

    No Langevin step does, and with six jumps only two draws in three of it are there.
    """
    means = torch.zeros(2, 10).double()
    means[:, 0] = torch.tensor([-6.0, 6.0])
    weights = torch.tensor([0.95, 0.05], dtype=F64)
    covs = torch.eye(10, dtype=F64).repeat(2, 1, 1)
    tilted = Tilted(GaussianMixture(weights, means, covs), _Step(), 1.0, 2.0)
    raised = 0.05 * math.exp(2.5)
    y = tilted.sample(20_000, seeded(2))
    there = float((y[:, 0] > 0.0).double().mean())
    assert there == pytest.approx(raised / (raised + 0.95), abs=0.015)
