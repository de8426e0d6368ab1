"""The target distortion that belongs to a slope: a root search around the constrained iteration.

The slope of R(D) falls as D grows. From the distortion of the Boltzmann channel of a first q at the
slope asked for, the target moves by secants in (log D, log beta); every solve starts from the q of
the one before, and is as exact as what is left asks for. A target stays below D_max = min_j E rho,
from where on every slope is zero and shows no way back. What ends the search is the certificate of
q at the slope asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.constrained_ba.dense import DenseProblem
from rdbench.estimators.constrained_ba.iteration import Found, gap_at

Solve = Callable[[float, Tensor, float, float, int], Found]
"""The constrained problem: target, q to start from, guess of the slope, tolerance, iterations."""

_ROUNDS = 20
_LOOSE, _TIGHTER, _BELOW, _TIGHTEST = 1e-2, 0.3, 0.1, 1e-5
_LEAST = 1e-250
_FARTHEST = math.log(4.0)
_MARGIN = 1e-6


def at_slope(
    problem: DenseProblem,
    beta: float,
    log_q: Float[Tensor, " m"],
    solve: Solve,
    tolerance: float,
    limit: int,
) -> tuple[Found, float]:
    """q at the target whose slope is ``beta``, and the certified gap of F_beta(q) in nats.

    Args:
        problem: p and rho.
        beta: the slope > 0.
        log_q: where to start.
        solve: the constrained problem at a target.
        tolerance: of the gap, at which to stop.
        limit: the most iterations in all.
    """
    last: tuple[float, float] | None = None
    wanted, iterations, evaluations = math.log(beta), 0, 0
    channel = problem.at(log_q, beta)
    top = math.log(max(float((problem.p @ problem.rho).min()), _LEAST)) - _MARGIN
    log_d = min(math.log(max(channel.distortion, _LEAST)), top)
    best: tuple[Found, float] | None = None
    inner = max(_LOOSE, tolerance)
    for _ in range(_ROUNDS):
        found = solve(math.exp(log_d), log_q, beta, inner, max(1, limit - iterations))
        log_q = found.log_q
        iterations, evaluations = iterations + found.iterations, evaluations + found.evaluations
        gap = max(gap_at(problem, log_q, beta, tolerance), 0.0)
        if best is None or gap < best[1]:
            best = found, gap
        if best[1] <= tolerance or found.stopped or iterations >= limit:
            break
        # log D with the log of its slope over the one asked for
        here = log_d, math.log(found.beta) - wanted
        # a slope that is off by delta costs F'' delta^2 / 2, which is to stand out from this
        inner = max(min(_TIGHTER * inner, _BELOW * gap), _TIGHTEST * tolerance)
        log_d, last = min(here[0] + _step(here, last, found), top), here
    assert best is not None
    found, gap = best
    return replace(found, iterations=iterations, evaluations=evaluations), gap


def _step(here: tuple[float, float], last: tuple[float, float] | None, found: Found) -> float:
    """By how much log D has to grow: along the secant, else by what a fixed q would take.

    A slope too large asks for a larger distortion, and that of a fixed q changes less than it may.
    """
    channel, (log_d, excess) = found.channel, here
    step = found.beta * channel.variance / max(channel.distortion, _LEAST) * abs(excess)
    if last is not None and last[1] != excess:
        secant = -(log_d - last[0]) * excess / (excess - last[1])
        step = abs(secant) if secant * excess > 0.0 else step
    return math.copysign(min(step, _FARTHEST), excess)
