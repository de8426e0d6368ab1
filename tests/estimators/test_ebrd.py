"""EBRD: what it reaches, what it refuses, what its printed form does not reach."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit import AuditSize, audit
from rdbench.distortions import Hamming, SquaredError
from rdbench.estimators.ebrd import EBRD
from rdbench.estimators.ebrd.channel import Claimed, Tilted, channel
from rdbench.estimators.ebrd.correction import Schedule, chosen_share, log_mass, score, train
from rdbench.estimators.ebrd.draws import split_draws
from rdbench.estimators.ebrd.settings import Settings
from rdbench.inference.energies import Correction, ReferenceSampler
from rdbench.inference.scaling import Scaling
from rdbench.sources.mixture import GaussianMixture, two_modes
from rdbench.suites import planar, scalar, vector_gaussian
from rdbench.types import (
    Audited,
    Case,
    Density,
    Energy,
    Estimator,
    RdbenchError,
    Refusal,
    TestChannel,
    View,
)

SIZE = AuditSize(2000, 1e7, 4000, 2000, 8000, 4, 60)


SMALL = EBRD(draws=8000, iterations=10, components=1)


class _Monitor:
    """Counts what it is told; stops after ``limit`` reports."""

    def __init__(self, effort: float = 1.0, limit: float = float("inf")) -> None:
        self.effort = effort
        self.limit = limit
        self.reports = 0
        self.gradient_steps = 0
        self.parameters = 0
        self.offers = 0
        self.looks: list[int] = []

    def advance(self, done: float) -> bool:
        self.reports += 1
        return self.reports <= self.limit

    def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
        self.offers += 1
        if self.offers % 20 == 1:
            self.looks.append(len(build()))
        return True

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        self.gradient_steps += gradient_steps
        self.parameters = parameters or self.parameters


def _case(name: str) -> Case:
    """A scalar case."""
    return next(case for case in scalar.SUITE.cases() if case.name == name)


def _view(case: Case, seed: int) -> View:
    source, data = case.problem.source, Generator().manual_seed(1000 + seed)
    return View(
        dim=source.dim,
        distortion=case.problem.distortion,
        device=torch.device("cpu"),
        sample=lambda n: source.sample(n, data),
    )


def _channels(
    case: Case, estimator: EBRD, rates: Sequence[float], seed: int = 0, effort: float = 1.0
) -> list[TestChannel]:
    betas = [case.reference.slope(r) for r in rates]
    generator = Generator().manual_seed(2000 + seed)
    out = list(estimator.fit(_view(case, seed), betas, generator, _Monitor(effort)))
    assert all(isinstance(c, TestChannel) for c in out)
    return out  # type: ignore[return-value]


def _audit(case: Case, channel: TestChannel, seed: int = 0) -> Audited:
    generator = Generator().manual_seed(3000 + seed)
    return audit(channel, case.problem, case.reference, size=SIZE, generator=generator)


def test_it_is_an_estimator() -> None:
    assert isinstance(EBRD(), Estimator)


def test_shifted_gaussian_within_a_few_thousandths_of_a_nat() -> None:
    """N(3, 2^2): an untrained standard normal is nats away here."""
    case = scalar.SUITE.cases()[1]
    for found in _channels(case, SMALL, [0.1, 3.0]):
        result = _audit(case, found)
        assert abs(result.gap) < 0.004
        assert isinstance(found.marginal, Energy)
        assert found.claim.rate + found.beta * found.claim.distortion == pytest.approx(
            result.lagrangian, abs=0.15
        )


def test_ten_dimensions_are_claimed_from_above() -> None:
    case = vector_gaussian.SUITE.cases([10])[0]
    for found in _channels(case, EBRD(draws=20_000, iterations=10, components=1), [0.5, 30.0]):
        result = _audit(case, found)
        assert isinstance(found.marginal, Density)
        assert result.gap < 0.01
        assert found.claim.side == "upper"


def test_a_uniform_source_needs_many_components() -> None:
    """The optimum is atoms; one Gaussian leaves .05 to .2 nats."""
    case = _case("uniform-squared")
    for found in _channels(case, EBRD(draws=8000, iterations=10, components=2), [0.4]):
        assert _audit(case, found).gap < 0.006


def test_every_mode_gets_its_mass() -> None:
    case = planar.SUITE.cases()[0]
    means = case.problem.source.means  # type: ignore[attr-defined]
    (found,) = _channels(case, SMALL, [2.0])
    y = found.marginal.sample(6000, Generator().manual_seed(1))
    masses = torch.bincount(torch.cdist(y, means).argmin(1), minlength=3) / 6000
    assert torch.allclose(masses, torch.full((3,), 1 / 3), atol=0.04)


# --------------------------------------------------------------------------------------------
# the network over the reference, against quadrature on the line

GRID = torch.linspace(-9.0, 9.0, 3601, dtype=torch.float64)[:, None]
STEP = 18.0 / 3600


def _network(scale: float, batch: int = 1) -> Correction:
    """An untrained network of no small output."""
    mean, cov = torch.zeros(1).double(), torch.ones(1, 1).double()
    network = Correction(batch, mean, cov, 8, Generator().manual_seed(4))
    with torch.no_grad():
        network.network.w3.mul_(scale)
    return network


def _tilted(share: float) -> Tilted:
    return Tilted(two_modes(), _network(60.0).single(0), share, 0.8)


def test_its_draws_are_those_of_the_tilted_energy() -> None:
    tilted = _tilted(0.7)
    generator = Generator().manual_seed(1)
    energy, _ = tilted.value_and_grad(GRID)
    x = torch.tensor([[0.4]], dtype=torch.float64)
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


def test_the_tilt_matters_to_that_test() -> None:
    with_tilt, without = _tilted(0.7), _tilted(0.0)
    moved = [
        torch.softmax(-t.value_and_grad(GRID)[0], 0) @ GRID[:, 0] for t in (with_tilt, without)
    ]
    assert abs(float(moved[0] - moved[1])) > 0.2


def test_importance_sampling_gives_the_mass_and_the_lagrangian_of_quadrature() -> None:
    tilted, generator = _tilted(0.7), Generator().manual_seed(2)
    density = torch.exp(-tilted.value_and_grad(GRID)[0])
    exact = float((density.sum() * STEP).log())
    found, error = log_mass(tilted.tilt, tilted.reference, 1e-9, 40_000, generator)
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
    reference = GaussianMixture(
        torch.ones(1).double(), torch.zeros(1, 1).double(), torch.ones(1, 1, 1).double()
    )
    asked: list[int] = []

    def mass(a: float, going: bool = True) -> tuple[float, float]:
        asked.clear()
        return log_mass(
            lambda y: a * y[:, 0],
            reference,
            1e-3,
            1_500_000,
            Generator().manual_seed(1),
            lambda: bool(asked.append(1)) or going,  # type: ignore[func-returns-value]
        )

    found, error = mass(0.8)  # 900,000 draws
    assert error <= 1e-3
    assert found == pytest.approx(0.32, abs=5e-3)
    assert 38 <= len(asked) <= 44
    assert mass(0.8, going=False)[1] > 2e-3  # what a spent budget leaves
    assert mass(2.0)[1] > 1e-2  # no use going on
    assert len(asked) == 0


def test_training_finds_the_modes_that_one_gaussian_lacks() -> None:
    source, slope = two_modes(), 3.0
    reference = GaussianMixture(
        torch.ones(1).double(), torch.zeros(1, 1).double(), torch.full((1, 1, 1), 9.83).double()
    )
    data = Generator().manual_seed(7)
    network = Correction(
        1,
        torch.zeros(1).double(),
        torch.full((1, 1), 10.0).double(),
        16,
        Generator().manual_seed(3),
    )
    sampler = ReferenceSampler([reference], torch.tensor([slope]).double())
    trained = train(
        network,
        sampler,
        lambda n: source.sample(n, data),
        Schedule(400, 256, 4, 1e-2),
        Settings(),
        Generator().manual_seed(5),
        lambda done, mean: True,
    )
    held = source.sample(4000, data)
    generator = Generator().manual_seed(6)
    scored = score(trained.single(0), reference, held, slope, (0.0, 1.0), generator)
    best = -source.deconvolved(0.5 / slope).log_partition(held, slope).mean()
    before, after = (scored.lagrangian - best).tolist()
    assert before > 0.2
    assert after < 0.05
    assert chosen_share(trained.single(0), reference, held, slope, generator) >= 0.75
    optimum = source.deconvolved(0.5 / slope)
    assert chosen_share(trained.single(0), optimum, held, slope, generator) == 0.0


def test_a_tilted_density_is_normalised_in_source_coordinates() -> None:
    eye = torch.eye(3, dtype=torch.float64)
    reference = GaussianMixture(torch.ones(1).double(), torch.zeros(1, 3).double(), eye[None])
    network = Correction(1, torch.zeros(3).double(), eye, 8, Generator().manual_seed(4))
    with torch.no_grad():
        network.network.w3.mul_(30.0)
    scaling = Scaling(torch.tensor([5.0, 0.0, -2.0]).double(), 0.1, 2)
    generator = Generator().manual_seed(8)
    tilted = Tilted(reference, network.single(0), 1.0, 2.0)
    x = torch.randn(500, 3, generator=generator, dtype=torch.float64)
    made = channel(200.0, scaling, tilted, Claimed(x, "upper", generator))
    look = channel(200.0, scaling, tilted, None)
    assert isinstance(made.marginal, Density)
    assert isinstance(look.marginal, Density)
    apart = look.marginal.log_prob(scaling.backward(x)) - made.marginal.log_prob(
        scaling.backward(x)
    )
    assert torch.allclose(apart, torch.zeros(500).double(), atol=0.03)
    z = 1.4 * torch.randn(40_000, 3, generator=generator, dtype=torch.float64)
    wide = -0.5 * (z / 1.4).square().sum(1) - 3 * torch.tensor(1.4 * 0.1).log() - 2.756815599614
    weights = torch.exp(made.marginal.log_prob(scaling.backward(z)) - wide)
    assert float(weights.mean()) == pytest.approx(1.0, abs=5 * float(weights.std()) / 200)
    assert float(tilted.tilt(z).std()) > 0.1


def test_energy_gradient_is_the_derivative() -> None:
    case = scalar.SUITE.cases()[0]
    printed = _channels(case, EBRD(algorithm="printed", iterations=2), [1.0])[0].marginal
    tilted = Energy(_tilted(0.7).sample, _tilted(0.7).value_and_grad)
    for marginal in (printed, tilted):
        assert isinstance(marginal, Energy)
        y = torch.randn(5, 1, generator=Generator().manual_seed(1), dtype=torch.float64)
        _, grad = marginal.value_and_grad(y)
        h = 1e-3
        slope = (marginal.value_and_grad(y + h)[0] - marginal.value_and_grad(y - h)[0]) / (2 * h)
        assert torch.allclose(slope, grad[:, 0], atol=2e-3, rtol=1e-3)


def test_one_network_starts_many() -> None:
    one = _network(1.0)
    many = one.repeated(3)
    y = torch.randn(3, 4, 1, generator=Generator().manual_seed(1))
    assert torch.allclose(many(y), torch.cat([one(part[None]) for part in y]))


# --------------------------------------------------------------------------------------------
# the protocol


def test_shift_and_scale_do_not_matter() -> None:
    """The same data, moved by 1000 and stretched by 50: the same energy."""
    case = scalar.SUITE.cases()[0]
    source = case.problem.source
    energies = []
    for shift, scale in ((0.0, 1.0), (1000.0, 50.0)):
        data = Generator().manual_seed(5)
        view = View(
            dim=1,
            distortion=SquaredError(),
            device=torch.device("cpu"),
            sample=lambda n: shift + scale * source.sample(n, data),  # noqa: B023
        )
        beta = case.reference.slope(1.0)
        (found,) = SMALL.fit(view, [beta / scale**2], Generator().manual_seed(6), _Monitor())
        assert isinstance(found, TestChannel)
        assert isinstance(found.marginal, Energy)
        grid = torch.linspace(-6, 6, 101, dtype=torch.float64)[:, None]
        energy = found.marginal.value_and_grad(shift + scale * grid)[0]
        energies.append(energy - energy.min())
    assert torch.allclose(energies[0], energies[1], atol=5e-3)


def test_determinism_and_counts() -> None:
    case = vector_gaussian.SUITE.cases([2])[0]
    values = []
    for _ in range(2):
        monitor = _Monitor(effort=0.1)
        fit = EBRD(components=1).fit(
            _view(case, 0), [1.0, 5.0], Generator().manual_seed(1), monitor
        )
        channels = [c for c in fit if isinstance(c, TestChannel)]
        values.append([c.claim for c in channels])
        reasons = [c.reason for c in channels]
    assert values[0] == values[1]
    # A Gaussian needs no network, which the first 45 steps of the highest slope find out.
    assert monitor.gradient_steps == 45
    assert monitor.parameters == 2 * (2 + 3)  # of a Gaussian, at two slopes
    assert all("gained nothing" in reason for reason in reasons)
    assert set(monitor.looks) == {2}


def test_looks_show_the_network_and_the_counts_include_it() -> None:
    """One Gaussian under two modes: what bends its log density is the network."""
    data = Generator().manual_seed(5)

    def draw(n: int) -> Tensor:
        x = torch.randn(n, 3, generator=data, dtype=torch.float64)
        x[:, 0] += 3.0 * (torch.rand(n, generator=data) < 0.5) - 1.5
        return x

    view = View(3, SquaredError(), torch.device("cpu"), draw)
    looks: list[bool] = []

    def bent(channel: TestChannel) -> bool:
        assert isinstance(channel.marginal, Density)
        line = torch.zeros(21, 3, dtype=torch.float64)
        line[:, 0] = torch.linspace(-3.0, 3.0, 21)
        return float(channel.marginal.log_prob(line).diff(n=3).abs().max()) > 1e-3

    class Looking(_Monitor):
        def checkpoint(self, build: Callable[[], Sequence[TestChannel]]) -> bool:
            self.offers += 1
            if self.offers % 25 == 1:
                looks.append(bent(build()[0]))
            return True

    monitor = Looking()
    config = EBRD(components=1, draws=4000, iterations=30, hidden=32, batch=128)
    (found,) = config.fit(view, [2.0], Generator().manual_seed(6), monitor)
    assert isinstance(found, TestChannel)
    assert bent(found)
    assert found.reason == ""
    assert monitor.parameters == 9 + 3 * 16 + 16 + 16 * 16 + 16 + 16  # a Gaussian and the network
    assert not any(looks[:2])  # the 45 steps of the pilot
    assert all(looks[3:])
    assert len(looks) > 6


@pytest.mark.parametrize("limit", [1, 12])
def test_a_spent_budget_stops_the_work_but_keeps_the_channels(limit: int) -> None:
    case = scalar.SUITE.cases()[0]
    monitor = _Monitor(limit=limit)
    fit = SMALL.fit(_view(case, 0), [1.0, 5.0], Generator().manual_seed(1), monitor)
    for found in fit:
        assert isinstance(found, TestChannel)
        assert _audit(case, found).gap < 0.01
    assert monitor.reports == limit + 1


def _fixed(points: Tensor, g: Generator) -> View:
    """Draws with replacement from fixed training points, under squared error."""
    n, dim = points.shape
    return View(
        dim=dim,
        distortion=SquaredError(),
        device=torch.device("cpu"),
        sample=lambda m: points[torch.randint(n, (m,), generator=g)],
        n_train=n,
    )


@pytest.mark.parametrize("points", [2, 10, 30])
def test_few_training_points_are_answered(points: int) -> None:
    """No network, as nothing could judge it, and no claim to lie above what they do not tell."""
    fixed = torch.randn(points, 2, generator=Generator().manual_seed(3), dtype=torch.float64)
    view, monitor = _fixed(fixed, Generator().manual_seed(4)), _Monitor()
    for found in SMALL.fit(view, [0.01, 1.0, 3e3], Generator().manual_seed(1), monitor):
        assert isinstance(found, TestChannel)
        assert bool(found.marginal.sample(100, Generator().manual_seed(1)).isfinite().all())
        assert found.claim.rate > -0.1
        assert found.claim.side == "estimate"
        assert "too few training points" in found.reason
    assert monitor.gradient_steps == 0


def test_a_training_point_is_evidence_for_one_thing_and_once() -> None:
    fixed = torch.randn(2000, 2, generator=Generator().manual_seed(3), dtype=torch.float64)
    view = _fixed(fixed, Generator().manual_seed(4))
    made = split_draws(EBRD(draws=5000), view, Generator().manual_seed(5), 1.0)
    assert made is not None
    parts = [made.fit, made.held, made.claim]
    assert [len(part) for part in parts] == pytest.approx([1600, 200, 200], rel=0.02)
    together = torch.cat(parts)
    assert len(torch.unique(together, dim=0)) == len(together)
    assert bool(torch.isin(made.draw(3000)[:, 0], made.fit[:, 0]).all())


def test_letters_are_not_held_out() -> None:
    """Of 12 letters 1000 draws show every one: what fits has to see all of them."""
    letters = torch.randn(12, 2, generator=Generator().manual_seed(3), dtype=torch.float64)
    points = letters[torch.randint(12, (1000,), generator=Generator().manual_seed(6))]
    view = _fixed(points, Generator().manual_seed(4))
    made = split_draws(EBRD(draws=5000), view, Generator().manual_seed(5), 1.0)
    assert made is not None
    assert [len(torch.unique(z, dim=0)) for z in (made.fit, made.held, made.claim)] == [12] * 3
    assert made.side == "estimate"


def test_what_it_cannot_do_it_refuses() -> None:
    view = View(1, Hamming(), torch.device("cpu"), lambda n: torch.zeros(n, 1).double())
    (refusal,) = EBRD().fit(view, [1.0], Generator(), _Monitor())
    assert isinstance(refusal, Refusal)
    assert refusal.status == "unsupported"
    constant = View(1, SquaredError(), torch.device("cpu"), lambda n: torch.ones(n, 1).double())
    (refusal,) = EBRD().fit(constant, [1.0], Generator(), _Monitor())
    assert isinstance(refusal, Refusal)
    assert refusal.beta == 1.0
    assert "constant" in refusal.reason
    case = scalar.SUITE.cases()[0]
    out = list(EBRD(iterations=1).fit(_view(case, 0), [0.0, 1.0], Generator(), _Monitor()))
    assert [type(c) for c in out] == [Refusal, TestChannel]


@pytest.mark.parametrize(
    "bad",
    [
        {"hidden": 0},
        {"batch": -1},
        {"learning_rate": 0.0},
        {"averaging": 1.0},
        {"epsilon": float("inf")},
        {"langevin_steps": 0},
        {"draws": 0},
    ],
)
def test_bad_parameters_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(RdbenchError, match=next(iter(bad))):
        EBRD(**bad)  # type: ignore[arg-type]


def test_the_printed_algorithm_stays_where_its_chains_start() -> None:
    """K steps of epsilon^2 / 2 are a Langevin time of 3.6e-3: draws stay near N(0, 1), which is
    far from N(3, 2^2), and the plug-in that scores them says so."""
    case = scalar.SUITE.cases()[1]
    (channel,) = _channels(case, EBRD(algorithm="printed", iterations=5, hidden=16), [1.0])
    y = channel.marginal.sample(2000, Generator().manual_seed(1))
    assert abs(float(y.mean())) < 0.2
    assert float(y.std()) == pytest.approx(1.0, abs=0.1)
    assert _audit(case, channel).gap_paper_protocol > 0.5


class _Step(Correction):
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
    weights = torch.tensor([0.95, 0.05], dtype=torch.float64)
    covs = torch.eye(10, dtype=torch.float64).repeat(2, 1, 1)
    tilted = Tilted(GaussianMixture(weights, means, covs), _Step(), 1.0, 2.0)
    raised = 0.05 * math.exp(2.5)
    y = tilted.sample(20_000, Generator().manual_seed(2))
    share = float((y[:, 0] > 0.0).double().mean())
    assert share == pytest.approx(raised / (raised + 0.95), abs=0.015)
