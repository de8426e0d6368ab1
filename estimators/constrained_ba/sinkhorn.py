"""Alternating Sinkhorn at a target distortion (Ye, Wu, Hu, Zhang, Bai, Wu, Chen: CommOT).

The channel is written w_ij = phi_i K_ij psi_j q_j, K = exp(-beta rho), a transport plan from p to
q. One iteration: psi and phi so that columns and rows of the plan have the masses q and p; beta by
Newton's method so that its cost is D, with phi and psi held; q from the columns r of the plan,

    q_j = r_j / (eta - b_j),    b_j = -log psi_j - 1/2,    sum_j q_j = 1,    eta > max b.

Everything is in logarithms.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.constrained_ba.dense import LEAST_LOG, DenseProblem
from rdbench.estimators.constrained_ba.iteration import Found, GoOn, Watch
from rdbench.estimators.constrained_ba.slope import NEAR, newton, slope_of
from rdbench.exponentials import log_sum_exp

_ETA_STEPS, _ETA_ACCURACY = 60, 1e-14
_EVERY = 10


def sinkhorn(
    problem: DenseProblem,
    target: float,
    log_q: Float[Tensor, " m"],
    guess: float,
    *,
    tolerance: float,
    limit: int,
    go_on: GoOn,
) -> Found:
    """q of least rate at a distortion, by alternating Sinkhorn.

    The certificate is of the Boltzmann channel of q at the target, every ten iterations.

    Args:
        problem: p and rho.
        target: D > 0 without the row minima.
        log_q: where to start.
        guess: of the slope.
        tolerance: certified gap in nats at which to stop.
        limit: the most iterations.
        go_on: asked every ten iterations.
    """
    watch = Watch(problem, target, tolerance, limit, go_on, guess)
    log_p, rho = problem.p.log(), problem.rho
    log_phi, beta = torch.zeros_like(problem.p), guess
    while True:
        if watch.iterations % _EVERY == 0 or watch.iterations >= limit:
            watch.beta, channel, _, count = slope_of(problem, log_q, target, watch.beta)
            watch.evaluations += count
            if watch.over(log_q, watch.beta, channel):
                return watch.result()
        else:
            watch.iterations += 1
        log_k = -beta * rho
        log_psi = -log_sum_exp(log_k + (log_phi + log_p)[:, None], 0)
        log_phi = -log_sum_exp(log_k + (log_psi + log_q), 1)
        outer = (log_p + log_phi)[:, None] + (log_psi + log_q)
        beta, _, count = newton(partial(_cost, outer, problem), target, beta, NEAR)
        watch.evaluations += count + 3
        log_r = log_sum_exp(outer - beta * rho, 0)
        log_q = _masses(log_r, log_psi).clamp(min=LEAST_LOG)


def _cost(outer: Float[Tensor, "n m"], problem: DenseProblem, beta: float) -> tuple[float, float]:
    """sum w rho and sum w rho^2 at a slope."""
    plan = (outer - beta * problem.rho).clamp_(min=-700.0).exp_().mul_(problem.finite)
    return float(plan.sum()), float((plan * problem.finite).sum())


def _masses(log_r: Float[Tensor, " m"], log_psi: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """log q with q_j = r_j / (eta - b_j) of sum one: Newton's method for eta, from below."""
    b = -log_psi - 0.5
    r = (log_r - log_r.max()).exp()
    total, top = float(log_r.max()), float(b.max())
    # sum r / (eta - b) falls and is convex above max b: from a point where it is >= 1 Newton's
    # steps rise to the root. r_j / (eta - b_j) <= 1 for every j gives such a point.
    scale = math.exp(total)
    eta = max(float((b + scale * r).max()), top + 1e-300)
    for _ in range(_ETA_STEPS):
        part = scale * r / (eta - b)
        excess = float(part.sum()) - 1.0
        if excess <= _ETA_ACCURACY:
            break
        eta += excess / float((part / (eta - b)).sum())
    return torch.log_softmax(log_r - torch.log(eta - b), 0)
