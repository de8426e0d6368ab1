"""Squared error in many dimensions: sphere, noisy sphere, rotated products, Gaussian."""

from __future__ import annotations

import math

from rdbench.distortions import SquaredError
from rdbench.references.certified import Certified
from rdbench.references.composite import Composite
from rdbench.references.noisy_sphere import NoisySphere
from rdbench.references.product import ProductReference
from rdbench.references.sphere import SphereUniform
from rdbench.sources.product import rotated_product
from rdbench.sources.sphere import NoisySphereSource, SphereSource
from rdbench.suites import _scalars
from rdbench.suites._gaussians import gaussian_case
from rdbench.suites._ladders import gaussian_rates, geometric, most, per_coordinate
from rdbench.types import Case, Problem, Reference, Source, Suite

_DIMS = (6, 20, 50)
_MOST_NON_GAUSSIAN = 100


def _squared(name: str, source: Source, reference: Reference, rates: tuple[float, ...]) -> Case:
    return Case(name, Problem(source, SquaredError()), reference, rates)


def _noisy_sphere(dim: int) -> Case:
    """As much energy in the noise as in the sphere: the bound is tight up to D = 1."""
    source = NoisySphereSource(dim, 1.0, 1.0 / math.sqrt(dim))
    problem = Problem(source, SquaredError())
    name = f"noisy-sphere-d{dim}"
    reference = Composite(NoisySphere(source), Certified(problem, 1e-4, f"high_dimensional-{name}"))
    # At D = 1 the rate is below (d/2) log 2; without a table the ladder starts there.
    tight = geometric(0.36 * dim, most(dim), 6)
    below = geometric(0.05 * dim, 0.2 * dim, 2) if dim in _DIMS else ()
    return Case(name, problem, reference, below + tight)


def _products(dim: int) -> tuple[Case, ...]:
    cube = rotated_product(_scalars.UNIFORM, dim, f"rotated cube in R^{dim}")
    laplacian = rotated_product(_scalars.LAPLACIAN, dim)
    return (
        _squared(
            f"cube-d{dim}",
            cube,
            ProductReference(cube, (_scalars.uniform_squared(),)),
            per_coordinate(_scalars.UNIFORM_RATES, dim),
        ),
        _squared(
            f"laplacian-d{dim}",
            laplacian,
            ProductReference(laplacian, (_scalars.laplacian_squared(),)),
            per_coordinate(_scalars.LAPLACIAN_RATES, dim),
        ),
    )


def _build(dim: int | None) -> tuple[Case, ...]:
    assert dim is not None
    ramp = gaussian_case("ramp", dim)
    if dim > _MOST_NON_GAUSSIAN:
        return (ramp,)
    sphere = SphereSource(dim)
    return (
        _squared(f"sphere-d{dim}", sphere, SphereUniform(sphere), gaussian_rates(dim)),
        _noisy_sphere(dim),
        *_products(dim),
        ramp,
    )


SUITE = Suite("high_dimensional", 1, __doc__ or "", _build, default_dims=_DIMS, dim_range=(2, 1000))
