"""Newton's method on the atoms of q under squared error: positions and weights at once.

Minimised is F(q) + sum_j w_j - 1 with F(q) = -sum_i p_i log sum_j w_j exp(-beta ||x_i - y_j||^2):
the multiplier of sum_j w_j = 1 is one, so that the constraint needs no equation of its own. Where
q is found, c(y) = sum_i p_i exp(-beta ||x_i - y||^2) / Z_i is one and flat at every atom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import cho_factor, cho_solve

# An atom loses at most this part of its weight in one step, so that weights stay positive.
_KEEP = 0.1
_TRIALS = 16


def squared_distances(x: Float[ndarray, "n d"], y: Float[ndarray, "m d"]) -> Float[ndarray, "n m"]:
    """||x_i - y_j||^2, coordinate by coordinate."""
    out = (x[:, :1] - y[:, 0]) ** 2
    for axis in range(1, x.shape[1]):
        out += (x[:, axis, None] - y[:, axis]) ** 2
    return cast(ndarray, out)


@dataclass(frozen=True)
class _State:
    """q, and at every x_i the terms E_ij = exp(-beta ||x_i - y_j||^2) and Z_i."""

    points: ndarray
    weights: ndarray
    terms: ndarray
    z: ndarray
    value: float


def _evaluate(x: ndarray, p: ndarray, beta: float, points: ndarray, weights: ndarray) -> _State:
    square = squared_distances(x, points)
    # Divided by the largest term of its row, Z cannot underflow far from all atoms.
    least = square.min(1)
    terms = np.exp(-beta * (square - least[:, None]))
    z = terms @ weights
    value = float(beta * (p @ least) - p @ np.log(z) + weights.sum() - 1.0)
    return _State(points, weights, terms, z, value)


def _derivatives(x: ndarray, p: ndarray, beta: float, s: _State) -> tuple[ndarray, ndarray]:
    """Gradient and Hessian in (w, first coordinates, second coordinates, ...)."""
    n, d = x.shape
    m = len(s.weights)
    ratios = s.terms / s.z[:, None]
    weighted = ratios * p[:, None]
    c = weighted.sum(0)
    slopes = [2.0 * beta * (x[:, axis, None] - s.points[:, axis]) for axis in range(d)]
    jacobian = np.empty((n, m * (1 + d)))
    jacobian[:, :m] = ratios
    gradient = np.empty(m * (1 + d))
    gradient[:m] = 1.0 - c
    moments = []
    for axis in range(d):
        block = slice(m * (axis + 1), m * (axis + 2))
        np.multiply(ratios, slopes[axis] * s.weights, out=jacobian[:, block])
        moments.append((weighted * slopes[axis]).sum(0))
        gradient[block] = -s.weights * moments[axis]
    jacobian *= np.sqrt(p)[:, None]
    hessian = jacobian.T @ jacobian
    j = np.arange(m)
    for a in range(d):
        at = m * (a + 1)
        hessian[j, at + j] -= moments[a]
        hessian[at + j, j] -= moments[a]
        for b in range(a, d):
            second = (weighted * slopes[a] * slopes[b]).sum(0) - (2.0 * beta * c if a == b else 0)
            hessian[at + j, m * (b + 1) + j] -= s.weights * second
            if a != b:
                hessian[m * (b + 1) + j, at + j] -= s.weights * second
    return gradient, hessian


def newton_atoms(
    x: Float[ndarray, "n d"],
    p: Float[ndarray, " n"],
    beta: float,
    points: Float[ndarray, "m d"],
    weights: Float[ndarray, " m"],
    *,
    iterations: int,
    tolerance: float,
) -> tuple[Float[ndarray, "m d"], Float[ndarray, " m"], float]:
    """Damped Newton from atoms that are nearly right; F never increases.

    Args:
        x, p: the source as points with probabilities (of a density, nodes and weights of a
            quadrature scaled to sum to one).
        beta: slope, > 0.
        points, weights: the start; weights positive, summing to one.
        iterations: at most so many steps.
        tolerance: stop when the residual is below it.

    Returns:
        points, weights (summing to one) and the residual: the largest entry of the gradient,
        scaled: w_j (1 - c(y_j)) and (w_j / 2 beta)^(1/2) |dc/dy_j|.
    """
    d, m = x.shape[1], len(weights)
    state = _evaluate(x, p, beta, points, weights)
    damping, residual = 1e-8, np.inf
    for done in range(iterations + 1):
        gradient, hessian = _derivatives(x, p, beta, state)
        # Relative changes of the weights; moves in units that give the Hessian a diagonal near 1.
        scale = np.concatenate(
            [state.weights] + [1.0 / np.sqrt(2.0 * beta * np.maximum(state.weights, 1e-30))] * d
        )
        gradient *= scale
        hessian *= scale[:, None] * scale
        residual = float(np.abs(gradient).max())
        if residual < tolerance or done == iterations:
            break
        diagonal = hessian.diagonal().copy()
        step = None
        for _ in range(_TRIALS):
            np.fill_diagonal(hessian, diagonal + damping)
            try:
                factor = cho_factor(hessian, lower=True, check_finite=False)
            except np.linalg.LinAlgError:
                damping = max(10.0 * damping, 1e-12)
                continue
            move = -cho_solve(factor, gradient, check_finite=False) * scale
            w = np.maximum(state.weights + move[:m], _KEEP * state.weights)
            trial = _evaluate(x, p, beta, state.points + move[m:].reshape(d, m).T, w)
            if trial.value <= state.value + 1e-15 * max(1.0, abs(state.value)):
                step = trial
                break
            damping = max(10.0 * damping, 1e-13)
        if step is None:
            break
        state = step
        damping = damping / 10.0 if damping > 1e-16 else 0.0
    return state.points, state.weights / state.weights.sum(), residual
