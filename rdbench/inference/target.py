"""The slope at which a test channel spends a given distortion."""

from __future__ import annotations

import math
from collections.abc import Callable

from rdbench.types import RdbenchError, TestChannel

_WIDEN = 4.0
_WIDENINGS = 60
_LEAST = 1e-300


def at_distortion(
    solve: Callable[[float], TestChannel],
    target: float,
    guess: float,
    tolerance: float = 1e-6,
    solves: int = 100,
) -> TestChannel:
    """The channel whose claimed distortion is ``target``, by a root search over beta.

    D(beta) = dF*/dbeta never increases. A bracket is widened from ``guess`` by factors of 4 and
    closed by false position on log D against log beta, with one end's value halved where it stays
    (Illinois) and every third step a bisection, so that it closes whatever D is like. Where D
    jumps over the target (R(D) has a straight piece there), the channel at the jump that spends
    less comes back: it meets the target, at a rate above R(D) by at most the piece's length.

    Args:
        solve: the channel at a slope.
        target: distortion, in the source's units.
        guess: a positive slope to start from.
        tolerance: relative error of D at which to stop.
        solves: the most channels to compute after the bracket is found.

    Raises:
        RdbenchError: the target is not positive, or is not reached at any slope.
    """
    if not 0.0 < target < math.inf:
        raise RdbenchError(f"a target distortion is a positive number, got {target}")
    free = solve(0.0)
    if free.claim.distortion <= target:
        return free  # no rate is needed

    def excess(channel: TestChannel) -> float:
        return math.log(max(channel.claim.distortion, _LEAST)) - math.log(target)

    def met(channel: TestChannel) -> bool:
        return abs(channel.claim.distortion - target) <= tolerance * target

    first = solve(guess)
    upwards = excess(first) > 0.0
    more = less = first  # the ends: one spends more than the target, the other not
    for _ in range(_WIDENINGS):
        last = less if upwards else more
        if met(last):
            return last
        if (excess(last) > 0.0) != upwards:
            break
        there = solve(last.beta * (_WIDEN if upwards else 1.0 / _WIDEN))
        more, less = (last, there) if upwards else (there, last)
    else:
        raise RdbenchError(
            f"a distortion of {target:g} is not reached: at beta = {less.beta:.3g} it is still "
            f"{less.claim.distortion:.6g}"
        )
    above, below, stayed = excess(more), excess(less), 0
    for step in range(solves):
        a, b = math.log(more.beta), math.log(less.beta)
        if b - a < 1e-12:
            break
        t = 0.5 if step % 3 == 2 else min(max(above / (above - below), 0.01), 0.99)
        there = solve(math.exp(a + t * (b - a)))
        value = excess(there)
        if met(there):
            return there
        if value > 0.0:
            more, above = there, value
            below *= 0.5 if stayed == 1 else 1.0
            stayed = 1
        else:
            less, below = there, value
            above *= 0.5 if stayed == -1 else 1.0
            stayed = -1
    return less
