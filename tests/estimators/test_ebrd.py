"""EBRD: what it reaches, what it refuses, what its printed form does not reach."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Generator

from rdbench.audit import AuditSize, audit
from rdbench.distortions import Hamming, SquaredError
from rdbench.estimators.ebrd import EBRD
from rdbench.suites import planar, scalar, vector_gaussian
from rdbench.types import Audited, Case, Estimator, RdbenchError, Refusal, TestChannel, View

SIZE = AuditSize(2000, 1e7, 4000, 2000, 8000, 4, 60)


class _Monitor:
    """Counts what it is told; stops after ``limit`` reports."""

    def __init__(self, effort: float = 1.0, limit: float = float("inf")) -> None:
        self.effort = effort
        self.limit = limit
        self.reports = 0
        self.gradient_steps = 0
        self.parameters = 0

    def advance(self, done: float) -> bool:
        self.reports += 1
        return self.reports <= self.limit

    def checkpoint(self, channels: Sequence[TestChannel]) -> bool:
        return True

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        self.gradient_steps += gradient_steps
        self.parameters = max(self.parameters, parameters)


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


def test_shifted_gaussian_within_hundredths_of_a_nat() -> None:
    """N(3, 2^2): an untrained standard normal is nats away here."""
    case = scalar.SUITE.cases()[1]
    for channel in _channels(case, EBRD(), [0.1, 1.0, 3.0], effort=0.3):
        result = _audit(case, channel)
        assert abs(result.gap) < 0.01
        assert channel.claim.rate + channel.beta * channel.claim.distortion == pytest.approx(
            result.lagrangian, abs=0.15
        )


def test_laplacian_and_five_dimensions() -> None:
    for case, rates in (
        (_case("laplacian-absolute-shifted"), [0.3, 2.0]),
        (vector_gaussian.SUITE.cases([5])[0], [1.0, 15.0]),
    ):
        for channel in _channels(case, EBRD(), rates, effort=0.5):
            result = _audit(case, channel)
            assert -0.01 < result.gap < 0.03


def test_every_mode_gets_its_mass() -> None:
    case = planar.SUITE.cases()[0]
    means = case.problem.source.means  # type: ignore[attr-defined]
    (channel,) = _channels(case, EBRD(), [2.0], effort=0.5)
    y = channel.marginal.sample(6000, Generator().manual_seed(1))
    masses = torch.bincount(torch.cdist(y, means).argmin(1), minlength=3) / 6000
    assert torch.allclose(masses, torch.full((3,), 1 / 3), atol=0.04)
    assert _audit(case, channel).gap < 0.02


def test_conditional_is_bayes_rule_with_its_own_energy() -> None:
    """Lemma 1: the draws of p(y|x) have the moments of exp(-E - beta rho) on a grid."""
    case = scalar.SUITE.cases()[1]
    (channel,) = _channels(case, EBRD(), [0.7], effort=0.2)
    x = torch.tensor([[5.0]], dtype=torch.float64)
    grid = torch.linspace(-12, 18, 4001, dtype=torch.float64)[:, None]
    energy = channel.marginal.value_and_grad(grid)[0]  # type: ignore[union-attr]
    weights = torch.softmax(-energy - channel.beta * (grid[:, 0] - 5.0).square(), 0)
    mean = float(weights @ grid[:, 0])
    std = float((weights @ (grid[:, 0] - mean).square()).sqrt())
    y = channel.sample_conditional(x, 4000, Generator().manual_seed(1))[0, :, 0]
    assert float(y.mean()) == pytest.approx(mean, abs=5 * std / 63)
    assert float(y.std()) == pytest.approx(std, rel=0.06)


def test_energy_gradient_is_the_derivative() -> None:
    case = vector_gaussian.SUITE.cases([3])[0]
    for estimator in (EBRD(iterations=5), EBRD(algorithm="printed", iterations=2)):
        (channel,) = _channels(case, estimator, [1.0])
        y = torch.randn(5, 3, generator=Generator().manual_seed(1), dtype=torch.float64)
        value_and_grad = channel.marginal.value_and_grad  # type: ignore[union-attr]
        _, grad = value_and_grad(y)
        h = 1e-3
        for i in range(3):
            step = torch.zeros(3, dtype=torch.float64)
            step[i] = h
            slope = (value_and_grad(y + step)[0] - value_and_grad(y - step)[0]) / (2 * h)
            assert torch.allclose(slope, grad[:, i], atol=2e-3, rtol=1e-3)


def test_shift_and_scale_do_not_matter() -> None:
    """The same data, moved by 1000 and stretched by 50: the same gap."""
    case = scalar.SUITE.cases()[0]
    source = case.problem.source
    gaps = []
    for shift, scale in ((0.0, 1.0), (1000.0, 50.0)):
        data = Generator().manual_seed(5)
        view = View(
            dim=1,
            distortion=SquaredError(),
            device=torch.device("cpu"),
            sample=lambda n: shift + scale * source.sample(n, data),  # noqa: B023
        )
        beta = case.reference.slope(1.0)
        fit = EBRD(iterations=60).fit(
            view, [beta / scale**2], Generator().manual_seed(6), _Monitor()
        )
        (channel,) = fit
        assert isinstance(channel, TestChannel)
        grid = torch.linspace(-6, 6, 101, dtype=torch.float64)[:, None]
        energy = channel.marginal.value_and_grad(shift + scale * grid)[0]  # type: ignore[union-attr]
        gaps.append(energy - energy.min())
    assert torch.allclose(gaps[0], gaps[1], atol=5e-3)


def test_determinism_and_counts() -> None:
    case = vector_gaussian.SUITE.cases([2])[0]
    monitor = _Monitor(effort=0.05)
    values = []
    for _ in range(2):
        fit = EBRD().fit(_view(case, 0), [1.0, 5.0], Generator().manual_seed(1), monitor)
        values.append([c.claim for c in fit if isinstance(c, TestChannel)])
    assert values[0] == values[1]
    assert monitor.gradient_steps == 2 * 15
    assert monitor.parameters > 2 * (64 * 64)


def test_a_spent_budget_stops_training_but_keeps_the_channels() -> None:
    case = scalar.SUITE.cases()[0]
    monitor = _Monitor(limit=3)
    fit = EBRD().fit(_view(case, 0), [1.0, 5.0], Generator().manual_seed(1), monitor)
    assert len(list(fit)) == 2
    assert monitor.gradient_steps == 3


def test_what_it_cannot_do_it_refuses() -> None:
    view = View(1, Hamming(), torch.device("cpu"), lambda n: torch.zeros(n, 1).double())
    (refusal,) = EBRD().fit(view, [1.0], Generator(), _Monitor())
    assert isinstance(refusal, Refusal)
    assert refusal.status == "unsupported"
    constant = View(1, SquaredError(), torch.device("cpu"), lambda n: torch.ones(n, 1).double())
    (refusal,) = EBRD().fit(constant, [1.0], Generator(), _Monitor())
    assert isinstance(refusal, Refusal)
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
    ],
)
def test_bad_parameters_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(RdbenchError, match=next(iter(bad))):
        EBRD(**bad)  # type: ignore[arg-type]


def test_the_printed_algorithm_stays_where_its_chains_start() -> None:
    """K steps of epsilon^2 / 2 are a Langevin time of 3.6e-3: draws stay near N(0, 1), which is
    far from N(3, 2^2), and the plug-in that scores them says so."""
    case = scalar.SUITE.cases()[1]
    (channel,) = _channels(case, EBRD(algorithm="printed", iterations=10), [1.0])
    y = channel.marginal.sample(2000, Generator().manual_seed(1))
    assert abs(float(y.mean())) < 0.2
    assert float(y.std()) == pytest.approx(1.0, abs=0.1)
    assert _audit(case, channel).gap_paper_protocol > 0.5
