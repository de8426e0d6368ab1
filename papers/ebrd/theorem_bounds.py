"""Closed-form floors under the plug-in objective of eq. (5): what N draws can and cannot give.

X is a Gaussian vector under squared error, so that q* = N(mean, basis diag(v) basis^T), v_i =
max(sigma_i^2 - 1 / (2 beta), 0), and with z the principal coordinates of x

    Lambda_s(x) = -log E_q* exp(-s |x - Y|^2) = sum_i log(1 + 2 s v_i) / 2 + s z_i^2 / (1 + 2 s v_i)

for every s >= 0; the optimal potential is Lambda_beta. All values are in nats.

**Any N atoms.** A law q on N atoms gives p(y|x) with I(X; Y) <= log N, and F(q) >= I + beta E rho
>= R(D) + beta D at its own D. That convex function of D is least at D*, and R(D) <= log N keeps D
>= D(log N). Where R* > log N therefore F(q) >= log N + beta D(log N), with equal weights or not.

**N independent draws of q*.** For 0 < s <= beta, sum_j a_j^(s / beta) >= (sum_j a_j)^(s / beta),
and log is concave, so that for every x

    E[-log (1/N) sum_j exp(-beta rho(x, Y_j))] >= log N + (beta / s) (Lambda_s(x) - log N).

At s = beta that is Jensen's Lambda_beta(x); where the rate of x exceeds log N the best s is
smaller, with Lambda_s - s Lambda_s' = log N: the nearest of the N draws pays for everything, as in
the condensed phase of the random energy model (Derrida 1981).

**The same N symbols.** With atoms that may follow the sample, y_j = x_j makes the objective at most
log N, whatever beta. So the infimum over a rich family is at most log N, below F* = R* + beta D*
as long as N < exp(F*).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import GaussianSource

_SLOPES = 160
_LOWEST = 1e-3
"""The smallest s / beta that is tried; fewer slopes only lower a lower bound."""
_ROWS = 2000


def optimal_marginal(source: GaussianSource, beta: float) -> GaussianSource:
    """q*, from reverse water-filling; directions below the water level have no variance."""
    variances = (source.stds.square() - 0.5 / beta).clamp(min=0.0)
    return GaussianSource(f"q* at beta = {beta:g}", source.mean, variances.sqrt(), source.basis)


def atoms_floor(truth: WaterFilling, beta: float, n: float) -> float:
    """inf F(q) - F* over laws q on n atoms is at least this, in nats; 0 where R* <= log n.

    Raises:
        ValueError: n is below 1.
    """
    if n < 1:
        raise ValueError(f"there is no law on {n} atoms")
    point = truth.point(beta)
    if point.rate.hi <= math.log(n):
        return 0.0
    distortion = truth.point(truth.slope(math.log(n))).distortion.hi
    return math.log(n) + beta * distortion - point.lagrangian.hi


def draws_floor(
    truth: WaterFilling, x: Float[Tensor, "k d"], beta: float, log_n: float
) -> Float[Tensor, " k"]:
    """A floor under E[plug-in at x] - Lambda_beta(x) for N independent draws of q*, in nats.

    Its mean over x is a floor under the gap of the plug-in; never negative.

    Args:
        truth: the true curve of a Gaussian source.
        x: symbols.
        beta: the slope, per nat.
        log_n: log N, nats.
    """
    source = truth.source
    v = optimal_marginal(source, beta).stds.square()
    s = beta * torch.logspace(math.log10(_LOWEST), 0.0, _SLOPES, dtype=torch.float64)
    spread = 1.0 + 2.0 * s[:, None] * v  # (slopes, d)
    constant = 0.5 * spread.log().sum(1)
    parts = []
    for rows in source.principal(x).square().split(_ROWS):
        free = constant + rows @ (s[:, None] / spread).T
        bound = log_n + (beta / s) * (free - log_n)
        parts.append((bound - free[:, -1:]).max(1).values)
    return torch.cat(parts)


def draws_needed(truth: WaterFilling, x: Float[Tensor, "k d"], beta: float, gap: float) -> float:
    """log N, in nats, below which N draws of q* leave more than ``gap`` nats (by `draws_floor`).

    Args:
        truth: the true curve of a Gaussian source.
        x: symbols, over which the floor is averaged.
        beta: the slope, per nat.
        gap: nats.
    """
    return _bisect(lambda log_n: float(draws_floor(truth, x, beta, log_n).mean()), gap)


def atoms_needed(truth: WaterFilling, beta: float, gap: float) -> float:
    """log N, in nats, below which no N atoms come within ``gap`` nats of F*."""
    return _bisect(lambda log_n: atoms_floor(truth, beta, math.exp(log_n)), gap)


def _bisect(floor_at: Callable[[float], float], gap: float) -> float:
    """The log N at which a falling floor passes ``gap``."""
    low, high = 0.0, 1.0
    while floor_at(high) > gap:
        low, high = high, 2.0 * high
    for _ in range(25):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if floor_at(middle) > gap else (low, middle)
    return high
