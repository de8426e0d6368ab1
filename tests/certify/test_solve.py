"""Asking a solver again: brackets are intersected, contradictions are not hidden."""

from __future__ import annotations

import numpy as np
import pytest

from rdbench.certify.certificate import Certificate
from rdbench.certify.solve import Method, certify


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
