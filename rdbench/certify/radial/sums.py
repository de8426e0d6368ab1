"""Sums over shells and radial nodes: Z(s) of a q on spheres, and c(r) of a radial weight.

Averaged over directions the kernel of squared error between radii s and r is

    k(s, r) = E_u exp(-beta ||s e - r u||^2) = exp(-beta (s - r)^2) E_u exp(kappa (<e, u> - 1)),

kappa = 2 beta s r: its first factor keeps the sums short.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.sources.bessel import log_sphere_mean, mean_cosine

REACH = 6.5
"""Radial noise beyond REACH / sqrt(beta) has a probability below exp(-REACH^2) = 5e-19."""


def log_kernel(
    dim: int, beta: float, s: Float[ndarray, "*a"], r: Float[ndarray, "*b"]
) -> Float[ndarray, "*c"]:
    """log k(s, r), with the broadcasting of NumPy."""
    out: ndarray = -beta * (s - r) ** 2 + log_sphere_mean(dim, np.asarray(2.0 * beta * s * r))
    return out


def mean_distortion(
    dim: int, beta: float, s: Float[ndarray, "*a"], r: Float[ndarray, "*b"]
) -> Float[ndarray, "*c"]:
    """-d log k / d beta: E ||s e - r u||^2 under the kernel."""
    cosine = mean_cosine(dim, np.asarray(2.0 * beta * s * r))
    out: ndarray = (s - r) ** 2 + 2.0 * s * r * (1.0 - cosine)
    return out


def panel_rule(
    edges: Float[ndarray, " k"], order: int
) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """Nodes and weights of the Gauss-Legendre rule on every panel."""
    t, w = np.polynomial.legendre.leggauss(order)
    middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
    nodes = middle[:, None] + half[:, None] * t
    return nodes.ravel(), (half[:, None] * w).ravel()


@dataclass(frozen=True)
class Shells:
    """q: a radius chosen by weight, a direction uniformly. Radii ascending."""

    dim: int
    radii: Float[ndarray, " m"]
    weights: Float[ndarray, " m"]

    def log_partition(self, s: Float[ndarray, " n"], beta: float) -> Float[ndarray, " n"]:
        """log Z(s), summed over the shells that matter to every block of radii s (ascending).

        What is left out lowers Z: -log Z is an upper bound, too large by less than 1e-15.
        """
        out = np.empty(len(s))
        log_w = np.log(self.weights)
        for start in range(0, len(s), 64):
            block = s[start : start + 64]
            near = self._near(block[0], block[-1], beta)
            terms = log_w[near] + log_kernel(self.dim, beta, block[:, None], self.radii[near])
            top = terms.max(1)
            out[start : start + 64] = top + np.log(np.exp(terms - top[:, None]).sum(1))
        return out

    def _near(self, lo: float, hi: float, beta: float) -> slice:
        """The shells within reach of [lo, hi] and of the nearest shells at both its ends.

        Noise across the ray takes a point at most about sqrt((d - 1) / 2 beta) outwards.
        """
        reach = REACH / np.sqrt(beta)
        inner = lo - reach - np.sqrt(0.5 * (self.dim - 1) / beta)
        first = int(np.searchsorted(self.radii, inner))
        last = int(np.searchsorted(self.radii, hi + reach))
        return slice(max(first - 2, 0), min(last + 2, len(self.radii)))

    def distortion(self, s: Float[ndarray, " n"], p: Float[ndarray, " n"], beta: float) -> float:
        """E ||X - Y||^2 under p(y|x) ~ q k."""
        total = 0.0
        log_w = np.log(self.weights)
        for start in range(0, len(s), 64):
            block = s[start : start + 64, None]
            near = self._near(block[0, 0], block[-1, 0], beta)
            radii = self.radii[near]
            terms = log_w[near] + log_kernel(self.dim, beta, block, radii)
            terms = np.exp(terms - terms.max(1, keepdims=True))
            responsibilities = terms / terms.sum(1, keepdims=True)
            rho = mean_distortion(self.dim, beta, block, radii)
            total += float(p[start : start + 64] @ (responsibilities * rho).sum(1))
        return total


@dataclass(frozen=True)
class RadialWeight:
    """c(r) = sum_i mass_i k(s_i, r), for nodes s_i in ascending order; masses of either sign."""

    dim: int
    beta: float
    nodes: Float[ndarray, " n"]
    log_mass: Float[ndarray, " n"]
    sign: Float[ndarray, " n"]

    @cached_property
    def _outward(self) -> float:
        """sqrt((d - 1) / 2 beta) bounds the mean length of the noise across the ray."""
        return float(np.sqrt(0.5 * (self.dim - 1) / self.beta) + REACH / np.sqrt(self.beta))

    def value(self, r: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
        """c at radii in ascending order, up to radial noise beyond REACH."""
        out = np.empty(len(r))
        reach = REACH / np.sqrt(self.beta)
        for start in range(0, len(r), 25):
            block = r[start : start + 25]
            hi = float(np.hypot(block[-1] + reach, self._outward))
            first = int(np.searchsorted(self.nodes, block[0] - reach))
            last = int(np.searchsorted(self.nodes, hi))
            near = slice(first, last)
            terms = self.log_mass[near, None] + log_kernel(
                self.dim, self.beta, self.nodes[near, None], block
            )
            out[start : start + 25] = self.sign[near] @ np.exp(terms)
        return cast(ndarray, out)
