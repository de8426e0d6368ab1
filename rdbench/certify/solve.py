"""Which solver certifies which problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float
from numpy import ndarray

from rdbench.arrays import probabilities
from rdbench.certify.certificate import Certificate
from rdbench.certify.cloud import bound_cloud, certify_cloud
from rdbench.certify.densities import line_density
from rdbench.certify.finite import certify_finite
from rdbench.certify.line import certify_line
from rdbench.certify.line_absolute import certify_line_absolute
from rdbench.certify.plane import certify_plane
from rdbench.certify.plane_density import plane_density
from rdbench.certify.radial import certify_radial
from rdbench.certify.radial_density import radial_density
from rdbench.inference.kernels import check_distortions
from rdbench.types import HasSupport, Problem, RdbenchError

_PLANE = 2
_RETRIES = (0.5, 0.2)
_IN_SIGHT = 10.0

Form = Literal["points", "shells", "letters"]
Solver = Callable[[float, float, Certificate | None], Certificate]


@dataclass(frozen=True, eq=False)
class Method:
    """How a problem is certified, and what ``Certificate.points`` are.

    ``points``: points of R^d. ``shells``: radii of spheres about ``centre``. ``letters``: indices
    of rows of ``alphabet``.
    """

    form: Form
    solve: Solver
    """``solve(beta, tolerance, start)``; raises ValueError for a slope it cannot do."""
    centre: Float[ndarray, " d"] | None = None
    alphabet: Float[ndarray, "m d"] | None = None
    matrix: tuple[Float[ndarray, "n m"], Float[ndarray, " n"]] | None = None
    """Distortions and probabilities of a finite alphabet; no letter has probability zero."""


def certify(
    method: Method, beta: float, tolerance: float, start: Certificate | None = None
) -> Certificate:
    """A certificate, asked for again with less tolerance where it only just missed its own.

    A solver that ends in sight of the tolerance often ends elsewhere when it is asked for more.
    Every bracket holds, so that the result is their intersection, with the q of the lowest upper
    end.

    Raises:
        ValueError: a slope that the solver cannot do, or brackets that contradict each other.
    """
    found = method.solve(beta, tolerance, start)
    for factor in _RETRIES:
        if found.width <= tolerance or found.width > _IN_SIGHT * tolerance:
            break
        found = _intersection(found, method.solve(beta, factor * tolerance, start))
    return replace(found, tolerance=tolerance, reason=found.reason * (found.width > tolerance))


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
        cpu_s=a.cpu_s + b.cpu_s,
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
            "isotropic sources, and for absolute error on the line"
        )
    return found


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
        )
    if problem.distortion.name != "squared_error":
        return None
    x = source.support.double().numpy()
    solver = certify_cloud if source.dim <= _PLANE else bound_cloud
    return Method(
        "points",
        lambda beta, tolerance, start: solver(x, p, beta, tolerance, start=start),
    )


def _density(problem: Problem) -> Method | None:
    if problem.alphabet is not None:
        return None
    if problem.source.dim == 1:
        return _line(problem)
    if problem.distortion.name != "squared_error":
        return None
    plane = plane_density(problem.source) if problem.source.dim == _PLANE else None
    if plane is not None:
        return Method(
            "points",
            lambda beta, tolerance, start: certify_plane(plane, beta, tolerance, start=start),
        )
    found = radial_density(problem.source)
    if found is None:
        return None
    radial, centre = found
    return Method(
        "shells",
        lambda beta, tolerance, start: certify_radial(radial, beta, tolerance, start=start),
        centre,
    )


def _line(problem: Problem) -> Method | None:
    line = line_density(problem.source)
    solver = {"squared_error": certify_line, "absolute_error": certify_line_absolute}.get(
        problem.distortion.name
    )
    if line is None or solver is None:
        return None
    return Method(
        "points",
        lambda beta, tolerance, start: solver(line, beta, tolerance, start=start),
    )
