"""F*(beta) of isotropic sources in R^d under squared error: one radial dimension.

The optimal q is isotropic as well (F is convex, and averaging q over rotations lowers it), so that
it is a law of radii. docs/certificates.md, section 7, derives what is used here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.certificate import Certificate
from rdbench.certify.checks import check_slope, rounding
from rdbench.certify.radial.density import RadialDensity
from rdbench.certify.radial.lower import DualWeight, lower_bound
from rdbench.certify.radial.solve import MOST_ROUNDS, end_of_range, panel_edges, shell_rounds
from rdbench.certify.radial.sums import Shells, panel_rule

_ORDER = 8


class _Side(NamedTuple):
    """One side of the bracket and the part of it that stands for quadrature."""

    value: float
    change: float
    shells: Shells | None = None


def certify_radial(
    density: RadialDensity, beta: float, tolerance: float, start: Certificate | None = None
) -> Certificate:
    """``lo <= F*(beta) <= hi`` of an isotropic source under squared error.

    Shells are refined until the bracket is as narrow as asked for. The lower side takes the best
    of several radii beyond which the Shannon form replaces the shells.

    Args:
        density: the law of the radius.
        beta: slope >= 0.
        tolerance: the width of the bracket asked for, in nats.
        start: unused, the solver starts from a grid of radii; here so that solvers are alike.

    Returns:
        A certificate of kind "certified (numerical)" whose points are radii (m, 1). Twice what
        doubling the nodes changes is part of the bracket, on both sides, and in ``quadrature``.

    Raises:
        ValueError: no finite variance, a bad slope or tolerance, or a slope so large that too
            many shells would be needed.
    """
    del start
    check_slope(beta, tolerance)
    if not np.isfinite(density.second_moment):
        raise ValueError(f"{density.name} has no finite variance: F* of squared error is undefined")
    if beta * density.second_moment <= 0.5 * tolerance:
        centre = np.zeros((1, 1))
        return Certificate.of_one_point(centre, density.second_moment, beta, tolerance)
    end = end_of_range(density, beta, 1e-3 * tolerance)
    # 0 <= F* <= beta E S^2, all of q at the centre; F of the shells may be worse at small slopes.
    one = Shells(density.dim, np.zeros(1), np.ones(1))
    trivial = _Side(beta * density.second_moment * (1.0 + 1e-14), 0.0, one)
    lower, upper = _Side(0.0, 0.0), trivial
    rounds = shell_rounds(density, beta, end, tolerance)
    # A lambda without the Shannon form explodes in a heavy tail.
    light = density.quantile(1e-12) < 4.0 * density.quantile(1e-3)
    later = (tolerance, 0.03 * tolerance) + ((0.0,) if light else ())
    for index, (shells, excess) in enumerate(rounds):
        # Both sides hold for any shells; more than a first look is no use before c is near one.
        masses: tuple[float, ...] = ()
        if index == 0:
            masses = (1.0,)
        if excess <= 0.7 * tolerance or index == MOST_ROUNDS - 1:
            masses += later
        if not masses:
            continue
        upper = min(upper, _upper(density, beta, shells, end), key=lambda side: side.value)
        for mass in masses:
            if upper.value - lower.value > tolerance:
                found = _lower(density, beta, shells, end, mass, tolerance)
                lower = max(lower, found, key=lambda side: side.value)
        if upper.value - lower.value <= tolerance:
            break
    width = upper.value - lower.value
    assert upper.shells is not None
    distortion = density.second_moment
    if upper is not trivial:
        edges = panel_edges(density, beta, upper.shells.radii, end)
        distortion = upper.shells.distortion(*_probabilities(density, edges, _ORDER), beta)
    return Certificate(
        beta=float(beta),
        lo=float(lower.value),
        hi=float(upper.value),
        points=upper.shells.radii[:, None],
        weights=upper.shells.weights,
        distortion=distortion,
        kind="certified (numerical)",
        tolerance=tolerance,
        quadrature=lower.change + upper.change,
        reason="" if width <= tolerance else f"refining the shells ended at {width:.1e} nats",
    )


def _probabilities(
    density: RadialDensity, edges: Float[ndarray, " k"], order: int
) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    nodes, widths = panel_rule(edges, order)
    return nodes, widths * np.exp(density.log_radial(nodes))


def _upper(density: RadialDensity, beta: float, shells: Shells, end: float) -> _Side:
    """F(q), with E[-log Z; S > end] <= beta (E[S^2; S > end] + E_q R^2 P(S > end)) by Jensen."""
    edges = panel_edges(density, beta, shells.radii, end)
    tail = density.tail(end)
    values = []
    for order in (_ORDER, 2 * _ORDER):
        nodes, p = _probabilities(density, edges, order)
        values.append(-float(p @ shells.log_partition(nodes, beta)))
    far = beta * (tail.square + float(shells.weights @ shells.radii**2) * tail.mass)
    change = 2.0 * abs(values[1] - values[0]) + rounding(values[1], terms=len(p))
    return _Side(values[1] + far + change, change, shells)


def _lower(
    density: RadialDensity, beta: float, shells: Shells, end: float, mass: float, tolerance: float
) -> _Side:
    """The bound of a weight whose Shannon form begins where about ``mass`` is left."""
    weight = DualWeight.build(density, beta, shells, mass)
    edges = panel_edges(density, beta, shells.radii, end)
    value, moved = lower_bound(weight, edges, end, _ORDER, tolerance)
    change = 2.0 * moved + rounding(value, terms=2 * _ORDER * (len(edges) - 1))
    return _Side(value - change, change)
