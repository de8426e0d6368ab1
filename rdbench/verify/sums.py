"""log sum_k w_k e^(-b_k (x - m_k)^2) near a point of the line, for balls, boxes and series."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from flint import acb, arb, arb_series

Function = Callable[[Any], Any]
FAR = 60.0


def log(z: Any) -> Any:
    """The principal logarithm, which is analytic where Re z > 0 throughout; else NaN."""
    head = z[0] if isinstance(z, arb_series) else z.real
    return z.log() if head > 0 else z * (acb("nan") if isinstance(z, acb) else arb("nan"))


class LogSum:
    """The logarithm of the sum, for w_k, b_k > 0; terms below e^-far of another are left out."""

    def __init__(
        self, weights: Sequence[arb], centres: Sequence[float], rates: Sequence[arb], far: float
    ):
        self.logs, self.centres, self.rates = [w.log() for w in weights], centres, rates
        logs = map(float, self.logs)
        self.doubles = list(zip(logs, centres, map(float, rates), strict=True))
        self.far, self.loss = far, len(centres) * math.exp(1.0 - far)

    def factor(self, k: int, x: Any) -> Any:
        """What term k is multiplied by, at most 1 for real x."""
        return 1

    def doubled(self, k: int, x: float) -> float:
        """About log factor(k, x)."""
        return 0.0

    def around(self, x0: arb, h: arb) -> Function:
        """zeta -> log sum(x0 + zeta); for real |zeta| <= h too small by ``loss`` at most.

        Of the exponents e_k + s_k zeta - b_k zeta^2 a mean is taken out, which is exact: what is
        left is small, so that a ball of zeta leaves the real part of the sum positive. Doubles
        choose the terms, with equal b_k; the 1 in ``loss`` is for their rounding.
        """
        x, r = float(x0), float(h)
        e = [w - b * (x - m) ** 2 for w, m, b in self.doubles]
        s = [-2.0 * b * (x - m) for _, m, b in self.doubles]
        g = [height + self.doubled(k, x) for k, height in enumerate(e)]
        t = g.index(max(g))
        if not e[t] > -1e14:
            return lambda z: z * arb("nan")
        least = e[t] - self.far + float(arb(self.factor(t, x0 + h)).log().lower())
        near = [k for k in range(len(e)) if e[k] + r * abs(s[k] - s[t]) > least]
        shares = [math.exp(g[k] - g[t]) for k in near]
        slope = arb(sum(p * s[k] for p, k in zip(shares, near, strict=True)) / sum(shares))
        bend, parts = self.rates[t], []
        for k in near:
            away, rate = x0 - self.centres[k], self.rates[k]
            height = (self.logs[k] - rate * away**2 - e[t]).exp()
            parts.append((k, height, -2 * rate * away - slope, bend - rate))
        flat = all(c == 0 for *_, c in parts)

        def value(z: Any) -> Any:
            terms = (
                v * (s * z if flat else (s + c * z) * z).exp() * self.factor(k, x0 + z)
                for k, v, s, c in parts
            )
            return e[t] + (slope - bend * z) * z + log(sum(terms))

        return value
