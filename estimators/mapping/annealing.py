"""Deterministic annealing: the slope rises, atoms split where they lose stability, and merge.

K. Rose, "A mapping approach to rate-distortion computation and analysis", IEEE Trans. Inf. Theory
40(6), 1994; "Deterministic annealing for clustering, compression, classification, regression, and
related optimization problems", Proc. IEEE 86(11), 1998 (masses as well as points).

F has a stationary point in which one atom stands for many. Atom j is a minimum while

    2 beta lambda_max(Cov(X | y_j)) < 1,

and where that fails, two halves move apart along the leading eigenvector v: the *critical* slope.
Ours: the halves start at y_j +- sqrt(lambda - 1 / (2 beta)) v, what reverse water-filling leaves of
the spread; an atom may also appear far from the others, where c(y) > 1 (a first-order transition,
which no local test sees); steps are extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.mapping.symbols import Atoms, Symbols
from rdbench.inference.extrapolation import Visit, extrapolated

_BELOW = 0.8  # of the first critical slope, where the ladder begins
_MERGED = 0.2  # of 1 / sqrt(2 beta): atoms so near are one
_LIGHTEST = 1e-10
_POWER_ROUNDS = 4
_LOOKED_AT, _FOLLOWED, _CLIMBS = 200, 24, 6
_NEWBORN, _APART = 0.02, 1.0  # distances in 1 / sqrt(2 beta)
_BIRTHS = 4
_PATIENCE, _SETTLED = 8, 0.1  # visits that have to gain that much of the tolerance
_EXACT = 0.01  # of the tolerance, at slopes that were asked for
_FEW, _FASTER = 12, 2.5  # beyond so many atoms the ladder has this power of the ratio


@dataclass(frozen=True)
class Transition:
    """More atoms from ``above`` on than at ``below``, two neighbouring slopes of the ladder."""

    below: float
    above: float
    critical: float
    """Where 1 / (2 lambda_max(Cov(X | y_j))) equals the slope, by interpolation between the two."""
    atoms: int
    """Their number at ``above``."""


@dataclass(frozen=True, eq=False)
class Annealed:
    """The atoms at a slope that was asked for, and how they came about."""

    beta: float
    atoms: Atoms
    log_c: float
    """The largest log c(y) that was found on the symbols of the fit, in nats."""
    transitions: tuple[Transition, ...]
    births: int
    """Atoms that appeared far from the others."""


@dataclass(frozen=True)
class Schedule:
    """How the slope rises and how much is done at each."""

    ratio: float
    """Of neighbouring slopes."""
    most: int
    """Atoms."""
    visits: int
    """Fixed-point steps at a slope of the ladder."""
    final: int
    """And at one that was asked for."""
    tolerance: float
    """log c(y) from which on an atom is added, in nats."""
    margin: float
    """By which 2 beta lambda has to exceed one."""


def anneal(
    symbols_at: Callable[[int, float], Symbols],
    betas: Sequence[float],
    schedule: Schedule,
    go_on: Callable[[float], bool],
) -> Iterator[Annealed]:
    """The atoms at every slope, ascending.

    Args:
        symbols_at: symbols to fit so many atoms to at a slope; they may be others at every call.
        betas: slopes > 0.
        schedule: of the slope.
        go_on: told the fraction that is done; on False the slopes left are answered as it is.
    """
    symbols = symbols_at(1, max(betas))
    mean = symbols.p @ symbols.x
    atoms = Atoms(mean[None], mean.new_zeros(1))
    least = float(symbols.spread(atoms, 1.0, 50)[0][0])
    wanted = sorted(betas)
    beta = min(wanted[0], _BELOW * 0.5 / max(least, 1e-300))
    ratio_before = 2.0 * beta * least
    found: list[Transition] = []
    births, begun, on = 0, math.log(beta), True
    span = max(math.log(wanted[-1]) - begun, 1e-9)
    for target in wanted:
        while on and beta < target:
            full = len(atoms.y) >= schedule.most
            power = 1.0 if len(atoms.y) <= _FEW else _FASTER
            ahead = target if full else min(beta * schedule.ratio**power, target)
            on = go_on((math.log(ahead) - begun) / span)
            symbols, before = symbols_at(len(atoms.y), ahead), len(atoms.y)
            atoms = settled(symbols, atoms, ahead, _visits(schedule, atoms), schedule.tolerance)
            value, axes = symbols.spread(atoms, ahead, _POWER_ROUNDS)
            ratio = 2.0 * ahead * float(value.max())
            if not full:
                critical = _crossing(beta, ahead, ratio_before, ratio)
                atoms = _split(symbols, atoms, ahead, value, axes, schedule)
                if before < len(atoms.y) and before <= _FEW:
                    found.append(Transition(beta, ahead, critical, len(atoms.y)))
                grown, new = _born(symbols, atoms, ahead, schedule, 1)
                atoms, births = grown, births + new
                if len(atoms.y) <= _FEW:  # of more no critical slope is told
                    value = symbols.spread(atoms, ahead, _POWER_ROUNDS)[0]
                    ratio = 2.0 * ahead * float(value.max())
            beta, ratio_before = ahead, ratio
        symbols = symbols_at(len(atoms.y), target)
        if on:
            exact = _EXACT * schedule.tolerance
            atoms = settled(symbols, atoms, target, schedule.final, exact)
            atoms, new = _born(symbols, atoms, target, schedule, _BIRTHS)
            births += new
        top = float(_highest(symbols, atoms, target)[0].max())
        yield Annealed(target, atoms, max(top, 0.0), tuple(found), births)


def settled(symbols: Symbols, atoms: Atoms, beta: float, visits: int, tolerance: float) -> Atoms:
    """The atoms after so many extrapolated fixed-point steps, or when F no longer falls.

    Args:
        symbols: that they are fitted to.
        atoms: at first.
        beta: the slope.
        visits: the most steps.
        tolerance: nats of F; a tenth of it over eight steps is not worth going on.
    """
    m, d = atoms.y.shape
    best = atoms
    merits: list[float] = []

    def visit(theta: Float[Tensor, " k"]) -> Visit | None:
        nonlocal best
        here = Atoms(theta[m:].view(m, d), torch.log_softmax(theta[:m], 0))
        step = symbols.step(here, beta)
        if not merits or step.free_energy <= min(merits):
            best = step.ahead
        merits.append(step.free_energy)
        idle = len(merits) > _PATIENCE and (
            min(merits[:-_PATIENCE]) - min(merits) < _SETTLED * tolerance
        )
        if len(merits) >= visits or idle:
            return None
        w = here.log_w.exp()
        metric = torch.cat([w, 2.0 * beta * w.repeat_interleave(d)])
        return Visit(_packed(step.ahead), step.free_energy, metric)

    extrapolated(visit, _packed(atoms))
    return best


def _visits(schedule: Schedule, atoms: Atoms) -> int:
    """Many atoms are a continuous law, of which a slope takes few steps."""
    return schedule.visits if len(atoms.y) <= _FEW else max(schedule.visits // 4, 5)


def _packed(atoms: Atoms) -> Float[Tensor, " k"]:
    return torch.cat([atoms.log_w.clamp(min=-600.0), atoms.y.reshape(-1)])


def merged(atoms: Atoms, beta: float) -> Atoms:
    """Coincident atoms as one, at their mean; those without weight are dropped."""
    kept = atoms.log_w > math.log(_LIGHTEST)
    y, w = atoms.y[kept], atoms.log_w[kept].exp()
    near = torch.cdist(y, y) < _MERGED / math.sqrt(2.0 * beta)
    first = near.to(torch.int8).argmax(1)  # the first atom that each is near to, at most itself
    first = first[first]
    total = torch.zeros_like(w).index_add_(0, first, w)
    centre = torch.zeros_like(y).index_add_(0, first, w[:, None] * y)
    left = total > 0.0
    total = total[left]
    return Atoms(centre[left] / total[:, None], (total / total.sum()).log())


def _split(
    symbols: Symbols,
    atoms: Atoms,
    beta: float,
    value: Float[Tensor, " m"],
    axes: Float[Tensor, "m d"],
    schedule: Schedule,
) -> Atoms:
    """Atoms beyond their critical slope as two halves each, as far as these stay apart."""
    excess = 2.0 * beta * value - 1.0
    room = max(schedule.most - len(value), 0)
    chosen = torch.argsort(excess, descending=True)[:room]
    chosen = chosen[excess[chosen] > schedule.margin]
    if len(chosen) == 0:
        return merged(atoms, beta)
    y, log_w = atoms.y.clone(), atoms.log_w.clone()
    shift = (value[chosen] - 0.5 / beta).sqrt()[:, None] * axes[chosen]
    log_w[chosen] -= math.log(2.0)
    halves = Atoms(
        torch.cat([y.index_add(0, chosen, shift), y[chosen] - shift]),
        torch.cat([log_w, log_w[chosen]]),
    )
    return merged(
        settled(symbols, halves, beta, _visits(schedule, halves), schedule.tolerance), beta
    )


def _highest(
    symbols: Symbols, atoms: Atoms, beta: float
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k d"]]:
    """Where mean shift from some symbols and from the atoms leads: log c, largest first; points."""
    every = max(1, len(symbols.x) // _LOOKED_AT)
    y = torch.cat([symbols.x[::every], symbols.x[-1:], atoms.y])
    log_c = symbols.log_c(atoms, beta, y)
    y = y[log_c.topk(min(_FOLLOWED, len(y))).indices]
    _, log_z = symbols.posterior(atoms, beta)
    potential = (symbols.p.log() - log_z)[:, None]
    for _ in range(_CLIMBS):
        y = torch.softmax(symbols.tilted(y, beta) + potential, 0).T @ symbols.x
    log_c, order = symbols.log_c(atoms, beta, y).sort(descending=True)
    return log_c, y[order]


def _born(
    symbols: Symbols, atoms: Atoms, beta: float, schedule: Schedule, rounds: int
) -> tuple[Atoms, int]:
    """More atoms, where c(y) has peaks above one by the tolerance; how many."""
    born, apart = 0, _APART / math.sqrt(2.0 * beta)
    for _ in range(rounds):
        log_c, y = _highest(symbols, atoms, beta)
        new: list[Tensor] = []
        for value, where in zip(log_c.tolist(), y, strict=True):
            if value <= schedule.tolerance or len(atoms.y) + len(new) >= schedule.most:
                break
            if not new or float((torch.stack(new) - where).norm(dim=1).min()) > apart:
                new.append(where)
        if not new:
            break
        light = atoms.log_w.new_full((len(new),), math.log(_NEWBORN / len(atoms.y)))
        grown = Atoms(
            torch.cat([atoms.y, torch.stack(new)]),
            torch.log_softmax(torch.cat([atoms.log_w, light]), 0),
        )
        before = len(atoms.y)
        atoms = merged(
            settled(symbols, grown, beta, _visits(schedule, grown), schedule.tolerance), beta
        )
        if len(atoms.y) <= before:
            break
        born += len(atoms.y) - before
    return atoms, born


def _crossing(low: float, high: float, before: float, after: float) -> float:
    """The slope at which 2 beta lambda = 1, between two at which its logarithm is known."""
    if not before < 1.0 < after:
        return low if before >= 1.0 else high
    a, b = math.log(before), math.log(after)
    return math.exp(math.log(low) + (math.log(high) - math.log(low)) * a / (a - b))
