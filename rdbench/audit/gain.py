"""F(start) - F(q): what a fit gained over where it began, in pairs on the same symbols."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rdbench.audit.averages import Z95, mean_of
from rdbench.audit.evaluation import Evaluation
from rdbench.audit.symbols import Symbols


@dataclass(frozen=True)
class Gain:
    """F(start) - F(q) in nats, and its 95% interval; NaN where an end is not known."""

    value: float
    lo: float
    hi: float


_MOST_BIAS = 0.05
"""Nats: a larger bias is not told by its leading order."""
UNKNOWN = Gain(math.nan, math.nan, math.nan)


def gain_of(start: Evaluation, found: Evaluation, symbols: Symbols) -> Gain:
    """The gain of one evaluation over another, on the symbols that both were taken at.

    The differences of the potentials are averaged; what each evaluation's rows share and its
    method's own bracket widen the interval. An evaluation of side ``upper`` is too high in
    expectation: of the start it moves the lower end, of q the upper one, by twice the bias to
    leading order, and leaves no such end where the bias is not known or large.

    Args:
        start: of the start.
        found: of q.
        symbols: of both.
    """
    if not (start.accepted and found.accepted):
        return UNKNOWN
    k = min(len(start.potential), len(found.potential))
    mean = mean_of(start.potential[:k] - found.potential[:k], symbols)
    half = math.hypot(mean.half, Z95 * math.hypot(start.common_se, found.common_se))
    lo = mean.value - half + min(mean.skew, 0.0) - start.below - found.above
    hi = mean.value + half + max(mean.skew, 0.0) + start.above + found.below
    return Gain(mean.value, lo - _too_high(start, symbols), hi + _too_high(found, symbols))


def _too_high(one: Evaluation, symbols: Symbols) -> float:
    """What an evaluation may be too high by in expectation; NaN where it may be anything."""
    if one.side != "upper":
        return 0.0
    bias = math.nan if one.excess is None else abs(mean_of(one.excess, symbols).value)
    return 2.0 * bias if bias <= _MOST_BIAS else math.nan
