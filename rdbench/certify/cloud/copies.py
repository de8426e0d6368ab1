"""A lower bound of F*(beta) under squared error, from two further draws of X given Y.

c(y) = sum_j m_j exp(-beta ||x_j - y||^2) with m_j = p_j lambda_j >= 0, and for every lambda

    F* >= sum_j p_j log(m_j / p_j) - log sup_y c(y).

Let r_j be the responsibility of x_j at y. For every j, c(y) = m_j e^{-beta ||x_j - y||^2} / r_j;
the logarithm, averaged over j, reads

    log c(y) = H(r) + sum_j r_j log m_j - beta E_r ||x - y||^2,

and E_r ||x - y||^2 is at least the variance of r, half the mean square distance of two draws from
r. So y is gone. With three independent draws k, l, j from r, half of (d_kj^2 + d_lj^2) / 2 is that
variance, and the mean of log (w_kj w_lj)^{1/2} - log w_kl is zero for any w > 0. Gibbs' inequality
over j, with k and l held, leaves

    sup c <= max_kl (N diag(m) N^T)_kl / w_kl,   N_kj = w_kj^{1/2} exp(-beta d_kj^2 / 4).

No region of space is searched: the maximum is over pairs of points of the source. One draw in the
place of two would need a vector w only, and is nearer to half of the slope: docs/certificates.md,
section 8, has both, and what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.newton import squared_distances

# The kernel and w are never smaller: a larger kernel is a larger bound, any w > 0 is allowed, and
# what underflows in the product is then nothing beside w.
LOG_LEAST = -345.0
_LEAST_KERNEL = float(np.exp(LOG_LEAST))
_LEAST_W = 1e-200
_SINKHORN = 60
_ITERATIONS = 60
# The bound is done when the ratio is as good as constant, and the law of the draws as good as p.
_FLAT = 2e-4
_EQUAL = 1e-3


@dataclass(frozen=True)
class _Step:
    """At masses m and pair weights w: the bound, and where both go next."""

    log_sup: float
    spread: float  # how far the largest ratio is above the mean one, relative
    product: ndarray
    marginal: ndarray  # of the law of three draws that w stands for; it sums to ``total``
    total: float


def copies_bound(x: Float[ndarray, "n d"], p: Float[ndarray, " n"], beta: float) -> float:
    """A lower bound of F*(beta), nats, whose masses and pair weights are solved for.

    n^3 operations a step, some 20 steps, and six matrices of n by n.

    Args:
        x: the points, any d.
        p: their probabilities, positive.
        beta: slope, > 0.
    """
    kernel = pair_kernel(x, beta)
    m = _one_copy(kernel, p)
    # Between e^{-beta d^2 / 2}, where points are far apart, and less of it where they are dense.
    w = kernel.copy()
    best = -np.inf
    for _ in range(_ITERATIONS):
        step = _step(kernel, m, w)
        best = max(best, float(p @ np.log(m / p)) - step.log_sup)
        # At the best bound w is a fixed point, and the three draws have the law p each.
        off = p * step.total / step.marginal
        if step.spread < _FLAT and np.abs(off - 1.0).max() < _EQUAL:
            break
        w = np.maximum(step.product, _LEAST_W)
        m = m * np.sqrt(off) / np.cbrt(step.total)
    return best


def pair_kernel(x: Float[ndarray, "n d"], beta: float) -> Float[ndarray, "n n"]:
    """exp(-beta d_kj^2 / 4)."""
    kernel = squared_distances(x, x)
    kernel *= -0.25 * beta
    np.exp(kernel, out=kernel)
    return cast(ndarray, np.maximum(kernel, _LEAST_KERNEL, out=kernel))


def log_sup(
    kernel: Float[ndarray, "n n"], m: Float[ndarray, " n"], w: Float[ndarray, "n n"]
) -> float:
    """An upper bound of log sup_y c(y), for any masses m >= 0 and any symmetric w > 0.

    Args:
        kernel: of ``pair_kernel``.
        m: p_j lambda_j.
        w: of the pairs.
    """
    return _step(kernel, m, w).log_sup


def _step(kernel: ndarray, m: ndarray, w: ndarray) -> _Step:
    root = np.sqrt(w)
    root *= kernel
    half = root * np.sqrt(m)
    product = half @ half.T
    root *= product
    marginal = m * (root @ m)
    total = float(marginal.sum())
    ratio = product / w
    largest = float(ratio.max())
    root *= ratio
    return _Step(
        log_sup=float(np.log(largest)),
        spread=largest * total / float(m @ root @ m) - 1.0,
        product=product,
        marginal=marginal,
        total=total,
    )


def _one_copy(kernel: ndarray, p: ndarray) -> ndarray:
    """The masses of the best bound by one draw: symmetric Sinkhorn for exp(-beta d^2 / 2)."""
    square = kernel**2
    u = np.ones(len(p))
    for _ in range(_SINKHORN):
        u = np.sqrt(u / (square @ (u * p)))
    return cast(ndarray, u * p)
