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
    little can be gained, since one choice in forty would fall to chance. What is not finite is not
    chosen; the last stands if all fail.
    """
    names = list(candidates)
    if len(names) == 1:
        return names[0]
    p = torch.ones(len(x), dtype=torch.float64, device=x.device)
    p = p if probabilities is None else probabilities
    rows = torch.multinomial(p, symbols, replacement=True, generator=generator)
    best: Evaluation | None = None
    chosen = names[-1]
    for name in names:
        found = candidates[name](x[rows], None)
        if not math.isfinite(float(found.potential.mean())):
            continue
        if best is not None:
            gain = best.potential - found.potential
            own = float(gain.std()) / math.sqrt(symbols)
            noise = math.hypot(own, best.common_se, found.common_se)
            even = best.ess >= _EVEN
            if not float(gain.mean()) > (4.0 if even else 2.0) * noise:
                continue
        best, chosen = found, name
    return chosen
