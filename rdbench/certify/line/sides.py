"""Both sides of F*(beta) on the line from given atoms, squared error.

lambda(x) = 1/Z(x) on a core [a, b]; beyond it kappa sqrt(beta / pi) / p(x), the shape of the
Shannon lower bound, whose part of c(y) is kappa / 2 erfc(sqrt(beta) (b - y)) whatever p is. Where p
all but vanishes between two modes, 1/Z can explode there as in a tail: then lambda has that shape
on this gap as well. The bracket holds for every core, its gaps and every kappa <= 1; the best of
some hundred is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import erfc

from rdbench.certify.line.atoms import LineAtoms
from rdbench.certify.line.densities import LineDensity
from rdbench.certify.line.panels import NODES, Panels, layout
from rdbench.certify.line.quadrature import LineQuadrature, refine
from rdbench.certify.maximum import interpolate, maximum

EPS = float(np.finfo(float).eps)
# exp(-_REACH) times any weight is nothing; what is dropped is bounded all the same.
_REACH = 45.0
_BLOCK = 64
# Cores: where log p is above its maximum less one of these. Then kappa, below continuity.
_LEVELS = np.concatenate([np.arange(30.0, 10.0, -1.0), np.arange(10.0, 0.0, -0.5)])
_KAPPAS = (0.0, -1.0, -2.0, -4.0, -6.0, -9.0, -13.0, -18.0, -25.0)
_CHECKED = 24


class Gap(NamedTuple):
    """Where lambda p = kappa sqrt(beta / pi), from ``left`` to ``right``."""

    left: float
    right: float
    kappa: float


@dataclass(frozen=True)
class Constraint:
    """c(y) = E lambda(X) exp(-beta (X - y)^2), the core by its quadrature.

    Args:
        nodes, masses: of the core, sorted; masses are lambda p times the weights of the rule.
        left, right: the core.
        kappas: of the two tails, 0 where there is none.
        gaps: (start, end, kappa) of every gap in the core, which has no nodes there.
    """

    nodes: Float[ndarray, " n"]
    masses: Float[ndarray, " n"]
    left: float
    right: float
    kappas: tuple[float, float]
    beta: float
    gaps: tuple[Gap, ...] = ()

    def core(self, y: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
        """The part of the core at sorted y; nodes beyond exp(-45) are left out."""
        c = np.zeros(len(y))
        reach = math.sqrt(_REACH / self.beta)
        for start in range(0, len(y), _BLOCK):
            part = y[start : start + _BLOCK]
            lo, hi = np.searchsorted(self.nodes, [part[0] - reach, part[-1] + reach])
            away = part[:, None] - self.nodes[lo:hi]
            c[start : start + _BLOCK] = np.exp(-self.beta * away**2) @ self.masses[lo:hi]
        return c

    def tails(self, y: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
        """The part of the tails and of the gaps, in closed form."""
        root = math.sqrt(self.beta)
        total = self.kappas[0] * erfc(root * (y - self.left))
        total += self.kappas[1] * erfc(root * (self.right - y))
        for left, right, kappa in self.gaps:
            total += kappa * (erfc(root * (left - y)) - erfc(root * (right - y)))
        return np.asarray(0.5 * total)

    def __call__(self, y: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
        """c at sorted y."""
        return np.asarray(self.core(y) + self.tails(y))

    def log_sup(self, error: float, tolerance: float) -> float:
        """An upper bound of log sup_y c(y), where the core's quadrature errs by ``error``.

        Beyond 6.5 / sqrt(beta) outside the core its part is below exp(-6.5^2) times its mass,
        and the tails are below kappa; a side without a tail is the end of the support, beyond
        which c falls.
        """
        span = 6.5 / math.sqrt(self.beta)
        lo = self.left - (span if self.kappas[0] else 0.0)
        hi = self.right + (span if self.kappas[1] else 0.0)
        mass = float(self.masses.sum())
        top = maximum(interpolate(self, lo, hi, self.beta), tolerance)
        top = max(top, max(self.kappas) + math.exp(-(6.5**2)) * mass)
        # Interpolation enlarges what was left out by its Lebesgue constant, less than 8.
        slack = 8.0 * math.exp(-_REACH) * mass + EPS * (64.0 + len(self.nodes)) * top
        return math.log(top + slack + error)


class Sides(NamedTuple):
    """lo <= F* <= hi; ``quadrature`` is the part of hi - lo that bounds the integrals' errors."""

    lo: float
    hi: float
    quadrature: float
    distortion: float


@dataclass(frozen=True)
class _Candidate:
    constraint: Constraint
    gain: float
    """A lower bound of E log lambda(X)."""
    error: float
    constraint_error: float
    score: float


def extent(density: LineDensity, beta: float, loss: float, side: int) -> float:
    """The end of the support, or where an atom at it costs the tail beyond less than ``loss``.

    So does the mass beyond, which the lower side loses a multiple of.

    At most 1e9 scales out; with hardly a finite variance that may not be far enough.
    """
    end = density.hi if side > 0 else -density.lo
    if math.isfinite(end):
        return side * end
    t = max(density.outward, density.scale)
    while t < 1e9 * density.scale:
        tail = density.tail(t, side)
        if beta * tail.second + tail.mass <= loss:
            break
        t *= 1.15
    return side * t


def onset(density: LineDensity, tolerance: float) -> float:
    """The distance beyond which hardly any mass lies, so that all may become coarser."""
    t = max(density.outward, density.scale)
    while max(density.tail(t, side).mass for side in (-1, 1)) > 10.0 * tolerance:
        t *= 1.1
    return t


def bracket(density: LineDensity, atoms: LineAtoms, beta: float, tolerance: float) -> Sides:
    """Lower and upper bound of F*; ``tolerance`` sets how finely is computed, nothing else."""
    ends = [extent(density, beta, 1e-5 * tolerance, side) for side in (-1, 1)]
    edges = layout(
        ends[0], ends[1], 0.8 / math.sqrt(beta),
        growth=0.25, onset=onset(density, tolerance), breaks=density.breaks,
    )  # fmt: skip
    q = refine(density, atoms, beta, Panels.between(edges), 1e-2 * tolerance)
    f, tail, error = _upper(density, atoms, beta, q)
    lo, lower_error = _lower(_candidates(density, atoms, beta, q, tolerance), f + tail, tolerance)
    distortion = float(q.mass @ q.square)
    # Both bounds are proved up to rounding, so that a crossing by less than that is width zero.
    hi = f + tail + error
    if lo > hi + EPS * (64.0 + len(q.x)) * (1.0 + abs(hi)):
        raise ArithmeticError(f"the lower bound {lo!r} exceeds the upper bound {hi!r}")
    return Sides(min(lo, hi), hi, error + lower_error, distortion)


def _upper(
    density: LineDensity, atoms: LineAtoms, beta: float, q: LineQuadrature
) -> tuple[float, float, float]:
    """-E log Z on the panels, an upper bound of it beyond them, and the error of the first.

    log Z + beta x^2 is convex, hence beyond an edge T, with u = |x - T| and v the distance of
    the posterior mean at T inwards, -log Z(x) <= -log Z(T) + beta (u^2 + 2 u v).
    """
    total = -float(q.mass @ q.log_z)
    error = float(q.errors.potential.sum())
    error += EPS * (64.0 + len(q.x)) * (1.0 + abs(total))
    edges = np.array([q.panels.left[0], q.panels.right[-1]])
    log_z, mean, _ = atoms.log_partition(edges, beta)
    beyond = 0.0
    for k, side in ((0, -1), (1, 1)):
        if math.isfinite((density.lo, density.hi)[k]):
            continue
        tail = density.tail(float(side * edges[k]), side)
        inwards = max(float(side * (edges[k] - mean[k])), 0.0)
        beyond += -float(log_z[k]) * tail.mass + beta * (tail.second + 2.0 * inwards * tail.first)
    return total, beyond, error


def _lower(candidates: list[_Candidate], upper: float, tolerance: float) -> tuple[float, float]:
    """The largest E log lambda - log sup c over the candidates, and its quadrature error.

    Where even the most optimistic one is far below ``upper``, a few are enough.
    """
    candidates = sorted(candidates, key=lambda s: -s.score)
    near = upper - candidates[0].score < 10.0 * tolerance
    best, best_error = -math.inf, 0.0
    for s in candidates[: _CHECKED if near else 2]:
        # Scores are optimistic: nothing behind this one can be better.
        if best >= s.score:
            break
        if not len(s.constraint.nodes):
            # The Shannon lower bound: lambda p <= sqrt(beta / pi) everywhere, so that c <= 1.
            value = s.gain
        else:
            value = s.gain - s.constraint.log_sup(s.constraint_error, 0.02 * tolerance)
        if value > best:
            best, best_error = value, s.error + s.constraint_error
    return best, best_error


def _candidates(
    density: LineDensity, atoms: LineAtoms, beta: float, q: LineQuadrature, tolerance: float
) -> list[_Candidate]:
    """Cores and kappas with their E log lambda and c on a coarse grid."""
    slb = 0.5 * math.log(beta / math.pi)
    root = math.sqrt(beta)
    edges = np.concatenate([q.panels.left, q.panels.right[-1:]])
    core, shannon, mass = (
        np.concatenate([[0.0], np.cumsum(v.reshape(-1, NODES).sum(1))])
        for v in (-q.mass * q.log_z, q.mass * (slb - q.log_p), q.mass)
    )
    potential, entropy, of_mass = q.errors.potential, q.errors.entropy, q.errors.mass
    rounding = EPS * (64.0 + len(q.x)) * (1.0 + abs(core[-1]) + abs(shannon[-1]))
    # log kappa that joins the tail to 1/Z without a jump; above zero c would exceed one.
    log_p = density.log_prob(np.clip(edges, density.lo, density.hi))
    joint = np.minimum(log_p - atoms.log_partition(edges, beta)[0] - slb, 0.0)
    ends = (math.isinf(density.lo), math.isinf(density.hi))

    def beyond(log_kappas: tuple[float, float]) -> float:
        """E log lambda beyond the panels: p falls there, and a positive part is dropped."""
        total = 0.0
        for k, side in ((0, -1), (-1, 1)):
            if ends[k]:
                least = min(0.0, log_kappas[k] + slb - float(log_p[k]))
                total += least * density.tail(float(side * edges[k]), side).mass
        return total

    empty = Constraint(np.zeros(0), np.zeros(0), 0.0, 0.0, (1.0, 1.0), beta)
    error = float(entropy.sum() + abs(slb) * of_mass.sum()) + rounding
    gain = float(shannon[-1]) + beyond((0.0, 0.0)) - error
    found = [_Candidate(empty, gain, error, 0.0, gain)]
    with np.errstate(over="ignore"):
        masses = q.mass * np.exp(-q.log_z)
    middle = density.log_prob(q.panels.centre)
    seen = set()
    for level in _LEVELS:
        for pieces in _cores(np.flatnonzero(middle >= middle.max() - level)):
            constraint_error = sum(float(q.errors.constraint[a:b].sum()) for a, b in pieces)
            if pieces in seen or not constraint_error <= tolerance:
                continue
            seen.add(pieces)
            (i, _), (_, j) = pieces[0], pieces[-1]
            between = [(b, a) for (_, b), (a, _) in pairwise(pieces)]
            has = (bool(edges[i] > density.lo), bool(edges[j] < density.hi))
            nodes = np.concatenate([np.arange(a * NODES, b * NODES) for a, b in pieces])
            bare = Constraint(q.x[nodes], masses[nodes], edges[i], edges[j], (0.0, 0.0), beta)
            steps = int((bare.right - bare.left + 6.0 / root) * root / 0.25) + 2
            y = np.linspace(bare.left - 3.0 / root, bare.right + 3.0 / root, steps)
            at_y = bare.core(y)
            fixed = float(sum(potential[a:b].sum() for a, b in pieces))
            outside = [(0, i), *between, (j, len(middle))]
            fixed += float(sum(entropy[a:b].sum() for a, b in outside))
            for fall in _KAPPAS if any(has) or between else (0.0,):
                inner = [min(joint[a], joint[b]) + fall for a, b in between]
                logs = (joint[i] + fall, joint[j] + fall)
                kappas = tuple(math.exp(v) if h else 0.0 for v, h in zip(logs, has, strict=True))
                gaps = tuple(
                    Gap(float(edges[a]), float(edges[b]), math.exp(v))
                    for (a, b), v in zip(between, inner, strict=True)
                )
                s = replace(bare, kappas=(kappas[0], kappas[1]), gaps=gaps)
                error, gain = fixed + rounding, beyond(logs)
                gain += float(sum(core[b] - core[a] for a, b in pieces))
                for (a, b), v in zip(outside, (logs[0], *inner, logs[1]), strict=True):
                    error += float(abs(slb + v) * of_mass[a:b].sum())
                    gain += shannon[b] - shannon[a] + v * (mass[b] - mass[a])
                gain -= error
                # The grid misses a little of a maximum that is seldom below one.
                score = gain - max(math.log((at_y + s.tails(y)).max() + constraint_error), 0.0)
                found.append(_Candidate(s, gain, error, constraint_error, score))
    return found


_Pieces = tuple[tuple[int, int], ...]


def _cores(inside: Int[ndarray, " k"]) -> list[_Pieces]:
    """The core without gaps and, where p is below the level between modes, the one with them."""
    first, last = int(inside[0]), int(inside[-1]) + 1
    cuts = np.flatnonzero(np.diff(inside) > 1)
    if not len(cuts):
        return [((first, last),)]
    starts, ends = [first, *inside[cuts + 1].tolist()], [*(inside[cuts] + 1).tolist(), last]
    return [((first, last),), tuple(zip(starts, ends, strict=True))]
