"""Standard units: what a certificate says does not depend on the scale of the source.

With rho(a x, a y) = a^k rho(x, y), k = 2 for squared and 1 for absolute error, F*(beta; a X) =
F*(a^k beta; X), with the atoms and D scaled alike. Solvers have limits of their own (slopes,
step sizes, squares of numbers), so that a source far from unit scale is solved as X / unit, with
``unit`` a power of two, which changes no digit, and about its own centre where that is far out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.certificate import Certificate
from rdbench.certify.line.densities import LineDensity, Modulus, Tail
from rdbench.certify.plane.density import PlaneDensity
from rdbench.certify.radial.density import RadialDensity, RadialTail

_NEAR_ONE = 16.0
"""Scales within this factor of one stay as they are, and so do all shipped certificates."""

Solver = Callable[[float, float, Certificate | None], Certificate]


def standard_unit(scale: float) -> float:
    """1 where ``scale`` is near one, else the nearest power of two."""
    if not (0.0 < scale < math.inf) or 1.0 / _NEAR_ONE <= scale <= _NEAR_ONE:
        return 1.0
    return math.ldexp(1.0, round(math.log2(scale)))


def in_units(
    solve: Solver, unit: float, power: int, origin: Float[ndarray, " d"] | None = None
) -> Solver:
    """A solver of (X - origin) / unit, asked and answering in the units of X.

    Args:
        solve: in standard units.
        unit: the length of one standard unit.
        power: k above.
        origin: what was subtracted from X.
    """
    if unit == 1.0 and origin is None:
        return solve
    of_rho = unit**power
    at = 0.0 if origin is None else origin

    def solved(beta: float, tolerance: float, start: Certificate | None) -> Certificate:
        if start is not None:
            start = replace(start, beta=start.beta * of_rho, points=(start.points - at) / unit)
        try:
            found = solve(beta * of_rho, tolerance, start)
        except ValueError as reason:
            # Slopes and lengths in the message are those of the solver.
            note = f" (in units of {unit:g}, where beta = {beta:g} is {beta * of_rho:g})"
            raise ValueError(f"{reason}{note if unit != 1.0 else ''}") from None
        return replace(
            found,
            beta=float(beta),
            points=found.points * unit + at,
            distortion=found.distortion * of_rho,
        )

    return solved


def line_in_units(density: LineDensity, unit: float) -> LineDensity:
    """The density of U / unit about centre / unit; |log p| may grow by |log unit|."""
    if unit == 1.0:
        return density
    log_unit, bounds = math.log(unit), density.modulus

    def modulus(u: ndarray, reach: ndarray, height: ndarray) -> Modulus:
        assert bounds is not None
        found = bounds(u * unit, reach * unit, height * unit)
        return Modulus(found.log_p + log_unit, found.of_log + abs(log_unit))

    def tail(t: float, side: int) -> Tail:
        mass, first, second = density.tail(t * unit, side)
        return Tail(mass, first / unit, second / unit**2)

    return replace(
        density,
        centre=density.centre / unit,
        scale=density.scale / unit,
        lo=density.lo / unit,
        hi=density.hi / unit,
        breaks=tuple(b / unit for b in density.breaks),
        outward=density.outward / unit,
        log_prob=lambda u: density.log_prob(u * unit) + log_unit,
        modulus=None if bounds is None else modulus,
        tail=tail,
    )


def plane_in_units(
    density: PlaneDensity, unit: float, origin: Float[ndarray, " 2"] | None
) -> PlaneDensity:
    """The density of (X - origin) / unit."""
    at = np.zeros(2) if origin is None else origin
    return replace(
        density,
        log_density=lambda x: density.log_density(x * unit + at) + 2.0 * math.log(unit),
        lo=(density.lo - at) / unit,
        hi=(density.hi - at) / unit,
        centre=(density.centre - at) / unit,
        outside_square=density.outside_square / unit**2,
        second_moment=density.second_moment / unit**2,
        steps=density.steps / unit,
    )


def radial_in_units(density: RadialDensity, unit: float) -> RadialDensity:
    """The law of S / unit."""
    if unit == 1.0:
        return density

    def tail(t: float) -> RadialTail:
        mass, square = density.tail(t * unit)
        return RadialTail(mass, square / unit**2)

    return replace(
        density,
        log_density=lambda s: density.log_density(s * unit) + density.dim * math.log(unit),
        tail=tail,
        second_moment=density.second_moment / unit**2,
        typical=density.typical / unit,
        width=density.width / unit,
    )
