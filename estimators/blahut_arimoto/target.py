"""The slope at which a test channel has a given distortion."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from scipy.optimize import brentq
from torch import Generator, Tensor

from rdbench.types import Atoms, Claim, RdbenchError, TestChannel

_WIDEN = 4.0
_WIDENINGS = 60
_LEAST = 1e-300
# Slopes this close (in log) are one slope: D jumps there, and R(D) is straight.
_CLOSED = 1e-12


def at_distortion(
    solve: Callable[[float], TestChannel],
    target: float,
    guess: float,
    tolerance: float = 1e-6,
    least: float = 0.0,
) -> TestChannel:
    """The channel whose claimed distortion is ``target``, by a root search over beta.

    D(beta) = dF*/dbeta never increases. A bracket is widened from ``guess`` by factors of 4 and
    closed by Brent's method on log (D - least) against log beta. Where D jumps over the target,
    R(D) is straight between the two ends of the jump, and their time-sharing comes back
    (`time_sharing`).

    Args:
        solve: the channel at a slope.
        target: distortion, in the source's units.
        guess: a positive slope to start from.
        tolerance: relative error of D - least at which to stop.
        least: E min_y rho(X, y), which no channel goes below; it may be negative.

    Raises:
        RdbenchError: the target is not above ``least``, or is not reached at any slope.
    """
    if not 0.0 < target - least < math.inf:
        asked = "a positive number" if least == 0.0 else f"a number above D_min = {least:.9g}"
        raise RdbenchError(f"a target distortion is {asked}, got {target}")
    free = solve(0.0)
    if free.claim.distortion <= target:
        return free  # no rate is needed
    found: dict[float, TestChannel] = {}

    def excess(log_beta: float) -> float:
        """log (D - least) over its target: positive where D is too large, zero where it is met."""
        channel = found[log_beta] = found.get(log_beta) or solve(math.exp(log_beta))
        above = channel.claim.distortion - least
        if abs(above - (target - least)) <= tolerance * (target - least):
            return 0.0
        return math.log(max(above, _LEAST)) - math.log(target - least)

    here = math.log(guess)
    step = math.copysign(math.log(_WIDEN), excess(here))
    for _ in range(_WIDENINGS):
        there = here + step
        if excess(here) == 0.0 or excess(here) * excess(there) <= 0.0:
            break
        here = there
    else:
        last = found[here]
        raise RdbenchError(
            f"a distortion of {target:g} is not reached: at beta = {last.beta:.3g} it is still "
            f"{last.claim.distortion:.6g}"
        )
    ends = sorted((here, there))
    root = (
        brentq(excess, ends[0], ends[1], xtol=_CLOSED, rtol=1e-15, disp=False)
        if excess(here)
        else here
    )
    if excess(root) == 0.0:
        return found[root]
    more = max(t for t in found if excess(t) > 0.0)
    return time_sharing(found[more], found[min(t for t in found if t > more)], target)


def time_sharing(more: TestChannel, less: TestChannel, target: float) -> TestChannel:
    """Two channels of one slope in turn, so that D = ``target``.

    R, D, q and p(y|x) are the convex combinations of those of the ends; F = R + beta D is the
    same at both ends, and with it -log Z(x), which is unique at the optimum: the mixture is
    again p(y|x) ~ q(y) exp(-beta rho(x, y)).

    Args:
        more: the end with D >= ``target``.
        less: the end with D <= ``target``; both are atoms.
        target: distortion, in the source's units.
    """
    assert isinstance(more.marginal, Atoms)
    assert isinstance(less.marginal, Atoms)
    d = (more.claim.distortion, less.claim.distortion)
    share = min(max((target - d[1]) / (d[0] - d[1]), 0.0), 1.0) if d[0] > d[1] else 0.0
    if share == 0.0:
        return less
    if share == 1.0:
        return more

    def sample(x: Tensor, k: int, generator: Generator) -> Tensor:
        first, second = (c.sample_conditional(x, k, generator) for c in (more, less))
        u = torch.rand(len(x), k, 1, generator=generator, device=x.device, dtype=torch.float64)
        return torch.where(u < share, first, second)

    reasons = [f"time-sharing of D = {d[0]:.6g} and {d[1]:.6g}", more.reason, less.reason]
    return TestChannel(
        beta=less.beta,
        marginal=_mixture(more.marginal, less.marginal, share),
        claim=Claim(
            rate=share * more.claim.rate + (1.0 - share) * less.claim.rate,
            distortion=share * d[0] + (1.0 - share) * d[1],
            side=less.claim.side,
        ),
        sample_conditional=sample,
        conditional_kind=less.conditional_kind,
        status="ok" if (more.status, less.status) == ("ok", "ok") else "not_converged",
        reason="; ".join(dict.fromkeys(filter(None, reasons))),
    )


def _mixture(first: Atoms, second: Atoms, share: float) -> Atoms:
    """share first + (1 - share) second; a point of both is one atom."""
    points, where = torch.unique(
        torch.cat([first.points, second.points]), dim=0, return_inverse=True
    )
    weights = torch.zeros(len(points), dtype=torch.float64, device=points.device)
    both = torch.cat([share * first.log_weights.exp(), (1.0 - share) * second.log_weights.exp()])
    weights.index_add_(0, where.reshape(-1), both)
    return Atoms(points, weights.log())
