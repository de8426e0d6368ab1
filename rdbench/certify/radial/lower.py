"""The lower side of a radial problem: a weight lambda and a bound of its c at every radius.

With the shells of q inside a radius T and the Shannon form outside,

    lambda = 1 / (Z_T + theta p (pi / beta)^{d/2}),   theta(s) = Phi((s - T) sqrt(2 beta)),

lambda p comes to a constant level (beta / pi)^{d/2} beyond T, however slowly p falls. In
c(y) = E[lambda exp(-beta ||X - y||^2)] that constant integrates to one over all of R^d, so that
only the difference from it, on a ball, is left to quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import log_ndtr

from rdbench.certify.maximum import Interpolant, interpolate, maximum
from rdbench.certify.radial.density import RadialDensity
from rdbench.certify.radial.sums import REACH, RadialWeight, Shells, panel_rule

# log of lambda p over its level: above it, a node counts among those that are bounded one by one.
_HEAP = 5.0
# A weight whose c is so far above one bounds nothing.
_USELESS = 10.0


@dataclass(frozen=True)
class DualWeight:
    """lambda of the module's formula; ``inside`` are the shells up to ``outer``, if any."""

    density: RadialDensity
    beta: float
    outer: float
    inside: Shells | None

    @classmethod
    def build(cls, density: RadialDensity, beta: float, shells: Shells, mass: float) -> DualWeight:
        """T half way between two shells, with about ``mass`` outside.

        For mass 1 there are no shells, for mass 0 the Shannon form begins beyond the source.
        """
        if mass >= 1.0:
            return cls(density, beta, -REACH / np.sqrt(beta), None)
        middles = 0.5 * (shells.radii[1:] + shells.radii[:-1])
        radius = density.quantile(max(mass, 1e-12))
        at = int(np.searchsorted(middles, radius))
        if mass <= 0.0 or at >= len(middles):
            return cls(density, beta, radius + REACH / np.sqrt(beta), shells)
        kept = Shells(density.dim, shells.radii[: at + 1], shells.weights[: at + 1])
        return cls(density, beta, float(middles[at]), kept)

    @property
    def level(self) -> float:
        """log of the constant that lambda p tends to."""
        return 0.5 * self.density.dim * float(np.log(self.beta / np.pi))

    @property
    def cut(self) -> float:
        """Beyond it, lambda p is at most the level."""
        return max(self.outer, 0.0) + REACH / float(np.sqrt(self.beta))

    def log(self, s: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
        """log lambda at radii in ascending order."""
        theta = log_ndtr((s - self.outer) * np.sqrt(2.0 * self.beta))
        log_z = theta + self.density.log_density(s) - self.level
        if self.inside is not None:
            log_z = np.logaddexp(log_z, self.inside.log_partition(s, self.beta))
        return cast(ndarray, -log_z)

    def beyond(self, end: float) -> float:
        """A lower bound of E[log lambda; S > end]: Z_T <= 1, and p does not increase there."""
        noise = float(self.density.log_density(np.array([end]))[0]) - self.level
        return -(float(np.log(2.0)) + max(noise, 0.0)) * self.density.tail(end).mass


def lower_bound(
    weight: DualWeight, edges: Float[ndarray, " k"], end: float, order: int, tolerance: float
) -> tuple[float, float]:
    """E log lambda - log sup c, and what doubling the nodes changes in both integrals.

    The bound is -inf where c is far above one.

    Args:
        weight: lambda.
        edges: of the panels of the radius (k,).
        end: beyond it the tail is bounded.
        order: nodes in a panel.
        tolerance: in nats; how closely the maximum is found.
    """
    density, beta = weight.density, weight.beta
    expected = []
    for nodes_per_panel in (order, 2 * order):
        s, widths = panel_rule(edges, nodes_per_panel)
        expected.append(float(widths @ (np.exp(density.log_radial(s)) * weight.log(s))))
    inner = _split(np.append(edges[edges < weight.cut], weight.cut), density, beta)
    first, _ = _field(weight, inner, order)
    if not first.coefficients[0].max() < _USELESS:
        return -np.inf, 0.0
    second, missed = _field(weight, inner, 2 * order)
    # sum_k |a_k| bounds the difference of the interpolants everywhere.
    change = float(np.abs(first.coefficients - second.coefficients).sum(0).max())
    upper = maximum(second, 0.05 * tolerance)
    # Beyond the cut lambda p <= level / theta(cut); nodes and noise out of reach add ``missed``.
    most = float(np.exp(-log_ndtr((weight.cut - weight.outer) * np.sqrt(2.0 * beta))))
    sup = max(upper, most) + missed
    moved = abs(expected[1] - expected[0]) + change / sup
    return expected[1] + weight.beyond(end) - float(np.log(sup)), moved


def _split(edges: ndarray, density: RadialDensity, beta: float) -> ndarray:
    """The same panels cut into pieces no wider than the kernel and the density allow."""
    step = min(1.2 / np.sqrt(2.0 * beta), density.width)
    pieces = [np.zeros(1)]
    for lo, hi in pairwise(edges):
        pieces.append(np.linspace(lo, hi, int(np.ceil((hi - lo) / step)) + 1)[1:])
    return np.concatenate(pieces)


def _field(weight: DualWeight, edges: ndarray, order: int) -> tuple[Interpolant, float]:
    """c(r) = 1 + the integral of (lambda p - level) k(s, r) over the ball of radius ``cut``.

    And what nodes and noise out of reach may add to it.
    """
    density, beta = weight.density, weight.beta
    s, widths = panel_rule(edges, order)
    excess = weight.log(s) + density.log_density(s) - weight.level
    surface = density.log_area + (density.dim - 1) * np.log(s)
    difference = np.expm1(np.minimum(excess, 700.0))
    with np.errstate(divide="ignore"):
        log_mass = np.log(widths) + surface + weight.level + np.log(np.abs(difference))
    c = RadialWeight(density.dim, beta, s, log_mass, np.sign(difference))
    # Noise leaves the reach to either side or across with a probability of at most
    # 3 exp(-REACH^2); where lambda p is far above its level, k <= exp(-REACH^2) is the bound.
    heap = log_mass[excess > _HEAP]
    total = float(np.exp(min(heap.max(), 600.0)) * len(heap)) if len(heap) else 0.0
    missed = (3.0 * float(np.exp(_HEAP)) + total) * float(np.exp(-(REACH**2)))
    end = weight.cut + REACH / np.sqrt(beta)
    return interpolate(lambda r: 1.0 + c.value(r), 0.0, end, beta), missed
