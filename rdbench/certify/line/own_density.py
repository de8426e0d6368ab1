"""A density on the line that a user declares, checked, as the line solver needs it.

Nothing is known of it off the line, so that the errors of integrals are observed: the certificates
are numerical. What is declared of the tails is used as it stands, after a look at some points.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Generator

from rdbench.certify.line.densities import LineDensity, Tail, log_concave_tail
from rdbench.certify.line.panels import Panels, layout
from rdbench.types import HasLineDensity, LineTail, Source

_DRAWS = 4096
# Kolmogorov's distance that so many draws of the density exceed with a probability of 1e-11.
_APART = 0.057
_MASS = 1e-6
_BEYOND = 1e-12
_ROUNDS = 60
# A density of zero: its logarithm times a mass of zero must be a number.
_LOG_ZERO = -1e5


def own_line_density(source: Source) -> LineDensity | None:
    """The density that a source declares; None where it declares none.

    Raises:
        ValueError: what it declares is contradicted by numbers.
    """
    if not isinstance(source, HasLineDensity):
        return None
    lo, hi = (float(v) for v in source.interval)
    if not lo < hi:
        raise ValueError(f"the interval of a density needs lo < hi, got ({lo:g}, {hi:g})")
    tail = source.tail
    if tail is None and (math.isinf(lo) or math.isinf(hi)):
        raise ValueError("a density that reaches to infinity needs a tail (LineTail)")
    draws = source.sample(_DRAWS, Generator().manual_seed(0)).double().cpu().numpy()[:, 0]
    if not ((draws >= lo) & (draws <= hi)).all():
        raise ValueError(f"a draw lies outside the interval ({lo:g}, {hi:g})")
    low, centre, high = (float(v) for v in np.quantile(draws, (0.25, 0.5, 0.75)))
    scale = float(f"{high - low:.2g}")
    if not scale > 0.0:
        raise ValueError("half of the draws are one point: this is not a density")
    log_prob = _log_prob(source, lo, hi, centre, scale)
    ends = (lo - centre, hi - centre)
    outward = max([0.0, *(abs(e) for e in ends if math.isfinite(e))])
    if tail is not None:
        sides = [k for k, e in enumerate(ends) if math.isinf(e)]
        # The slope at t is taken from a little before it.
        outward = max([outward, *(abs(tail.beyond[k] - centre) + 0.02 * scale for k in sides)])
        for k in sides:
            _check_tail(tail, log_prob, centre, max(outward, scale), -1 if k == 0 else 1)
    density = LineDensity(
        centre, scale, *ends, tuple(float(b) - centre for b in source.breakpoints),
        math.inf if tail is None or tail.kind == "log_concave" else tail.power - 1.0,
        outward, log_prob, None, _tail(tail, log_prob, ends, centre, scale),
    )  # fmt: skip
    # What is left of an error of the constant would be an error of every integral.
    total = _checked_mass(density, draws - centre)
    return replace(
        density,
        log_prob=lambda u: density.log_prob(u) - math.log(total),
        tail=lambda t, side: Tail(*(moment / total for moment in density.tail(t, side))),
    )


def _log_prob(
    source: HasLineDensity, lo: float, hi: float, centre: float, scale: float
) -> Callable[[ndarray], ndarray]:
    def log_prob(u: ndarray) -> ndarray:
        x = centre + np.asarray(u, dtype=float)
        # An end itself may count as outside; what is asked for there is the limit.
        inside = np.clip(x, lo + 1e-12 * scale, hi - 1e-12 * scale)
        column = torch.from_numpy(np.ascontiguousarray(inside).reshape(-1, 1))
        values = source.log_prob(column).double().cpu().numpy().reshape(x.shape)
        if np.isnan(values).any():
            raise ValueError("log_prob is not a number somewhere")
        off = (x < lo - 1e-9 * scale) | (x > hi + 1e-9 * scale)
        return np.where(off, -np.inf, np.maximum(values, _LOG_ZERO))

    return log_prob


def _tail(
    tail: LineTail | None,
    log_prob: Callable[[ndarray], ndarray],
    ends: tuple[float, float],
    centre: float,
    scale: float,
) -> Callable[[float, int], Tail]:
    """Moments beyond t, from the density at t and how it falls."""

    def moments(t: float, side: int) -> Tail:
        if tail is None or math.isfinite(ends[side > 0]):
            return Tail(0.0, 0.0, 0.0)
        before, at = (float(v) for v in log_prob(side * np.array([t - 0.01 * scale, t])))
        p = math.exp(at)
        if tail.kind == "log_concave":
            fall = (before - at) / (0.01 * scale)
            return log_concave_tail(at, fall) if p > 0.0 else Tail(0.0, 0.0, 0.0)
        a, r = tail.power, abs(side * t + centre - tail.about)
        if not a > 3.0:
            return Tail(p * r / (a - 1.0), math.inf, math.inf)
        mass = p * r / (a - 1.0)
        return Tail(mass, mass * r / (a - 2.0), 2.0 * mass * r**2 / ((a - 2.0) * (a - 3.0)))

    return moments


def _check_tail(
    tail: LineTail,
    log_prob: Callable[[ndarray], ndarray],
    centre: float,
    start: float,
    side: int,
) -> None:
    """A look at the declared fall, at points farther and farther out."""
    if tail.kind == "power" and not tail.power > 1.0:
        raise ValueError(f"a density cannot fall like a power of {tail.power:g}")
    where = f"beyond x = {centre + side * start:.6g}"
    t = start * np.geomspace(1.0, 1e3 if tail.kind == "log_concave" else 1e6, 60)
    log_p = log_prob(side * t)
    seen = log_p > -600.0
    t, log_p = t[seen], log_p[seen]
    slack = 1e-9 * (1.0 + np.abs(log_p))
    if (np.diff(log_p) > slack[1:]).any():
        raise ValueError(f"the density rises outwards {where}")
    if tail.kind == "log_concave":
        slopes = np.diff(log_p) / np.diff(t)
        bent = np.diff(slopes) > 1e-7 * (1.0 + np.abs(slopes[1:]))
        if bent.any():
            raise ValueError(f"the density is not log-concave {where}: declare another tail")
    else:
        powered = log_p + tail.power * np.log(np.abs(side * t + centre - tail.about))
        if (np.diff(powered) > slack[1:]).any():
            raise ValueError(f"the density falls more slowly than |x|^-{tail.power:g} {where}")


def _checked_mass(density: LineDensity, draws: Float[ndarray, " n"]) -> float:
    """The integral of the density, which is one up to 1e-6; and the draws follow it."""
    ends = []
    for side, end in ((-1, density.lo), (1, density.hi)):
        t = max(density.outward, density.scale)
        while math.isinf(end) and density.tail(t, side).mass > _BEYOND and t < 1e12 * density.scale:
            t *= 1.3
        ends.append(end if math.isfinite(end) else side * t)
    edges = layout(
        ends[0], ends[1], 0.5 * density.scale,
        growth=0.25, onset=2.0 * density.scale, breaks=density.breaks,
    )  # fmt: skip
    panels = Panels.between(edges)
    for _ in range(_ROUNDS):
        halves = panels.bisected(np.ones(len(panels.left), dtype=bool))
        masses, finer = _masses(density, panels), _masses(density, halves).reshape(-1, 2).sum(1)
        change = np.abs(masses - finer)
        if change.sum() <= 0.1 * _MASS or len(change) > 20_000:
            break
        panels = panels.bisected(change > 0.1 * _MASS / len(change))
    total = float(masses.sum())
    # A power law's mass beyond is part of it.
    beyond = sum(
        density.tail(abs(e), s).mass
        for e, s, end in zip(ends, (-1, 1), (density.lo, density.hi), strict=True)
        if math.isinf(end)
    )
    if not -_MASS - beyond <= total - 1.0 <= _MASS:
        raise ValueError(
            f"its density integrates to {total:.8g}, not to one"
            + (" (a jump or a kink that is not declared?)" if change.sum() > _MASS else "")
        )
    below = np.concatenate([[0.0], np.cumsum(masses)])
    at = np.concatenate([panels.left, panels.right[-1:]])
    observed = np.searchsorted(np.sort(draws), at) / len(draws)
    if float(np.abs(observed - below).max()) > _APART:
        raise ValueError("its draws do not follow its density")
    return total


def _masses(density: LineDensity, panels: Panels) -> Float[ndarray, " k"]:
    nodes, weights = panels.quadrature()
    return np.asarray((np.exp(density.log_prob(nodes)) * weights).sum(1))
