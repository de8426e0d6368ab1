"""How far a channel's draws of p(y|x) are from the optimal test channel p*(y|x).

At every x the energy distance (Szekely and Rizzo 2013) between the two laws,

    2 E|Y - Y*| - E|Y - Y'| - E|Y* - Y*'| >= 0, zero only where they agree,

by its unbiased U-statistic on k draws of each; its mean over x, over the mean of 2 E|Y* - Y*'|, is
``error``: free of units, 0 where the laws agree; a shift by s, large against the width w of
p*(y|x), gives about s / w - 1/2 with w = E|Y* - Y*'|.
The U-statistic of equal laws has mean zero, so it falls on either side of it. ``floor`` is what
two independent sets of exact draws exceed in 5% of cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.averages import Z95
from rdbench.audit.evaluation import is_optimal, truth_at
from rdbench.audit.size import AuditSize
from rdbench.sources.mixture import GaussianMixture
from rdbench.types import HasConditional, Problem, Reference, TestChannel

_Z_ONE_SIDED = 1.6448536269514722
_ROUNDING = 1e-12  # relative to y: less is no width
_EUCLIDEAN = ("squared_error", "absolute_error")


@dataclass(frozen=True)
class ConditionalError:
    """The error of ``sample_conditional``; NaN where it or p*(y|x) cannot be drawn."""

    error: float = math.nan
    lo: float = math.nan
    hi: float = math.nan
    floor: float = math.nan
    mode_mass: float = math.nan
    """max over the modes of |E_x P(mode | x) - E_x P*(mode | x)|; a mode is what lies nearest to
    one component's mean of a Gaussian-mixture source. NaN below beta = 1 / (2 v), v the smallest
    variance within a component: there q* is no mixture with the same modes."""


def conditional_error(
    channel: TestChannel,
    problem: Problem,
    reference: Reference,
    size: AuditSize,
    generator: Generator,
) -> ConditionalError:
    """Compare k draws at each of n fresh symbols; the interval is over the symbols.

    Only where the truth is a closed form: elsewhere p*(y|x) is not known.

    Args:
        channel: its ``sample_conditional`` is compared.
        problem: the source and the distortion.
        reference: knows p*(y|x), or does not.
        size: how many symbols and draws.
        generator: of all draws.
    """
    n, k = size.conditional_symbols, size.conditional_draws
    if n < 2 or k < 2 or not isinstance(reference, HasConditional):
        return ConditionalError()
    truth = truth_at(reference, channel.beta)
    # A q that is optimal within some nats fixes F*, not p*(y|x).
    if truth is None or not is_optimal(reference, truth):
        return ConditionalError()
    x = problem.source.sample(n, generator).double()
    exact = reference.sample_conditional(x, 2 * k, channel.beta, generator).double()
    drawn = _draws(channel, x, k, generator)
    if drawn is None:
        return ConditionalError()
    euclidean = problem.distortion.name in _EUCLIDEAN
    first, second = exact[:, :k], exact[:, k:]
    own = _within(first, euclidean)
    between = 2.0 * _across(drawn, first, euclidean) - _within(drawn, euclidean) - own
    null = 2.0 * _across(second, first, euclidean) - _within(second, euclidean) - own
    spread = 2.0 * own
    scale = float(spread.mean())
    if not scale > _ROUNDING * float(exact.abs().mean()):
        # p*(y|x) is one point at every x: there is no width to measure in.
        return ConditionalError(mode_mass=_mode_mass(problem, drawn, exact, channel.beta))
    error = float(between.mean()) / scale
    # The delta method for a ratio of means.
    half = Z95 * float((between - error * spread).std()) / (scale * math.sqrt(n))
    return ConditionalError(
        error=error,
        lo=error - half,
        hi=error + half,
        floor=_Z_ONE_SIDED * float(null.std()) / (scale * math.sqrt(n)),
        mode_mass=_mode_mass(problem, drawn, exact, channel.beta),
    )


def _draws(channel: TestChannel, x: Tensor, k: int, generator: Generator) -> Tensor | None:
    """The channel's draws (n, k, d), or None: a broken sampler must not cost the audited gap."""
    try:
        drawn = channel.sample_conditional(x, k, generator)
        if drawn.shape != (len(x), k, x.shape[1]) or not bool(torch.isfinite(drawn).all()):
            return None
        return drawn.to(x.device).double()
    except Exception:  # an estimator's code may raise anything
        return None


def _distances(a: Tensor, b: Tensor, euclidean: bool) -> Float[Tensor, "n k k"]:
    """|a_i - b_j|, Euclidean; 1 or 0 where the letters have no geometry."""
    if euclidean:
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    return (a[:, :, None] != b[:, None]).any(3).double()


def _across(a: Tensor, b: Tensor, euclidean: bool) -> Float[Tensor, " n"]:
    return _distances(a, b, euclidean).mean((1, 2))


def _within(a: Tensor, euclidean: bool) -> Float[Tensor, " n"]:
    """Mean distance of two different draws: the diagonal is zero and left out."""
    k = a.shape[1]
    return _distances(a, a, euclidean).sum((1, 2)) / (k * (k - 1))


def _mode_mass(problem: Problem, drawn: Tensor, exact: Tensor, beta: float) -> float:
    source = problem.source
    if not isinstance(source, GaussianMixture) or source.size < 2:
        return math.nan
    if 2.0 * beta * float(source.variances.min()) < 1.0 - 1e-9:
        return math.nan
    means = source.means.to(drawn.device)

    def masses(y: Tensor) -> Tensor:
        labels = torch.cdist(y.reshape(-1, y.shape[2]), means).argmin(1)
        return torch.bincount(labels, minlength=len(means)).double() / len(labels)

    return float((masses(drawn) - masses(exact)).abs().max())
