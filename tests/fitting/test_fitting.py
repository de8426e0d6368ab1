"""Splits, standard coordinates, the loop and its parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, make_dataclass
from typing import Literal

import pytest
import torch
from torch import Tensor

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.fitting import (
    RunningMean,
    Task,
    check_settings,
    iterate,
    not_seeded,
    split,
    standardised,
)
from rdbench.fitting.settings import meanings, reseeding
from rdbench.sources.gaussian import vector_gaussian
from rdbench.sources.mixture import GaussianMixture, paper_mixture
from rdbench.types import (
    Atoms,
    Claim,
    Density,
    Distortion,
    Encoder,
    Energy,
    Factor,
    Marginal,
    Product,
    Pushforward,
    RdbenchError,
    Refusal,
    Start,
    TestChannel,
    Unsupported,
)
from tests.estimators.conftest import FakeMonitor, seeded, view_of

BETA, CENTRE, SCALE = 0.7, 100.0, 1e-3


# ------------------------------------------------------------------------ the split


@pytest.mark.parametrize("n", [6, 25, 1000])
def test_fixed_points_are_split_in_three_that_share_none(n: int) -> None:
    view = view_of(lambda m: torch.arange(m, dtype=torch.float64)[:, None], n_train=n)
    draws = split(view, seeded())
    parts = [
        set(part(10**6)[:, 0].tolist()) for part in (draws.distinct, draws.held_out, draws.claim)
    ]
    assert sorted(set.union(*parts)) == list(range(n))
    assert sum(map(len, parts)) == n
    assert [len(part) for part in parts[1:]] == [max(2, n // 10)] * 2
    assert set(draws.sample(20_000)[:, 0].tolist()) == parts[0]
    assert draws.fixed == len(parts[0])
    assert draws.side == "estimate"
    assert len(draws.claim(1)) == 1
    other = split(view, seeded(2))  # the same for every estimator
    assert torch.equal(other.held_out(9), draws.held_out(9))


def test_too_few_points_are_refused() -> None:
    with pytest.raises(Unsupported, match="at least 6 training points"):
        split(view_of(vector_gaussian(2), n_train=5), seeded())


def test_fresh_draws_are_the_views_own_in_their_order() -> None:
    source = vector_gaussian(2)
    plain, draws = view_of(source), split(view_of(source), seeded())
    for part, n in ((draws.distinct, 5), (draws.held_out, 3), (draws.sample, 4), (draws.claim, 2)):
        assert torch.equal(part(n), plain.sample(n))
    assert (draws.side, draws.fixed) == ("upper", None)
    together = split(view_of(source), seeded(), (5, 3, 2))
    whole = view_of(source).sample(10)
    found = [together.distinct(99), together.held_out(99), together.claim(99)]
    assert torch.equal(torch.cat(found), whole)


# ------------------------------------------------------------------------ standard coordinates


def densities(q: GaussianMixture) -> dict[str, Marginal]:
    """One q in four forms and circles about its mean, for p(y|x) in standard coordinates."""
    loading = torch.linalg.cholesky(q.covs[0])

    def value_and_grad(y: Tensor) -> tuple[Tensor, Tensor]:
        y = y.detach().requires_grad_()
        value = -q.log_prob(y)
        return value.detach(), torch.autograd.grad(value.sum(), y)[0]

    latent = Encoder(
        lambda x, k, g: x[:, None] + torch.randn(len(x), k, 2, generator=g, dtype=torch.float64),
        lambda z, x: -0.5 * (z - x[:, None]).square().sum(2) - math.log(2.0 * math.pi),
    )
    radii = torch.tensor([0.5, 1.0], dtype=torch.float64)
    circle = Factor(torch.eye(2, dtype=torch.float64), radii, (0.5 * torch.ones_like(radii)).log())
    return {
        "atoms": Atoms(q.means, q.weights.log()),
        "density": Density(q.sample, q.log_prob, q.proposal(BETA)),
        "energy": Energy(q.sample, value_and_grad),
        "pushforward": Pushforward(lambda z: q.means[0] + z @ loading.T, 2, encoder=latent),
        "product": Product(q.means[0], (circle,)),
    }


@pytest.mark.parametrize("form", ["atoms", "density", "energy", "pushforward", "product"])
@pytest.mark.parametrize("rho", [SquaredError(), AbsoluteError()])
def test_channels_are_mapped_back(form: str, rho: Distortion) -> None:
    """beta rho does not change, log densities lose the volume, claims have the source's units."""
    source, power = paper_mixture(), 2 if isinstance(rho, SquaredError) else 1
    view = view_of(lambda n: CENTRE + SCALE * source.sample(n, seeded(n)), rho)
    inner = GaussianMixture(
        torch.ones(1, dtype=torch.float64),
        torch.tensor([[0.5, -0.2]], dtype=torch.float64),
        torch.tensor([[[1.0, 0.3], [0.3, 0.5]]], dtype=torch.float64),
    )
    marginal = densities(inner)[form]
    seen: list[Task] = []

    def method(task: Task) -> Iterator[TestChannel]:
        seen.append(task)
        for beta in task.betas:
            yield TestChannel(
                beta,
                marginal,
                Claim(1.5, 0.25, task.draws.side),
                lambda x, k, g: inner.sample_conditional(x, k, BETA, g),
                start=Start(marginal, "itself"),
            )

    unit = BETA / SCALE**power
    got = list(standardised(method, view, [unit, 2 * unit], seeded(), FakeMonitor(), warm=1000))
    (task,), (channel, other) = seen, got
    assert isinstance(channel, TestChannel)
    assert (channel.beta, other.beta) == (unit, 2 * unit)
    # the median is the centre where errors are absolute
    centred = task.warm - task.warm.mean(0)
    assert float(centred.square().mean()) == pytest.approx(1.0, abs=1e-9)
    back = task.scale**power
    assert task.betas[0] == pytest.approx(unit * back)
    assert (channel.claim.rate, channel.claim.side) == (1.5, "upper")
    assert channel.claim.distortion == pytest.approx(0.25 * back)

    centre = (view.sample(1000) - task.scale * task.warm)[0]

    def standard(x: Tensor) -> Tensor:
        return (x - centre) / task.scale

    x = view.sample(50)
    y = channel.marginal.sample(20_000, seeded())
    assert float((y.mean(0) - CENTRE).abs().max()) < 5 * SCALE * 5
    q = channel.marginal
    assert channel.is_start
    if isinstance(q, Product):
        radii = (standard(y) - inner.means[0]).norm(dim=1)
        assert torch.allclose(radii, radii.round(decimals=6))
    if isinstance(q, Density):
        assert isinstance(marginal, Density)
        assert q.proposal is not None
        assert marginal.proposal is not None
        volume = 2.0 * math.log(task.scale)
        assert torch.allclose(q.log_prob(y), inner.log_prob(standard(y)) - volume)
        again = q.proposal.sample(x, 3, seeded())
        expected = marginal.proposal.log_prob(standard(again), standard(x)) - volume
        assert torch.allclose(q.proposal.log_prob(again, x), expected)
    if isinstance(q, Energy):
        value, grad = q.value_and_grad(y[:5])
        h = 1e-6 * SCALE
        moved = y[:5] + torch.tensor([h, 0.0], dtype=torch.float64)
        slope = (q.value_and_grad(moved)[0] - value) / h
        assert torch.allclose(slope, grad[:, 0], rtol=1e-3, atol=1e-2 / SCALE)
    if isinstance(q, Pushforward):
        assert isinstance(marginal, Pushforward)
        assert q.encoder is not None
        assert marginal.encoder is not None
        z = q.encoder.sample(x, 2, seeded())
        assert torch.allclose(z, marginal.encoder.sample(standard(x), 2, seeded()))
        expected = marginal.encoder.log_prob(z, standard(x))
        assert torch.allclose(q.encoder.log_prob(z, x), expected)
        assert torch.allclose(standard(q.decode(z[0])), marginal.decode(z[0]))
    assert channel.sample_conditional(x, 2, seeded()).shape == (50, 2, 2)


def test_checkpoints_are_mapped_back_too() -> None:
    def method(task: Task) -> Iterator[TestChannel]:
        atoms = Atoms(task.warm[:1], task.warm.new_zeros(1))
        one = TestChannel(task.betas[0], atoms, Claim(0.0, 1.0, "upper"), lambda x, k, g: x)
        task.monitor.checkpoint(lambda: [one])
        task.monitor.count(gradient_steps=2, parameters=3)
        yield one

    monitor = FakeMonitor(effort=0.5)
    view = view_of(vector_gaussian(2))
    (channel,) = standardised(method, view, [BETA], seeded(), monitor, warm=100)
    assert isinstance(channel, TestChannel)
    ((look,),) = monitor.looks
    assert (look.beta, look.claim) == (BETA, channel.claim)
    assert torch.equal(look.marginal.points, channel.marginal.points)  # type: ignore[union-attr]
    assert (monitor.gradient_steps, monitor.parameters) == (2, 3)
    assert list(standardised(method, view, [], seeded(), monitor, warm=100)) == []


# ------------------------------------------------------------------------ the loop


def test_the_loop_counts_offers_and_stops() -> None:
    def run(limit: float, ends: int = 99) -> tuple[FakeMonitor, bool, list[int]]:
        monitor, taken = FakeMonitor(limit=limit), []

        def step(i: int) -> bool:
            taken.append(i)
            return i < ends

        lasts = iterate(monitor, 7, step, list, every=3, part=(1, 2))
        return monitor, lasts, taken

    monitor, lasts, taken = run(math.inf)
    assert (lasts, taken, monitor.gradient_steps) == (True, list(range(7)), 7)
    assert monitor.offers == 3
    monitor, lasts, taken = run(4)
    assert (lasts, taken) == (False, [0, 1, 2, 3])
    monitor, lasts, taken = run(math.inf, ends=2)
    assert (lasts, taken) == (True, [0, 1, 2])
    assert monitor.gradient_steps == 2  # the last call took no step


def test_the_running_mean_forgets_the_start() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    average = RunningMean(module, 0.5)
    expected, values = 0.0, (4.0, 2.0, 7.0, 1.0)
    for i, value in enumerate(values):
        torch.nn.init.constant_(module.weight, value)
        average.update()
        weight = max(0.5, 1.0 / (i + 1))
        expected += weight * (value - expected)
        assert float(average.mean.weight.detach()) == pytest.approx(expected)


# ------------------------------------------------------------------------ settings


@dataclass(frozen=True)
class Some:
    steps: int | None = 3
    rate: float = 1.0
    """Learning rate; it may
    run over a line."""
    decay: float = not_seeded(0.5)
    kind: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        check_settings("some", self, ("steps",), ("rate",), ("decay",))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Some(steps=0), "some: steps must be at least 1, got 0"),
        (lambda: Some(steps=True), "steps must be at least 1"),
        (lambda: Some(rate=math.inf), "rate must be positive"),
        (lambda: Some(decay=1.0), r"decay must lie in \[0, 1\)"),
        (lambda: Some(kind="c"), "kind is one of a, b, got c"),  # type: ignore[arg-type]
    ],
)
def test_settings_out_of_range_are_named(make: Callable[[], Some], says: str) -> None:
    with pytest.raises(RdbenchError, match=says):
        make()


def test_a_tuned_field_does_not_reseed() -> None:
    assert Some(steps=None).steps is None
    fields = {"steps": 3, "rate": 1.0, "decay": 0.9, "kind": "a"}
    assert set(reseeding(Some(), fields)) == {"steps", "rate", "kind"}


def test_the_meaning_of_a_field_is_the_string_below_it() -> None:
    assert meanings(Some) == {"rate": "Learning rate; it may run over a line."}
    assert meanings(make_dataclass("Typed", ["size"])) == {}


@pytest.mark.parametrize("slope", [1e-300, 1e-40, 1e40, 1e300])
def test_slopes_that_double_precision_cannot_tell_from_none_are_refused(slope: float) -> None:
    view = view_of(lambda n: 100.0 + torch.randn(n, 2, generator=seeded(n), dtype=torch.float64))
    asked: list[float] = []

    def method(task: Task) -> Iterator[TestChannel]:
        asked.extend(task.betas)
        yield from ()

    found = list(standardised(method, view, [slope, 1.0], seeded(), FakeMonitor(), warm=100))
    assert [type(one) for one in found] == [Refusal]
    assert (found[0].beta, found[0].status) == (slope, "unsupported")
    assert "double precision" in found[0].reason
    assert len(asked) == 1
