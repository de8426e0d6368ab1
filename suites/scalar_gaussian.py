"""Scalar Gaussians under squared error: standard, shifted and rescaled, far from the origin."""

from __future__ import annotations

from rdbench.distortions import SquaredError
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.suites._ladders import gaussian_rates
from rdbench.types import Case, Problem, Suite

# An untrained standard normal passes the first case; it must not pass the others.
_CASES = {"standard": (0.0, 1.0), "shifted": (3.0, 2.0), "far": (100.0, 0.5)}


def _build(_dim: int | None) -> tuple[Case, ...]:
    return tuple(
        Case(
            name=name,
            problem=Problem(source, SquaredError()),
            reference=WaterFilling(source),
            rates=gaussian_rates(1),
        )
        for name, source in ((n, scalar_gaussian(*p)) for n, p in _CASES.items())
    )


SUITE = Suite("scalar_gaussian", 1, __doc__ or "", _build)
