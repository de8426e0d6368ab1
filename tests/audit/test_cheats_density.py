"""Densities that are not what they say: each is caught and named, their honest twins pass.

All have Z(x) in closed form. A fault that passes has to be inside the interval: what a row reports
as gap_hi is the mean of f, plus ``above``, plus two errors, and may not fall below the true F.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit.evaluation import Evaluation
from rdbench.audit.importance import density
from rdbench.audit.size import SIZES
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.sources.mixture import GaussianMixture, eight_modes
from rdbench.types import Density, Distortion, Encoder

pytestmark = pytest.mark.trials

WRONG = "is not the log density|integrates to exp"
IMPURE = "is not a function of its points"


def _normal(dim: int, variance: float) -> GaussianMixture:
    cov = variance * torch.eye(dim, dtype=torch.float64)
    return GaussianMixture(torch.ones(1).double(), torch.zeros(1, dim).double(), cov[None])


def _problem(dim: int, rate: float) -> tuple[GaussianMixture, float, Tensor]:
    """The optimal q of N(0, I), the slope and symbols."""
    noise = math.exp(-2.0 * rate / dim)
    x = torch.randn(4000, dim, generator=Generator().manual_seed(9), dtype=torch.float64)
    return _normal(dim, 1.0 - noise), 0.5 / noise, x


def _audit(
    q: Density, x: Tensor, beta: float, seed: int = 1, distortion: Distortion | None = None
) -> Evaluation:
    generator, rho = Generator().manual_seed(seed), distortion or SquaredError()
    return density(q, rho, x, None, beta, SIZES["default"], generator)


def _error(found: Evaluation, q: GaussianMixture, x: Tensor, beta: float) -> float:
    return abs(float((found.potential + q.log_partition(x, beta)).mean()))


def _covers(found: Evaluation, q: GaussianMixture, x: Tensor, beta: float) -> bool:
    """Whether the end of the interval lies above F on these very symbols."""
    exact = -float(q.log_partition(x, beta).mean())
    error = float((found.potential + q.log_partition(x, beta)).std()) / math.sqrt(len(x))
    return float(found.potential.mean()) + found.above + 2 * (found.common_se + error) > exact


def _plain(q: GaussianMixture, log_prob: Callable[[Tensor], Tensor], _beta: float) -> Density:
    return Density(q.sample, log_prob)


def _with_own(q: GaussianMixture, log_prob: Callable[[Tensor], Tensor], beta: float) -> Density:
    return Density(q.sample, log_prob, q.proposal(beta))


both = pytest.mark.parametrize("build", [_plain, _with_own], ids=["plain", "own proposal"])


@both
@pytest.mark.parametrize("seed", [1, 2])
def test_an_honest_density_passes(build: Callable[..., Density], seed: int) -> None:
    q, beta, x = _problem(10, 5.0)
    found = _audit(build(q, q.log_prob, beta), x, beta, seed)
    assert found.note == ""
    assert found.common_se < 0.006
    assert found.above < 0.02
    assert _error(found, q, x, beta) < 0.004


@both
@pytest.mark.parametrize("offset", [0.02, 0.07, 0.2])
@pytest.mark.parametrize("modes", [1, 8])
def test_an_offset_is_refused_or_in_the_interval(
    build: Callable[..., Density], offset: float, modes: int
) -> None:
    q, beta, x = _problem(10, 5.0)
    if modes == 8:
        q, beta = eight_modes(10).deconvolved(0.5), 1.0
        x = eight_modes(10).sample(4000, Generator().manual_seed(3))
    shifted = build(q, lambda y: q.log_prob(y) + offset, beta)
    if offset > 0.05:
        with pytest.raises(ValueError, match=WRONG):
            _audit(shifted, x, beta)
        return
    with contextlib.suppress(ValueError):
        found = _audit(shifted, x, beta)
        assert found.above > 0.2 * offset
        assert _covers(found, q, x, beta)


@both
@pytest.mark.parametrize(("dim", "rate"), [(1, 0.5), (2, 3.0), (10, 5.0), (10, 20.0)])
def test_a_sampler_of_far_junk(build: Callable[..., Density], dim: int, rate: float) -> None:
    """log(junk + 5 q*): bridge sampling against a mixture fitted to the junk sees no fault."""
    q, beta, x = _problem(dim, rate)
    junk = GaussianMixture(q.weights, q.means + 50.0, _normal(dim, 1.0).covs)
    honest = build(q, q.log_prob, beta)
    cheat = Density(
        junk.sample,
        lambda y: torch.logaddexp(junk.log_prob(y), math.log(5.0) + q.log_prob(y)),
        honest.proposal,
    )
    with pytest.raises(ValueError, match=WRONG):
        _audit(cheat, x, beta)


@pytest.mark.parametrize(
    ("rate", "seed", "distortion"),
    [(r, s, SquaredError()) for r in (0.05, 0.5) for s in (1, 2)] + [(0.05, 1, AbsoluteError())],
)
def test_a_tail_that_the_sampler_does_not_have(
    rate: float, seed: int, distortion: Distortion
) -> None:
    """Beyond 4.3 standard deviations, where one draw in 60,000 falls, log_prob is 10 too high."""
    q, beta, x = _problem(1, rate)
    edge = 4.3 * float(q.covs[0, 0, 0].sqrt())
    cheat = Density(q.sample, lambda y: q.log_prob(y) + 10.0 * (y.abs() > edge)[:, 0].double())
    with pytest.raises(ValueError, match=WRONG):
        _audit(cheat, x, beta, seed, distortion)


def _stateful(q: GaussianMixture, kind: str) -> Callable[[Tensor], Tensor]:
    calls, noise = itertools.count(), Generator().manual_seed(1)
    faults: dict[str, Callable[[Tensor], Tensor]] = {
        "early": lambda y: torch.full((len(y),), 0.5 * (next(calls) >= 2)).double(),
        "later": lambda y: torch.full((len(y),), 0.5 * (next(calls) >= 9)).double(),
        "random": lambda y: 0.3 * torch.randn(len(y), generator=noise).double(),
        "batch": lambda y: 0.01 * (y - y.mean(0))[:, 0],
        "size": lambda y: torch.full((len(y),), 0.3 * (len(y) > 30_000)).double(),
        "order": lambda y: 0.2 * (torch.arange(len(y)) % 7 == 0).double(),
    }
    return lambda y: q.log_prob(y) + faults[kind](y)


@pytest.mark.parametrize("kind", ["early", "later", "random", "batch", "size", "order"])
def test_a_log_prob_with_state(kind: str) -> None:
    q, beta, x = _problem(5, 4.0)
    with pytest.raises(ValueError, match=f"{IMPURE}|{WRONG}"):
        _audit(Density(q.sample, _stateful(q, kind)), x, beta)


def test_a_log_prob_that_is_nan_somewhere_is_named() -> None:
    q, beta, x = _problem(2, 2.0)
    broken = Density(q.sample, lambda y: torch.where(y[:, 0] > 2.0, math.nan, q.log_prob(y)))
    found = _audit(broken, x, beta)
    assert found.method.startswith("plug-in")
    assert "log_prob gave NaN or inf at" in found.note


def test_a_sampler_of_nan_is_refused() -> None:
    q, beta, x = _problem(2, 2.0)
    broken = Density(lambda n, g: torch.where(q.sample(n, g) > 2.5, math.nan, 0.0), q.log_prob)
    with pytest.raises(ValueError, match="not finite"):
        _audit(broken, x, beta)


# ---------------------------------------------------------------- the density's own proposal


def _fraction(x: Tensor) -> Tensor:
    """One symbol in twenty, scattered."""
    return ((1000.0 * x[:, :1]) % 20.0 < 1.0).double()


@pytest.mark.parametrize("offset", [-0.02, -0.1, -2.0, 1.0])
def test_a_proposal_with_an_offset(offset: float) -> None:
    q, beta, x = _problem(5, 4.0)
    own = q.proposal(beta)
    wrong = Encoder(own.sample, lambda y, x: own.log_prob(y, x) + offset)
    found = _audit(Density(q.sample, q.log_prob, wrong), x, beta)
    assert _covers(found, q, x, beta)
    if abs(offset) > 0.05:
        assert "the proposal of q is left out" in found.note
        assert _error(found, q, x, beta) < 0.005


@pytest.mark.parametrize("offset", [-2.0, -10.0, 2.0, 10.0])
def test_a_proposal_that_is_wrong_at_some_symbols(offset: float) -> None:
    q, beta, x = _problem(5, 4.0)
    own = q.proposal(beta)
    wrong = Encoder(own.sample, lambda y, x: own.log_prob(y, x) + offset * _fraction(x))
    found = _audit(Density(q.sample, q.log_prob, wrong), x, beta)
    assert "the proposal of q is left out" in found.note
    assert _error(found, q, x, beta) < 0.005


def test_a_proposal_that_fails_is_named() -> None:
    q, beta, x = _problem(5, 4.0)

    def broken(x: Tensor, k: int, g: Generator) -> Tensor:
        raise RuntimeError("broken")

    found = _audit(
        Density(q.sample, q.log_prob, Encoder(broken, q.proposal(beta).log_prob)), x, beta
    )
    assert "RuntimeError: broken" in found.note


def test_a_poor_proposal_is_one_among_others() -> None:
    q, beta, x = _problem(5, 4.0)
    poor = _normal(5, 4.0).proposal(0.3 * beta)
    found = _audit(Density(q.sample, q.log_prob, poor), x, beta)
    assert _error(found, q, x, beta) < 0.01


def test_nearly_singular_components_are_exact_by_their_own_proposal() -> None:
    """A fitted mixture does not overlap with such a q at all; the plug-in is nats off."""
    dim, beta = 12, 2.0
    generator = Generator().manual_seed(4)
    means = 1.5 * torch.randn(10, dim, generator=generator, dtype=torch.float64)
    roots = torch.randn(10, dim, 7, generator=generator, dtype=torch.float64)
    covs = roots @ roots.transpose(1, 2) / 7.0 + 2.5e-6 * torch.eye(dim, dtype=torch.float64)
    q = GaussianMixture(torch.full((10,), 0.1, dtype=torch.float64), means, covs)
    x = q.sample(4000, generator) + torch.randn(4000, dim, generator=generator).double() / 2.0
    found = _audit(Density(q.sample, q.log_prob, q.proposal(beta)), x, beta)
    assert "its own proposal" in found.method
    assert _error(found, q, x, beta) < 0.005
    assert found.common_se < 0.03
