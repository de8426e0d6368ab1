"""sup c of a source that is known by draws: one half judges what the other found."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.lower.search import EXTREME, ITERATIONS, KEEP, Supremum, letters_of, starts, walk
from rdbench.audit.symbols import Symbols
from rdbench.inference.supremum import Tilted, ascend, limits
from rdbench.types import Problem

_SHARES = 4_000_000  # numbers held at once
_SHORT, _TYPICAL = 12, 12
_SETTLED = 1e-5  # nats a step, where draws are far noisier than that


def sampled_supremum(
    problem: Problem,
    halves: tuple[Symbols, Symbols],
    log_lambdas: tuple[Tensor, Tensor],
    beta: float,
    peaks: Float[Tensor, "m d"],
    generator: Generator,
) -> Supremum:
    """log sup c from draws, by two halves each of which judges what the other found.

    With c_A and c_B the means over the halves, y_A is where the lower limit of c_A is largest,
    which is nowhere that few symbols rule c. E c_B(y_A) is c(y_A) <= sup c, so that the mean of
    c_B(y_A) and c_A(y_B) is too low if anything; its lower end is that of a mean. The upper end is
    the largest upper limit of c over all symbols, at all ends of the ascents and at the rarest
    symbols:
    a largest one of many is too large if anything, for E max >= max E. Where lambda grows so fast
    that the rarest symbols rule c, it is far above, and says so. Limits are those of
    `rdbench.inference.supremum.limits`, of rows in groups by the groups' shares.

    Args:
        problem: source, distortion and reproduction letters.
        halves: two independent sets of symbols.
        log_lambdas: log lambda on each.
        beta: the slope.
        peaks: where the estimator found c to be large.
        generator: of the starts.
    """
    rho, means = problem.distortion, []
    for symbols, log_lambda in zip(halves, log_lambdas, strict=True):
        means.append(Tilted(symbols.x, log_lambda + _log_weights(symbols), beta, rho))
    c_a, c_b = means
    x = torch.cat([c_a.x, c_b.x])
    log_mass = torch.cat([c_a.log_mass, c_b.log_mass]) - math.log(2.0)
    both = Tilted(x, log_mass, beta, rho)
    letters = letters_of(problem, x)
    if letters is not None:
        at_a = at_b = candidates = letters
        method = f"the largest of {len(letters)} letters"
    else:
        at_a, _ = _with_typical(c_a, peaks, generator)
        at_b, _ = _with_typical(c_b, peaks, generator)
        ends, _ = ascend(both, torch.cat([at_a, at_b]), ITERATIONS, KEEP, _SETTLED)
        rarest = both.x[both.log_mass.topk(min(len(x), EXTREME)).indices]
        candidates = torch.cat([ends, rarest])
        method = f"{walk(rho)} from {len(at_a) + len(at_b)} starts"
    groups = _groups(halves)
    pairs = ((c_a, at_a, c_b, halves[0]), (c_b, at_b, c_a, halves[1]))
    chosen, judged = [], []
    for found_by, at, judge, symbols in pairs:
        low = found_by.log_c(at) + _limits(found_by, at, symbols.groups)[0]
        y = at[low.argmax()][None]
        chosen.append(y)
        judged.append(judge.log_c(y)[0])
    value = float(torch.logsumexp(torch.stack(judged), 0)) - math.log(2.0)
    highest = both.log_c(candidates) + _limits(both, candidates, groups)[1]
    top = int(highest.argmax())
    hi = float(highest[top])
    value = min(value, hi)
    below = float(_limits(both, torch.cat(chosen), groups)[0].min())
    w = both.weights(candidates[top : top + 1])[:, 0]
    ess = 1.0 / (float(w.square().sum()) * len(w))
    return Supremum(value, value + below, hi, method, "sampled", ess)


def _limits(c: Tilted, y: Float[Tensor, "m d"], groups: Tensor | None) -> tuple[Tensor, Tensor]:
    """`limits` of c at every y, a block of y at a time; of rows in groups by the groups' shares."""
    parts = []
    for part in y.split(max(1, _SHARES // len(c.x))):
        shares = c.weights(part)
        if groups is not None:
            names, place = torch.unique(groups, return_inverse=True)
            shares = shares.new_zeros(len(names), len(part)).index_add_(0, place, shares)
        parts.append(limits(shares))
    return torch.cat([a for a, _ in parts]), torch.cat([b for _, b in parts])


def _groups(halves: tuple[Symbols, Symbols]) -> Tensor | None:
    """Which group every symbol of both halves is in; None where each stands for itself."""
    first, second = (symbols.groups for symbols in halves)
    return None if first is None or second is None else torch.cat([first, second])


def _log_weights(symbols: Symbols) -> Tensor:
    """log of the weight of every symbol in a mean over them."""
    n = len(symbols.x)
    if symbols.weights is None:
        return torch.full((n,), -math.log(n), dtype=torch.float64, device=symbols.x.device)
    return (symbols.weights / symbols.weights.sum()).log()


def _with_typical(
    c: Tilted, peaks: Float[Tensor, "m d"], generator: Generator
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """Ascents from the best starts, and from plain ones whatever c is there.

    Where rare symbols rule the first kind, other draws know c at the second alone.
    """
    begin = starts(c.x, c.log_mass, peaks, generator)
    best = ascend(c, begin, ITERATIONS, KEEP, _SETTLED)
    plain = torch.cat([begin[: _TYPICAL // 2], begin[-1:], c.x[: _TYPICAL // 2]])
    typical = ascend(c, plain, _SHORT, len(plain), _SETTLED)
    return torch.cat([best[0], typical[0]]), torch.cat([best[1], typical[1]])
