"""Every solver: tolerances nest, bad slopes are refused; asked again, brackets are intersected."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from rdbench.certify.certificate import Certificate
from rdbench.certify.cloud import certify_cloud
from rdbench.certify.cloud.bounds import bound_cloud
from rdbench.certify.finite import certify_finite
from rdbench.certify.line import certify_line
from rdbench.certify.line import densities as line
from rdbench.certify.line.absolute import certify_line_absolute
from rdbench.certify.plane import certify_plane
from rdbench.certify.plane.density import banana_density
from rdbench.certify.radial import certify_radial
from rdbench.certify.radial.density import student_density
from rdbench.certify.solve import Method, certify

_RNG = np.random.default_rng(4)
_RHO, _P = _RNG.random((60, 80)), _RNG.dirichlet(np.ones(60))
_CLOUD = _RNG.standard_normal((60, 2))
_MODES = line.mixture(np.array([0.5, 0.5]), np.array([-3.0, 3.0]), np.ones(2))
# A solver and its problem, a slope, and tolerances that it reaches.
SOLVERS: dict[str, tuple[Callable[..., Certificate], float, tuple[float, ...]]] = {
    "finite": (partial(certify_finite, _RHO, _P), 6.0, (1e-2, 1e-5, 1e-9)),
    "cloud": (partial(certify_cloud, _CLOUD, _P), 3.0, (1e-2, 1e-5, 1e-7)),
    "plane": (partial(certify_plane, banana_density(1.0, 0.5, 0.5)), 0.4, (1e-3, 1e-4, 1e-6)),
    "radial": (partial(certify_radial, student_density(5.0, 10, 1.0)), 0.5, (1e-2, 1e-3, 1e-4)),
    "laplacian": (partial(certify_line, line.laplacian()), 0.5, (1e-2, 1e-4, 1e-6, 1e-8)),
    "uniform": (partial(certify_line, line.uniform()), 30.0, (1e-2, 1e-4, 1e-6, 1e-8)),
    "modes": (partial(certify_line, _MODES), 0.3, (1e-2, 1e-4, 1e-6)),
    "absolute": (partial(certify_line_absolute, line.gaussian()), 2.0, (1e-3, 1e-5, 1e-7)),
    "bounds": (partial(bound_cloud, _CLOUD[:12], np.full(12, 1 / 12)), 1.0, ()),
}


@pytest.mark.parametrize("name", [name for name in SOLVERS if name != "bounds"])
def test_tolerances_are_reached_and_brackets_nest(name: str) -> None:
    solve, beta, tolerances = SOLVERS[name]
    found = [solve(beta, tolerance) for tolerance in tolerances]
    assert [c.width <= t for c, t in zip(found, tolerances, strict=True)] == [True] * len(found)
    assert max(c.lo for c in found) <= min(c.hi for c in found)
    widths = [c.width for c in found]
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("name", SOLVERS)
def test_bad_slopes_and_tolerances_are_refused(name: str) -> None:
    solve, beta, _ = SOLVERS[name]
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="beta must be finite"):
            solve(bad, 1e-4)
    for bad in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="tolerance must be positive"):
            solve(beta, bad)


def _method(answers: dict[float, tuple[float, float]], asked: list[float]) -> Method:
    def solve(beta: float, tolerance: float, start: Certificate | None) -> Certificate:
        asked.append(tolerance)
        lo, hi = answers[tolerance]
        one = np.full((1, 1), hi)
        kind = "certified" if tolerance == 1.0 else "certified (numerical)"
        return Certificate(beta, lo, hi, one, np.ones(1), 0.1, kind, tolerance, reason="short")  # type: ignore[arg-type]

    return Method("points", solve)


@pytest.mark.parametrize(
    ("answers", "asked", "bracket", "reason"),
    [
        ({1.0: (5.0, 5.5)}, [1.0], (5.0, 5.5), ""),
        ({1.0: (0.0, 50.0)}, [1.0], (0.0, 50.0), "short"),
        ({1.0: (3.0, 7.0), 0.5: (4.5, 5.4)}, [1.0, 0.5], (4.5, 5.4), ""),
        ({1.0: (3.0, 5.0), 0.5: (4.2, 8.0)}, [1.0, 0.5], (4.2, 5.0), ""),
        (
            {1.0: (3.0, 7.0), 0.5: (2.0, 6.0), 0.2: (3.5, 9.0)},
            [1.0, 0.5, 0.2],
            (3.5, 6.0),
            "short",
        ),
    ],
)
def test_intersections(
    answers: dict[float, tuple[float, float]],
    asked: list[float],
    bracket: tuple[float, float],
    reason: str,
) -> None:
    done: list[float] = []
    found = certify(_method(answers, done), 2.0, 1.0)
    assert done == asked
    assert (found.lo, found.hi) == bracket
    assert found.points[0, 0] == found.hi  # the q of the lowest upper end
    assert found.tolerance == 1.0
    assert found.reason == reason
    assert found.kind == ("certified" if len(asked) == 1 else "certified (numerical)")


def test_contradictions_are_not_hidden() -> None:
    answers = {1.0: (3.0, 5.0), 0.5: (5.1, 5.2)}

    with pytest.raises(ValueError, match="do not meet"):
        certify(_method(answers, []), 2.0, 1.0)
