"""From one method's raw numbers to an audited point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.types import (
    Audited,
    HasPotential,
    OutOfRange,
    Reference,
    Side,
    TruthPoint,
)

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Evaluation:
    """What a method says of one channel on the symbols x, in nats.

    ``potential`` estimates f(x) = -log E_q exp(-beta rho(x, Y)); ``distortion`` estimates
    E[rho(x, Y) | x] on the first rows. ``probabilities`` are exact weights of the rows (a finite
    source), ``None`` for fresh independent draws. ``common_se`` is the standard error of what
    all rows share (log Z, the draws of q); the truth of E f may lie ``below`` or ``above`` the
    estimate by as much as the method's own bracket says. Not ``accepted``: a gate failed, and
    only the bracket is meant.
    """

    potential: Float[Tensor, " n"]
    distortion: Float[Tensor, " k"]
    method: str
    side: Side
    probabilities: Float[Tensor, " n"] | None = None
    common_se: float = 0.0
    below: float = 0.0
    above: float = 0.0
    ess: float = 1.0
    accepted: bool = True
    note: str = ""
    """What the reader should know of the method: what was left out, and why."""


def truth_at(reference: Reference, beta: float) -> TruthPoint | None:
    """The reference's point, or ``None`` where it does not cover beta."""
    try:
        return reference.point(beta)
    except OutOfRange:
        return None


def optimal_potential(
    reference: Reference, x: Float[Tensor, "n d"], beta: float
) -> Float[Tensor, " n"] | None:
    """f*(x) where the reference knows it: the control variate of the gap."""
    if not isinstance(reference, HasPotential):
        return None
    try:
        return reference.potential(x, beta)
    except OutOfRange:
        return None


def audited(
    evaluation: Evaluation, reference: Reference, x: Float[Tensor, "n d"], beta: float
) -> Audited:
    """The audited point: gap, interval, rate and distortion.

    With f* known the gap is the mean of f(x) - f*(x) over the same x, which shrinks its standard
    error 2 to 45 times against mean f(x) - F*; F is then F* + gap. Without it the truth's
    bracket widens the interval. R is regressed on f*, whose mean is known, and D = (F - R) / beta.
    """
    truth = truth_at(reference, beta)
    x = x[: len(evaluation.potential)]
    optimal = optimal_potential(reference, x, beta)
    weights = evaluation.probabilities
    f = evaluation.potential
    values = f if optimal is None else f - optimal
    if truth is None:
        gap, se, slack = math.nan, math.nan, 0.0
        lagrangian = _mean(f, weights)
    elif optimal is not None:
        # f* has the mean ``hi``, the truth is anywhere in [lo, hi].
        slack = 0.5 * truth.lagrangian.width
        above = _mean(values, weights)
        gap, se = above + slack, _standard_error(values, weights)
        lagrangian = truth.lagrangian.hi + above
    else:
        lagrangian, se = _mean(values, weights), _standard_error(values, weights)
        gap, slack = lagrangian - truth.lagrangian.mid, 0.5 * truth.lagrangian.width
    rate, distortion = _split(lagrangian, evaluation, optimal, truth, beta)
    half = Z95 * math.hypot(se, evaluation.common_se) + slack
    tail = _tail_allowance(values, weights)
    lo = gap - half + min(tail, 0.0) - evaluation.below
    hi = gap + half + max(tail, 0.0) + evaluation.above
    if not evaluation.accepted:
        lagrangian = rate = distortion = gap = math.nan
    return Audited(
        beta=beta,
        lagrangian=lagrangian,
        rate=rate,
        distortion=distortion,
        gap=gap,
        gap_lo=math.nan if evaluation.side == "upper" else lo,
        gap_hi=hi,
        rate_error=_rate_error(reference, rate, distortion),
        side=evaluation.side,
        method=evaluation.method,
        ess=evaluation.ess,
        accepted=evaluation.accepted,
        note=evaluation.note,
    )


def sampling_error(
    effective: Float[Tensor, " n"], draws: int, probabilities: Float[Tensor, " n"] | None
) -> float:
    """The standard error of sum_i p_i log Z^(x_i) that is due to the draws at every x.

    Each Z^ is a mean of ``draws`` weights with the effective number ``effective``. Over fresh
    symbols the spread of log Z^ contains it already, so that it is 0 there.
    """
    if probabilities is None or draws < 2:
        return 0.0
    relative = (draws / effective - 1.0).clamp(min=0.0) / (draws - 1.0)
    return float((probabilities.square() * relative).sum().sqrt())


def _mean(values: Tensor, weights: Tensor | None) -> float:
    if weights is None:
        return float(values.mean())
    positive = weights > 0
    return float(weights[positive] @ values[positive])


def _standard_error(values: Tensor, weights: Tensor | None) -> float:
    """Zero for exact sums; one draw has no standard error that can be estimated."""
    if weights is not None:
        return 0.0
    if len(values) < 2:
        return math.inf
    return float(values.std()) / math.sqrt(len(values))


def _tail_allowance(values: Tensor, weights: Tensor | None) -> float:
    """By how much the end of an interval of a mean has to reach further into the long tail.

    To order 1/sqrt(n) the studentised mean has the quantiles z - g (2 z^2 + 1) / (6 sqrt(n)), g the
    skewness (Johnson 1978; Hall 1992): both ends move towards the long tail. Differences of
    potentials grow in the tails of the source, and g can be 10 or more; the sample's own g is
    then so uncertain that only the end that has to move out does, and none moves in.
    """
    n = len(values)
    if weights is not None or n < 3:
        return 0.0
    centred = values - values.mean()
    std = float(centred.square().mean().sqrt())
    if not 0.0 < std < math.inf:
        return 0.0
    skewness = float((centred / std).pow(3).mean())
    in_errors = skewness * (2.0 * Z95**2 + 1.0) / (6.0 * math.sqrt(n))
    return min(max(in_errors, -1.0), 1.0) * std / math.sqrt(n)


def _split(
    lagrangian: float,
    evaluation: Evaluation,
    optimal: Tensor | None,
    truth: TruthPoint | None,
    beta: float,
) -> tuple[float, float]:
    """R and D with R + beta D = F.

    With f* known, R = E[f(x) - beta E[rho | x]] is regressed on f*, whose mean is known. The
    regression has a slope of its own: the rate of a useless channel does not vary with x, and
    with the slope 1 of the gap it would inherit all the noise of f*.
    """
    spent, weights = evaluation.distortion, evaluation.probabilities
    if weights is not None or optimal is None or truth is None or len(spent) < 3 or beta == 0.0:
        distortion = _mean(spent, weights)
        return lagrangian - beta * distortion, distortion
    values = evaluation.potential[: len(spent)] - beta * spent
    control = optimal[: len(spent)]
    spread = control - control.mean()
    variance = float(spread.square().sum())
    slope = float(spread @ values) / variance if variance > 0.0 else 0.0
    rate = float(values.mean()) - slope * (float(control.mean()) - truth.lagrangian.hi)
    return rate, (lagrangian - rate) / beta


def _rate_error(reference: Reference, rate: float, distortion: float) -> float:
    """R - R(D), NaN where the reference does not cover D."""
    if not (math.isfinite(rate) and math.isfinite(distortion)):
        return math.nan
    try:
        return rate - reference.rate(distortion).mid
    except OutOfRange:
        return math.nan


def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    """log of the mean of exponentials."""
    return torch.logsumexp(values, dim) - math.log(values.shape[dim])


def effective_fraction(log_weights: Tensor, dim: int) -> Tensor:
    """Effective sample size over the number of draws."""
    w = torch.softmax(log_weights, dim)
    return 1.0 / (w.square().sum(dim) * log_weights.shape[dim])
