"""The audit of a lower bound: E log lambda on fresh symbols, sup c by a search of its own.

Every lambda > 0 bounds F* from below, F* >= E log lambda(X) - log sup_y c(y) with
c(y) = E[lambda(X) exp(-beta rho(X, y))]. The mean is no harder than that of a potential. The
supremum is: the bound is wrong by what the search misses, and draws at which it was found say too
much of it. `search`, `sampled` and `density` take it from letters, draws and a density.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.averages import Mean, least_half, mean_of
from rdbench.audit.evaluation import is_optimal, optimal_potential, truth_at
from rdbench.audit.lower.density import applies, near_supremum
from rdbench.audit.lower.sampled import sampled_supremum
from rdbench.audit.lower.search import Supremum, exact_supremum
from rdbench.audit.size import AuditSize
from rdbench.audit.symbols import Symbols, draw_halves, draw_symbols
from rdbench.audit.tails import doubt
from rdbench.types import (
    Audited,
    DualBound,
    HasDensity,
    Problem,
    RdbenchError,
    Reference,
    TruthPoint,
)

_CONSTANT = 1e-9  # relative: lambda p is one number
_FEW = 20.0  # symbols that c stands on at its largest


def audit_bound(
    bound: DualBound,
    problem: Problem,
    reference: Reference,
    *,
    size: AuditSize,
    generator: Generator,
) -> Audited:
    """Evaluate F_lo of a dual bound and F* - F_lo, in nats.

    A finite source is summed over exactly. Of any other, E log lambda is a mean over fresh symbols
    (of log lambda - f* where the reference knows f*, whose mean it knows), and sup c is taken from
    two further sets of them. ``lagrangian_lo`` is the end that holds in 97.5% of cases for each of
    the two, errors added in squares, provided that the search misses no maximum. Where a few rare
    symbols rule c at its largest, draws know no more than that end: there is no value.

    Args:
        bound: log lambda and its peaks, at one slope.
        problem: the source, the distortion and the alphabet.
        reference: the truth that the gap is taken to.
        size: how much work may be done.
        generator: of all draws; its stream must not be the training stream.

    Raises:
        RdbenchError: log lambda has a wrong shape, or is NaN or +inf at a symbol.
    """
    beta = bound.beta
    symbols = draw_symbols(problem, size.bound_symbols, generator)
    log_lambda = log_lambda_at(bound, symbols.x)
    truth = truth_at(reference, beta)
    mean = _mean(log_lambda, symbols, reference, truth, beta)
    if symbols.probabilities is not None:
        log_mass = log_lambda + symbols.probabilities.log()
        found = exact_supremum(problem, symbols.x, log_mass, beta, bound.peaks.detach(), generator)
    else:
        found = _supremum(bound, problem, symbols, log_lambda, size, generator)
    return _audited(mean, found, symbols, truth, beta, doubt(log_lambda, symbols, mean.half))


def _supremum(
    bound: DualBound,
    problem: Problem,
    symbols: Symbols,
    log_lambda: Float[Tensor, " n"],
    size: AuditSize,
    generator: Generator,
) -> Supremum:
    """log sup c where the source is drawn: by the source's density where it has one."""
    beta, peaks = bound.beta, bound.peaks.detach()
    if applies(problem, beta):
        sure = _in_closed_form(problem, symbols.x, log_lambda, beta)
        if sure is not None:
            return sure

        def log_lambda_of(x: Tensor) -> Tensor:
            return log_lambda_at(bound, x)

        return near_supremum(problem, log_lambda_of, beta, peaks, size.bound_symbols, generator)
    first, second = draw_halves(problem, size.bound_symbols, generator)
    values = (log_lambda_at(bound, first.x), log_lambda_at(bound, second.x))
    return sampled_supremum(problem, (first, second), values, beta, peaks, generator)


def log_lambda_at(bound: DualBound, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """log lambda at the symbols, checked; -inf, a lambda of zero, is allowed.

    Raises:
        RdbenchError: a wrong shape, NaN or +inf.
    """
    with torch.no_grad():
        values = bound.log_lambda(x)
    if not isinstance(values, Tensor) or values.shape != (len(x),):
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise RdbenchError(f"log_lambda gave {shape} for {len(x)} symbols, not ({len(x)},)")
    values = values.detach().double()
    if not bool((values < math.inf).all()):
        raise RdbenchError("log_lambda is NaN or infinite at a symbol")
    return values


def _mean(
    log_lambda: Float[Tensor, " n"],
    symbols: Symbols,
    reference: Reference,
    truth: TruthPoint | None,
    beta: float,
) -> Mean:
    """E log lambda, by the control variate f* where it is known.

    Of a q that was found near the optimum the mean of f* is the upper end of the bracket on F*.
    """
    optimal = None if truth is None else optimal_potential(reference, symbols.x, beta)
    if truth is None or optimal is None or symbols.probabilities is not None:
        return mean_of(log_lambda, symbols)
    mean = mean_of(log_lambda - optimal, symbols)
    bracket = truth.lagrangian
    if is_optimal(reference, truth):
        return Mean(bracket.mid + mean.value, mean.half + 0.5 * bracket.width, mean.skew)
    return Mean(bracket.hi + mean.value, mean.half, mean.skew)


def _in_closed_form(
    problem: Problem, x: Float[Tensor, "n d"], log_lambda: Float[Tensor, " n"], beta: float
) -> Supremum | None:
    """log sup c where lambda is one over the source's own density, up to a factor.

    Then lambda p = a at every symbol and c(y) <= a int exp(-beta rho(x, y)) dx: the Shannon lower
    bound. Nothing of it is taken from the estimator.
    """
    source, rho = problem.source, problem.distortion
    assert isinstance(source, HasDensity)
    level = log_lambda + source.log_prob(x).double()
    top, bottom = float(level.max()), float(level.min())
    if not math.isfinite(bottom) or top - bottom > _CONSTANT * (
        1.0 + float(log_lambda.abs().max())
    ):
        return None
    value = top + rho.log_noise_mass(beta, source.dim)
    return Supremum(value, value, value, "lambda is a / p(x)", "closed form")


def _audited(
    mean: Mean,
    found: Supremum,
    symbols: Symbols,
    truth: TruthPoint | None,
    beta: float,
    why: str,
) -> Audited:
    value = mean.value - found.value
    lo = value - math.hypot(value - (mean.lo - found.value), found.hi - found.value)
    hi = value + math.hypot(mean.hi - found.value - value, found.value - found.lo)
    above = below = math.nan  # the bracket on F*, where it is known
    if truth is not None:
        above, below = truth.lagrangian.hi, truth.lagrangian.lo
    floor = least_half(symbols, value)
    lo, hi = min(lo, value - floor), max(hi, value + floor)
    exact = symbols.probabilities is not None
    notes = [why] if why else []
    ruled = not exact and found.evidence == "sampled" and found.ess * 2 * len(symbols.x) < _FEW
    if ruled:
        notes.append("c is largest where a few rare symbols rule it: cap lambda in the tails")
        value = hi = math.nan
    return Audited(
        beta=beta,
        lagrangian=value,
        rate=math.nan,
        distortion=math.nan,
        gap=0.5 * (above + below) - value,
        gap_lo=below - hi,
        gap_hi=above - lo,
        rate_error=math.nan,
        side="lower",
        method=f"{'exact sums' if exact else 'draws'}; {found.method}",
        ess=found.ess,
        note="; ".join(notes),
        accepted=not ruled,
        lagrangian_lo=lo,
        lagrangian_hi=hi,
        evidence=found.evidence,
    )
