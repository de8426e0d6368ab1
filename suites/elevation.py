"""Profiles of 16 heights from a map of hills; squared error, audited on held-out blocks."""

from __future__ import annotations

from rdbench.distortions import SquaredError
from rdbench.references.unknown import Unknown
from rdbench.sources.patches import Patches
from rdbench.types import Case, Problem, Suite

# Rates in nats and the slopes at which to look for them, from short fits of mixture_em.
_LADDER = ((1.0, 0.108), (2.0, 0.405), (4.0, 2.02), (8.0, 14.8), (16.0, 150.0))
_WHY = "measured heights have no closed form; their population is known by a sample alone"


def _build(_dim: int | None) -> tuple[Case, ...]:
    problem = Problem(Patches("elevation", 1, 16, 16), SquaredError())
    rates = tuple(rate for rate, _ in _LADDER)
    return (Case("profiles-16", problem, Unknown(_LADDER, _WHY), rates),)


SUITE = Suite("elevation", 1, __doc__ or "", _build)
