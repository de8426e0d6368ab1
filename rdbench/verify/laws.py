"""Densities on the line: where they are analytic, and how much is left in their tails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

from flint import arb

from rdbench.verify.sums import Function, LogSum, log

Tail = tuple[arb, arb, arb]
_UNKNOWN = (arb("inf"), arb("inf"), arb("inf"))


class Law(NamedTuple):
    """A density p. ``stops``: the ends of the support and points where p is not analytic.

    ``log_p(x0, h)`` is zeta -> log p(x0 + zeta), on the piece that x0 is in; ``p`` likewise, where
    it is analytic beyond that. ``tail(t, side)`` bounds P(U > t), E (U - t)+ and E ((U - t)+)^2 of
    U = side X, and is infinite unless p falls from there on.
    """

    stops: list[float]
    log_p: Callable[[arb, arb], Function]
    tail: Callable[[arb, int], Tail] = lambda _t, _side: _UNKNOWN
    p: Callable[[arb, arb], Function] | None = None

    def density(self, x0: arb, h: arb) -> Function:
        """zeta -> p(x0 + zeta)."""
        f = self.log_p(x0, h)
        return self.p(x0, h) if self.p is not None else lambda z: f(z).exp()


def _log_concave(p: arb, fall: arb) -> Tail:
    """Where p(t + s) <= p e^(-fall s)."""
    return (p / fall, p / fall**2, 2 * p / fall**3) if fall > 0 else _UNKNOWN


def gaussian_mixture(
    weights: Sequence[float],
    means: Sequence[Sequence[float]],
    covariances: Sequence[list[list[float]]],
) -> Law:
    """sum_k weights_k N(means_k, covariances_k), the weights normalised."""
    total, rates = sum(map(arb, weights), arb(0)), [1 / arb(2 * c[0][0]) for c in covariances]
    heights = [w * (b / arb.pi()).sqrt() / total for w, b in zip(weights, rates, strict=True)]
    centres = [m[0] for m in means]

    def tail(t: arb, side: int) -> Tail:
        away = [(w, t - side * m, b) for w, m, b in zip(heights, centres, rates, strict=True)]
        parts = [_log_concave(w * (-b * u**2).exp(), 2 * b * u) for w, u, b in away]
        mass, first, second = (sum(moments, arb(0)) for moments in zip(*parts, strict=True))
        return mass, first, second

    return Law([-inf, inf], LogSum(heights, centres, rates, inf).around, tail)


def laplacian(loc: float, scale: float) -> Law:
    """e^(-|x - loc| / scale) / (2 scale)."""
    rate = 1 / arb(scale)

    def log_p(x0: arb, h: arb) -> Function:
        side = 1 if x0 > loc else -1
        return lambda z: (rate / 2).log() - side * rate * (x0 - loc + z)

    def tail(t: arb, side: int) -> Tail:
        u = t - side * loc
        return _log_concave((-rate * u).exp() * rate / 2, rate) if u > 0 else _UNKNOWN

    return Law([-inf, loc, inf], log_p, tail)


def uniform(lo: float, hi: float) -> Law:
    """1 / (hi - lo) on [lo, hi]."""
    return Law([lo, hi], lambda x0, h: lambda z: 0 * z - (arb(hi) - lo).log())


def beta(a: float, b: float) -> Law:
    """x^(a - 1) (1 - x)^(b - 1) / B(a, b) on [0, 1], a and b whole."""
    if not (a == int(a) >= 1 and b == int(b) >= 1):
        raise ValueError("a beta law is checked where a and b are whole numbers")
    constant = arb(a + b).gamma() / (arb(a).gamma() * arb(b).gamma())

    def p(x0: arb, h: arb) -> Function:
        return lambda z: constant * (x0 + z) ** int(a - 1) * (1 - x0 - z) ** int(b - 1)

    return Law([0.0, 1.0], lambda x0, h: lambda z: log(p(x0, h)(z)), p=p)


def student(df: float, dim: int, loc: float, scale: float) -> Law:
    """Student's t on the line: proportional to (1 + (x - loc)^2 / s^2)^(-(df + 1) / 2)."""
    if dim != 1:
        raise ValueError("a law on the line has one dimension")
    power, square = (arb(df) + 1) / 2, df * arb(scale) ** 2
    top = power.lgamma() - (arb(df) / 2).lgamma() - (arb.pi() * square).log() / 2

    def log_p(x0: arb, h: arb) -> Function:
        return lambda z: top - power * log(1 + (x0 - loc + z) ** 2 / square)

    def tail(t: arb, side: int) -> Tail:
        u = t - side * loc
        if not (u > 0 and df > 2):
            return _UNKNOWN
        mass = (top + power * (square / u**2).log()).exp() * u / df  # p(u) <= p(0) (s / u)^(df + 1)
        return mass, mass * u / (arb(df) - 1), 2 * mass * u**2 / ((arb(df) - 1) * (arb(df) - 2))

    return Law([-inf, inf], log_p, tail)


LAWS: dict[str, Callable[..., Law]] = {
    law.__name__: law for law in (gaussian_mixture, laplacian, uniform, beta, student)
}
