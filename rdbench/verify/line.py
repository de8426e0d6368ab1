"""Both sides of F* for a density on the line: docs/certificates.md, sections 2, 3 and 10."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import isfinite
from typing import Any

from flint import arb, arb_mat, arb_series

from rdbench.verify.laws import Law, Tail
from rdbench.verify.quadrature import Panel, panels
from rdbench.verify.sums import FAR, Function, LogSum, log
from rdbench.verify.supremum import supremum

Ends = tuple[float, float]
Kappas = tuple[arb, arb]
Gaps = Sequence[tuple[float, float, arb]]


class Squared(LogSum):
    """Z under squared error: atoms in ascending order and their weights, which sum to one."""

    def __init__(self, points: list[float], weights: list[arb], beta: arb):
        super().__init__(weights, points, [beta] * len(points), FAR)
        self.beta, self.shannon = beta, (beta / arb.pi()).log() / 2
        self.kinks: list[float] = []

    def beyond(self, t: arb, side: int, tail: Tail) -> arb:
        """A bound of E[-log Z; side X > t]: -log Z <= beta (x - y)^2 - log w of an outer atom."""
        (mass, first, second), k = tail, -(side > 0)
        away = t - side * self.centres[k]
        rho = second + 2 * away.nonnegative_part() * first + away**2 * mass
        return self.beta * rho - self.logs[k] * mass

    def sup(self, core: list[Panel], ends: Ends, kappas: Kappas, gaps: Gaps, slack: float) -> arb:
        """Of sup c: the core by its quadrature, itself of that form; tails and gaps by erfc."""
        nodes = [(x, w * v[1]) for p in core for (x, w), v in zip(p.nodes, p.values, strict=True)]
        at, root = [float(x) for x, _ in nodes], self.beta.sqrt()
        mass, reach = (
            sum((g for _, g in nodes), arb(0)),
            float((arb(FAR) / self.beta).sqrt().upper()),
        )
        rest = arb(0, mass * (1 - arb(FAR)).exp())

        def value(y: arb, near: list[tuple[arb, arb]]) -> arb:
            inside = sum((g * (-self.beta * (x - y) ** 2).exp() for x, g in near), rest)
            left, right = ((root * u).erfc() for u in (y - ends[0], ends[1] - y))
            for a, b, kappa in gaps:
                inside += kappa * ((root * (a - y)).erfc() - (root * (b - y)).erfc()) / 2
            return inside + (kappas[0] * left + kappas[1] * right) / 2

        def c(y: list[arb]) -> arb_mat:
            lo, hi = float(y[-1]) - reach, float(y[0]) + reach
            near = nodes[bisect_left(at, lo) : bisect_right(at, hi)]
            return arb_mat([[value(each, near)] for each in y])

        # Beyond the core c falls where there is no tail; else from 6.5 / sqrt(beta) on as stated.
        span = [arb(6.5) / root if k > 0 else arb(0) for k in kappas]
        far = kappas[0].max(kappas[1]) * (1 + arb(6.5).erfc()) + mass * (-(arb(6.5) ** 2)).exp()
        inner = supremum(c, [(ends[0] - span[0], ends[1] + span[1])], self.beta, slack)
        # |exp(-beta (z - y)^2)| <= exp(beta t^2) in an ellipse of height t = 4 h / 3.
        error = sum(p.errors[1] * (self.beta * (p.half * 4 / 3) ** 2).exp() for p in core)
        return inner.max(far) + error


class Absolute:
    """Z under absolute error: between atoms A exp(beta x) + B exp(-beta x)."""

    loss = 0.0

    def __init__(self, points: list[float], weights: list[arb], beta: arb):
        self.kinks, self.weights, self.beta = points, weights, beta
        self.shannon = (beta / 2).log()
        falls = [(-beta * (arb(b) - a)).exp() for a, b in pairwise(points)]
        self.left = _scan(weights[0], falls, weights[1:])
        self.right = _scan(weights[-1], falls[::-1], weights[-2::-1])[::-1]

    def around(self, x0: arb, h: arb) -> Function:
        """zeta -> log Z(x0 + zeta) in the cell of x0."""
        k, beta = bisect_left(self.kinks, float(x0)), self.beta
        from_left = self.left[k - 1] * (-beta * (x0 - self.kinks[k - 1])).exp() if k else arb(0)
        inner = k < len(self.kinks)
        from_right = self.right[k] * (-beta * (self.kinks[k] - x0)).exp() if inner else arb(0)
        return lambda z: log(from_left * (-beta * z).exp() + from_right * (beta * z).exp())

    def beyond(self, t: arb, side: int, tail: Tail) -> arb:
        """A bound of E[-log Z; side X > t]: -log Z(x) <= beta |x - y| - log w of an outer atom."""
        (mass, first, _), k = tail, -(side > 0)
        away = abs(t - side * self.kinks[k])
        return self.beta * (first + away * mass) - self.weights[k].log() * mass

    def sup(self, core: list[Panel], ends: Ends, kappas: Kappas, gaps: Gaps, slack: float) -> arb:
        """Of sup c: at the atoms by recursion, between them by (3), beyond the core kappa."""
        if gaps:
            raise ArithmeticError("under absolute error a core has no gaps")
        top, beta, error = kappas[0].max(kappas[1]), self.beta, arb(0)
        edges = sorted({*ends, *(y for y in self.kinks if ends[0] < y < ends[1])})
        largest = [arb(0) for _ in edges[1:]]
        to_left, to_right = [arb(0) for _ in edges[1:]], [arb(0) for _ in edges[1:]]
        for p in core:
            k = bisect_left(edges, float(p.centre)) - 1
            for (x, w), v in zip(p.nodes, p.values, strict=True):
                to_left[k] += w * v[1] * (-beta * (x - edges[k])).exp()
                to_right[k] += w * v[1] * (-beta * (edges[k + 1] - x)).exp()
            error += p.errors[1] * (beta * p.half).exp()
            largest[k] = largest[k].max(_largest(p))
        falls = [(-beta * (arb(b) - a)).exp() for a, b in pairwise(edges)]
        from_left = _scan(kappas[0] / 2, falls, to_right)
        from_right = _scan(kappas[1] / 2, falls[::-1], to_left[::-1])[::-1]
        c = [a + b for a, b in zip(from_left, from_right, strict=True)]
        for (a, b), most, fall in zip(pairwise(c), largest, falls, strict=True):
            bulge = 1 - 2 * fall.sqrt() / (1 + fall)  # 1 - sech(beta width / 2)
            top = top.max(a.max(b) + bulge * (2 * most / beta - a.max(b)).nonnegative_part())
        return top + error


def _largest(panel: Panel) -> arb:
    """Of lambda p on a panel: the larger end, and width^2 / 8 times a bound of |f''|."""
    f, h = panel.integrands, panel.half
    bend = f(arb_series([arb(0, h), 1], prec=3))[1][2]
    largest: arb = f(h)[1].max(f(-h)[1]) + h**2 * abs(bend)
    return largest


def _scan(start: arb, falls: Sequence[arb], gains: Sequence[arb]) -> list[arb]:
    """s_0 = start, s_{k+1} = falls_k s_k + gains_k."""
    steps = zip(falls, gains, strict=True)
    return list(accumulate(steps, lambda s, step: s * step[0] + step[1], initial=start))


def bracket(
    law: Law,
    z: Squared | Absolute,
    core: Sequence[float | None],
    kappa: Sequence[float],
    width: float,
    gaps: Sequence[tuple[float, float]] = (),
    gap_kappa: Sequence[float] = (),
) -> tuple[arb, arb]:
    """Balls of the lower and of the upper bound of F* for lambda = 1 / Z on the core without its
    gaps, and kappa e^shannon / p in these and beyond, one kappa for each gap and each side.

    Raises:
        ArithmeticError: an integral could not be bounded.
    """
    support = law.stops[0], law.stops[-1]
    a, b = (s if e is None else e for s, e in zip(support, core, strict=True))
    left, right = (arb(k if e is not None else 0) for k, e in zip(kappa, core, strict=True))
    ends, kappas = (a, b), (left, right)
    if not all(map(isfinite, ends)):
        raise ArithmeticError("the core has no end where the source has none")
    inner = [(a, b, arb(k)) for (a, b), k in zip(gaps, gap_kappa, strict=True)]
    marks = [ends[0], *(v for a, b, _ in inner for v in (a, b)), ends[1]]
    if any(u > v for u, v in pairwise(marks)):
        raise ArithmeticError("the core and its gaps are not in order")
    limits, upper, gain, inside = [], arb(0), arb(-z.loss), []
    for side, end in zip((-1, 1), support, strict=True):
        t = max([1.0, *(side * v for v in (*ends, *law.stops) if isfinite(v))])
        while not (isfinite(end) or z.beyond(arb(t), side, law.tail(arb(t), side)) < 1e-6 * width):
            t *= 1.5
            if t > 1e30:
                raise ArithmeticError("the tail of the source could not be bounded")
        limits.append(end if isfinite(end) else side * t)
        if not isfinite(end):
            tail = law.tail(arb(t), side)
            upper += z.beyond(arb(t), side, tail)
            level = kappas[side > 0].log() + z.shannon - law.log_p(arb(side * t), arb(0))(arb(0))
            gain += level.min(arb(0)) * tail[0]
    stops = {*limits, *(v for v in (*law.stops, *z.kinks, *marks) if limits[0] < v < limits[1])}
    for a, b in pairwise(sorted(stops)):
        gap = [k for left, right, k in inner if left <= a and b <= right]
        within = ends[0] <= a and b <= ends[1] and not gap

        def integrands(x0: arb, h: arb, within: bool = within) -> Function:
            log_z, p, log_p = z.around(x0, h), law.density(x0, h), law.log_p(x0, h)

            def values(u: Any) -> list[Any]:
                of_z, density = log_z(u), p(u)
                if within:
                    return [density * of_z, density * (-of_z).exp()]
                return [density * of_z, density, density * log_p(u)]

            return values

        level = (gap or [kappas[a >= ends[1]]])[0].log() + z.shannon
        for panel in panels(arb(a), arb(b), integrands):
            cost = -panel.integral(0)
            upper += cost
            gain += cost if within else level * panel.integral(1) - panel.integral(2)
            inside += [panel] if within else []
    return gain - z.sup(inside, ends, kappas, inner, 1e-3 * width).log(), upper
