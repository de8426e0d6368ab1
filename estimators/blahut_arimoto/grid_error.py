"""What a grid costs, told apart from what the iteration on it has left to gain.

A solver certifies its weights against all others *on the grid*. Two errors are left: the source is
a sum over nodes, and reproduction points lie on the grid alone. Both are seen at half the step,
where the weights w of the coarse grid give Z and c(y) = E[exp(-beta rho(X, y)) / Z(X)] by one
product with the kernel and one with its transpose. The source's error is F(q) at half the step
less F(q) on the grid. What points in between could gain is bounded by

    F(q) - F* <= E[-log Z - log lambda] + log max_y c(y),    c(y) = E[lambda(X) exp(-beta rho)],

for any lambda(x) > 0 (as in rdbench.inference.finite, where lambda = 1 / Z), with the maximum over
the finer grid. lambda = 1 / Z alone is no use: the maximum lies far out, where the source has a
mass of 1e-10 and next to nothing to gain. Dividing lambda by the mean of c around x, where that
exceeds one, costs E log of it, which is nothing there, and brings the maximum down. NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.estimators.blahut_arimoto import grids
from rdbench.estimators.blahut_arimoto.boxes import OUTSIDE, Density
from rdbench.estimators.blahut_arimoto.jumps import cell_masses, inner_masses
from rdbench.inference.kernels import BandedKernel, SeparableKernel
from rdbench.inference.scan_kernel import ScanKernel

LIMIT = 1e-2
"""The largest discretisation error, in nats, with which a rate is worth reporting."""

_TINY = 1e-300
_REPAIRS = 12
_STRENGTH = 8.0  # the mean of c lies below its maximum, and too much costs nothing
_FLAT = 1e-8

Product = Callable[[ndarray], ndarray]


@dataclass(frozen=True)
class DiscretisationError:
    """In nats of F; ``outside`` is the probability beyond the box, at most."""

    source: float
    """F(q) at half the step less F(q) on the grid: positive where the grid reports too little."""
    support: float
    """What reproduction points between those of the grid could gain, at most."""
    outside: float = OUTSIDE

    @property
    def total(self) -> float:
        """Both, without cancelling."""
        return abs(self.source) + self.support


def discretisation_error(
    density: Density,
    distortion: str,
    beta: float,
    discrete: grids.Discretised,
    weights: Float[ndarray, " m"],
    lagrangian: float,
    gap: float,
) -> DiscretisationError:
    """The error of the grid at these weights.

    Args:
        density: of the source, (k, d) to (k,).
        distortion: "squared_error" or "absolute_error".
        beta: the slope.
        discrete: the problem on the grid.
        weights: on its points.
        lagrangian: F(q) on the grid, in nats.
        gap: log max c on the grid, in nats.
    """
    if beta == 0:
        return DiscretisationError(0.0, 0.0)
    finer = max(1, round((len(discrete.p) - 1) / (len(weights) - 1)))
    refine = (_line if len(discrete.axes) == 1 else _plane)[distortion]
    grid = Grid(discrete.axes, discrete.edges)
    mass, w, forward, adjoint = refine(density, beta, grid, weights, finer)
    p = mass / mass.sum()
    z = np.maximum(forward(w), _TINY)
    log_z = np.log(z)
    source = float(-p @ log_z) - lagrangian
    all_near = np.maximum(forward(np.ones_like(w)), _TINY)
    log_lambda, best = -log_z, np.inf
    for _ in range(_REPAIRS):
        c = adjoint(p * np.exp(log_lambda))
        top = float(np.log(c.max()))
        best = min(best, top - float(p @ (log_z + log_lambda)))
        if top <= max(gap, abs(source), _FLAT):
            break
        nearby = np.maximum(forward(np.maximum(c, 1.0)) / all_near, 1.0)
        log_lambda = log_lambda - _STRENGTH * np.log(nearby)
    return DiscretisationError(source, max(0.0, best - gap))


class Grid(NamedTuple):
    """Axes of the reproduction grid, and the edges of a source that jumps."""

    axes: tuple[ndarray, ...]
    edges: tuple[float, ...]


Fine = tuple[ndarray, ndarray, Product, Product]
"""Source masses, weights on the finer reproduction grid, and the two products."""


def _finer(axis: ndarray, parts: int) -> tuple[ndarray, float, ndarray]:
    """An axis in ``parts`` of a step, a step longer at both ends; its step; where axis lies."""
    step = float(axis[-1] - axis[0]) / (len(axis) - 1) / parts
    here = parts * np.arange(1, len(axis) + 1)
    return axis[0] + step * (np.arange((len(axis) + 1) * parts + 1) - parts), step, here


def _spread(weights: ndarray, shape: tuple[int, ...], where: tuple[ndarray, ...]) -> ndarray:
    w = np.zeros(shape)
    w[np.ix_(*where)] = weights.reshape([len(k) for k in where])
    return w.ravel()


def _squared_line(density: Density, beta: float, grid: Grid, weights: ndarray, finer: int) -> Fine:
    x, step, _ = _finer(grid.axes[0], 2 * finer)
    y, _, where = _finer(grid.axes[0], 2)
    mass = cell_masses(density, x, grid.edges) if grid.edges else density(x[:, None]) * step
    n = len(x)
    half = min(BandedKernel.half_width(step, beta), n - 1)
    if finer == 1 and 2 * half + 1 <= n:
        taps = np.exp(-beta * (step * np.arange(-half, half + 1.0)) ** 2)

        def product(w: ndarray) -> ndarray:
            return np.convolve(w, taps, mode="same")

        return mass, _spread(weights, (n,), (where,)), product, product
    k = np.exp(-beta * np.subtract.outer(x, y) ** 2)
    w = _spread(weights, (len(y),), (where,))
    return mass, w, lambda v: cast(ndarray, k @ v), lambda u: cast(ndarray, u @ k)


def _absolute_line(
    density: Density, beta: float, grid: Grid, weights: ndarray, _finer_source: int
) -> Fine:
    nodes, step, where = _finer(grid.axes[0], 2)
    x, share, fractions = grids.gauss_cells(nodes, 3)
    kernel = ScanKernel(len(nodes), step, beta, fractions)
    w = _spread(weights, (len(nodes),), (where,))
    mass = density(x[:, None]) * share
    if grid.edges:
        mass = inner_masses(density, nodes, fractions, grid.edges, mass)
    return mass, w, kernel.forward, kernel.adjoint


def _squared_plane(
    density: Density, beta: float, grid: Grid, weights: ndarray, _finer_source: int
) -> Fine:
    (y1, step1, at1), (y2, step2, at2) = (_finer(axis, 2) for axis in grid.axes)
    rho1, rho2 = (np.subtract.outer(y, y) ** 2 for y in (y1, y2))
    kernel = SeparableKernel.build(rho1, rho2, beta)
    mass = grids.trimmed(density(grids.product(y1, y2)) * (step1 * step2))
    w = _spread(weights, (len(y1), len(y2)), (at1, at2))
    return mass, w, kernel.forward, kernel.adjoint


def _absolute_plane(
    density: Density, beta: float, grid: Grid, weights: ndarray, _finer_source: int
) -> Fine:
    (y1, _, at1), (y2, _, at2) = (_finer(axis, 2) for axis in grid.axes)
    (x1, w1, _), (x2, w2, _) = grids.gauss_cells(y1, 2), grids.gauss_cells(y2, 2)
    rho1, rho2 = (np.abs(np.subtract.outer(x, y)) for x, y in ((x1, y1), (x2, y2)))
    kernel = SeparableKernel.build(rho1, rho2, beta)
    mass = grids.trimmed(density(grids.product(x1, x2)) * np.outer(w1, w2).ravel())
    w = _spread(weights, (len(y1), len(y2)), (at1, at2))
    return mass, w, kernel.forward, kernel.adjoint


_line = {"squared_error": _squared_line, "absolute_error": _absolute_line}
_plane = {"squared_error": _squared_plane, "absolute_error": _absolute_plane}
