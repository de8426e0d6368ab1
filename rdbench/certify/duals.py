"""The lambda of a certificate's lower end, found again on the certificate's own q.

The solvers try many and keep the bound alone. lambda is a function of q and of a few numbers: they
are searched once more as the solver does, which takes a fraction of its time, and no solver (nor
the identity of what was computed with it) changes for it. docs/certificates.md, "The file".
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from rdbench.certify import radial
from rdbench.certify.certificate import Certificate
from rdbench.certify.line import absolute, sides
from rdbench.certify.line.atoms import LineAtoms
from rdbench.certify.line.densities import LineDensity, line_density
from rdbench.certify.line.own_density import own_line_density
from rdbench.certify.line.panels import Panels, layout
from rdbench.certify.line.quadrature import refine
from rdbench.certify.line.sides import Gap
from rdbench.certify.radial.density import RadialDensity, radial_density
from rdbench.certify.radial.lower import DualWeight
from rdbench.certify.radial.solve import end_of_range
from rdbench.certify.radial.sums import Shells
from rdbench.types import HasSupport, Problem

# A solver that only just misses its tolerance is asked for less: these parts of it.
_TOLERANCES = (1.0, 0.5, 0.2)
_TRIED = 24


def dual_of(problem: Problem, found: Certificate) -> dict[str, Any] | None:
    """lambda as plain values, of the best lower end that q gives; None where there is none.

    Args:
        problem: what was certified.
        found: the certificate.
    """
    if found.kind == "bounds" or not len(found.weights):
        return None
    if isinstance(problem.source, HasSupport):
        return {"form": "inverse"}
    if problem.source.dim == 1:
        return _of_line(problem, found)
    isotropic = radial_density(problem.source) if found.points.shape[1] == 1 else None
    return None if isotropic is None else _of_shells(isotropic[0], found)


def _of_line(problem: Problem, found: Certificate) -> dict[str, Any] | None:
    density = line_density(problem.source) or own_line_density(problem.source)
    if density is None:
        return None
    squared = problem.distortion.name == "squared_error"
    search = _squared if squared else _absolute
    best = _Found(-math.inf)
    for part in _TOLERANCES:
        tried = search(density, found, part * found.tolerance)
        best = tried if tried.lo > best.lo else best
        if best.lo >= found.lo - 1e-14 * (1.0 + abs(found.lo)):
            break
    # Where nothing lies beyond, the core ends with the support, whatever rounding says.
    ends = [
        density.centre + float(end) if k > 0.0 else None
        for end, k in zip(best.core, best.kappa, strict=True)
    ]
    dual: dict[str, Any] = {"form": "core", "core": ends, "kappa": list(map(float, best.kappa))}
    if best.gaps:
        dual["gaps"] = [[density.centre + g.left, density.centre + g.right] for g in best.gaps]
        dual["gap_kappa"] = [g.kappa for g in best.gaps]
    return dual


def _of_shells(density: RadialDensity, found: Certificate) -> dict[str, Any]:
    """The best radius of those that `certify_radial` tries, and how many shells lie inside."""
    beta, tolerance = found.beta, found.tolerance
    shells = Shells(density.dim, found.points[:, 0], found.weights)
    end = end_of_range(density, beta, 1e-3 * tolerance)
    best, chosen = -math.inf, None
    for mass in (1.0, tolerance, 0.03 * tolerance, 0.0):
        value = radial._lower(density, beta, shells, end, mass, tolerance).value
        if value > best:
            best, chosen = value, DualWeight.build(density, beta, shells, mass)
    assert chosen is not None
    inside = 0 if chosen.inside is None else len(chosen.inside.radii)
    return {"form": "radial", "outer": float(chosen.outer), "shells": inside}


class _Found(NamedTuple):
    """A lower end and its lambda."""

    lo: float
    core: tuple[float, float] = (0.0, 0.0)
    kappa: tuple[float, float] = (1.0, 1.0)
    gaps: tuple[Gap, ...] = ()


def _squared(density: LineDensity, found: Certificate, tolerance: float) -> _Found:
    """The best candidate, as `sides.bracket` has them."""
    beta = found.beta
    atoms = LineAtoms(found.points[:, 0] - density.centre, found.weights)
    lo, hi = (sides.extent(density, beta, 1e-5 * tolerance, side) for side in (-1, 1))
    edges = layout(
        lo, hi, 0.8 / math.sqrt(beta),
        growth=0.25, onset=sides.onset(density, tolerance), breaks=density.breaks,
    )  # fmt: skip
    q = refine(density, atoms, beta, Panels.between(edges), 1e-2 * tolerance)
    candidates = sorted(
        sides._candidates(density, atoms, beta, q, tolerance), key=lambda s: -s.score
    )
    best = _Found(-math.inf)
    for s in candidates[:_TRIED]:
        if best.lo >= s.score:
            break
        c, value = s.constraint, s.gain
        if len(c.nodes):
            value -= c.log_sup(s.constraint_error, 0.02 * tolerance)
        if value > best.lo:
            best = _Found(value, (float(c.left), float(c.right)), c.kappas, c.gaps)
    return best


def _absolute(density: LineDensity, found: Certificate, _tolerance: float) -> _Found:
    """Likewise, as `absolute._lower` has them, on the grid that the atoms stand on."""
    beta, at = found.beta, found.points[:, 0] - density.centre
    step = float(np.diff(at).min())
    count = round(float(at[-1] - at[0]) / step)
    edges, weights = np.linspace(at[0], at[-1], count + 1), np.zeros(count + 1)
    weights[np.round((at - at[0]) / step).astype(int)] = found.weights
    s = absolute._cells(density, edges, beta, weights)
    # The largest lambda p that is seen: the bound of it is coarse, and would do the choosing.
    seen = np.exp(s.log_p) / s.z
    s = replace(s, largest=seen.max(1), of_constraint=np.zeros(count))
    shannon = math.log(0.5 * beta)
    log_p = density.log_prob(np.clip(edges, density.lo, density.hi))
    joint = np.minimum(log_p - np.log(s.z_edges) - shannon, 0.0)
    middle = np.maximum(log_p[:-1], log_p[1:])
    core, outside, mass = (
        np.concatenate([[0.0], np.cumsum(v.sum(1))])
        for v in (-s.mass * np.log(s.z), s.mass * (shannon - s.log_p), s.mass)
    )
    best = _Found(outside[-1])
    for level in absolute._LEVELS:
        inside = np.flatnonzero(middle >= log_p.max() - level)
        i, j = int(inside[0]), int(inside[-1]) + 1
        has = (i > 0 or math.isinf(density.lo), j < count or math.isinf(density.hi))
        for fall in absolute._KAPPAS if any(has) else (0.0,):
            logs = (joint[i] + fall, joint[j] + fall)
            gain = core[j] - core[i] + outside[i] + outside[-1] - outside[j]
            gain += logs[0] * mass[i] + logs[1] * (mass[-1] - mass[j])
            for k, end, side in ((0, density.lo, -1), (-1, density.hi, 1)):
                if math.isinf(end):
                    least = min(0.0, logs[k] + shannon - float(log_p[k]))
                    gain += least * density.tail(float(side * edges[k]), side).mass
            if gain <= best.lo:
                continue
            kappas = tuple(math.exp(v) if h else 0.0 for v, h in zip(logs, has, strict=True))
            value = gain - absolute._log_sup(s, i, j, (kappas[0], kappas[1]))
            if value > best.lo:
                core_ends = (float(edges[i]), float(edges[j]))
                best = _Found(value, core_ends, (kappas[0], kappas[1]))
    return best
