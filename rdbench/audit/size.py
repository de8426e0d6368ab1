"""How much work an audit may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class AuditSize:
    """Numbers of draws; what an audit finds changes them only through its acceptance tests."""

    symbols: int
    """Fresh source symbols."""
    kernel_evaluations: float
    """Bound on symbols times atoms; fewer symbols are used where there are many atoms."""
    plug_in_draws: int
    """Draws of q for the plug-in estimate."""
    paper_draws: int
    """N of the paper's protocol (Appendix A; the paper does not print its N)."""
    chains: int
    """Annealed chains for log Z, forward and reverse each."""
    conditional_chains: int
    """Annealed chains for log Z_x, per symbol."""
    max_steps: int
    """Longest annealing schedule."""
    local_draws: int = 64
    """Draws per symbol of importance sampling, over all its proposals."""
    pilot_symbols: int = 256
    """Symbols on which a pilot chooses the method; its draws are not used again."""
    conditional_symbols: int = 500
    """Symbols at which draws of p(y|x) are compared with p*(y|x); 0 leaves the comparison out."""
    conditional_draws: int = 8
    """Draws of p(y|x) at each of them."""
    bound_symbols: int = 20_000
    """Fresh symbols of a dual bound: so many for its mean, and twice as many for its supremum."""


SIZES: Mapping[str, AuditSize] = {
    "quick": AuditSize(2000, 3e7, 10_000, 2000, 4000, 4, 120, local_draws=32),
    "default": AuditSize(
        4000,
        3e8,
        20_000,
        4000,
        16_000,
        8,
        200,
        conditional_symbols=1000,
        conditional_draws=12,
        bound_symbols=80_000,
    ),
    "full": AuditSize(
        16_000,
        1e9,
        40_000,
        10_000,
        32_000,
        8,
        800,
        local_draws=128,
        conditional_symbols=2000,
        conditional_draws=16,
        bound_symbols=400_000,
    ),
}
"""By the name of the budget."""

_MOST_DRAWS = 64  # times as many for every letter


def draws_per_symbol(
    size: AuditSize, symbols: int, probabilities: Float[Tensor, " n"] | None
) -> int:
    """``local_draws``; more for each of few letters, since no mean over symbols helps there."""
    if probabilities is None:
        return size.local_draws
    times = min(_MOST_DRAWS, max(1, size.symbols // max(symbols, 1)))
    return times * size.local_draws
