"""R(D) as narrow as a reference can make it."""

from __future__ import annotations

import math
from collections.abc import Callable

from rdbench.certify.rates import Known, rate_at
from rdbench.certify.rungs import close_in
from rdbench.types import Bracket, HasRefinedRate, OutOfRange, Reference, TruthPoint


def refined_rate(reference: Reference, distortion: float) -> Bracket:
    """R(D); a reference that computes certificates adds those that are missing at D.

    Raises:
        OutOfRange: the reference does not cover this distortion.
    """
    if isinstance(reference, HasRefinedRate):
        return reference.refined_rate(distortion)
    return reference.rate(distortion)


def rate_from_points(
    point: Callable[[float], TruthPoint], distortion: float, guess: float, width: float
) -> Bracket:
    """R(D) from points at slopes near that of D, down to ``width`` where that can be reached.

    The optimum at a slope achieves at most D.hi at a rate of at most R.hi.

    Raises:
        OutOfRange: no slope that the points cover has so small a distortion.
    """
    found: list[TruthPoint] = []

    def bracket() -> Bracket:
        known = [Known(p.beta, p.lagrangian.lo, p.lagrangian.hi) for p in found]
        return rate_at(distortion, known, (), [(p.distortion.hi, p.rate.hi) for p in found])

    def ask(beta: float) -> float:
        found.append(point(beta))
        return found[-1].distortion.hi

    def done() -> bool:
        try:
            return bracket().width <= width
        except OutOfRange:
            return False

    if not 0.0 < distortion < math.inf:
        raise OutOfRange(f"a distortion must be positive and finite, got {distortion}")
    close_in(ask, distortion, guess, done)
    return bracket()
