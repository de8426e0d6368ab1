"""Which solver certifies which problem."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.arrays import probabilities
from rdbench.certify.certificate import Certificate
from rdbench.certify.cloud import certify_cloud
from rdbench.certify.cloud.absolute import certify_cloud_absolute
from rdbench.certify.cloud.bounds import bound_cloud
from rdbench.certify.finite import certify_finite
from rdbench.certify.line import certify_line
from rdbench.certify.line.absolute import certify_line_absolute
from rdbench.certify.line.densities import line_density
from rdbench.certify.line.own_density import own_line_density
from rdbench.certify.plane import certify_plane
from rdbench.certify.plane.density import plane_density
from rdbench.certify.radial import certify_radial
from rdbench.certify.radial.density import radial_density
from rdbench.certify.units import (
    Solver,
    in_units,
    line_in_units,
    plane_in_units,
    radial_in_units,
    standard_unit,
)
from rdbench.inference.kernels import check_distortions
from rdbench.types import HasSupport, Problem, RdbenchError

_PLANE = 2
_RETRIES = (0.5, 0.2)
_IN_SIGHT = 10.0

Form = Literal["points", "shells", "letters"]
Parts = tuple[Callable[..., Any], ...]
F = TypeVar("F", bound=Callable[..., Any])
# A source farther from the origin than so many of its scales is solved about its centre.
_FAR = 16.0


@dataclass(frozen=True, eq=False)
class Method:
    """How a problem is certified, and what ``Certificate.points`` are.

    ``points``: points of R^d. ``shells``: radii of spheres about ``centre``. ``letters``: indices
    of rows of ``alphabet``. ``unit`` is the size of a distortion of this problem, near which the
    slopes of interest are 1 / unit; 1 where it is near one.
    """

    form: Form
    solve: Solver
    """``solve(beta, tolerance, start)``; raises ValueError for a slope it cannot do."""
    centre: Float[ndarray, " d"] | None = None
    alphabet: Float[ndarray, "m d"] | None = None
    matrix: tuple[Float[ndarray, "n m"], Float[ndarray, " n"]] | None = None
    """Distortions and probabilities of a finite alphabet; no letter has probability zero."""
    unit: float = 1.0
    parts: Parts = ()
    """The functions that ``solve`` is made of: other solvers are no part of the truth here."""


def dispatch(choose: F) -> F:
    """Mark a function that chooses among solvers, as far as a cell's identity is concerned.

    Its own text counts for every problem; what it calls counts only where ``Method.parts`` names it
    (`rdbench.run.meaning`).
    """
    return choose


def certify(
    method: Method, beta: float, tolerance: float, start: Certificate | None = None
) -> Certificate:
    """A certificate, asked for again with less tolerance where it only just missed its own.

    A solver that ends in sight of the tolerance often ends elsewhere when it is asked for more.
    Every bracket holds, so that the result is their intersection, with the q of the lowest upper
    end.

    Args:
        method: the solver of the problem.
        beta: the slope >= 0.
        tolerance: the width asked for, in nats.
        start: a certificate at a slope nearby.

    Raises:
        ValueError: a slope that the solver cannot do, or brackets that contradict each other.
    """
    started = time.process_time()
    found = method.solve(beta, tolerance, start)
    for factor in _RETRIES:
        if found.width <= tolerance or found.width > _IN_SIGHT * tolerance:
            break
        found = _intersection(found, method.solve(beta, factor * tolerance, start))
    reason = found.reason * (found.width > tolerance)
    cpu_s = time.process_time() - started
    return replace(found, tolerance=tolerance, reason=reason, cpu_s=cpu_s)


def _intersection(a: Certificate, b: Certificate) -> Certificate:
    best = min(a, b, key=lambda c: c.hi)
    lo = max(a.lo, b.lo)
    if lo > best.hi:
        raise ValueError(f"two brackets of F* at beta = {a.beta:g} do not meet")
    return replace(
        best,
        lo=lo,
        kind=a.kind if a.kind != "certified" else b.kind,
        quadrature=max(a.quadrature, b.quadrature),
    )


def method_of(problem: Problem) -> Method:
    """The solver of a problem.

    Raises:
        RdbenchError: there is none, or the source has no moment that the distortion needs.
    """
    try:
        found = _finite(problem) if isinstance(problem.source, HasSupport) else _density(problem)
    except ValueError as reason:
        raise RdbenchError(f"no certificate for {problem.source.name}: {reason}") from None
    if found is None:
        raise RdbenchError(
            f"no certificate for {problem.source.name} with {problem.distortion.name}: there are "
            "solvers for finite alphabets, for squared error on the line, in the plane and for "
            "isotropic sources, and for absolute error on the line and for finitely many points of "
            "the plane; a density of one's own on the line declares itself as "
            "rdbench.types.HasLineDensity says"
        )
    return found


@dispatch
def _finite(problem: Problem) -> Method | None:
    source, alphabet = problem.source, problem.alphabet
    assert isinstance(source, HasSupport)
    p = probabilities(source.pmf, "a pmf").cpu().numpy()
    if alphabet is None and problem.distortion.name == "hamming" and source.dim == 1:
        alphabet = source.support  # a letter outside differs from every symbol
    if alphabet is not None:
        support = source.support.cpu()
        rho = problem.distortion.pairwise(support, alphabet.cpu()).double().numpy()[p > 0.0]
        p = p[p > 0.0]
        check_distortions(rho)
        return Method(
            "letters",
            lambda beta, tolerance, _start: certify_finite(rho, p, beta, tolerance),
            alphabet=alphabet.double().cpu().numpy(),
            matrix=(rho, p),
            unit=standard_unit(_range(rho, p)),
            parts=(certify_finite, check_distortions, probabilities, standard_unit, _range),
        )
    flat = source.dim <= _PLANE
    solver: Callable[..., Certificate]
    match problem.distortion.name:
        case "squared_error":
            solver, power = certify_cloud if flat else bound_cloud, 2
        case "absolute_error" if flat:
            solver, power = certify_cloud_absolute, 1
        case _:
            return None
    x = source.support.double().numpy()
    # Of coordinates far from the origin the mean comes first: what is squared is small.
    spread = x - p @ x
    unit = standard_unit(math.sqrt(float(p @ (spread**2).sum(1)) / source.dim))
    z = x / unit
    return Method(
        "points",
        in_units(partial(solver, z, p), unit, power),
        unit=unit**power,
        parts=(solver, probabilities, standard_unit, in_units),
    )


def _range(rho: Float[ndarray, "n m"], p: Float[ndarray, " n"]) -> float:
    """D at rate zero less the least D."""
    with np.errstate(invalid="ignore"):
        return float((p @ rho).min() - p @ rho.min(1))


@dispatch
def _density(problem: Problem) -> Method | None:
    if problem.alphabet is not None:
        return None
    if problem.source.dim == 1:
        return _line(problem)
    if problem.distortion.name != "squared_error":
        return None
    plane = plane_density(problem.source) if problem.source.dim == _PLANE else None
    if plane is not None:
        scale = math.sqrt(0.5 * plane.second_moment)
        far = float(np.abs(plane.centre).max()) > _FAR * scale
        unit, origin = standard_unit(scale), plane.centre if far else None
        flat = plane_in_units(plane, unit, origin) if far or unit != 1.0 else plane
        return Method(
            "points",
            in_units(partial(certify_plane, flat), unit, 2, origin),
            unit=unit**2,
            parts=(certify_plane, plane_density, plane_in_units, standard_unit, in_units),
        )
    found = radial_density(problem.source)
    if found is None:
        return None
    radial, centre = found
    unit = standard_unit(radial.typical / math.sqrt(radial.dim))
    shells = radial_in_units(radial, unit)
    return Method(
        "shells",
        in_units(partial(certify_radial, shells), unit, 2),
        centre,
        unit=unit**2,
        parts=(certify_radial, radial_density, radial_in_units, standard_unit, in_units),
    )


@dispatch
def _line(problem: Problem) -> Method | None:
    line = line_density(problem.source) or own_line_density(problem.source)
    power = 2 if problem.distortion.name == "squared_error" else 1
    solver = {"squared_error": certify_line, "absolute_error": certify_line_absolute}.get(
        problem.distortion.name
    )
    if line is None or solver is None:
        return None
    if line.modulus is None and power != 2:
        raise ValueError("a density of one's own is certified under squared error alone")
    unit = standard_unit(max(line.scale, line.outward))
    standard = line_in_units(line, unit)
    return Method(
        "points",
        in_units(partial(solver, standard), unit, power),
        unit=unit**power,
        parts=(solver, line_density, own_line_density, line_in_units, standard_unit, in_units),
    )
