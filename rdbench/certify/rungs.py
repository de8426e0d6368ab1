"""Slopes at which R* or D* has a given value, found on the R and D of the q that are solved."""

from __future__ import annotations

import math
from collections.abc import Callable

from rdbench.certify.certificate import Certificate
from rdbench.types import OutOfRange

_STEPS = 40
_SPAN = (1e-6, 1e9)
_REFUSALS = 6
# Steps of a search, in log beta.
_SHORTEST, _LONGEST = 0.01, 0.7
# A distortion that is not met so far from the guess, in log beta, is met nowhere.
_FARTHEST = 25.0


def slope_of_rate(
    certificate: Callable[[float], Certificate],
    rate: float,
    near: float = 1.0,
    accuracy: float = 2e-4,
    unit: float = 1.0,
    steepness: float = 0.0,
) -> float:
    """beta with R_q(beta) within the relative ``accuracy`` of ``rate``, rounded to six digits.

    R_q = hi - beta D_q of the certificate's q. It grows with log beta, at high rate by d/2 per
    unit, so that secant steps in log beta, kept inside a bracket, take few solutions. The search
    starts at the slope ``near`` and ends at the slopes ``_SPAN`` per ``unit`` of distortion.

    Args:
        certificate: by slope.
        rate: the target, nats.
        near: the slope where the search starts.
        accuracy: relative, of the rate.
        unit: the size of a distortion of the problem.
        steepness: dR / dlog(beta) at high rate, d/2 under squared error; the first step is as long
            as it says. Zero where it is not known: then steps begin long.

    Raises:
        OutOfRange: the rate is not reached at any slope that can be solved; the line says the
            largest rate that is.
    """

    def excess(t: float) -> float:
        found = certificate(_rounded(t))
        return found.hi - found.beta * found.distortion - rate

    close = accuracy * rate
    low, high = _bracket(excess, math.log(near), rate, unit, close, steepness)
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
    excess: Callable[[float], float],
    t: float,
    rate: float,
    unit: float,
    close: float,
    steepness: float,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Neighbouring log slopes, the first with too low a rate, the second with enough.

    Twice the same where the first one is within ``close``.
    """
    least, most = (math.log(b) - math.log(unit) for b in _SPAN)
    here = (t, excess(t))
    if abs(here[1]) <= close:
        return here, here
    upwards = here[1] < 0.0
    step = _step(here[1], steepness, _LONGEST)
    why, refusals = "", 0
    while least < t < most and refusals < _REFUSALS:
        try:
            there = (t + step, excess(t + step))
        except OutOfRange as refused:
            # What is asked for may lie before the slope that is refused.
            why, refusals, step = f": {refused}", refusals + 1, 0.5 * step
            continue
        t += step
        if (here[1] < 0.0) != (there[1] < 0.0):
            return (here, there) if step > 0.0 else (there, here)
        grown = (there[1] - here[1]) / step
        longest = max(1.3 * abs(step), _LONGEST)
        here, step = there, _step(there[1], grown if grown > 0.0 else 0.0, longest)
    reached, at = rate + here[1], f"beta = {math.exp(here[0]):.6g}"
    if upwards:
        raise OutOfRange(
            f"R = {rate:g} is above the largest rate that can be certified, {reached:.4g} nats at "
            f"{at}{why}"
        )
    raise OutOfRange(
        f"R = {rate:g} is below the least rate that can be certified, {reached:.2g} nats at "
        f"{at}{why}"
    )


def _step(excess: float, steepness: float, longest: float) -> float:
    """To the rate that is asked for and a little beyond: a solution at a higher rate costs more."""
    length = 1.1 * abs(excess) / steepness if steepness else longest
    return math.copysign(min(max(length, _SHORTEST), longest), -excess)


def close_in(
    distortion_of: Callable[[float], float],
    distortion: float,
    guess: float,
    done: Callable[[], bool],
    accuracy: float = 1e-10,
) -> None:
    """Ask for D at slopes on either side of a target, closer and closer, until ``done()``.

    D falls as beta grows; false position on log D against log beta, in which it is nearly a line,
    and every third step halves. Where D jumps over the target, R(D) is straight between the two
    ends, whose chord is exact.

    Args:
        distortion_of: D of the q that is found at a slope.
        distortion: the target, positive.
        guess: a slope to start from.
        done: whether what is known by now is enough.
        accuracy: the distance of the two slopes, in logarithms, at which to stop.

    Raises:
        OutOfRange: what ``distortion_of`` raises at the first slope.
    """
    more: tuple[float, float] | None = None
    less: tuple[float, float] | None = None
    first = t = math.log(guess)
    step = 0.5
    for count in range(_STEPS):
        if abs(t - first) > _FARTHEST:
            return
        try:
            # More digits than a target rate needs: on a straight piece the slope is everything.
            value = distortion_of(float(f"{math.exp(t):.12g}"))
        except OutOfRange:
            if more is None and less is None:
                raise
            return
        if done():
            return
        end = (t, math.log(max(value, 1e-300) / distortion))
        more, less = (end, less) if end[1] > 0.0 else (more, end)
        if more is None or less is None:
            t += step if less is None else -step
            step *= 1.6
            continue
        (a, fa), (b, fb) = more, less
        if b - a < accuracy:
            return
        part = 0.5 if count % 3 == 2 else min(max(fa / (fa - fb), 0.02), 0.98)
        t = a + part * (b - a)
