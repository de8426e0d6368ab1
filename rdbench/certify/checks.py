"""Slopes and probabilities that every solver refuses, and the allowance for rounding."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

_EPS = float(np.finfo(float).eps)


def check_slope(beta: float, tolerance: float) -> None:
    """Refuse what no certificate can be made for.

    Raises:
        ValueError: beta is negative or not finite; the tolerance is not positive and finite.
    """
    if not (beta >= 0.0 and math.isfinite(beta)):
        raise ValueError(f"beta must be finite and >= 0, got {beta}")
    if not (tolerance > 0.0 and math.isfinite(tolerance)):
        raise ValueError(f"a tolerance must be positive and finite, got {tolerance}")


def check_probabilities(p: Float[ndarray, " n"], n: int) -> Float[ndarray, " n"]:
    """p scaled to sum to one to the last digit.

    Raises:
        ValueError: they are not n non-negative numbers that sum to one.
    """
    p = np.asarray(p, dtype=float)
    if p.shape != (n,) or not (p.min(initial=np.inf) >= 0.0) or abs(p.sum() - 1.0) > 1e-9:
        raise ValueError(f"p must be {n} probabilities that sum to one")
    return cast(ndarray, p / p.sum())


def rounding(*magnitudes: float, terms: int = 0) -> float:
    """The allowance for rounding of sums of this size: 64 + ``terms`` units in the last place."""
    return _EPS * (64 + terms) * (1.0 + sum(abs(v) for v in magnitudes))
