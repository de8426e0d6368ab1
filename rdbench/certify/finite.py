"""F*(beta) of a finite source with a finite reproduction alphabet, outright.

Every weight vector w on the alphabet comes with both ends: F(w) - log max_j c_j <= F* <= F(w),
c_j = sum_i p_i exp(-beta rho_ij) / Z_i (Blahut 1972, theorem 6). There is no integral, so that
nothing is left to bound but rounding, which gets an allowance (docs/certificates.md, section 5).

References:
    R. Blahut, Computation of channel capacity and rate-distortion functions, 1972.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import cho_factor, cho_solve

from rdbench.certify.certificate import Certificate
from rdbench.certify.checks import check_probabilities, check_slope, rounding
from rdbench.inference.finite import interior_point
from rdbench.inference.kernels import DenseKernel

# Below about 1e-8 the interior point meets rounding in its Newton system (it keeps the best).
_INTERIOR = 1e-9
_POLISH_ROUNDS = 12
_NEWTON_STEPS = 12


class Weights(NamedTuple):
    """Weights on the alphabet with F(w) and the certificate log max c, in nats."""

    weights: Float[ndarray, " m"]
    lagrangian: float
    gap: float


def certify_finite(
    rho: Float[ndarray, "n m"], p: Float[ndarray, " n"], beta: float, tolerance: float
) -> Certificate:
    """``lo <= F*(beta) <= hi`` of source letters i and reproduction letters j.

    The interior point finds w; Newton's method on its support then solves c_j = 1 there, letters
    whose weight turns negative leave, letters with c_j > 1 enter.

    Args:
        rho: distortions rho(i, j); negative and infinite ones too, where every row has a finite
            one. The row minima are taken out first and come back in lo, hi and the distortion.
        p: probabilities of the source letters.
        beta: slope >= 0.
        tolerance: the width of the bracket asked for, in nats.

    Returns:
        A certificate of kind "certified" whose points are the indices j of the letters in use.

    Raises:
        ValueError: bad distortions, probabilities, slope or tolerance.
    """
    check_slope(beta, tolerance)
    rho = np.asarray(rho, dtype=float)
    p = check_probabilities(p, rho.shape[0])
    rho, p = rho[p > 0.0], p[p > 0.0]
    kernel = DenseKernel.build(rho, beta)
    best = solve_weights(kernel, p, tolerance)
    # a letter that nobody may use has none of q; F(q) <= F(w) without it
    used = np.flatnonzero((best.weights > 0.0) & kernel.matrix.any(0))
    weights = best.weights[used] / best.weights[used].sum()
    posterior = kernel.matrix[:, used] * weights
    posterior /= posterior.sum(1, keepdims=True)
    slack = rounding(best.lagrangian, float(p @ kernel.shift), terms=sum(rho.shape))
    width = best.gap + 2.0 * slack
    reason = "" if width <= tolerance else f"the polished interior point ends at {width:.1e} nats"
    return Certificate(
        beta=float(beta),
        lo=best.lagrangian - best.gap - slack,
        hi=best.lagrangian + slack,
        points=used[:, None].astype(float),
        weights=weights,
        # kernel.rho is zero where rho is infinite, and the posterior too
        distortion=float(p @ ((posterior * kernel.rho[:, used]).sum(1) + kernel.least)),
        kind="certified",
        tolerance=tolerance,
        reason=reason,
    )


def solve_weights(kernel: DenseKernel, p: Float[ndarray, " n"], tolerance: float) -> Weights:
    """The best weights that the interior point and its polish find; ``gap`` is certified."""
    target = 0.5 * tolerance
    start = interior_point(kernel, p, tolerance=max(_INTERIOR, target))
    best = Weights(start.weights, start.lagrangian, max(start.gap, 0.0))
    if best.gap > target:
        best = min(best, _polish(kernel, p, best, target), key=lambda found: found.gap)
    weights = np.where(best.weights > 1e-15, best.weights, 0.0)
    pruned = _evaluate(kernel, p, weights / weights.sum())
    return pruned if pruned.gap <= max(best.gap, target) else best


def _evaluate(kernel: DenseKernel, p: ndarray, w: ndarray) -> Weights:
    z = kernel.matrix @ w
    with np.errstate(divide="ignore", invalid="ignore"):
        c = kernel.transpose @ (p / z)
        f = float(p @ kernel.shift - p @ np.log(z))
        # log max c is at least zero but for rounding, since sum_j w_j c_j = 1.
        gap = max(float(np.log(c.max())), 0.0)
    return Weights(w, f, gap) if np.isfinite(gap) else Weights(w, np.inf, np.inf)


def _polish(kernel: DenseKernel, p: ndarray, start: Weights, target: float) -> Weights:
    """Newton on the support, with letters leaving and entering, until ``target`` is reached."""
    best = start
    z = kernel.matrix @ start.weights
    c = kernel.transpose @ (p / z)
    # At the interior point w_j (1 - c_j) = mu for all j: what is in use has the larger w_j.
    support = (start.weights > 1.0 - c) | (start.weights > 1e-3 * start.weights.max())
    w = np.where(support, start.weights, 0.0)
    for _ in range(_POLISH_ROUNDS):
        w = _newton(kernel, p, w / w.sum())
        found = _evaluate(kernel, p, w)
        if found.gap < best.gap:
            best = found
        if best.gap <= target or not np.isfinite(found.gap):
            break
        c = kernel.transpose @ (p / (kernel.matrix @ w))
        entering = (w == 0.0) & (c > 1.0 + target)
        if not entering.any():
            break
        worst = entering & (c >= c[entering].max() - 0.5 * (c[entering].max() - 1.0))
        w = np.where(worst, 1e-6, w)
    return best


def _newton(kernel: DenseKernel, p: ndarray, w: ndarray) -> ndarray:
    """Minimise -sum p log(K w) + sum w over the support of w, dropping weights that reach zero."""
    for _ in range(_NEWTON_STEPS):
        used = np.flatnonzero(w)
        ratios = kernel.matrix[:, used] / (kernel.matrix[:, used] @ w[used])[:, None]
        residual = ratios.T @ p - 1.0
        scaled = ratios * np.sqrt(p)[:, None] * w[used]
        hessian = scaled.T @ scaled
        np.fill_diagonal(hessian, hessian.diagonal() * (1.0 + 1e-14) + 1e-15)
        try:
            factor = cho_factor(hessian, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            break
        # Relative changes of the weights; from -1 on a weight would be negative.
        move = cho_solve(factor, residual * w[used], check_finite=False)
        if not np.isfinite(move).all():
            break
        length = 1.0
        if move.min() < -0.95:
            gone = (move < -0.95) & (w[used] * (1.0 + move) < 1e-9) & (w[used] < 1e-6)
            w[used[gone]] = 0.0
            length = 0.95 / -move.min() if not gone.any() else 0.0
        new = w.copy()
        new[used] = w[used] * np.maximum(1.0 + length * move, 0.0)
        w = new
        if length > 0.0 and float(np.abs(residual * w[used]).max()) < 1e-15:
            break
    return w
