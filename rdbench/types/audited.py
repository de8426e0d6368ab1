"""What the audit finds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rdbench.types.terms import Evidence, Side


@dataclass(frozen=True)
class Audited:
    """An independent evaluation of one channel or dual bound, in nats.

    ``gap`` = F(q) - F*, of a dual bound F* - F_lo, which has no R and D of its own (NaN) but the
    tangent line R >= F_lo - beta D; ``gap_lo, gap_hi`` combine the 95% sampling interval with the
    method's own bracket and the truth's. ``side``: ``exact``, the interval is of F(q) itself;
    ``upper``, the statistic lies above F(q) in expectation and only ``gap_hi`` is meant;
    ``estimate``, neither is guaranteed. Where an acceptance test failed, ``gap`` is NaN and only
    the bracket is known.
    """

    beta: float
    lagrangian: float
    rate: float
    distortion: float
    gap: float
    gap_lo: float
    gap_hi: float
    rate_error: float
    """R - R(D): how far the audited point lies above the true curve; NaN where the interval
    [rate_error_lo, rate_error_hi] says nothing."""
    side: Side
    method: str
    ess: float
    """Effective sample size as a fraction, 1 where nothing was weighted."""
    rate_half: float = math.nan
    """Half the width of the 95% interval of ``rate``; that of ``distortion`` follows."""
    distortion_half: float = math.nan
    rate_error_lo: float = math.nan
    rate_error_hi: float = math.nan
    """R - R(D) as a difference of brackets: the intervals of R and D, and the truth's R(D)."""
    blocks: tuple[float, ...] = ()
    """Means of f - f* (of f where f* is not known) over up to 64 equal blocks of the audit's
    symbols, in their order; the symbols are the same for every estimator, so that differences of
    blocks compare two of them in pairs. Empty for exact sums."""
    common_se: float = 0.0
    """The standard error of ``gap`` that all blocks share: log Z, draws of q."""
    note: str = ""
    """Why the side is ``estimate`` where it might be more, and what was left out."""
    gap_paper_protocol: float = math.nan
    """The gap by the paper's Appendix A (plug-in) with ``n_paper_protocol`` draws."""
    n_paper_protocol: int = 0
    conditional_error: float = math.nan
    """How far ``sample_conditional`` is from p*(y|x), with its 95% interval; the floor is what two
    sets of exact draws of the same size differ by at most, in 95% of cases."""
    conditional_lo: float = math.nan
    conditional_hi: float = math.nan
    conditional_floor: float = math.nan
    mode_mass_error: float = math.nan
    """The largest error of the mass that the conditional gives to a mode, over the modes."""
    gain: float = math.nan
    """F(start) - F(q) on the same symbols, with its 95% interval; NaN where no start is given, or
    an end of the interval is not known."""
    gain_lo: float = math.nan
    gain_hi: float = math.nan
    accepted: bool = True
    """False where the method's acceptance test failed: there is no estimate, only the bracket."""
    lagrangian_lo: float = math.nan
    lagrangian_hi: float = math.nan
    """The 95% interval of F(q), of a dual bound that of F_lo, without the truth's bracket; NaN for
    an end that is not known. What is trusted is the upper end of a channel and the lower end of a
    dual bound."""
    evidence: Evidence = "sampled"
