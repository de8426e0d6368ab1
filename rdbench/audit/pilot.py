"""Choosing between unbiased estimates of Z(x) on draws that the estimate does not use.

Whatever is chosen, -log of an unbiased estimate lies above -log Z(x) in expectation (Jensen), and
choosing on other draws leaves it so: given the choice and the symbols, the statistic's
expectation is still above F(q). The smallest of several estimates on the same draws would not be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.evaluation import Evaluation

_LEAST_GAIN = 0.01  # nats
_LITTLE = 0.004  # nats: an estimate that lies above f by less is not worth another pilot
_EVEN = 0.5  # effective fraction of the draws of all but 5% of the symbols

Candidate = Callable[[Tensor, Tensor | None], Evaluation]
"""Maps symbols (n, d), and their probabilities or None, to an evaluation with fresh draws."""


def choose(
    candidates: Mapping[str, Candidate],
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    symbols: int,
    generator: Generator,
) -> str:
    """The first candidate that no later one beats on ``symbols`` pilot symbols.

    Candidates come in order of preference, the cheap and precise first. A later one is taken only
    where its mean is lower by more than two standard errors of that difference, draws that all
    symbols share included; by more than four where the weights of the earlier are so even that
    little can be gained, since one choice in forty would fall to chance. Of a finite source that is
    no larger than ``symbols`` every letter takes part with its probability, since a rare one that
    is missing may hold all of the difference; there a gain of .01 nats counts. What is not finite
    is not chosen; the last stands if all fail. Where too little can be gained to matter, the later
    ones are not tried.

    Args:
        candidates: by name, in order of preference.
        x: the symbols (n, d).
        probabilities: their exact weights, where the source is finite.
        symbols: how many the pilot takes.
        generator: of all draws.
    """
    names = list(candidates)
    if len(names) == 1:
        return names[0]
    few, p = pilot_symbols(x, probabilities, symbols, generator)
    best: Evaluation | None = None
    chosen = names[-1]
    for name in names:
        found = candidates[name](few, p)
        if not bool(torch.isfinite(found.potential).all()):
            continue
        if best is not None:
            gain = best.potential - found.potential
            if not _clear(gain, p, math.hypot(best.common_se, found.common_se), best.ess):
                continue
        best, chosen = found, name
        if found.excess is not None and float(found.excess.mean()) < _LITTLE:
            break
    return chosen


def pilot_symbols(
    x: Float[Tensor, "n d"],
    probabilities: Float[Tensor, " n"] | None,
    symbols: int,
    generator: Generator,
) -> tuple[Float[Tensor, "m d"], Float[Tensor, " m"] | None]:
    """Every letter with its probability where there are at most ``symbols``, else draws of x."""
    if probabilities is not None and len(x) <= symbols:
        return x, probabilities
    p = torch.ones(len(x), dtype=torch.float64, device=x.device)
    p = p if probabilities is None else probabilities
    return x[torch.multinomial(p, symbols, replacement=True, generator=generator)], None


def _clear(gain: Tensor, probabilities: Tensor | None, common: float, ess: float) -> bool:
    """Whether a gain, symbol by symbol, is more than chance."""
    if probabilities is not None:
        return float((probabilities * gain).sum()) > max(2.0 * common, _LEAST_GAIN)
    noise = math.hypot(float(gain.std()) / math.sqrt(len(gain)), common)
    return float(gain.mean()) > (4.0 if ess >= _EVEN else 2.0) * noise
