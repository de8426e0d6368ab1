"""Squared extrapolation of a fixed-point iteration whose steps never raise a merit.

R. Varadhan and C. Roland, "Simple and globally convergent methods for accelerating the convergence
of any EM algorithm", Scandinavian Journal of Statistics 35, 2008 (SQUAREM, scheme S3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

_FIRST, _GROWTH = 4.0, 4.0
_ROUNDING = 1e-15
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Visit:
    """What one step of the iteration finds at a point."""

    ahead: Float[Tensor, " k"]
    """Where the step leads."""
    merit: float
    """At the point itself; a step never raises it."""
    metric: Float[Tensor, " k"]
    """The weight of every coordinate in a squared length."""


def extrapolated(
    visit: Callable[[Float[Tensor, " k"]], Visit | None], start: Float[Tensor, " k"]
) -> None:
    """Follow the iteration from ``start`` until ``visit`` returns None; it keeps what it finds.

    Two steps give r, the first move, and v, the change to the second; the jump goes to
    theta + 2 a r + a^2 v with a = |r| / |v|. One that raises the merit above that of the first step
    is dropped for the second step, so that the merit never rises over a cycle.

    Args:
        visit: one step at a point, or None for the end.
        start: the first point.
    """
    longest, here = _FIRST, start
    now = visit(here)
    while now is not None:
        first = visit(now.ahead)
        if first is None:
            return
        r = now.ahead - here
        v = first.ahead - now.ahead - r
        length = float(now.metric @ r.square()) / max(float(now.metric @ v.square()), _TINY)
        a = min(math.sqrt(length), longest)
        if not a > 1.0:
            here, now = first.ahead, visit(first.ahead)
            continue
        jump = here + 2.0 * a * r + a * a * v
        there = visit(jump)
        if there is None:
            return
        if there.merit <= first.merit + _ROUNDING * abs(first.merit):
            here, now = jump, there
            if a == longest:
                longest *= _GROWTH
        else:
            longest = max(longest / _GROWTH, _FIRST)
            here, now = first.ahead, visit(first.ahead)
