"""The channels whose audits `audit_coverage.py` repeats, each with its true gap."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from _audit_problems import density_of, energy_of
from torch import Generator, Tensor

from rdbench.audit import AuditSize
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.references.shannon import TightShannonBound
from rdbench.sources.gaussian import GaussianSource, scalar_gaussian, vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture, eight_modes, paper_mixture
from rdbench.types import (
    Atoms,
    Bracket,
    Claim,
    Density,
    Encoder,
    Energy,
    Problem,
    Pushforward,
    TestChannel,
    TruthPoint,
)

_SIZE = AuditSize(
    symbols=500,
    kernel_evaluations=1e7,
    plug_in_draws=1000,
    paper_draws=0,
    chains=2000,
    conditional_chains=4,
    max_steps=20,
    local_draws=16,
    pilot_symbols=64,
    conditional_symbols=0,
)


@dataclass(frozen=True)
class Case:
    """One channel and its true gap F(q) - F*, by other means than the audit's."""

    name: str
    channel: TestChannel
    problem: Problem
    reference: Any
    true_gap: Callable[[], float]
    stream: int
    size: AuditSize = _SIZE
    repetitions: int = 4000


@dataclass(frozen=True)
class _Unpaired:
    """A reference that does not know the potential: the gap is mean f(x) minus F*."""

    inner: WaterFilling
    kind = "closed form"
    citation = validity = ""

    def point(self, beta: float) -> TruthPoint:
        return self.inner.point(beta)

    def rate(self, distortion: float) -> Bracket:
        return self.inner.rate(distortion)

    def slope(self, rate: float) -> float:
        return self.inner.slope(rate)


def exact_cases() -> list[Case]:
    """Side ``exact``: sums over atoms and quadrature."""
    gaussian = scalar_gaussian(3.0, 2.0)
    water = WaterFilling(gaussian)
    beta = water.slope(1.5)
    q = _inflated(gaussian, beta, 1.3)
    points = torch.linspace(-2.0, 8.0, 24, dtype=torch.float64)[:, None]
    atoms = Atoms(points, torch.log_softmax(-((points[:, 0] - 3.5) ** 2) / 6.0, 0))
    atoms_gap = lambda: _on_a_line(gaussian, water, atom_potential(atoms, beta), beta)  # noqa: E731
    mixture = paper_mixture()
    shannon = TightShannonBound(mixture)
    wide = GaussianMixture(mixture.weights, mixture.means, 1.1 * mixture.covs)
    generator = Generator().manual_seed(4)
    codebook = Atoms(wide.sample(200, generator), torch.full((200,), -math.log(200.0)).double())
    laplacian = LaplacianSource(3.0, 2.0)
    problem = Problem(gaussian, SquaredError())
    planar = Problem(mixture, SquaredError())
    return [
        Case(
            "Gaussian energy, quadrature d=1",
            channel(beta, energy_of(q), q.sample_conditional),
            problem,
            water,
            lambda: _gaussian_gap(gaussian, beta, 1.3),
            1,
        ),
        Case("24 atoms, d=1", channel(beta, atoms), problem, water, atoms_gap, 2),
        Case(
            "24 atoms, d=1, potential unknown",
            channel(beta, atoms),
            problem,
            _Unpaired(water),
            atoms_gap,
            3,
        ),
        Case(
            "mixture energy, quadrature d=2",
            channel(0.8, energy_of(wide), wide.sample_conditional),
            planar,
            shannon,
            lambda: _on_a_plane(mixture, shannon, lambda x: -wide.log_partition(x, 0.8), 0.8),
            4,
            dataclasses.replace(_SIZE, symbols=250),
        ),
        Case(
            "200 random atoms, d=2",
            channel(0.8, codebook),
            planar,
            shannon,
            lambda: _on_a_plane(mixture, shannon, atom_potential(codebook, 0.8), 0.8),
            5,
        ),
        Case(
            "Laplacian energy, absolute error, d=1",
            channel(4.0, _laplacian_energy(3.0, 1.7)),
            Problem(laplacian, AbsoluteError()),
            LaplacianAbsolute(laplacian),
            lambda: _laplacian_gap(4.0, 1.7, 2.0),
            6,
            dataclasses.replace(_SIZE, symbols=100),
        ),
    ]


def upper_cases() -> list[Case]:
    """Side ``upper``: plug-in, importance sampling of densities and in latent spaces."""
    laplacian = LaplacianSource(3.0, 2.0)
    narrow = LaplacianSource(3.0, 1.7)
    absolute = Problem(laplacian, AbsoluteError())
    eight = eight_modes(10)
    shannon = TightShannonBound(eight)
    steep = shannon.slope(10.0)
    optimal = shannon.reproduction(steep)
    cases = [
        Case(
            "plug-in, pushforward, absolute error, d=1",
            channel(4.0, Pushforward(lambda z: _laplacian_of(z, 3.0, 1.7), 1)),
            absolute,
            LaplacianAbsolute(laplacian),
            lambda: _laplacian_gap(4.0, 1.7, 2.0),
            11,
        ),
        Case(
            "density, absolute error, d=1",
            channel(4.0, Density(narrow.sample, narrow.log_prob)),
            absolute,
            LaplacianAbsolute(laplacian),
            lambda: _laplacian_gap(4.0, 1.7, 2.0),
            12,
            repetitions=1000,
        ),
    ]
    for stream, (dim, rate, kind, repetitions) in enumerate(
        [
            (1, 1.0, "pushforward", 1000),
            (2, 4.0, "pushforward", 1000),
            (10, 10.0, "pushforward", 1000),
            (5, 5.0, "pushforward with encoder", 1000),
            (5, 5.0, "plug-in", 1000),
            (1, 1.0, "density", 1000),
            (2, 4.0, "density", 1000),
            (5, 5.0, "density", 1000),
            (10, 20.0, "density", 1000),
        ],
        start=14,
    ):
        cases.append(_gaussian_case(dim, rate, kind, repetitions, stream))
    cases.append(
        Case(
            "density, eight modes, d=10, R=10",
            channel(steep, density_of(optimal)),
            Problem(eight, SquaredError()),
            shannon,
            lambda: 0.0,
            13,
            repetitions=1000,
        )
    )
    return cases


def _gaussian_case(dim: int, rate: float, kind: str, repetitions: int, stream: int) -> Case:
    source = vector_gaussian(dim)
    beta = WaterFilling(source).slope(rate)
    q = _inflated(source, beta, 1.2)
    root = torch.linalg.cholesky(q.covs[0])

    def decode(z: Tensor) -> Tensor:
        y = z @ root.T
        # A decoder without a gradient leaves the audit the plug-in alone.
        return y.detach() if kind == "plug-in" else y

    if kind == "density":
        marginal: Any = density_of(q)
    elif kind == "pushforward with encoder":
        marginal = Pushforward(decode, dim, encoder=_wide_encoder(root, beta))
    else:
        marginal = Pushforward(decode, dim)
    return Case(
        f"{kind}, d={dim}, R={rate:g}",
        channel(beta, marginal),
        Problem(source, SquaredError()),
        WaterFilling(source),
        lambda: _gaussian_gap(source, beta, 1.2),
        stream,
        repetitions=repetitions,
    )


def _wide_encoder(root: Tensor, beta: float) -> Encoder:
    """The exact posterior of z given x, 1.3 times as wide: a mediocre encoder."""
    dim = len(root)
    precision = torch.eye(dim, dtype=torch.float64) + 2.0 * beta * root.T @ root
    gain = 2.0 * beta * torch.linalg.solve(precision, root.T)
    factor = 1.3 * torch.linalg.cholesky(torch.linalg.inv(precision))
    log_det = float(factor.diagonal().log().sum())

    def sample(x: Tensor, k: int, g: Generator) -> Tensor:
        e = torch.randn(len(x), k, dim, generator=g, dtype=torch.float64)
        return (x @ gain.T)[:, None] + e @ factor.T

    def log_prob(z: Tensor, x: Tensor) -> Tensor:
        centred = (z - (x @ gain.T)[:, None]).reshape(-1, dim)
        e = torch.linalg.solve_triangular(factor, centred.T, upper=False)
        value = -0.5 * (e.square().sum(0) + dim * math.log(2.0 * math.pi)) - log_det
        return value.reshape(z.shape[:2])

    return Encoder(sample, log_prob)


def channel(beta: float, marginal: Any, conditional: Any = None) -> TestChannel:
    def draw(x: Tensor, k: int, g: Generator) -> Tensor:
        return conditional(x, k, beta, g)  # type: ignore[no-any-return]

    return TestChannel(beta, marginal, Claim(0.0, 0.0, "estimate"), draw)


def _inflated(source: GaussianSource, beta: float, inflation: float) -> GaussianMixture:
    """The optimal marginal with its variances inflated, so that F(q) > F*."""
    v = (source.stds**2 - 0.5 / beta).clamp(min=0.0) * inflation + 1e-3
    cov = (source.basis * v) @ source.basis.T
    return GaussianMixture(torch.ones(1).double(), source.mean[None], cov[None])


def _gaussian_gap(source: GaussianSource, beta: float, inflation: float) -> float:
    """sum of log(1 + 2 beta v) / 2 + beta s^2 / (1 + 2 beta v), minus F*."""
    s2 = source.stds**2
    v = (s2 - 0.5 / beta).clamp(min=0.0) * inflation + 1e-3
    spread = 1.0 + 2.0 * beta * v
    value = float((0.5 * spread.log() + beta * s2 / spread).sum())
    return value - WaterFilling(source).point(beta).lagrangian.mid


def _laplacian_energy(loc: float, scale: float) -> Energy:
    return Energy(
        sample=LaplacianSource(loc, scale).sample,
        value_and_grad=lambda y: ((y[:, 0] - loc).abs() / scale, (y - loc).sign() / scale),
    )


def _laplacian_of(z: Tensor, loc: float, scale: float) -> Tensor:
    """The quantile transform from N(0, 1)."""
    tail = torch.special.ndtr(-z.abs())
    return loc - scale * z.sign() * torch.log(2.0 * tail)


def _laplacian_gap(beta: float, scale: float, source_scale: float) -> float:
    """q Laplacian: Z is the convolution of two Laplacians."""
    a = 1.0 / scale
    s = np.linspace(0.0, 150.0, 3_000_001)
    z = a * (beta * np.exp(-a * s) - a * np.exp(-beta * s)) / (beta**2 - a**2)
    value = -np.trapezoid(np.exp(-s / source_scale) / source_scale * np.log(z), s)
    return float(value) - (math.log(source_scale * beta) + 1.0)  # F* = R + beta D


def atom_potential(atoms: Atoms, beta: float) -> Callable[[Tensor], Tensor]:
    def potential(x: Tensor) -> Tensor:
        squares = sum((x[:, i, None] - atoms.points[:, i]) ** 2 for i in range(x.shape[1]))
        return -torch.logsumexp(atoms.log_weights - beta * squares, 1)

    return potential


def _on_a_line(
    source: GaussianSource, reference: WaterFilling, f: Callable[[Tensor], Tensor], beta: float
) -> float:
    """E[f(X)] - F* by the trapezoidal rule."""
    x = torch.linspace(-22.0, 28.0, 50_001, dtype=torch.float64)[:, None]
    mean = float(torch.trapezoid(source.log_prob(x).exp() * f(x), x[:, 0]))
    return mean - reference.point(beta).lagrangian.mid


def _on_a_plane(
    source: GaussianMixture,
    reference: TightShannonBound,
    f: Callable[[Tensor], Tensor],
    beta: float,
) -> float:
    """E[f(X) - f*(X)] by the trapezoidal rule, step 0.05."""
    axis = torch.arange(-16.0, 16.0, 0.05, dtype=torch.float64)
    total = 0.0
    for nodes in torch.cartesian_prod(axis, axis).split(100_000):
        p = source.log_prob(nodes).exp()
        total += float((p * (f(nodes) - reference.potential(nodes, beta))).sum())
    return total * 0.05**2
