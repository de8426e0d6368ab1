"""The problems of the checks: small, with the truth in closed form, none of them in a suite."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.distortions import AbsoluteError, Hamming, SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.references.hamming import FiniteHamming
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.sources.finite import zipf
from rdbench.sources.gaussian import GaussianSource, vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.types import Problem, Reference


@dataclass(frozen=True, eq=False)
class Probe:
    """A problem, its truth and the slopes at which an estimator is tried."""

    label: str
    """In words; no two probes share one."""
    problem: Problem
    reference: Reference
    betas: tuple[float, ...]
    log_prob: Callable[[Tensor], Tensor] | None = None
    """The source's density as a plain function, for a view that holds no source."""

    @property
    def dim(self) -> int:
        """d."""
        return self.problem.source.dim

    @property
    def highest(self) -> Probe:
        """The same problem at the largest slope alone."""
        return self.at(f"{self.label} at one slope", max(self.betas))

    def at(self, label: str, *betas: float) -> Probe:
        """The same problem at other slopes."""
        return Probe(label, self.problem, self.reference, betas, self.log_prob)


@dataclass(frozen=True)
class Constant:
    """P(X = value) = 1, told by nothing but its draws."""

    value: float = 3.0
    dim: int = 1
    name: str = "a constant"

    def sample(self, n: int, generator: Generator) -> Float[Tensor, "n d"]:
        """n times the same."""
        return torch.full((n, self.dim), self.value, dtype=torch.float64, device=generator.device)


def scalar() -> Probe:
    """N(0, 1) under squared error, at 0.4 and 2.2 nats."""
    source = GaussianSource("N(0, 1)", _column(0.0), _column(1.0), torch.eye(1).double())

    def log_prob(x: Tensor) -> Tensor:
        return -0.5 * x.double().square().sum(1) - 0.5 * math.log(2.0 * math.pi)

    return _gaussian("a scalar Gaussian", source, (0.4, 2.2), log_prob)


def plane(label: str, mean: float = 0.0, scale: float = 1.0, degrees: float = 35.0) -> Probe:
    """A Gaussian in the plane whose standard deviations are 3 to 1, at 2 nats.

    Drawn with the same seed, two of these differ by the shift, the scale and the rotation alone.
    """
    angle = math.radians(degrees)
    basis = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
        dtype=torch.float64,
    )
    stds = torch.tensor([1.5, 0.5], dtype=torch.float64) * scale
    source = GaussianSource(label, torch.full((2,), mean, dtype=torch.float64), stds, basis)
    return _gaussian(label, source, (2.0,))


def five() -> Probe:
    """A rotated Gaussian in five dimensions; its ladder falls, all others rise."""
    return _gaussian("a Gaussian with d = 5", vector_gaussian(5, seed=5), (8.0, 2.0))


def laplacian() -> Probe:
    """Laplace(0, 1) under absolute error, at 1 and 2 nats."""
    source = LaplacianSource(0.0, 1.0)
    reference = LaplacianAbsolute(source)
    betas = (reference.slope(1.0), reference.slope(2.0))
    return Probe(
        "a Laplacian under absolute error", Problem(source, AbsoluteError()), reference, betas
    )


def letters() -> Probe:
    """Six letters with Zipf probabilities under Hamming distortion."""
    source = zipf(6)
    reference = FiniteHamming(source)
    betas = tuple(reference.slope(rate) for rate in (0.2, 1.2))
    return Probe(
        "six letters under Hamming distortion", Problem(source, Hamming()), reference, betas
    )


def constant() -> Probe:
    """A source that is constant; its reference is never asked."""
    some = scalar()
    return Probe("a constant source", Problem(Constant(), SquaredError()), some.reference, (1.0,))


def _gaussian(
    label: str,
    source: GaussianSource,
    rates: tuple[float, ...],
    log_prob: Callable[[Tensor], Tensor] | None = None,
) -> Probe:
    reference = WaterFilling(source)
    betas = tuple(reference.slope(rate) for rate in rates)
    return Probe(label, Problem(source, SquaredError()), reference, betas, log_prob)


def _column(value: float) -> Float[Tensor, " 1"]:
    return torch.tensor([value], dtype=torch.float64)
