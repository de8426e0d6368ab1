"""From one method's raw numbers to an audited point: gap, R and D, each with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from rdbench.audit.averages import Z95, Mean, block_means, least_half, mean_of, slope_on
from rdbench.audit.evaluation import Evaluation, is_optimal, optimal_potential, truth_at
from rdbench.audit.symbols import Symbols
from rdbench.audit.tails import doubt
from rdbench.types import Audited, Bracket, Evidence, OutOfRange, Reference, TruthPoint

# R - R(D) is blank where its interval says less than this, in nats and as a part of R.
_SAYS_NOTHING = (0.05, 0.05)


def audited(evaluation: Evaluation, reference: Reference, symbols: Symbols, beta: float) -> Audited:
    """The audited point: gap, interval, rate and distortion.

    With f* known the gap is the mean of f(x) - f*(x) over the same x, which shrinks its standard
    error 2 to 45 times against mean f(x) - F*; F is then F* + gap. Without it the truth's
    bracket widens the interval. R is regressed on f*, whose mean is known, and D likewise.

    Args:
        evaluation: of one method, on the symbols.
        reference: the truth.
        symbols: what the means are taken over.
        beta: the slope, nats per unit of distortion.
    """
    f = evaluation.potential
    truth = truth_at(reference, beta)
    optimal = None
    if truth is not None:
        optimal = optimal_potential(reference, symbols.x[: len(f)], beta)
    values = f if optimal is None else f - optimal
    mean = mean_of(values, symbols)
    # f* of a q that was found has the mean F*.hi, and the truth is anywhere in [F*.lo, F*.hi]. That
    # of the optimum has the mean F* wherever it lies, so that the bracket is none of the gap's.
    bracket = truth.lagrangian if truth is not None else Bracket.exact(0.0)
    if truth is not None and optimal is not None and is_optimal(reference, truth):
        bracket = Bracket.exact(bracket.mid)
    offset = bracket.hi if optimal is not None else 0.0
    lagrangian = offset + mean.value
    half = math.hypot(mean.half, Z95 * evaluation.common_se)
    half = max(half, least_half(symbols, lagrangian))
    # Sampling and the method's own bracket.
    lo = lagrangian - half + min(mean.skew, 0.0) - evaluation.below
    hi = lagrangian + half + max(mean.skew, 0.0) + evaluation.above
    split = _split(lagrangian, evaluation, optimal, offset, symbols, beta)
    side, note = evaluation.side, evaluation.note
    why = doubt(values, symbols, hi - lagrangian)
    if why:
        side, note = "estimate", "; ".join(filter(None, [note, why]))
    if truth is None:
        gap = gap_lo = gap_hi = math.nan
    else:
        gap = lagrangian - bracket.mid
        gap_lo = math.nan if side == "upper" else lo - bracket.hi
        gap_hi = hi - bracket.lo
    if not evaluation.accepted:
        lagrangian = gap = math.nan
        split = _Split(Mean(math.nan, math.nan), Mean(math.nan, math.nan))
    error, error_lo, error_hi = _rate_error(
        reference, truth, (lo, hi), split, beta, side == "upper"
    )
    return Audited(
        beta=beta,
        lagrangian=lagrangian,
        rate=split.rate.value,
        distortion=split.distortion.value,
        rate_half=split.rate.widest,
        distortion_half=split.distortion.widest,
        gap=gap,
        gap_lo=gap_lo,
        gap_hi=gap_hi,
        rate_error=error,
        rate_error_lo=error_lo,
        rate_error_hi=error_hi,
        side=side,
        method=evaluation.method,
        ess=evaluation.ess,
        blocks=tuple(block_means(values, symbols).tolist()) if evaluation.accepted else (),
        common_se=evaluation.common_se,
        note=note,
        accepted=evaluation.accepted,
        lagrangian_lo=math.nan if side == "upper" else lo,
        lagrangian_hi=hi,
        evidence=_evidence(evaluation, symbols),
    )


def _evidence(evaluation: Evaluation, symbols: Symbols) -> Evidence:
    """Exact sums over the letters and over q are as good as a proof; all else rests on draws."""
    exact = symbols.probabilities is not None and evaluation.side == "exact"
    return "certified" if exact and evaluation.common_se == 0.0 else "sampled"


@dataclass(frozen=True)
class _Split:
    """R and D with R + beta D = F."""

    rate: Mean
    distortion: Mean


def _split(
    lagrangian: float,
    evaluation: Evaluation,
    optimal: Tensor | None,
    expected: float,
    symbols: Symbols,
    beta: float,
) -> _Split:
    """R and D with R + beta D = F.

    With f* known, R = E[f(x) - beta E[rho | x]] is regressed on f*, whose mean is known. The
    regression has a slope s of its own: the rate of a useless channel does not vary with x, and
    with the slope 1 of the gap it would inherit all the noise of f*. D then has the slope
    (1 - s) / beta. A control that does not vary is none. ``expected`` is the mean of f*.
    """
    distortions = evaluation.distortion
    k = len(distortions)
    rates = evaluation.potential[:k] - beta * distortions
    # Exact sums have no noise to take out.
    if optimal is not None and beta > 0.0 and symbols.probabilities is None:
        control = optimal[:k] - expected
        slope = slope_on(rates, optimal[:k], symbols)
        if slope is not None:
            rates = rates - slope * control
            distortions = distortions - (1.0 - slope) / beta * control
    rate, distortion = mean_of(rates, symbols), mean_of(distortions, symbols)
    if k < len(evaluation.potential) and beta > 0.0:
        # F stands on more symbols than R: D is what makes them agree, and has both errors.
        gaps = evaluation.potential[:k] - (0.0 if optimal is None else optimal[:k])
        both = math.hypot(distortion.widest, mean_of(gaps, symbols).widest / beta)
        distortion = Mean((lagrangian - rate.value) / beta, both)
    distortion_error = Z95 * evaluation.distortion_se + _size(evaluation.distortion_bias, symbols)
    method = max(evaluation.below, evaluation.above) + _size(evaluation.excess, symbols)
    half = math.hypot(rate.widest, Z95 * evaluation.common_se) + method + beta * distortion_error
    return _Split(
        Mean(rate.value, half), Mean(distortion.value, distortion.widest + distortion_error)
    )


def _size(values: Float[Tensor, " k"] | None, symbols: Symbols) -> float:
    """The size of the mean; 0 where there are none."""
    return 0.0 if values is None else abs(mean_of(values, symbols).value)


def _rate_error(
    reference: Reference,
    truth: TruthPoint | None,
    lagrangian: tuple[float, float],
    split: _Split,
    beta: float,
    is_upper: bool,
) -> tuple[float, float, float]:
    """R - R(D) and the ends of its interval; NaN where the reference does not say.

    The value alone is NaN where the interval is too wide to say anything, and the middle of the
    interval where R(D) is known less well than that. Two intervals hold it,
    and so does what they share. R and D have one each, and R(D) falls. And R - R(D) = F - phi(D)
    with phi(D) = R(D) + beta D: the errors of R and D nearly cancel in F. phi is convex with the
    minimum F*, so that over an interval of D its largest value is at an end, its least F* or at an
    end.

    No channel is below the curve, so that R(D) <= R: of a bracket of R(D) that is wide, between
    rungs of a table that are far apart, what lies above R says nothing of the channel.
    """
    nothing = (math.nan, math.nan, math.nan)
    r, d, (f_lo, f_hi) = split.rate, split.distortion, lagrangian
    if truth is None or not all(map(math.isfinite, (r.value, d.value, d.widest))):
        return nothing
    ends = [d.value - d.widest, d.value + d.widest]
    try:
        left, right = (reference.rate(end) for end in ends)
        known = reference.rate(d.value)
    except (OutOfRange, ValueError):
        return nothing
    inside = ends[0] <= truth.distortion.hi and truth.distortion.lo <= ends[1]
    least = min(left.lo + beta * ends[0], right.lo + beta * ends[1])
    least = truth.lagrangian.lo if inside else max(least, truth.lagrangian.lo)
    most = max(left.hi + beta * ends[0], right.hi + beta * ends[1])
    hi = min(f_hi - least, r.value + r.widest - right.lo)
    lo = min(max(f_lo - most, r.value - r.widest - min(left.hi, r.value + r.widest)), hi)
    width = hi - lo
    value = r.value - known.mid if known.width <= width else 0.5 * (lo + hi)
    says = 0.5 * width <= _SAYS_NOTHING[0] + _SAYS_NOTHING[1] * abs(r.value)
    return min(max(value, lo), hi) if says else math.nan, math.nan if is_upper else lo, hi
