"""The channels whose audits are repeated, each with its true gap F(q) - F*.

The true gaps are closed forms and sums over dense grids, never the audit's own methods.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.distributions import MultivariateNormal

from benchmarks.coverage.laws import (
    atom_potential,
    channel,
    density_of,
    energy_of,
    inflated,
    inflated_gap,
)
from rdbench import registry
from rdbench.audit import SIZES, AuditSize
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.certified import Certified
from rdbench.references.gaussian import WaterFilling
from rdbench.references.laplacian import LaplacianAbsolute
from rdbench.references.shannon import TightShannonBound
from rdbench.run.views import make_view
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture, eight_modes, paper_mixture
from rdbench.sources.product import rotated_product
from rdbench.sources.student import StudentSource
from rdbench.types import (
    Atoms,
    Bracket,
    Density,
    Encoder,
    Energy,
    Problem,
    Pushforward,
    TestChannel,
    TruthPoint,
)

_SMALL = AuditSize(
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
DEFAULT = dataclasses.replace(SIZES["default"], paper_draws=0, conditional_symbols=0)
"""The audit of budget ``default``, without what has nothing to do with F, R and D."""
UNWATCHED: Any = SimpleNamespace(
    effort=1.0,
    advance=lambda _: True,
    checkpoint=lambda _: True,
    count=lambda **_: None,
)
"""The monitor of a fit that nobody watches: it never stops."""


@dataclass(frozen=True)
class Case:
    """One channel and its true gap F(q) - F* in nats."""

    name: str
    channel: TestChannel
    problem: Problem
    reference: Any
    true_gap: Callable[[], float]
    stream: int
    """Which seeds its audits have."""
    size: AuditSize = _SMALL
    repetitions: int = 4000


def exact_cases() -> list[Case]:
    """Side ``exact``: sums over atoms and quadrature."""
    gaussian = scalar_gaussian(3.0, 2.0)
    water = WaterFilling(gaussian)
    beta = water.slope(1.5)
    q = inflated(gaussian, beta, 1.3)
    points = torch.linspace(-2.0, 8.0, 24, dtype=torch.float64)[:, None]
    atoms = Atoms(points, torch.log_softmax(-((points[:, 0] - 3.5) ** 2) / 6.0, 0))
    # Without the optimal potential the gap is the mean of f less F*.
    unpaired = _reference(point=water.point, rate=water.rate, slope=water.slope)
    mixture = paper_mixture()
    shannon = TightShannonBound(mixture)
    wide = GaussianMixture(mixture.weights, mixture.means, 1.1 * mixture.covs)
    generator = Generator().manual_seed(4)
    codebook = Atoms(wide.sample(200, generator), torch.full((200,), -math.log(200.0)).double())
    problem, planar = Problem(gaussian, SquaredError()), Problem(mixture, SquaredError())
    laplacian = LaplacianSource(3.0, 2.0)

    def atoms_gap() -> float:
        return _on_the_line(gaussian, water, atoms, beta)

    def plane_gap(potential: Callable[[Tensor], Tensor]) -> Callable[[], float]:
        return lambda: _in_the_plane(mixture, shannon, potential, 0.8)

    return [
        Case("Gaussian energy, quadrature d=1", channel(beta, energy_of(q), q), problem, water,
             lambda: inflated_gap(gaussian, beta, 1.3), 1),
        Case("24 atoms, d=1", channel(beta, atoms), problem, water, atoms_gap, 2),
        Case("24 atoms, d=1, potential unknown", channel(beta, atoms), problem, unpaired,
             atoms_gap, 3),
        Case("mixture energy, quadrature d=2", channel(0.8, energy_of(wide), wide), planar, shannon,
             plane_gap(lambda x: -wide.log_partition(x, 0.8)), 4,
             dataclasses.replace(_SMALL, symbols=250)),
        Case("200 random atoms, d=2", channel(0.8, codebook), planar, shannon,
             plane_gap(atom_potential(codebook, 0.8)), 5),
        Case("Laplacian energy, absolute error, d=1", channel(4.0, _laplacian_energy(3.0, 1.7)),
             Problem(laplacian, AbsoluteError()), LaplacianAbsolute(laplacian),
             lambda: _laplacian_gap(4.0, 1.7, 2.0), 6, dataclasses.replace(_SMALL, symbols=100)),
    ]  # fmt: skip


def upper_cases() -> list[Case]:
    """Side ``upper``: plug-in, importance sampling of densities and in latent spaces."""
    laplacian, narrow = LaplacianSource(3.0, 2.0), LaplacianSource(3.0, 1.7)
    eight = eight_modes(10)
    shannon = TightShannonBound(eight)
    steep = shannon.slope(10.0)
    problem, known = Problem(laplacian, AbsoluteError()), LaplacianAbsolute(laplacian)
    pushed = Pushforward(lambda z: _laplacian_of(z, 3.0, 1.7), 1)
    as_density = Density(narrow.sample, narrow.log_prob)

    def gap() -> float:
        return _laplacian_gap(4.0, 1.7, 2.0)

    return [
        Case("plug-in, pushforward, absolute error, d=1", channel(4.0, pushed), problem, known,
             gap, 11),
        Case("density, absolute error, d=1", channel(4.0, as_density), problem, known, gap, 12,
             repetitions=1000),
        _gaussian_case(1, 1.0, "pushforward", 14),
        _gaussian_case(2, 4.0, "pushforward", 15),
        _gaussian_case(10, 10.0, "pushforward", 16),
        _gaussian_case(5, 5.0, "pushforward with encoder", 17),
        _gaussian_case(5, 5.0, "plug-in", 18),
        _gaussian_case(1, 1.0, "density", 19),
        _gaussian_case(2, 4.0, "density", 20),
        _gaussian_case(5, 5.0, "density", 21),
        _gaussian_case(10, 20.0, "density", 22),
        Case("density, eight modes, d=10, R=10",
             channel(steep, density_of(shannon.reproduction(steep))),
             Problem(eight, SquaredError()), shannon, lambda: 0.0, 13, repetitions=1000),
    ]  # fmt: skip


def _gaussian_case(dim: int, rate: float, kind: str, stream: int) -> Case:
    source = vector_gaussian(dim)
    beta = WaterFilling(source).slope(rate)
    q = inflated(source, beta, 1.2)
    root = torch.linalg.cholesky(q.covs[0])

    def decode(z: Tensor) -> Tensor:
        y: Tensor = z @ root.T
        # A decoder without a gradient leaves the audit the plug-in alone.
        return y.detach() if kind == "plug-in" else y

    encoder = _wide_encoder(root, beta) if kind == "pushforward with encoder" else None
    marginal = density_of(q) if kind == "density" else Pushforward(decode, dim, encoder=encoder)
    return Case(
        f"{kind}, d={dim}, R={rate:g}",
        channel(beta, marginal),
        Problem(source, SquaredError()),
        WaterFilling(source),
        lambda: inflated_gap(source, beta, 1.2),
        stream,
        repetitions=1000,
    )


def _wide_encoder(root: Tensor, beta: float) -> Encoder:
    """The exact posterior of z given x, 1.3 times as wide: a mediocre encoder."""
    dim = len(root)
    cov = torch.linalg.inv(torch.eye(dim, dtype=torch.float64) + 2.0 * beta * root.T @ root)
    gain = 2.0 * beta * cov @ root.T
    noise = MultivariateNormal(torch.zeros(dim, dtype=torch.float64), 1.3**2 * cov)

    def sample(x: Tensor, k: int, g: Generator) -> Tensor:
        e = torch.randn(len(x), k, dim, generator=g, dtype=torch.float64)
        drawn: Tensor = (x @ gain.T)[:, None] + e @ noise.scale_tril.T
        return drawn

    def log_prob(z: Tensor, x: Tensor) -> Tensor:
        value: Tensor = noise.log_prob(z - (x @ gain.T)[:, None])
        return value

    return Encoder(sample, log_prob)


def heavy_cases() -> list[Case]:
    """Channels whose gap sits in rare symbols: where an interval is likely to fail.

    Most of the gap of atoms that end somewhere is in the symbols beyond them. Side ``exact`` unless
    the source gives no interval that could be trusted.
    """
    student, ten = registry.load_suite("heavy_tailed").cases()[:2]
    t5, known = student.problem.source, student.reference
    laplacian, gaussian = LaplacianSource(), scalar_gaussian()
    smooth = Certified(Problem(laplacian, SquaredError()), 1e-7, "scalar-laplacian-squared")
    product = rotated_product(StudentSource(5.0), 3)
    # F* taken as zero: the gap of one atom is beta E ||X||^2.
    zero = _reference(
        point=lambda beta: TruthPoint.exact(beta, 0.0, 0.0),
        rate=lambda _: Bracket.exact(0.0),
        slope=lambda rate: rate,
    )
    one_atom = (
        Atoms(torch.zeros(1, d, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
        for d in (10, 3)
    )
    beta = ten.reference.slope(2.43)
    gap = beta * 10.0 * 5.0 / 3.0 - ten.reference.point(beta).lagrangian.mid
    return [
        _line("t5: wgd, R=1.304", t5, known, 1.304, None, 60),
        _line("t5: wgd, R=2", t5, known, 2.0, None, 61),
        _line("t5: 60 atoms on ±4, R=2", t5, known, 2.0, _even(60, 4.0), 62),
        _line("t5: 120 atoms on ±8, R=2", t5, known, 2.0, _even(120, 8.0), 63),
        _line("t5: 40 atoms on ±5, R=0.85", t5, known, 0.8498, _even(40, 5.0), 64),
        _line("Laplacian: 40 atoms on ±6, R=1.8", laplacian, smooth, 1.8, _even(40, 6.0), 65),
        _line("Gaussian: 400 atoms on ±4, R=3", gaussian, WaterFilling(gaussian), 3.0,
              _even(400, 4.0, shaped=True), 66),
        _grid_in_the_plane(),
        _heavy("t5 in d=10: one atom", beta, next(one_atom), ten.problem.source, ten.reference,
               lambda: gap, 71),
        _heavy("t5 x t5 x t5: one atom", 1.0, next(one_atom), product, zero, lambda: 5.0, 72),
    ]  # fmt: skip


def _heavy(
    name: str, beta: float, atoms: Atoms, source: Any, reference: Any, gap: Any, stream: int
) -> Case:
    problem = Problem(source, SquaredError())
    return Case(name, channel(beta, atoms), problem, reference, gap, stream, DEFAULT, 1000)


def _line(
    name: str, source: Any, reference: Any, rate: float, atoms: Atoms | None, stream: int
) -> Case:
    """Atoms on the line; without any, those of `wgd` at its defaults."""
    beta = reference.slope(rate)
    if atoms is None:
        (answer,) = fitted("wgd", Problem(source, SquaredError()), [beta], (81, 82))
        assert isinstance(answer.marginal, Atoms)
        atoms = answer.marginal
    gap = partial(_on_the_line, source, reference, atoms, beta)
    return _heavy(name, beta, atoms, source, reference, gap, stream)


def _even(count: int, half: float, shaped: bool = False) -> Atoms:
    """Evenly spaced atoms on [-half, half], equally likely or with a Gaussian's weights."""
    points = torch.linspace(-half, half, count, dtype=torch.float64)[:, None]
    return Atoms(points, torch.log_softmax(-0.5 * shaped * points[:, 0].square(), 0))


def fitted(
    name: str, problem: Problem, betas: Sequence[float], seeds: tuple[int, int]
) -> list[TestChannel]:
    """The channels of an estimator at its defaults, the smallest slope first.

    Args:
        name: the estimator.
        problem: the problem.
        betas: slopes in nats.
        seeds: of the training samples and of the fit.
    """
    estimator = registry.choose(name).estimator
    data, stream = (Generator().manual_seed(seed) for seed in seeds)
    view, _ = make_view(problem, estimator.info.needs, data, torch.device("cpu"))
    answers = list(estimator.fit(view, betas, stream, UNWATCHED))
    channels = [answer for answer in answers if isinstance(answer, TestChannel)]
    assert len(channels) == len(betas)
    return sorted(channels, key=lambda one: one.beta)


def _grid_in_the_plane() -> Case:
    """Atoms on a grid that ends at 3.5 standard deviations; the gap in polar coordinates."""
    source = vector_gaussian(2, "flat")
    reference = WaterFilling(source)
    beta = reference.slope(5.0)
    std = float(source.stds[0])
    axis = torch.linspace(-3.5 * std, 3.5 * std, 61, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    variance = std**2 - 0.5 / beta
    atoms = Atoms(points, torch.log_softmax(-0.5 * points.square().sum(1) / variance, 0))

    def gap() -> float:
        radius = torch.linspace(0.0, 12.0 * std, 3001, dtype=torch.float64)[1:]
        angle = torch.arange(64, dtype=torch.float64) * (2.0 * math.pi / 64)
        mass = radius / std**2 * torch.exp(-0.5 * (radius / std) ** 2) * (radius[1] - radius[0])
        potential = atom_potential(atoms, beta)
        total = 0.0
        for r, p in zip(radius, mass, strict=True):
            x = r * torch.stack([angle.cos(), angle.sin()], 1)
            total += float(p * potential(x).mean())
        return total - reference.point(beta).lagrangian.mid

    name = "Gaussian in the plane: a grid on ±3.5, R=5"
    return _heavy(name, beta, atoms, source, reference, gap, 70)


def _reference(**methods: Any) -> Any:
    """A reference that does not know the optimal potential."""
    return SimpleNamespace(kind="closed form", citation="", validity="", **methods)


def _on_the_line(source: Any, reference: Any, atoms: Atoms, beta: float) -> float:
    """E[f(X)] - F* by a sum over a grid in x = sinh(t), which reaches 10^12 widths out."""
    t = torch.linspace(-28.0, 28.0, 400_001, dtype=torch.float64)
    x, step = torch.sinh(t)[:, None], torch.cosh(t) * (t[1] - t[0])
    mass = source.log_prob(x).exp() * step
    potential = atom_potential(atoms, beta)
    parts = zip(x.split(20_000), mass.split(20_000), strict=True)
    total = math.fsum(float(p @ potential(part)) for part, p in parts)
    return total - float(reference.point(beta).lagrangian.mid)


def _in_the_plane(
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
