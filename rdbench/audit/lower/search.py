"""The supremum of c(y) = E[lambda(X) exp(-beta rho(X, y))], and how well it is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.audit.symbols import Symbols
from rdbench.certify.plane.fields import scattered
from rdbench.certify.plane.maximum import maximum_plane
from rdbench.inference.supremum import Tilted, ascend, limits
from rdbench.types import Distortion, Evidence, Problem

_PEAKS, _DRAWS, _EXTREME, _RANDOM = 128, 64, 32, 16  # starts of each kind
_SHARES = 4_000_000  # numbers held at once
_ALL = 2500  # of so few letters every one is a start
KEEP = 24
"""Ascents that are followed."""
_ITERATIONS, _SHORT, _TYPICAL = 60, 12, 12
_SETTLED = 1e-5  # nats a step, where draws are far noisier than that
_SPREADS = (1.0, 3.0, 10.0)
_TOLERANCE = 1e-5  # of the rigorous maximum, relative
_MOST_PLANE = 3e10  # multiplications that it may take


@dataclass(frozen=True)
class Supremum:
    """log sup c in [lo, hi], with ``value`` in between; all equal where it is exact."""

    value: float
    lo: float
    hi: float
    method: str
    evidence: Evidence
    ess: float = 1.0
    """The effective part of the symbols that c has at its largest."""


def exact_supremum(
    problem: Problem,
    x: Float[Tensor, "n d"],
    log_mass: Float[Tensor, " n"],
    beta: float,
    peaks: Float[Tensor, "m d"],
    generator: Generator,
) -> Supremum:
    """log sup c of a source whose letters have known probabilities.

    Over given reproduction letters it is a maximum of finitely many sums; in d <= 2 under squared
    error a rigorous maximum over the plane (`rdbench.certify.plane.maximum`); else what the search
    finds.

    Args:
        problem: source, distortion and reproduction letters.
        x: the letters of the source.
        log_mass: log p(x) lambda(x).
        beta: the slope.
        peaks: where the estimator found c to be large.
        generator: of the starts.
    """
    c = Tilted(x, log_mass, beta, problem.distortion)
    letters = _letters(problem, x)
    if letters is not None:
        top = float(c.log_c(letters).max())
        return Supremum(top, top, top, f"the largest of {len(letters)} letters", "certified")
    begin = starts(x, log_mass, peaks, generator, every=True)
    found, values = ascend(c, begin, _ITERATIONS, KEEP)
    top = float(values[0])
    if problem.distortion.name == "squared_error" and x.shape[1] <= 2:
        sure = _rigorous(x, log_mass, beta, top)
        if sure is not None:
            return Supremum(sure, top, sure, "rigorous maximum over the plane", "certified")
    method = f"{walk(problem.distortion)} from {len(begin)} starts"
    return Supremum(top, top, top, method, "searched", _effective(c, found[0]))


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
    the largest upper limit of c over all symbols, at all ends of the ascents and at the rarest symbols:
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
    letters = _letters(problem, x)
    if letters is not None:
        at_a = at_b = candidates = letters
        method = f"the largest of {len(letters)} letters"
    else:
        at_a, _ = _with_typical(c_a, peaks, generator)
        at_b, _ = _with_typical(c_b, peaks, generator)
        ends, _ = ascend(both, torch.cat([at_a, at_b]), _ITERATIONS, KEEP, _SETTLED)
        rarest = both.x[both.log_mass.topk(min(len(x), _EXTREME)).indices]
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


def _letters(problem: Problem, x: Float[Tensor, "n d"]) -> Float[Tensor, "m d"] | None:
    """The reproductions among which the best one is, where they are finitely many."""
    if problem.alphabet is not None:
        return problem.alphabet.to(x.device).double()
    if problem.distortion.name == "hamming":
        # Any y that is no symbol is as far from all of them: it is never better than one.
        letters: Tensor = torch.unique(x, dim=0)
        return letters
    return None


def starts(
    x: Float[Tensor, "n d"],
    log_mass: Float[Tensor, " n"],
    peaks: Float[Tensor, "m d"],
    generator: Generator,
    *,
    every: bool = False,
) -> Float[Tensor, "k d"]:
    """The estimator's peaks; symbols, those with the largest mass among them; random, far points.

    Args:
        x: symbols.
        log_mass: how much each has to say.
        peaks: of the estimator.
        generator: picks among them.
        every: take all of the symbols, where they are not too many.
    """
    n, dim = x.shape
    dev = x.device
    parts = [peaks.to(dev).double()[:_PEAKS]]
    if every and n <= _ALL:
        parts.append(x)
    else:
        picked = torch.randint(n, (min(n, _DRAWS),), generator=generator, device=generator.device)
        parts += [x[picked.to(dev)], x[log_mass.topk(min(n, _EXTREME)).indices]]
    centre, spread = x.mean(0), x.std(0, correction=0)
    for times in _SPREADS:
        size = (_RANDOM, dim)
        z = torch.randn(size, generator=generator, device=generator.device, dtype=torch.float64)
        parts.append(centre + times * spread * z.to(dev))
    parts.append(centre[None])
    found = torch.cat(parts)
    return found[found.isfinite().all(1)]


def _with_typical(
    c: Tilted, peaks: Float[Tensor, "m d"], generator: Generator
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """Ascents from the best starts, and from plain ones whatever c is there.

    Where rare symbols rule the first kind, other draws know c at the second alone.
    """
    begin = starts(c.x, c.log_mass, peaks, generator)
    best = ascend(c, begin, _ITERATIONS, KEEP, _SETTLED)
    plain = torch.cat([begin[: _TYPICAL // 2], begin[-1:], c.x[: _TYPICAL // 2]])
    typical = ascend(c, plain, _SHORT, len(plain), _SETTLED)
    return torch.cat([best[0], typical[0]]), torch.cat([best[1], typical[1]])


def walk(distortion: Distortion) -> str:
    names = {"squared_error": "mean shift", "absolute_error": "median shift"}
    return names.get(distortion.name, "gradient ascent")


def _effective(c: Tilted, y: Float[Tensor, " d"]) -> float:
    w = c.weights(y[None])[:, 0]
    return 1.0 / (float(w.square().sum()) * len(w))


def _rigorous(
    x: Float[Tensor, "n d"], log_mass: Float[Tensor, " n"], beta: float, top: float
) -> float | None:
    """log of an upper bound of c over the plane; None where that would take too long."""
    keep = log_mass > -math.inf
    flat = np.zeros((int(keep.sum()), 2))
    points = x[keep].detach().cpu().numpy()
    flat[:, : x.shape[1]] = points - points.mean(0)
    lo, hi = flat.min(0), flat.max(0)
    nodes = 21.0 * np.maximum(np.ceil((hi - lo) * math.sqrt(beta) / 2.0), 1.0)
    if len(flat) * nodes.prod() > _MOST_PLANE:
        return None
    # Scaled by what the search found, so that the tolerance is relative.
    mass = np.exp(log_mass[keep].detach().cpu().numpy() - top)
    try:
        bound = maximum_plane(scattered(flat, mass, beta), lo, hi, beta, _TOLERANCE)
    except ValueError:
        return None
    return top + float(np.log(bound))
