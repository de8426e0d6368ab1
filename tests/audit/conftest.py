"""Shared by the tests of the audit: a small size, channels, and one call for an audit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from rdbench.audit import AuditSize, audit
from rdbench.audit.evaluation import Evaluation
from rdbench.audit.importance import density
from rdbench.audit.latent import pushforward
from rdbench.distortions import SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import GaussianSource
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import (
    Audited,
    Claim,
    Density,
    Distortion,
    Encoder,
    Marginal,
    Problem,
    Pushforward,
    Reference,
    Source,
    TestChannel,
)

_SMALL = AuditSize(
    symbols=1000,
    kernel_evaluations=1e7,
    plug_in_draws=4000,
    paper_draws=0,
    chains=4000,
    conditional_chains=4,
    max_steps=60,
    local_draws=48,
    conditional_symbols=0,
)


class _NoPotential:
    """A Gaussian's reference without its potential."""

    kind: ClassVar[str] = "closed form"
    citation = validity = ""

    def __init__(self, source: GaussianSource) -> None:
        exact = WaterFilling(source)
        self.point, self.rate, self.slope = exact.point, exact.rate, exact.slope


@pytest.fixture(scope="session")
def small() -> AuditSize:
    """An audit of a second or less."""
    return _SMALL


@pytest.fixture(scope="session")
def no_potential() -> type[_NoPotential]:
    """Reverse water-filling of a source, less its potential."""
    return _NoPotential


@pytest.fixture(scope="session")
def channel() -> Callable[..., TestChannel]:
    """A channel of a marginal at a slope; its conditional is a mixture's, or cannot be drawn."""

    def make(
        beta: float, marginal: Marginal, conditional: GaussianMixture | None = None
    ) -> TestChannel:
        def sample_conditional(x: Tensor, k: int, g: Generator) -> Tensor:
            if conditional is None:
                raise NotImplementedError
            return conditional.sample_conditional(x, k, beta, g)

        return TestChannel(beta, marginal, Claim(0.0, 0.0, "estimate"), sample_conditional)

    return make


@pytest.fixture(scope="session")
def run() -> Callable[..., Audited]:
    """An audit with one seed; a source stands for its problem under squared error."""

    def audited(
        channel: TestChannel,
        problem: Problem | Source,
        reference: Reference,
        size: AuditSize = _SMALL,
        seed: int = 1,
        **changes: Any,
    ) -> Audited:
        if not isinstance(problem, Problem):
            problem = Problem(problem, SquaredError())
        size = dataclasses.replace(size, **changes)
        generator = Generator().manual_seed(seed)
        return audit(channel, problem, reference, size=size, generator=generator)

    return audited


@pytest.fixture(scope="session")
def posterior() -> Callable[..., Encoder]:
    """p(z|x) of a linear decoder, ``width`` times as wide; ``fault`` (z, x) is added to its log."""

    def encoder(
        root: Tensor,
        beta: float,
        fault: Callable[[Tensor, Tensor], Tensor] | float = 0.0,
        width: float = 1.0,
    ) -> Encoder:
        dim = len(root)
        cov = torch.linalg.inv(torch.eye(dim).double() + 2.0 * beta * root.T @ root)
        gain = 2.0 * beta * cov @ root.T
        law = MultivariateNormal(torch.zeros(dim).double(), width**2 * cov)
        factor = torch.linalg.cholesky(width**2 * cov)

        def sample(x: Tensor, k: int, g: Generator) -> Tensor:
            e = torch.randn(len(x), k, dim, generator=g, dtype=torch.float64)
            z: Tensor = (x @ gain.T)[:, None] + e @ factor.T
            return z

        def log_prob(z: Tensor, x: Tensor) -> Tensor:
            value: Tensor = law.log_prob(z - (x @ gain.T)[:, None])
            return value + (fault if isinstance(fault, float) else fault(z, x))

        return Encoder(sample, log_prob)

    return encoder


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., Evaluation]:
    """A density or a pushforward by the audit's own choice of a method, on given symbols."""

    def evaluated(
        marginal: Density | Pushforward,
        x: Tensor,
        beta: float,
        size: AuditSize = _SMALL,
        seed: int = 1,
        distortion: Distortion | None = None,
        probabilities: Tensor | None = None,
        **changes: Any,
    ) -> Evaluation:
        size, generator = dataclasses.replace(size, **changes), Generator().manual_seed(seed)
        rho = distortion or SquaredError()
        if isinstance(marginal, Density):
            return density(marginal, rho, x, probabilities, beta, size, generator)
        return pushforward(marginal, rho, x, probabilities, beta, size, generator)

    return evaluated


@pytest.fixture(scope="session")
def error() -> Callable[..., float]:
    """By how much an evaluation is too high on its symbols, where q is a mixture."""

    def mean(found: Evaluation, q: GaussianMixture, x: Tensor, beta: float) -> float:
        return float((found.potential + q.log_partition(x, beta)).mean())

    return mean
