"""A point of a curve as a paper prints it, in our conventions: nats, distortion summed, F = R + βD.

Papers print rates in bits or nats, of a symbol or of a coordinate, and a distortion that is summed
over coordinates, their mean or half the sum. Their slope (λ, or β) multiplies their distortion and
weighs it against their rate; one function takes all of that out.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import msgspec

from rdbench.report.units import nats_per
from rdbench.types import RdbenchError


class Point(NamedTuple):
    """A point of a curve in our conventions; what the paper does not say is None."""

    beta: float
    """Nats per unit of summed distortion."""
    lagrangian: float | None
    """R + beta D, nats per symbol."""
    rate: float | None
    distortion: float | None


class Printed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is printed: a rate and a distortion, or their sum R + slope D, in the paper's units."""

    slope: float
    """Their λ or β, for their distortion."""
    rate: float | None = None
    distortion: float | None = None
    lagrangian: float | None = None
    rate_in: Literal["nats", "bits"] = "nats"
    slope_in: Literal["nats", "bits"] = "nats"
    """What a unit of slope times distortion is worth; also the unit of ``lagrangian``."""
    rate_of: Literal["symbol", "coordinate"] = "symbol"
    """Also of ``lagrangian``: per coordinate it is their rate per coordinate + slope D."""
    distortion_is: Literal["summed", "mean", "half"] = "summed"
    """Over coordinates: the sum, the mean (the sum over ``dim``), or half of the sum."""
    dim: int = 1
    """The number of coordinates."""

    def point(self) -> Point:
        """The point in our conventions.

        With R and D per symbol and summed, R = r c and D = m t, where c is ``dim`` for a rate per
        coordinate, else 1, times ln 2 for bits, and t is ``dim`` for means, 2 for halves. The
        objective r + s m, times what its unit is worth, is R + beta D for beta = s c' / t.

        Raises:
            RdbenchError: a value is not finite, or neither a sum nor a rate with its distortion is
                given.
        """
        given = (self.slope, self.rate, self.distortion, self.lagrangian)
        if not all(value is None or math.isfinite(value) for value in given):
            raise RdbenchError("a printed number must be finite")
        if self.dim < 1 or self.slope < 0.0:
            raise RdbenchError("a printed point needs a slope from 0 up and a dimension from 1 up")
        symbols = self.dim if self.rate_of == "coordinate" else 1
        summed = {"summed": 1, "mean": self.dim, "half": 2}[self.distortion_is]
        worth = nats_per(self.slope_in) * symbols
        beta = self.slope * worth / summed
        rate = None if self.rate is None else self.rate * nats_per(self.rate_in) * symbols
        distortion = None if self.distortion is None else self.distortion * summed
        if self.lagrangian is not None:
            return Point(beta, self.lagrangian * worth, rate, distortion)
        if rate is None or distortion is None:
            return Point(beta, None, rate, distortion)
        return Point(beta, rate + beta * distortion, rate, distortion)
