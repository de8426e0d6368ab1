"""Encoders and priors that are not what they say: each is named and left out, or in the interval.

The decoder is linear and the encoder of the honest twin is p(z|x) itself, so that Z(x) is exact.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from rdbench.audit.evaluation import Evaluation
from rdbench.audit.size import SIZES
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import Density, Encoder, Pushforward

pytestmark = pytest.mark.trials

DIM = 4
BETA = 3.0
ROOT = torch.diag(torch.tensor([1.0, 0.8, 0.6, 0.5], dtype=torch.float64))
Q = GaussianMixture(torch.ones(1).double(), torch.zeros(1, DIM).double(), (ROOT @ ROOT.T)[None])
X = torch.randn(4000, DIM, generator=Generator().manual_seed(2), dtype=torch.float64)


Look = Callable[..., tuple[Evaluation, float]]


@pytest.fixture
def encoder(posterior: Callable[..., Encoder]) -> Callable[..., Encoder]:
    """p(z|x), its log density changed by a fault (z, x) -> (n, k), or by a number."""

    def made(fault: Any = 0.0) -> Encoder:
        return posterior(ROOT, BETA, fault)

    return made


@pytest.fixture
def look(evaluate: Any, error: Any) -> Look:
    """An evaluation with an encoder, a prior or both, and by how much it is too high."""

    def found(
        encoder: Encoder | None, seed: int = 1, prior: Density | None = None
    ) -> tuple[Evaluation, float]:
        # A decoder without a gradient: else the audit's own Gaussians make the encoder needless.
        marginal = Pushforward(lambda z: (z @ ROOT.T).detach(), DIM, prior, encoder)
        result = evaluate(marginal, X, BETA, SIZES["default"], seed)
        return result, error(result, Q, X, BETA)

    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_honest_encoder_stays(seed: int, encoder: Any, look: Any) -> None:
    found, error = look(encoder(), seed)
    assert "encoder" in found.method
    assert found.note == ""
    assert abs(error) < 0.004
    assert found.common_se < 0.01
    assert found.above < 0.02


@pytest.mark.parametrize("offset", [-2.0, -10.0, 2.0, 10.0])
@pytest.mark.parametrize("far", [False, True])
def test_an_encoder_that_is_wrong_at_some_symbols(
    offset: float, far: bool, encoder: Any, look: Any
) -> None:
    """At one symbol in twenty, scattered or all on one side: eight tested symbols miss it."""

    def fault(z: Tensor, x: Tensor) -> Tensor:
        some = x[:, :1] > 1.64 if far else (1000.0 * x[:, :1]) % 20.0 < 1.0
        return offset * some.double()

    found, error = look(encoder(fault))
    assert "the encoder is left out" in found.note
    assert "encoder" not in found.method
    assert abs(error) < 0.01


@pytest.mark.parametrize("offset", [-0.02, -0.05, -0.3])
def test_an_encoder_that_is_wrong_everywhere(offset: float, encoder: Any, look: Any) -> None:
    found, error = look(encoder(offset))
    assert error + found.above + 2.0 * found.common_se + 0.001 > 0.0
    assert found.above > 0.3 * -offset or "the encoder is left out" in found.note
    if offset < -0.06:
        assert "the encoder is left out" in found.note


def test_an_encoder_that_is_nan_at_some_symbols_is_named(encoder: Any, look: Any) -> None:
    found, error = look(encoder(lambda z, x: torch.where(x[:, :1] > 2.3, math.nan, 0.0)))
    assert "the encoder gave NaN or inf at" in found.note
    assert "plug-in" in found.method
    assert -0.01 < error < 0.05


def test_an_encoder_with_state_is_named(encoder: Any, look: Any) -> None:
    calls = itertools.count()
    state = encoder(lambda z, x: torch.full((1, 1), -0.5 * (next(calls) >= 4)).double())
    found, error = look(state)
    assert "the encoder is left out" in found.note
    assert -0.01 < error < 0.05


def test_a_prior_with_state_or_a_false_tail_is_refused(encoder: Any, look: Any) -> None:
    prior = GaussianMixture(
        torch.ones(1).double(), torch.zeros(1, DIM).double(), torch.eye(DIM).double()[None]
    )
    calls = itertools.count()
    state = Density(prior.sample, lambda z: prior.log_prob(z) + 0.5 * (next(calls) >= 9))
    with pytest.raises(ValueError, match=r"is not a function of its points|is not the log density"):
        look(None, prior=state)
    junk = GaussianMixture(prior.weights, prior.means + 40.0, prior.covs)
    far = Density(
        junk.sample,
        lambda z: torch.logaddexp(junk.log_prob(z), math.log(5.0) + prior.log_prob(z)),
    )
    # The audit's own proposals go where the prior's draws are, and find the truth: far away.
    _, error = look(None, prior=far)
    assert error > 100.0
    with_encoder, error = look(encoder(), prior=far)
    assert "the encoder is left out" in with_encoder.note
    assert error > 100.0


def _raises(x: Tensor, k: int, g: Generator) -> Tensor:
    raise RuntimeError("broken")


def test_where_the_audit_s_own_gaussians_do_no_encoder_is_needed(
    encoder: Any, evaluate: Any, error: Any
) -> None:
    nowhere = encoder(lambda z, _: torch.full_like(z[..., 0], math.nan))
    for broken in (nowhere, dataclasses.replace(encoder(), sample=_raises)):
        marginal = Pushforward(lambda z: z @ ROOT.T, DIM, None, broken)
        found = evaluate(marginal, X, BETA, SIZES["default"])
        assert "Gaussian" in found.method
        assert "the encoder is left out" in found.note
        assert error(found, Q, X, BETA) == pytest.approx(0, abs=0.01)


def test_a_decoder_that_is_not_finite_is_refused(evaluate: Any) -> None:
    marginal = Pushforward(lambda z: torch.where(z > 2.5, math.nan, z), DIM)
    with pytest.raises(ValueError, match="decode gave NaN or inf"):
        evaluate(marginal, X, BETA, SIZES["default"])


def test_a_decoder_with_state_is_refused(evaluate: Any) -> None:
    calls = itertools.count()
    marginal = Pushforward(lambda z: z @ ROOT.T + 0.3 * (next(calls) >= 6), DIM)
    with pytest.raises(ValueError, match="decode is not a function of its points"):
        evaluate(marginal, X, BETA, SIZES["default"])
