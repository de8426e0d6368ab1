"""The WGD authors' noisy sphere, squared error: a unit sphere plus N(0, .1 I)."""

from __future__ import annotations

import functools
import math

from rdbench.distortions import SquaredError
from rdbench.references.certified import Certified
from rdbench.references.composite import Composite
from rdbench.references.noisy_sphere import NoisySphere
from rdbench.sources.sphere import NoisySphereSource
from rdbench.suites._ladders import geometric, most
from rdbench.types import Case, Problem, Suite

_DIMS = (2, 5, 10)


@functools.cache
def _build(dim: int | None) -> tuple[Case, ...]:
    assert dim is not None
    source = NoisySphereSource(dim, 1.0, math.sqrt(0.1))
    problem = Problem(source, SquaredError())
    tight = NoisySphere(source)
    # Their lambda is 10 for half the squared error: beta = 5, where the bound becomes tight.
    first = math.ceil(1e3 * tight.point(5.0).rate.mid) / 1e3
    below = geometric(0.4 * first, 0.7 * first, 3) if dim in _DIMS else ()
    reference = Composite(tight, Certified(problem, 6e-6, f"noisy_sphere-d{dim}"))
    rates = below + geometric(first, most(dim), 5)
    return (Case(f"noisy-sphere-d{dim}", problem, reference, rates),)


SUITE = Suite("noisy_sphere", 1, __doc__ or "", _build, default_dims=_DIMS, dim_range=(2, 100))
