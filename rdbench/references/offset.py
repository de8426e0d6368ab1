"""Distortions that are large by a constant of each source letter, certified without it.

A constant in a row of distortions changes nothing but D, and a large one would take the digits
of R: the problem less its row minima is solved, and E c(X) put back into F* and D*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.certificate import Certificate
from rdbench.distortions import TableDistortion
from rdbench.sources.finite import FiniteSource
from rdbench.types import Bracket, Problem, TruthPoint

# Of the range of the rows: what costs hardly a digit stays.
_SMALL = 0.5
_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Offset:
    """E c(X) and E |c(X)| of the row minima c(x) that were taken out of the distortions."""

    mean: float
    size: float
    """The rounding of the mean is relative to this."""

    def certificate(self, found: Certificate) -> Certificate:
        """The certificate of rho + c from that of rho."""
        more, slack = found.beta * self.mean, found.beta * self.slack(found.distortion)
        lo, hi = found.lo + more - slack, found.hi + more + slack
        return replace(found, lo=lo, hi=hi, distortion=found.distortion + self.mean)

    def point(self, found: TruthPoint) -> TruthPoint:
        """The point of rho + c; R is the same to the last digit."""
        f, d, slack = found.lagrangian, found.distortion, self.slack(found.distortion.hi)
        more, beta = found.beta * self.mean, found.beta
        return replace(
            found,
            lagrangian=Bracket(f.lo + more - beta * slack, f.hi + more + beta * slack),
            distortion=Bracket(d.lo + self.mean - slack, d.hi + self.mean + slack),
        )

    def distortions(self, distortion: float) -> tuple[float, float]:
        """The least and the largest D of rho that rounding lets D of rho + c stand for."""
        d, slack = distortion - self.mean, self.slack(abs(distortion))
        return d - slack, d + slack

    def slack(self, distortion: float) -> float:
        """The allowance for rounding of a D."""
        return 4.0 * _EPS * (self.size + distortion)


def without_offset(
    name: str, rho: Float[ndarray, "n m"], p: Float[ndarray, " n"]
) -> tuple[Problem, Offset] | None:
    """The problem less its row minima, and what they are; None where they are small.

    Args:
        name: of the source.
        rho: the distortions between letters; infinite ones are forbidden.
        p: probabilities of the rows.
    """
    least = rho.min(1)
    excess = rho - least[:, None]
    if np.abs(least).max() < _SMALL * excess[np.isfinite(excess)].max() or not least.any():
        return None
    letters = torch.arange(len(p), dtype=torch.float64)[:, None]
    source = FiniteSource(name, letters, torch.from_numpy(p))
    problem = Problem(source, TableDistortion(torch.from_numpy(excess)))
    return problem, Offset(math.fsum(p * least), math.fsum(p * np.abs(least)))
