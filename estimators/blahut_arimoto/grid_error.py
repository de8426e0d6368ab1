"""The cost of a grid, told apart from the gap that the iteration on it leaves.

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
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.estimators.blahut_arimoto.boxes import Density
from rdbench.estimators.blahut_arimoto.grid_kernels import BandedKernel
from rdbench.estimators.blahut_arimoto.grids import Discretised, absolute_line, plane, trimmed
from rdbench.estimators.blahut_arimoto.jumps import cell_masses
from rdbench.inference.finite import Solution

_TINY, _LARGEST = 1e-300, 690.0
_REPAIRS = 12
_STRENGTH = 8.0  # the mean of c lies below its maximum, and too much costs nothing
_FLAT = 1e-8


@dataclass(frozen=True)
class DiscretisationError:
    """In nats of F, besides the probability of `boxes.OUTSIDE` beyond the box."""

    source: float
    """F(q) at half the step less F(q) on the grid: positive where the grid reports too little."""
    support: float
    """The most that reproduction points between those of the grid could gain."""

    @property
    def total(self) -> float:
        """Both, without cancelling."""
        return abs(self.source) + self.support


def discretisation_error(
    density: Density, distortion: str, beta: float, discrete: Discretised, best: Solution
) -> DiscretisationError:
    """The error of the grid at the weights of a solution.

    Args:
        density: of the source, (k, d) to (k,).
        distortion: "squared_error" or "absolute_error".
        beta: the slope.
        discrete: the problem on the grid.
        best: weights on its points, F there and its certified gap.
    """
    if beta == 0:
        return DiscretisationError(0.0, 0.0)
    squared = distortion == "squared_error"
    if squared and len(discrete.axes) == 1:
        fine = _squared_line(density, beta, discrete, best.weights)
    else:
        fine = _half_step(density, beta, discrete, best.weights, squared)
    p = fine.mass / fine.mass.sum()
    log_z = np.log(np.maximum(fine.forward(fine.weights), _TINY))
    source = float(-p @ log_z) - best.lagrangian
    all_near = np.maximum(fine.forward(np.ones_like(fine.weights)), _TINY)
    log_lambda, bound = -log_z, np.inf
    for _ in range(_REPAIRS):
        # In parts: where all of lambda is below underflow, it still is no zero.
        height = float(log_lambda[p > 0.0].max())
        c = fine.adjoint(p * np.exp(log_lambda - height))
        top = float(np.log(c.max())) + height
        bound = min(bound, top - float(p @ (log_z + log_lambda)))
        if top <= max(best.gap, abs(source), _FLAT):
            break
        c = np.exp(np.minimum(np.log(np.maximum(c, _TINY)) + height, _LARGEST))
        nearby = np.maximum(fine.forward(np.maximum(c, 1.0)) / all_near, 1.0)
        log_lambda = log_lambda - _STRENGTH * np.log(nearby)
    return DiscretisationError(source, max(0.0, bound - best.gap))


@dataclass(frozen=True)
class _Fine:
    """The problem at half the step: source masses, the weights there, products with the kernel."""

    mass: Float[ndarray, " n"]
    weights: Float[ndarray, " m"]
    forward: Callable[[ndarray], ndarray]
    adjoint: Callable[[ndarray], ndarray]


def _finer(axis: ndarray, parts: int) -> tuple[ndarray, float, ndarray]:
    """An axis in ``parts`` of a step, a step longer at both ends; its step; where axis lies."""
    step = float(axis[-1] - axis[0]) / (len(axis) - 1) / parts
    here = parts * np.arange(1, len(axis) + 1)
    return axis[0] + step * (np.arange((len(axis) + 1) * parts + 1) - parts), step, here


def _spread(weights: ndarray, shape: tuple[int, ...], where: tuple[ndarray, ...]) -> ndarray:
    w = np.zeros(shape)
    w[np.ix_(*where)] = weights.reshape([len(k) for k in where])
    return w.ravel()


def _squared_line(density: Density, beta: float, on: Discretised, weights: ndarray) -> _Fine:
    """The source is refined as often again as it was on the grid."""
    finer = max(1, round((len(on.p) - 1) / (len(weights) - 1)))
    x, step, _ = _finer(on.axes[0], 2 * finer)
    y, _, where = _finer(on.axes[0], 2)
    mass = cell_masses(density, x, on.edges) if on.edges else density(x[:, None]) * step
    w, n = _spread(weights, (len(y),), (where,)), len(x)
    half = min(BandedKernel.half_width(step, beta), n - 1)
    if finer == 1 and 2 * half + 1 <= n:
        taps = np.exp(-beta * (step * np.arange(-half, half + 1.0)) ** 2)

        def convolved(w: ndarray) -> ndarray:
            return np.convolve(w, taps, mode="same")

        return _Fine(mass, w, convolved, convolved)
    k = np.exp(-beta * np.subtract.outer(x, y) ** 2)
    return _Fine(mass, w, lambda v: cast(ndarray, k @ v), lambda u: cast(ndarray, u @ k))


def _half_step(
    density: Density, beta: float, on: Discretised, weights: ndarray, squared: bool
) -> _Fine:
    """The grid's own rule at half the step."""
    finer = [_finer(axis, 2) for axis in on.axes]
    axes = [(y, step) for y, step, _ in finer]
    w = _spread(weights, tuple(len(y) for y, _ in axes), tuple(where for *_, where in finer))
    if len(axes) == 1:
        mass, line = absolute_line(density, *axes[0], on.edges, beta)
        return _Fine(mass, w, line.forward, line.adjoint)
    mass, product = plane(density, axes, beta, squared)
    return _Fine(trimmed(mass), w, product.forward, product.adjoint)
