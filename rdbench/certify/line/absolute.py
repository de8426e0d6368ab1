"""Certified two-sided bounds of F*(beta) on the line under absolute error.

Atoms stand on a uniform grid, whose weights an interior point solves in linear time. Between
neighbouring atoms Z'' = beta^2 Z, so that Z = A exp(beta x) + B exp(-beta x) with A, B >= 0 there:
on x + i t its modulus is at least Z(x) cos(beta t) and at most Z(x), its phase at most beta t.
And c'' = beta^2 c - 2 beta lambda p, so that on a cell of width h with lambda p <= M

    c <= max(ends) + (1 - sech(beta h / 2)) max(0, 2 M / beta - max(ends)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.certificate import Certificate
from rdbench.certify.checks import check_slope
from rdbench.certify.line.densities import LineDensity
from rdbench.inference.finite import interior_point
from rdbench.inference.scan_kernel import ScanKernel, scan

_HALVINGS = 6
_EPS = float(np.finfo(float).eps)
_GAUSS = 5
# exp(-beta |x|) must not underflow.
_DEEPEST = 150.0
_MOST_CELLS = 60_000
# Radii of the circles for derivatives and heights of the ellipses for Gauss's rule, in units of
# the smaller one of 1 / beta and twice the scale.
_RADII = np.geomspace(0.02, 1.2, 12)
_LEVELS = (math.inf, 36.0, 30.0, 26.0, 22.0, 18.0, 15.0, 12.0, 10.0, 8.0, 6.0, 4.0, 2.0)
_KAPPAS = (0.0, -2.0, -5.0, -10.0, -16.0, -25.0)


@dataclass(frozen=True)
class _Cells:
    """A uniform grid of atoms, the source inside its cells, and Z of the atoms.

    ``mass`` (cells, nodes) is p times the weights of the rule; ``largest`` bounds lambda p =
    p / Z on every cell from above. The errors are bounds, by cell, for the integrals of p log Z,
    of p / Z times any exp(-beta |x - y|) with y an edge, of p log p and of p.
    """

    edges: Float[ndarray, " k1"]
    step: float
    beta: float
    mass: Float[ndarray, "k g"]
    log_p: Float[ndarray, "k g"]
    z: Float[ndarray, "k g"]
    z_edges: Float[ndarray, " k1"]
    cost: Float[ndarray, "k g"]
    largest: Float[ndarray, " k"]
    of_potential: Float[ndarray, " k"]
    of_constraint: Float[ndarray, " k"]
    of_entropy: Float[ndarray, " k"]
    of_mass: Float[ndarray, " k"]


def _grid(
    density: LineDensity, beta: float, tolerance: float, step: float
) -> Float[ndarray, " k1"]:
    """Edges, symmetric about the centre, which may be a break, about ``step`` apart.

    Their number is limited; they are never more than about 2 / beta apart.
    """
    if math.isfinite(density.hi):
        half = density.hi
    else:
        half = max(density.outward, density.scale)
        while half < _MOST_CELLS / beta:
            tails = [density.tail(half, side) for side in (-1, 1)]
            if max(beta * tail.first + tail.mass for tail in tails) <= 1e-3 * tolerance:
                break
            half *= 1.1
    cells = min(max(2, math.ceil(half / step)), _MOST_CELLS // 2)
    return np.linspace(-half, half, 2 * cells + 1)


def _rule(edges: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Fractions of the nodes in a cell, nodes and weights."""
    t, w = np.polynomial.legendre.leggauss(_GAUSS)
    step = float(edges[1] - edges[0])
    fractions = 0.5 * (1.0 + t)
    return fractions, edges[:-1, None] + step * fractions, 0.5 * step * w


def _cells(
    density: LineDensity, edges: ndarray, beta: float, weights: Float[ndarray, " k1"]
) -> _Cells:
    """The integrands at the nodes and every bound that the bracket needs."""
    assert density.modulus is not None
    step = float(edges[1] - edges[0])
    fractions, x, gauss = _rule(edges)
    kernel = ScanKernel(len(edges), step, beta, fractions)
    log_p = density.log_prob(x)
    z = kernel.forward(weights).reshape(x.shape)
    cost = kernel.cost(weights).reshape(x.shape)
    ratio = math.exp(-beta * step)
    z_edges = scan(weights, ratio) + scan(weights[::-1], ratio)[::-1] - weights
    centre, half = 0.5 * (edges[:-1] + edges[1:]), 0.5 * step
    # At the centre of a cell Z is the mean of its ends over cosh.
    log_z = np.log(0.5 * (z_edges[:-1] + z_edges[1:]) / math.cosh(beta * half))
    best = [np.full(len(centre), np.inf) for _ in range(5)]
    for radius in _RADII * min(1.0 / beta, 2.0 * density.scale):
        # An ellipse of this height about the cell; and the circles of this radius.
        r = radius / half + math.sqrt(1.0 + (radius / half) ** 2)
        reach = half * (r + 1.0 / r) / 2.0
        rule = half * 64.0 / 15.0 * r ** (-2.0 * _GAUSS) / (1.0 - r**-2.0)
        wide = max(reach, half + radius)
        at = np.full(len(centre), wide), np.full(len(centre), radius)
        modulus = density.modulus(centre, *at)
        cosine = math.cos(beta * radius)
        with np.errstate(over="ignore"):
            p = np.exp(modulus.log_p)
            over_z = np.exp(modulus.log_p - log_z + beta * wide) / cosine
            phase = -math.log(cosine) + beta * (radius + wide)
            bounds = (
                rule * p * (np.abs(log_z) + phase),
                rule * over_z * math.exp(beta * wide),
                rule * p * modulus.of_log,
                rule * p,
                2.0 * over_z / radius**2,
            )
        best = [np.fmin(old, new) for old, new in zip(best, bounds, strict=True)]
    # Twice the mass of a cell times the largest |log p|, where no rectangle is analytic.
    modulus = density.modulus(centre, np.full(len(centre), half), np.zeros(len(centre)))
    best[2] = np.fmin(best[2], 4.0 * half * np.exp(modulus.log_p) * modulus.of_log)
    at_edges = np.stack([density.log_prob(np.clip(e, density.lo, density.hi))
                         for e in (edges[:-1], edges[1:])])  # fmt: skip
    ends = np.exp(at_edges - np.log(np.stack([z_edges[:-1], z_edges[1:]]))).max(0)
    largest = ends + step**2 / 8.0 * best[4]
    return _Cells(
        edges, step, beta, np.exp(log_p) * gauss, log_p, z, z_edges, cost, largest, *best[:4]
    )


def _upper(density: LineDensity, s: _Cells) -> tuple[float, float]:
    """-E log Z with its tails, and the error of its quadrature.

    Beyond the last atom Z falls like exp(-beta |x|) exactly.
    """
    total = -float(np.sum(s.mass * np.log(s.z)))
    error = float(s.of_potential.sum()) + _EPS * (64 + s.mass.size) * (1.0 + abs(total))
    for k, side in ((0, -1), (-1, 1)):
        if math.isfinite(density.lo if side < 0 else density.hi):
            continue
        tail = density.tail(float(side * s.edges[k]), side)
        total += -math.log(float(s.z_edges[k])) * tail.mass + s.beta * tail.first
    return total, error


def _log_sup(s: _Cells, i: int, j: int, kappas: tuple[float, float]) -> float:
    """An upper bound of log sup c for lambda = 1/Z on the cells i to j, kappa beta / 2 p beyond.

    Beyond the core c runs monotonically between its value at the edge and kappa.
    """
    b, ratio = s.beta, math.exp(-s.beta * s.step)
    fractions = _rule(s.edges[:2])[0]
    g = s.mass[i:j] / s.z[i:j]
    to_right = g @ np.exp(-b * s.step * (1.0 - fractions))
    to_left = g @ np.exp(-b * s.step * fractions)
    from_left = scan(np.concatenate([[0.5 * kappas[0]], to_right]), ratio)
    from_right = scan(np.concatenate([[0.5 * kappas[1]], to_left[::-1]]), ratio)[::-1]
    c = from_left + from_right
    ends = np.maximum(c[:-1], c[1:])
    bulge = 1.0 - 1.0 / math.cosh(0.5 * b * s.step)
    inside = ends + bulge * np.maximum(2.0 * s.largest[i:j] / b - ends, 0.0)
    top = max(float(inside.max()), *kappas)
    top += float(s.of_constraint[i:j].sum()) + _EPS * (64 + 2 * len(ends)) * top
    return math.log(top)


def _lower(density: LineDensity, s: _Cells) -> tuple[float, float]:
    """The best E log lambda - log sup c, and the error of its quadratures."""
    b = s.beta
    shannon = math.log(0.5 * b)
    n = len(s.edges) - 1

    def sums(v: ndarray) -> ndarray:
        return np.concatenate([[0.0], np.cumsum(v.sum(1))])

    core, outside, mass = (
        sums(v) for v in (-s.mass * np.log(s.z), s.mass * (shannon - s.log_p), s.mass)
    )
    potential, entropy, of_mass = s.of_potential, s.of_entropy, s.of_mass
    log_p = density.log_prob(np.clip(s.edges, density.lo, density.hi))
    joint = np.minimum(log_p - np.log(s.z_edges) - shannon, 0.0)
    infinite = (math.isinf(density.lo), math.isinf(density.hi))
    rounding = _EPS * (64 + s.mass.size) * (1.0 + abs(core[-1]) + abs(outside[-1]))

    def value(i: int, j: int, logs: tuple[float, float]) -> tuple[float, float]:
        """E log lambda less its error, and the error."""
        total = core[j] - core[i] + outside[i] + outside[n] - outside[j]
        total += logs[0] * mass[i] + logs[1] * (mass[n] - mass[j])
        error = potential[i:j].sum() + entropy[:i].sum() + entropy[j:].sum() + rounding
        error += abs(shannon + logs[0]) * of_mass[:i].sum()
        error += abs(shannon + logs[1]) * of_mass[j:].sum()
        for k, side in ((0, -1), (1, 1)):
            if infinite[k]:
                edge = (0, n)[k]
                least = min(0.0, logs[k] + shannon - float(log_p[edge]))
                total += least * density.tail(float(side * s.edges[edge]), side).mass
        return float(total - error), float(error)

    # The Shannon lower bound itself, where c <= 1.
    best = value(0, 0, (0.0, 0.0))
    middle = log_p[:-1]
    seen = set()
    for level in _LEVELS:
        inside = np.flatnonzero(np.maximum(middle, log_p[1:]) >= log_p.max() - level)
        i, j = int(inside[0]), int(inside[-1]) + 1
        if (i, j) in seen:
            continue
        seen.add((i, j))
        has = (i > 0 or infinite[0], j < n or infinite[1])
        for fall in _KAPPAS if any(has) else (0.0,):
            logs = (joint[i] + fall, joint[j] + fall)
            gain, error = value(i, j, logs)
            if gain <= best[0]:
                continue
            kappas = tuple(math.exp(v) if h else 0.0 for v, h in zip(logs, has, strict=True))
            bound = gain - _log_sup(s, i, j, (kappas[0], kappas[1]))
            if bound > best[0]:
                best = bound, error + float(s.of_constraint[i:j].sum())
    return best


def certify_line_absolute(
    density: LineDensity, beta: float, tolerance: float, start: Certificate | None = None
) -> Certificate:
    """F*(beta) = min_q -E log E_q exp(-beta |X - Y|) for a density on the line, in nats.

    The bracket bounds every error but rounding (docs/certificates.md): kind "certified". The
    grid is as fine as the tolerance asks, up to a limit.

    Args:
        density: the source.
        beta: slope >= 0.
        tolerance: the aim for hi - lo.
        start: not needed here; every slope has a grid of its own.

    Raises:
        ValueError: beta or the tolerance is out of range, or the source has no finite mean.
    """
    del start
    check_slope(beta, tolerance)
    if density.modulus is None:
        raise ValueError("a density of one's own is certified under squared error alone")
    if not density.order > 1.0:
        raise ValueError(
            "absolute error needs a finite mean; this source has finite moments of order below "
            f"{density.order:g} only"
        )
    if beta == 0.0:
        at = np.array([[density.centre]])
        return Certificate(0.0, 0.0, 0.0, at, np.ones(1), math.nan, "certified", tolerance)
    best: _Bracket | None = None
    step = min((0.5 * max(tolerance, 1e-10)) ** 0.25 / beta, 0.04 * density.scale)
    for _ in range(_HALVINGS):
        found = _solve(density, beta, _grid(density, beta, tolerance, step), tolerance)
        if best is not None:
            found = _Bracket(max(found.lo, best.lo), *found[1:])
            if found.hi > best.hi:
                found = _Bracket(found.lo, *best[1:])
        best = found
        step *= 0.5
        if best.hi - best.lo <= tolerance or best.edges.size > _MOST_CELLS // 2:
            break
    assert best is not None
    best = best._replace(lo=max(best.lo, 0.0))
    if best.hi - best.lo > tolerance:
        best = _trivial(density, beta, tolerance, best)
    width = best.hi - best.lo
    reason = ""
    if width > tolerance and best.edges.size == 1:
        reason = f"reached {width:.2g}, with nothing better than one atom"
    elif width > tolerance:
        spacing = float(best.edges[1] - best.edges[0])
        reason = f"reached {width:.2g} with {best.edges.size} atoms {spacing:.2g} apart"
    keep = best.weights > 0
    return Certificate(
        beta, best.lo, best.hi, density.centre + best.edges[keep, None],
        best.weights[keep] / best.weights[keep].sum(), best.distortion, "certified", tolerance,
        best.quadrature, reason,
    )  # fmt: skip


class _Bracket(NamedTuple):
    """lo <= F* <= hi, the part of it that bounds the integrals' errors, and q."""

    lo: float
    hi: float
    quadrature: float
    distortion: float
    edges: ndarray
    weights: ndarray


def _trivial(density: LineDensity, beta: float, tolerance: float, found: _Bracket) -> _Bracket:
    """``found``, or 0 <= F* <= beta E|U|, all of q at the centre, where that is lower.

    At small slopes the atoms reach so far that their cells are too wide for the density. A single
    atom has its tails in closed form: a grid over the density alone is enough.
    """
    half = density.hi
    if not math.isfinite(half):
        half = max(density.outward, density.scale)
        while half < 1e3 * density.scale:
            if beta * max(density.tail(half, k).first for k in (-1, 1)) <= 1e-3 * tolerance:
                break
            half *= 1.5
        half = max(density.outward, min(half, _DEEPEST / beta))
    if beta * half > (1.0 + 1e-9) * _DEEPEST:
        return found
    cells = min(max(2, math.ceil(half / (0.04 * density.scale))), _MOST_CELLS // 2)
    edges = np.linspace(-half, half, 2 * cells + 1)
    s = _cells(density, edges, beta, np.where(np.arange(2 * cells + 1) == cells, 1.0, 0.0))
    hi, error = _upper(density, s)
    hi += error
    if not hi < found.hi:
        return found
    return _Bracket(found.lo, hi, error, hi / beta, np.zeros(1), np.ones(1))


def _solve(density: LineDensity, beta: float, edges: ndarray, tolerance: float) -> _Bracket:
    """The bracket on one grid."""
    fractions, x, gauss = _rule(edges)
    p = (np.exp(density.log_prob(x)) * gauss).ravel()
    kernel = ScanKernel(len(edges), float(edges[1] - edges[0]), beta, fractions)
    weights = interior_point(kernel, p / p.sum(), tolerance=0.02 * tolerance).weights
    s = _cells(density, edges, beta, weights)
    hi, error = _upper(density, s)
    lo, lower_error = _lower(density, s)
    hi += error
    if lo > hi + _EPS * (64 + p.size) * (1.0 + abs(hi)):
        raise ArithmeticError(f"the lower bound {lo!r} exceeds the upper bound {hi!r}")
    distortion = float(np.sum(s.mass * s.cost / s.z))
    return _Bracket(min(lo, hi), hi, error + lower_error, distortion, edges, weights)
