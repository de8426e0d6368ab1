"""Numbers that no channel can have: D < 0, R < 0, R < R(D), F(q) < F*; no bound: F_lo > F*."""

from __future__ import annotations

import math

from rdbench.distortions import TableDistortion
from rdbench.types import Audited, HasSupport, OutOfRange, Problem, Reference

# Twice the 95% interval: about four standard errors, which chance exceeds in 1 of 10^4 audits. An
# optimal channel has the gap 0, so that its plain interval lies below in one of forty.
_TIMES = 2.0
_ROUNDING = 1e-9


def impossibility(found: Audited, reference: Reference, problem: Problem) -> str:
    """The impossible numbers of an audited point, in words; empty where there are none.

    A value counts as impossible where it lies outside by more than twice its own 95% interval and
    the truth's bracket. ``found.gap_hi`` contains both; R and D have the half widths
    ``rate_half`` and ``distortion_half``.
    """
    faults = []
    rounding = _ROUNDING * (1.0 + abs(_number(found.lagrangian)))
    reach = found.gap_hi - found.gap
    if not math.isfinite(reach):
        reach = 0.5 * _number(found.gap_hi - found.gap_lo)
    if math.isfinite(found.gap_hi) and found.gap_hi + (_TIMES - 1.0) * reach < -rounding:
        wrong = "the lower bound is above F*" if found.side == "lower" else "F(q) is below F*"
        faults.append(f"{wrong}: the gap is at most {found.gap_hi:.3g} nats, and never below 0")
    if found.side == "lower":  # which has no R and D
        return f"impossible: {faults[0]}" if faults else ""
    rate = found.rate + _TIMES * _number(found.rate_half)
    distortion = found.distortion + _TIMES * _number(found.distortion_half)
    if rate < -rounding:
        faults.append(f"R = {found.rate:.4g} +- {found.rate_half:.2g} nats is below 0")
    floor = least_distortion(problem)
    if distortion < floor - _ROUNDING * max(abs(found.distortion), abs(floor)):
        faults.append(
            f"D = {found.distortion:.4g} +- {found.distortion_half:.2g} is below {floor:.4g}"
        )
    elif math.isfinite(rate) and math.isfinite(distortion):
        try:
            least = reference.rate(distortion).lo
        except (OutOfRange, ValueError):
            least = -math.inf
        if rate < least - rounding:
            faults.append(
                f"R = {found.rate:.4g} +- {found.rate_half:.2g} nats is below "
                f"R(D) = {least:.4g} at D = {found.distortion:.4g} +- {found.distortion_half:.2g}"
            )
    return f"impossible: {'; '.join(faults)}" if faults else ""


def least_distortion(problem: Problem) -> float:
    """The least D of any channel: E min_y rho(X, y) for a table, which may be negative, else 0.

    Where the law of the letters is not known, it is the least entry of the table.
    """
    if not isinstance(problem.distortion, TableDistortion):
        return 0.0
    if not isinstance(problem.source, HasSupport):
        return float(problem.distortion.table.min())
    assert problem.alphabet is not None  # a table brings its columns
    rho = problem.distortion.pairwise(problem.source.support, problem.alphabet).double()
    p = problem.source.pmf.double()
    return float((p * rho.min(1).values)[p > 0.0].sum())


def _number(value: float) -> float:
    """0 for what is not known."""
    return value if math.isfinite(value) else 0.0
