"""The slope at which R* has a given value, found on the rates of the q that are solved."""

from __future__ import annotations

import math
from collections.abc import Callable

from rdbench.certify.certificate import Certificate
from rdbench.types import OutOfRange

_STEPS = 40
_SPAN = (1e-6, 1e9)


def slope_of_rate(
    certificate: Callable[[float], Certificate],
    rate: float,
    near: float = 1.0,
    accuracy: float = 2e-4,
) -> float:
    """beta with R_q(beta) within the relative ``accuracy`` of ``rate``, rounded to six digits.

    R_q = hi - beta D_q of the certificate's q. It grows with log beta, at high rate by d/2 per
    unit, so that secant steps in log beta, kept inside a bracket, take few solutions. The search
    starts at the slope ``near``.

    Raises:
        OutOfRange: the rate is not reached at any slope that can be solved.
    """

    def excess(t: float) -> float:
        found = certificate(_rounded(t))
        return found.hi - found.beta * found.distortion - rate

    close = accuracy * rate
    low, high = _bracket(excess, math.log(near))
    for step in range(_STEPS):
        (a, fa), (b, fb) = low, high
        if min(abs(fa), abs(fb)) <= close or b - a < 1e-6:
            break
        t = a + (b - a) * fa / (fa - fb)
        # Every third step halves, so that a bent curve cannot hold one end forever.
        if step % 3 == 2 or not a + 0.02 * (b - a) <= t <= b - 0.02 * (b - a):
            t = 0.5 * (a + b)
        found = (t, excess(t))
        low, high = (found, high) if found[1] < 0.0 else (low, found)
    nearest = min(low, high, key=lambda end: abs(end[1]))
    if high[0] - low[0] < 1e-6 and abs(nearest[1]) > close:
        # The rate jumps here: R(D) is straight, and all its rates have this one slope.
        nearest = high
    return _rounded(nearest[0])


def _rounded(t: float) -> float:
    return float(f"{math.exp(t):.6g}")


def _bracket(
    excess: Callable[[float], float], t: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Neighbouring log slopes, the first with too low a rate, the second with enough."""
    least, most = (math.log(b) for b in _SPAN)
    here = (t, excess(t))
    step = 0.7 if here[1] < 0.0 else -0.7
    while least < t < most:
        t += step
        there = (t, excess(t))
        if (here[1] < 0.0) != (there[1] < 0.0):
            return (here, there) if step > 0.0 else (there, here)
        here, step = there, step * 1.3
    raise OutOfRange("the rate is not reached at any slope that can be certified")
