"""The supremum of c(y) = E[lambda(X) exp(-beta rho(X, y))], and how well it is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from rdbench.certify.plane.fields import scattered
from rdbench.certify.plane.maximum import maximum_plane
from rdbench.inference.supremum import Tilted, ascend
from rdbench.types import Distortion, Evidence, Problem

_PEAKS, _DRAWS, _RANDOM = 128, 64, 16  # starts of each kind
EXTREME = 32
"""Starts at the symbols that have the most to say."""
_ALL = 2500  # of so few letters every one is a start
KEEP = 24
"""Ascents that are followed."""
ITERATIONS = 60
"""Steps of an ascent, at most."""
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
    letters = letters_of(problem, x)
    if letters is not None:
        top = float(c.log_c(letters).max())
        return Supremum(top, top, top, f"the largest of {len(letters)} letters", "certified")
    begin = starts(x, log_mass, peaks, generator, every=True)
    found, values = ascend(c, begin, ITERATIONS, KEEP)
    top = float(values[0])
    if problem.distortion.name == "squared_error" and x.shape[1] <= 2:
        sure = _rigorous(x, log_mass, beta, top)
        if sure is not None:
            return Supremum(sure, top, sure, "rigorous maximum over the plane", "certified")
    method = f"{walk(problem.distortion)} from {len(begin)} starts"
    return Supremum(top, top, top, method, "searched", _effective(c, found[0]))


def letters_of(problem: Problem, x: Float[Tensor, "n d"]) -> Float[Tensor, "m d"] | None:
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
        parts += [x[picked.to(dev)], x[log_mass.topk(min(n, EXTREME)).indices]]
    centre, spread = x.mean(0), x.std(0, correction=0)
    for times in _SPREADS:
        size = (_RANDOM, dim)
        z = torch.randn(size, generator=generator, device=generator.device, dtype=torch.float64)
        parts.append(centre + times * spread * z.to(dev))
    parts.append(centre[None])
    found = torch.cat(parts)
    return found[found.isfinite().all(1)]


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
