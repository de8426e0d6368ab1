"""From brackets of F* to brackets of D* and R*, and of R(D).

F*(beta) = min_q F(q) is concave, and D*(beta) is its slope (a supergradient where it has a kink):

    (F*(b + s) - F*(b)) / s  <=  D*(b)  <=  (F*(b) - F*(b - s)) / s     for every s > 0.

With F* known within a width w, the error of the quotient is about 2 w / s + s |F*''| / 2; with
|F*''| = |dD*/dbeta| near D / beta it is smallest at s = 2 sqrt(w beta / D).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rdbench.certify.certificate import Certificate
from rdbench.types import Bracket, OutOfRange

# Rounding of a value of F by some last digits must not empty an interval.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Known:
    """lo <= F*(beta) <= hi in nats."""

    beta: float
    lo: float
    hi: float

    @classmethod
    def of(cls, certificate: Certificate) -> Known:
        """The bracket of a certificate."""
        return cls(float(certificate.beta), float(certificate.lo), float(certificate.hi))


ORIGIN = Known(0.0, 0.0, 0.0)
"""F*(0) = 0."""


def side_step(width: float, beta: float, distortion: float) -> float:
    """The distance of the neighbours of beta at which the bracket of D is narrowest.

    At most beta / 2. Three digits, so that the neighbours of a stored certificate are found again.
    """
    if not distortion > 0.0:
        # with infinite distortions F*(0+) > 0, and the origin says little
        return float(f"{0.5 * beta:.3g}")
    # A bracket of the width of rounding would ask for a step that rounding spoils.
    best = 2.0 * math.sqrt(max(width, 1e-11) * beta / distortion)
    return float(f"{min(best, 0.5 * beta):.3g}")


def distortion_bracket(centre: Known, others: Sequence[Known]) -> Bracket:
    """[lo, hi] of D*(centre.beta), from F* at other slopes and at zero.

    Raises:
        ValueError: the brackets contradict each other.
    """
    lo, hi = 0.0, math.inf
    for other in (*others, ORIGIN):
        step = other.beta - centre.beta
        slack = _ROUNDING * (1.0 + abs(centre.hi))
        if step > 0.0:
            lo = max(lo, (other.lo - centre.hi - slack) / step)
        elif step < 0.0:
            hi = min(hi, (centre.hi - other.lo + slack) / -step)
    if lo > hi:
        raise ValueError(f"contradictory brackets of F* around beta = {centre.beta:g}")
    return Bracket(lo, hi)


def rate_bracket(centre: Known, distortion: Bracket) -> Bracket:
    """[lo, hi] of R* = F* - beta D*, at least zero."""
    lo = max(0.0, centre.lo - centre.beta * distortion.hi)
    return Bracket(lo, max(lo, centre.hi - centre.beta * distortion.lo))


def rate_at(
    distortion: float,
    known: Sequence[Known],
    achieved: Sequence[Certificate],
    others: Sequence[tuple[float, float]] = (),
) -> Bracket:
    """R(D): above every line F_lo - beta D, below the convex hull of what is achieved.

    A certificate's q achieves the distortion D_q at the rate hi - beta D_q; ``others`` are more
    pairs (D, R) that some channel achieves.

    Args:
        distortion: D.
        known: brackets of F*, at any slopes.
        achieved: certificates, each with a q.
        others: pairs (D, R) that channels achieve; R in nats.

    Raises:
        OutOfRange: D lies below everything that is achieved.
    """
    pairs = [(c.distortion, max(0.0, c.hi - c.beta * c.distortion)) for c in achieved]
    pairs = sorted((d, r) for d, r in (*pairs, *others) if math.isfinite(d))
    if not pairs:
        raise OutOfRange(
            f"no point of R(D) is certified yet, so that R at D = {distortion:.6g} is not known: "
            "ask for refined_rate, or for a point first"
        )
    if distortion < pairs[0][0]:
        raise OutOfRange(
            f"R at D = {distortion:.6g} is not known: so far R(D) is certified down to "
            f"D = {pairs[0][0]:.6g} (refined_rate looks farther)"
        )
    lo = max([0.0, *(k.lo - k.beta * distortion for k in known)])
    return Bracket(lo, max(lo, _hull(pairs, distortion)))


def _hull(pairs: Sequence[tuple[float, float]], distortion: float) -> float:
    """The lowest chord at ``distortion`` between a pair to its left and one to its right."""
    left = [(d, r) for d, r in pairs if d <= distortion]
    right = [(d, r) for d, r in pairs if d > distortion]
    best = min(r for _, r in left)  # R(D) does not increase
    for d0, r0 in left:
        for d1, r1 in right:
            best = min(best, r0 + (r1 - r0) * (distortion - d0) / (d1 - d0))
    return best
