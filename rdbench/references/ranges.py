"""The slopes, rates and distortions that a closed form can be asked about."""

from __future__ import annotations

import math

from rdbench.types import OutOfRange


def checked_slope(beta: float) -> float:
    """beta itself.

    Raises:
        OutOfRange: it is negative, infinite or not a number.
    """
    if not 0.0 <= beta < math.inf:
        raise OutOfRange(f"beta must be finite and >= 0, got {beta}")
    return beta


def checked_rate(rate: float) -> float:
    """The rate itself.

    Raises:
        OutOfRange: it is negative, infinite or not a number.
    """
    if not (rate >= 0.0 and math.isfinite(rate)):
        raise OutOfRange(f"a rate must be finite and >= 0, got {rate}")
    return rate


def checked_distortion(distortion: float) -> float:
    """D itself, for a source with a density.

    Raises:
        OutOfRange: it is not positive, or not a number.
    """
    if not distortion > 0.0:
        raise OutOfRange(f"R(D) is infinite at D = {distortion}")
    return distortion


def finite_slope(log_slope: float, rate: float) -> float:
    """exp(log_slope), the slope of a target rate.

    Raises:
        OutOfRange: a float cannot hold it.
    """
    slope = math.exp(log_slope) if log_slope < 700.0 else math.inf
    if not 0.0 < slope < math.inf:
        raise OutOfRange(f"the slope at R = {rate:g} nats is not a finite number")
    return slope
