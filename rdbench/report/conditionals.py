"""How far the conditionals p(y|x) are from the optimal ones, where those can be drawn exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rdbench.run.records import PointRecord


@dataclass(frozen=True)
class Conditional:
    """Errors of the conditional over several points; None where nothing is known.

    ``error`` in [``lo``, ``hi``] and ``floor``, what exact draws would score, are means over the
    points; ``mode_mass`` is the largest error of the mass of a mode.
    """

    error: float | None
    lo: float | None
    hi: float | None
    floor: float | None
    mode_mass: float | None


def summarise_conditionals(points: Iterable[PointRecord]) -> Conditional | None:
    """The errors of the points that have one; None where no point has any."""
    known = [p for p in points if p.conditional_error is not None or p.mode_mass_error is not None]
    if not known:
        return None
    errors = [p for p in known if p.conditional_error is not None]
    masses = [p.mode_mass_error for p in known if p.mode_mass_error is not None]
    return Conditional(
        error=_mean([p.conditional_error for p in errors]),
        lo=_mean([p.conditional_lo for p in errors]),
        hi=_mean([p.conditional_hi for p in errors]),
        floor=_mean([p.conditional_floor for p in errors]),
        mode_mass=max(masses, default=None),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean, None where any is unknown: means over different points are not comparable."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None
