"""Handwritten digits as an empirical source: 2 principal components, 64 pixels."""

from __future__ import annotations

from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.certified import Bounded, Certified
from rdbench.sources.digits import DigitsSource, require_digits
from rdbench.suites._ladders import geometric
from rdbench.types import Case, Problem, Suite


def _build(_dim: int | None) -> tuple[Case, ...]:
    require_digits()
    plane, pixels = (Problem(DigitsSource(k), SquaredError()) for k in (2, 64))
    dependent = Problem(DigitsSource(2), AbsoluteError())
    return (
        Case("digits-2", plane, Certified(plane, 1e-5, "real_data-digits-2"), geometric(0.1, 2.5)),
        Case(
            "digits-2-absolute",
            dependent,
            Certified(dependent, 1e-5, "real_data-digits-2-absolute"),
            geometric(0.1, 2.5),
        ),
        Case(
            "digits-64",
            pixels,
            Bounded(pixels, 1e-5, "real_data-digits-64"),
            geometric(0.6, 4.5, 4),
        ),
    )


SUITE = Suite("real_data", 1, __doc__ or "", _build)
