"""Patches of two photographs, 64 and 256 grey pixels; squared error, audited on held-out blocks."""

from __future__ import annotations

from rdbench.distortions import SquaredError
from rdbench.references.unknown import Unknown
from rdbench.sources.patches import Patches, require_photographs
from rdbench.types import Case, Problem, Suite

# Rates in nats and the slopes at which to look for them, from short fits of mixture_em.
_LADDERS = {
    8: ((2.0, 6.81), (5.0, 36.7), (10.0, 79.4), (20.0, 180.0), (40.0, 433.0)),
    16: ((5.0, 6.56), (10.0, 16.6), (20.0, 40.3), (40.0, 86.9), (80.0, 191.0)),
}
_WHY = "photographs have no closed form; their population is known by a sample alone"


def _case(side: int) -> Case:
    problem = Problem(Patches("photographs", side, side, 8), SquaredError())
    rates = tuple(rate for rate, _ in _LADDERS[side])
    return Case(f"patches-{side}", problem, Unknown(_LADDERS[side], _WHY), rates)


def _build(_dim: int | None) -> tuple[Case, ...]:
    require_photographs()
    return tuple(_case(side) for side in _LADDERS)


SUITE = Suite("photographs", 1, __doc__ or "", _build)
