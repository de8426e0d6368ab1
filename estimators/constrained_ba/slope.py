"""The slope at which a distortion has a given value, by a safeguarded Newton method."""

from __future__ import annotations

import math
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.constrained_ba.dense import Channel, DenseProblem

EXACT, NEAR = 1e-11, 1e-8
"""Relative errors of the distortion: of an answer, and on the way, where R errs by its square."""
_MOST = 60
_WIDEN = 8.0
_LEAST, _LARGEST = 1e-12, 1e12


def newton(
    at: Callable[[float], tuple[float, float]], target: float, guess: float, accuracy: float
) -> tuple[float, float, int]:
    """A slope of D(beta) = target, D > 0 and falling; where the next step leads; values of D taken.

    The equation is log D = log target: at high rate on an alphabet log D is linear in beta, on a
    line in log beta. A step that leaves the bracket [largest slope known with D > target, least
    with D < target], or comes after one that did not halve the error, is replaced by the bracket's
    middle in log beta, and no step is more than a factor of 8.
    Where D is on one side of the target at every slope, that end of the range of slopes comes back.

    Args:
        at: D and -dD/dbeta at a slope.
        target: > 0.
        guess: a slope to begin at.
        accuracy: relative error of D at which to stop.
    """
    low, high = _LEAST, _LARGEST
    beta = ahead = min(max(guess, low), high)
    count, before = 0, math.inf
    while count < _MOST:
        count += 1
        beta = ahead
        distortion, fall = at(beta)
        excess = math.log(distortion / target) if distortion > 0.0 else -math.inf
        if excess > 0.0:
            low = beta
        else:
            high = beta
        step = 0.0
        if fall > 0.0 and math.isfinite(excess):
            step = excess * distortion / fall
        ahead = min(max(beta + step, beta / _WIDEN), beta * _WIDEN)
        if abs(excess) <= accuracy or high <= low * (1.0 + 1e-14):
            break
        slow, before = abs(excess) > 0.5 * before, abs(excess)
        if slow or not low < ahead < high:
            if low > _LEAST and high < _LARGEST:
                ahead = math.sqrt(low * high)
            else:
                wider = beta * _WIDEN if excess > 0.0 else beta / _WIDEN
                ahead = min(max(wider, low), high)
    return beta, ahead, count


def slope_of(
    problem: DenseProblem,
    log_q: Float[Tensor, " m"],
    target: float,
    guess: float,
    accuracy: float = EXACT,
) -> tuple[float, Channel, float, int]:
    """The slope at which the channel of q has a distortion, that channel, a better slope, the work.

    Args:
        problem: p and rho.
        log_q: q in log weights.
        target: D > 0 without the row minima.
        guess: a slope to begin at.
        accuracy: relative error of D.
    """
    last: list[Channel] = []

    def at(beta: float) -> tuple[float, float]:
        last[:] = [problem.at(log_q, beta)]
        return last[0].distortion, last[0].variance

    beta, ahead, count = newton(at, target, guess, accuracy)
    return beta, last[0], ahead, count
