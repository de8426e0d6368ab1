"""Z(x) = sum_j w_j exp(-beta (x - y_j)^2) of atoms on the line, and bounds of it off the line.

With m(x), V(x) the mean and variance of the posterior w_j exp(-beta (x - y_j)^2) / Z(x):

- log Z(x) + beta x^2 is convex with slope 2 beta m(x) and curvature 4 beta^2 V(x).
- V(x) <= U wherever |x - x0| <= R, with m0 = m(x0) and U the larger one of
  E[(Y - m0)^2 exp(+-2 beta R (Y - m0)) | x0]: the posterior at x is that at x0 tilted by
  exp(2 beta (x - x0)(y - m0)), whose mean is >= 1, and that expectation is convex in x.
- Z(x + i t) = Z(x) exp(beta t^2 - 2 i beta t (x - m)) E[exp(2 i beta t (Y - m)) | x], and the
  real part of the last factor is at least a = 1 - 2 beta^2 t^2 V(x), its modulus at most 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

_BLOCK = 4_000_000


@dataclass(frozen=True)
class LineAtoms:
    """q = sum_j weights_j delta(points_j), with positive weights."""

    points: Float[ndarray, " m"]
    weights: Float[ndarray, " m"]

    def log_partition(
        self, x: Float[ndarray, " n"], beta: float
    ) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"], Float[ndarray, " n"]]:
        """log Z(x), m(x) and E[(x - Y)^2 | x]."""
        log_w = np.log(self.weights)
        log_z, mean, square = np.empty(len(x)), np.empty(len(x)), np.empty(len(x))
        block = max(1, _BLOCK // len(self.points))
        for start in range(0, len(x), block):
            rows = slice(start, start + block)
            away = x[rows, None] - self.points
            terms = log_w - beta * away**2
            top = terms.max(1)
            np.exp(terms - top[:, None], out=terms)
            total = terms.sum(1)
            log_z[rows] = top + np.log(total)
            shift = (terms * away).sum(1) / total
            mean[rows] = x[rows] - shift
            square[rows] = (terms * away**2).sum(1) / total
        return log_z, mean, square

    def spread_bound(
        self, x: Float[ndarray, " k"], reach: Float[ndarray, "k r"], beta: float
    ) -> Float[ndarray, "k r"]:
        """U for every x0 and R, an upper bound of V within R of x0; inf where it overflows."""
        log_z, mean, _ = self.log_partition(x, beta)
        away = self.points - mean[:, None]
        posterior = np.log(self.weights) - beta * (x[:, None] - self.points) ** 2 - log_z[:, None]
        out = np.empty(reach.shape)
        with np.errstate(over="ignore"):
            for column in range(reach.shape[1]):
                shift = 2.0 * beta * reach[:, column, None] * away
                sides = [np.exp(posterior + sign * shift) for sign in (-1.0, 1.0)]
                out[:, column] = np.maximum(*((side * away**2).sum(1) for side in sides))
        return out
