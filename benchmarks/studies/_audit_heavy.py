"""Channels whose gap sits in rare symbols: where an interval is likely to fail.

Most of the gap of atoms that end somewhere is in the symbols beyond them. The true gap is a sum
over a dense grid in x = sinh(t), which reaches 10^12 widths out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from _alone import Alone
from _audit_cases import Case, atom_potential, channel
from torch import Generator

from rdbench import registry
from rdbench.audit import SIZES
from rdbench.distortions import SquaredError
from rdbench.references.certified import Certified
from rdbench.references.gaussian import WaterFilling
from rdbench.run.views import make_view
from rdbench.sources.gaussian import scalar_gaussian, vector_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.product import rotated_product
from rdbench.sources.student import StudentSource
from rdbench.types import Atoms, Bracket, Problem, TestChannel, TruthPoint

_DEFAULT = dataclasses.replace(SIZES["default"], paper_draws=0, conditional_symbols=0)
_REPETITIONS = 1000


@dataclass(frozen=True)
class _Line:
    """A case of d = 1: atoms, and a reference that knows the slope of the rate."""

    name: str
    source: Any
    reference: Any
    rate: float
    atoms: Callable[[float], Atoms]


def heavy_cases() -> list[Case]:
    """Side ``exact`` unless the source gives no interval that could be trusted."""
    student = registry.load_suite("heavy_tailed").cases()[0]
    t5, known = student.problem.source, student.reference
    laplacian = LaplacianSource()
    smooth = Certified(Problem(laplacian, SquaredError()), 1e-7, "scalar-laplacian-squared")
    gaussian = scalar_gaussian()
    lines = [
        _Line("t5: wgd, R=1.304", t5, known, 1.304, lambda beta: _wgd(t5, beta)),
        _Line("t5: wgd, R=2", t5, known, 2.0, lambda beta: _wgd(t5, beta)),
        _Line("t5: 60 atoms on ±4, R=2", t5, known, 2.0, lambda _: _even(60, 4.0)),
        _Line("t5: 120 atoms on ±8, R=2", t5, known, 2.0, lambda _: _even(120, 8.0)),
        _Line("t5: 40 atoms on ±5, R=0.85", t5, known, 0.8498, lambda _: _even(40, 5.0)),
        _Line("Laplacian: 40 atoms on ±6, R=1.8", laplacian, smooth, 1.8, lambda _: _even(40, 6.0)),
        _Line(
            "Gaussian: 400 atoms on ±4, R=3", gaussian, WaterFilling(gaussian), 3.0,
            lambda _: _shaped(400, 4.0),
        ),
    ]  # fmt: skip
    cases = [_on_the_line(line, 60 + i) for i, line in enumerate(lines)]
    return [*cases, _grid_in_the_plane(), _point_in_ten_dimensions(), _product()]


def _case(
    name: str, beta: float, atoms: Atoms, source: Any, reference: Any, gap: Any, i: int
) -> Case:
    problem = Problem(source, SquaredError())
    return Case(name, channel(beta, atoms), problem, reference, gap, i, _DEFAULT, _REPETITIONS)


def _on_the_line(line: _Line, stream: int) -> Case:
    beta = line.reference.slope(line.rate)
    atoms = line.atoms(beta)

    def gap() -> float:
        t = torch.linspace(-28.0, 28.0, 400_001, dtype=torch.float64)
        x, step = torch.sinh(t), torch.cosh(t) * (t[1] - t[0])
        mass = line.source.log_prob(x[:, None]).exp() * step
        potential = atom_potential(atoms, beta)
        parts = zip(x[:, None].split(20_000), mass.split(20_000), strict=True)
        total = math.fsum(float(p @ potential(part)) for part, p in parts)
        return total - line.reference.point(beta).lagrangian.mid

    return _case(line.name, beta, atoms, line.source, line.reference, gap, stream)


def _grid_in_the_plane() -> Case:
    """Atoms on a grid that ends at 3.5 standard deviations, in polar coordinates."""
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

    return _case(
        "Gaussian in the plane: a grid on ±3.5, R=5", beta, atoms, source, reference, gap, 70
    )


def _point_in_ten_dimensions() -> Case:
    """One atom at the centre of t5: f(x) = beta ||x||^2."""
    case = registry.load_suite("heavy_tailed").cases()[1]
    beta = case.reference.slope(2.43)
    atoms = Atoms(torch.zeros(1, 10, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))

    def gap() -> float:
        return beta * 10.0 * 5.0 / 3.0 - case.reference.point(beta).lagrangian.mid

    return _case("t5 in d=10: one atom", beta, atoms, case.problem.source, case.reference, gap, 71)


def _product() -> Case:
    """Independent t5 coordinates: no radius, and moments below the fifth only."""
    source = rotated_product(StudentSource(5.0), 3)
    reference = _Shifted()
    atoms = Atoms(torch.zeros(1, 3, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    return _case("t5 x t5 x t5: one atom", 1.0, atoms, source, reference, lambda: 5.0, 72)


class _Shifted:
    """F* taken as zero: the gap of one atom is beta E ||X||^2."""

    kind = "closed form"
    citation = validity = ""

    def point(self, beta: float) -> TruthPoint:
        return TruthPoint.exact(beta, 0.0, 0.0)

    def rate(self, distortion: float) -> Bracket:  # noqa: ARG002
        return Bracket.exact(0.0)

    def slope(self, rate: float) -> float:
        return rate


def _even(count: int, half: float) -> Atoms:
    points = torch.linspace(-half, half, count, dtype=torch.float64)[:, None]
    return Atoms(points, torch.full((count,), -math.log(count), dtype=torch.float64))


def _shaped(count: int, half: float) -> Atoms:
    """Weights of a Gaussian, cut off."""
    points = torch.linspace(-half, half, count, dtype=torch.float64)[:, None]
    return Atoms(points, torch.log_softmax(-0.5 * points[:, 0].square(), 0))


def _wgd(source: Any, beta: float) -> Atoms:
    estimator = registry.choose("wgd").estimator
    problem = Problem(source, SquaredError())
    data = Generator().manual_seed(81)
    view, _ = make_view(problem, estimator.info.needs, data, torch.device("cpu"))
    answers = list(estimator.fit(view, [beta], Generator().manual_seed(82), Alone()))
    assert isinstance(answers[0], TestChannel)
    marginal = answers[0].marginal
    assert isinstance(marginal, Atoms)
    return marginal
