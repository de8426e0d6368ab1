"""The box that holds a source with a density, up to a mass that does not matter.

NumPy only; ``density`` maps (k, d) to (k,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import minimize_scalar

from rdbench.estimators.blahut_arimoto.jumps import find_jumps

Density = Callable[[ndarray], ndarray]

OUTSIDE = 1e-10
"""The probability that may lie outside the box."""

_MARGINAL_NODES = 401
_GAUSS = np.polynomial.legendre.leggauss(8)


@dataclass(frozen=True)
class Box:
    """A box that holds the source up to OUTSIDE, and where its density is highest.

    Grids put a node on the mode: where a density has a kink, it is usually there, and the optimal
    reproduction has an atom at it. ``jumps`` are where a density on the line jumps, ends of its
    support among them; in two dimensions none are looked for.
    """

    lo: Float[ndarray, " d"]
    hi: Float[ndarray, " d"]
    mode: Float[ndarray, " d"]
    jumps: tuple[float, ...] = ()

    @property
    def edges(self) -> tuple[float, ...]:
        """The ends and the jumps on the line, in order; empty where nothing jumps."""
        if not self.jumps:
            return ()
        inside = (j for j in self.jumps if self.lo[0] < j < self.hi[0])
        return (float(self.lo[0]), *inside, float(self.hi[0]))

    @property
    def widths(self) -> Float[ndarray, " d"]:
        """The lengths of the sides."""
        return cast(ndarray, self.hi - self.lo)


def _tail_end(density: Density, start: float, scale: float, sign: int, mass: float) -> float:
    """The point beyond which (in direction ``sign``) less than ``mass`` is left.

    The density is integrated outwards over panels that begin at the scale of the outermost draws
    and widen by a constant factor, so that Gaussian and power-law tails both end.
    """
    nodes, weights = 0.5 * (_GAUSS[0] + 1.0), 0.5 * _GAUSS[1]
    edges, masses = [0.0], []
    width, quiet = scale, 0
    for _ in range(400):
        t = edges[-1] + width * nodes
        masses.append(width * float(weights @ density(start + sign * t)))
        edges.append(edges[-1] + width)
        quiet = quiet + 1 if masses[-1] <= 1e-3 * mass else 0
        if quiet >= 8:
            break
        width *= 1.2
    left = np.cumsum(masses[::-1])[::-1]
    inside = np.flatnonzero(left > mass)
    return start + sign * edges[int(inside[-1]) + 1 if inside.size else 0]


def _marginal(density: Density, axis: int, lo: ndarray, hi: ndarray) -> Density:
    """The marginal density along ``axis``; in 2-D by the trapezoid rule over a widened range."""
    if len(lo) == 1:
        return lambda t: density(t[:, None])
    other = 1 - axis
    margin = 0.75 * (hi[other] - lo[other])
    across = np.linspace(lo[other] - margin, hi[other] + margin, _MARGINAL_NODES)
    step = across[1] - across[0]

    def marginal(t: ndarray) -> ndarray:
        points = np.empty((len(t), len(across), 2))
        points[..., axis] = t[:, None]
        points[..., other] = across
        return cast(ndarray, density(points.reshape(-1, 2)).reshape(len(t), -1).sum(1) * step)

    return marginal


def find_box(draws: Float[ndarray, "n d"], density: Density) -> Box:
    """The box of the draws, moved outwards until at most OUTSIDE of the mass is left (d = 1, 2).

    Draws find the components wherever they are; the density finds the ends of the tails.
    """
    dim = draws.shape[1]
    lo, hi = draws.min(0), draws.max(0)
    new_lo, new_hi = lo.copy(), hi.copy()
    mass = OUTSIDE / (2 * dim)
    for axis in range(dim):
        marginal = _marginal(density, axis, lo, hi)
        x = np.sort(draws[:, axis])
        tail = max(1, len(x) // 100)
        # The scale of a hundredth of the draws at this end, which a far component does not set.
        floor = 1e-6 * (x[-1] - x[0]) or 1e-6 * max(1.0, abs(x[0]))
        new_lo[axis] = _tail_end(marginal, x[0], max(x[tail] - x[0], floor) / 4, -1, mass)
        new_hi[axis] = _tail_end(marginal, x[-1], max(x[-1] - x[-1 - tail], floor) / 4, 1, mass)
    if dim > 1:
        return Box(new_lo, new_hi, _mode(draws, density))
    margin = 1e-3 * float(new_hi[0] - new_lo[0])
    jumps = find_jumps(density, float(new_lo[0]) - margin, float(new_hi[0]) + margin)
    for jump in jumps:  # the support ends where nothing lies beyond
        around = density(np.array([[jump - 0.5 * margin], [jump + 0.5 * margin]]))
        if around[0] == 0.0 and jump <= draws.min():
            new_lo[0] = jump
        if around[1] == 0.0 and jump >= draws.max():
            new_hi[0] = jump
    return Box(new_lo, new_hi, _mode(draws, density), jumps)


def _mode(draws: ndarray, density: Density) -> ndarray:
    """The highest point of the density along every axis through the draw where it is largest."""
    best = draws[int(np.argmax(density(draws)))].copy()
    for axis in range(draws.shape[1]):
        x = np.sort(draws[:, axis])
        at = int(np.searchsorted(x, best[axis]))
        lo, hi = x[max(at - 50, 0)], x[min(at + 50, len(x) - 1)]
        if not hi > lo:
            continue

        def along(t: float, axis: int = axis) -> float:
            point = best.copy()
            point[axis] = t
            return -float(density(point[None])[0])

        found = minimize_scalar(
            along, bounds=(lo, hi), method="bounded", options={"xatol": 1e-12 * (hi - lo)}
        )
        if found.fun < along(best[axis]):
            best[axis] = found.x
    return cast(ndarray, best)
