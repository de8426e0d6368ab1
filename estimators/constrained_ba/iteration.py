"""The iteration at a target distortion: a slope for every q, then a step of Blahut and Arimoto.

For fixed q, min I over channels with E rho <= D is max_beta F_beta(q) - beta D, at the slope where
the Boltzmann channel of q has the distortion D (`slope`). The next q is the marginal of that
channel. The value R_q(D) = F_beta(q) - beta D never rises, and for any beta

    R_q(D) - R(D)  <=  F_beta(q) - F*(beta),

which `rdbench.inference.lowered` bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.constrained_ba.dense import LEAST_LOG, Channel, DenseProblem
from rdbench.estimators.constrained_ba.slope import NEAR, slope_of
from rdbench.inference.extrapolation import Visit, extrapolated
from rdbench.inference.kernels import DenseKernel
from rdbench.inference.lowered import lowered_gap

GoOn = Callable[[int], bool]
"""Called now and then with the number of iterations; False ends the work."""

_ASK_EVERY = 10
_LOOK_LATER = 1.3


@dataclass(frozen=True, eq=False)
class Found:
    """q at a target distortion, the slope of its channel, and what is certified."""

    log_q: Float[Tensor, " m"]
    beta: float
    channel: Channel
    gap: float
    """Of R_q(D) over R(D), and of F_beta(q) over F*(beta), at most, in nats."""
    iterations: int
    evaluations: int
    """How often the matrix was exponentiated."""
    stopped: bool = False

    @property
    def rate(self) -> float:
        """R of the Boltzmann channel, in nats."""
        return max(self.channel.free_energy - self.beta * self.channel.distortion, 0.0) + 0.0


def gap_at(problem: DenseProblem, log_q: Float[Tensor, " m"], beta: float, enough: float) -> float:
    """A bound on F_beta(q) - F*(beta) in nats."""
    kernel = DenseKernel.build(problem.rho.numpy(), beta)
    return lowered_gap(kernel, problem.p.numpy(), log_q.exp().numpy(), enough)


@dataclass
class Watch:
    """Counts, asks whether to go on, and looks at the certificate now and then."""

    problem: DenseProblem
    target: float
    tolerance: float
    limit: int
    go_on: GoOn
    beta: float
    iterations: int = 0
    evaluations: int = 0
    best: Found | None = None
    next_look: int = _ASK_EVERY

    def over(self, log_q: Float[Tensor, " m"], beta: float, channel: Channel) -> bool:
        """Note q with its channel at the target; whether this is the end."""
        gap = float(channel.log_c.max())
        last, stopped = self.iterations >= self.limit, False
        if self.iterations % _ASK_EVERY == 0:
            stopped = not self.go_on(self.iterations)
        if gap > self.tolerance and (last or self.iterations >= self.next_look):
            gap = gap_at(self.problem, log_q, beta, self.tolerance)
            self.next_look = max(self.iterations + _ASK_EVERY, int(_LOOK_LATER * self.iterations))
        if self.best is None or gap < self.best.gap or stopped:
            gap = max(gap, 0.0)
            self.best = Found(log_q, beta, channel, gap, self.iterations, self.evaluations, stopped)
        self.iterations += 1
        return last or stopped or self.best.gap < self.tolerance

    def result(self) -> Found:
        """The best that was seen at its exact slope, with all that it took."""
        assert self.best is not None
        best = self.best
        beta, channel, _, more = slope_of(self.problem, best.log_q, self.target, best.beta)
        return replace(
            best, beta=beta, channel=channel,
            iterations=self.iterations - 1, evaluations=self.evaluations + more,
        )  # fmt: skip


def constrained(
    problem: DenseProblem,
    target: float,
    log_q: Float[Tensor, " m"],
    guess: float,
    *,
    tolerance: float,
    limit: int,
    go_on: GoOn,
    extrapolate: bool,
) -> Found:
    """q of least rate at a distortion, by constrained Blahut-Arimoto.

    Args:
        problem: p and rho.
        target: D > 0 without the row minima.
        log_q: where to start.
        guess: of the slope.
        tolerance: certified gap in nats at which to stop.
        limit: the most iterations.
        go_on: asked every ten iterations.
        extrapolate: whether squared extrapolation speeds the iteration up.
    """
    watch = Watch(problem, target, tolerance, limit, go_on, guess)

    def visit(theta: Float[Tensor, " m"]) -> Visit | None:
        here = torch.log_softmax(theta.clamp(min=LEAST_LOG), 0)
        beta, channel, watch.beta, count = slope_of(problem, here, target, watch.beta, NEAR)
        watch.evaluations += count
        if watch.over(here, beta, channel):
            return None
        ahead = (here + channel.log_c).clamp(min=LEAST_LOG)
        return Visit(ahead, channel.free_energy - beta * target, here.exp())

    if extrapolate:
        extrapolated(visit, log_q)
    else:
        at: Tensor | None = log_q
        while at is not None:
            found = visit(at)
            at = None if found is None else found.ahead
    return watch.result()
