"""A two-sided bound of F*(beta), with the q that achieves its upper end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

Kind = Literal["certified", "certified (numerical)", "bounds"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """``lo <= F*(beta) <= hi`` in nats, and the reproduction marginal that achieves ``hi``.

    ``points`` (m, d) and ``weights`` (m,) are the atoms of q; of an isotropic problem, the radii
    (m, 1) of spheres about the centre on which q is uniform. F(q) <= ``hi``: ``hi`` holds the
    errors of the integrals, of which ``quadrature`` is the part in ``hi - lo`` that bounds them
    (kind "certified") or that was observed under doubling ("certified (numerical)").
    ``distortion`` is that of q, no bracket of D*. Where ``tolerance`` was asked for and
    ``hi - lo`` exceeds it, ``reason`` says why.
    """

    beta: float
    lo: float
    hi: float
    points: Float[ndarray, "m d"]
    weights: Float[ndarray, " m"]
    distortion: float
    kind: Kind
    tolerance: float
    quadrature: float = 0.0
    reason: str = ""
    cpu_s: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lo) and np.isfinite(self.hi) and self.lo <= self.hi):
            raise ValueError(f"a certificate needs finite lo <= hi, got [{self.lo}, {self.hi}]")

    @classmethod
    def of_one_point(
        cls,
        point: Float[ndarray, "1 d"],
        second_moment: float,
        beta: float,
        tolerance: float,
    ) -> Certificate:
        """All of q at the centre: 0 <= F* <= beta E ||X - centre||^2.

        Args:
            point: the centre, or the radius 0 (1, 1).
            second_moment: E ||X - centre||^2.
            beta: the slope.
            tolerance: the width asked for, in nats.
        """
        hi, one = beta * second_moment * (1.0 + 1e-14), np.ones(1)
        return cls(float(beta), 0.0, hi, point, one, second_moment, "certified", tolerance)

    @property
    def width(self) -> float:
        """hi - lo in nats."""
        return float(self.hi - self.lo)

    @property
    def reached(self) -> bool:
        """Whether the bracket is as narrow as was asked."""
        return self.width <= self.tolerance
