"""Both sides of F* for isotropic sources: docs/certificates.md, sections 7 and 10."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from flint import acb, arb, arb_mat

from rdbench.verify.quadrature import panels
from rdbench.verify.sums import FAR, Function, LogSum, log
from rdbench.verify.supremum import supremum

_REACH, _HEAP, _TINY, _LEAST = 6.5, 1e4, arb(2) ** -400, 1e-20


def mean(dim: int, k: Any) -> Any:
    """E e^(k (u_1 - 1)), u uniform on the unit sphere of R^dim: on a box by its derivative.

    The derivative is at most E (1 - u_1) e^(low (u_1 - 1)) in modulus where Re k >= low.
    """
    if isinstance(k, arb):
        return (k**2 / 4).hypgeom_0f1(arb(dim) / 2) * (-k).exp()
    low, centre = arb(k.real.lower()), arb(k.real.mid())
    steep = mean(dim, low) - low / dim * mean(dim + 2, low)
    radius = abs(k - centre).upper() * steep.upper()
    return acb(mean(dim, centre) + arb(0, radius), arb(0, radius))


class Radial(NamedTuple):
    """log p of R^dim at a radius, as `Law.log_p`, and bounds of P(S > t) and E[S^2; S > t]."""

    dim: int
    log_p: Callable[[arb, arb], Function]
    tail: Callable[[arb], tuple[arb, arb]]


def student(df: float, dim: int, loc: float, scale: float) -> Radial:
    """Multivariate Student t about loc."""
    power, square = (arb(df) + dim) / 2, df * arb(scale) ** 2
    top = power.lgamma() - (arb(df) / 2).lgamma() - arb(dim) / 2 * (arb.pi() * square).log()

    def tail(t: arb) -> tuple[arb, arb]:
        law = _area(dim) * (top + power * square.log()).exp() / t**df
        return law / df, law * t**2 / (arb(df) - 2)

    return Radial(dim, lambda s0, h: lambda z: top - power * log(1 + (s0 + z) ** 2 / square), tail)


def noisy_sphere(dim: int, radius: float, noise: float) -> Radial:
    """radius U + noise Z: S <= radius + noise ||Z||."""
    v = arb(noise) ** 2
    top = -arb(dim) / 2 * (2 * arb.pi() * v).log()

    def log_p(s0: arb, h: arb) -> Function:
        return lambda z: (
            top - (s0 + z - radius) ** 2 / (2 * v) + log(mean(dim, (s0 + z) * radius / v))
        )

    def tail(t: arb) -> tuple[arb, arb]:
        u = (t - radius).max(arb(0)) ** 2 / (2 * v)
        mass, more = (_chi(arb(d) / 2, u) for d in (dim, dim + 2))
        return mass, 2 * (arb(radius) ** 2 * mass + v * dim * more)

    return Radial(dim, log_p, tail)


def _chi(half: arb, x: arb) -> arb:
    return x.gamma_upper(half, 1)


def _area(dim: int) -> arb:
    return 2 * arb.pi() ** (arb(dim) / 2) / (arb(dim) / 2).gamma()


class Shells(LogSum):
    """Z of spheres about the centre: e^(-beta (s - r)^2) mean(2 beta s r)."""

    def __init__(self, dim: int, radii: Sequence[float], weights: Sequence[arb], beta: arb):
        super().__init__(weights, radii, [beta] * len(radii), FAR)
        self.dim, self.beta = dim, beta

    def factor(self, k: int, x: Any) -> Any:
        return mean(self.dim, 2 * self.beta * self.centres[k] * x)

    def doubled(self, k: int, x: float) -> float:
        n = self.dim - 1
        return -0.5 * n * math.log1p(4.0 * self.doubles[k][2] * self.centres[k] * abs(x) / n)


def bracket(
    law: Radial,
    radii: list[float],
    weights: list[arb],
    beta: arb,
    outer: float,
    count: int,
    width: float,
) -> tuple[arb, arb]:
    """Balls of both bounds for lambda = 1 / (Z_T + theta p (pi / beta)^(d / 2)), Z_T of the first
    ``count`` shells, theta(s) = erfc(sqrt(beta) (outer - s)) / 2.
    """
    dim, root = law.dim, beta.sqrt()
    level, area = arb(dim) / 2 * (beta / arb.pi()).log(), _area(dim)
    q = Shells(dim, radii, weights, beta)
    inner = Shells(dim, radii[:count], weights[:count], beta) if count else None

    def log_dual(s0: arb, h: arb, log_p: Function) -> Function:
        log_z = inner.around(s0, h) if inner else None

        def value(z: Any) -> Any:
            theta, rest = (root * (outer - s0 - z)).erfc() / 2, log_p(z) - level
            if log_z is None:
                return -rest - log(theta)
            of_z = log_z(z)
            lead = of_z - rest
            if lead.real.mid() < 0:  # the larger one is taken out of the sum
                return -rest - log(theta + lead.exp())
            return -of_z - log(1 + theta * (-lead).exp())

        return value

    def both(s0: arb, h: arb) -> Function:
        log_z, log_p = q.around(s0, h), law.log_p(s0, h)
        dual = log_dual(s0, h, log_p)

        def values(z: Any) -> list[Any]:
            p = area * (s0 + z) ** (dim - 1) * log_p(z).exp()
            return [p * log_z(z), p * dual(z)]

        return values

    second, t = sum((w * arb(r) ** 2 for w, r in zip(weights, radii, strict=True)), arb(0)), 1.0

    def beyond(t: float) -> arb:
        mass, square = law.tail(arb(t))
        return beta * (square + second * mass)

    while not beyond(t) < 1e-6 * width:
        t *= 1.5
        if t > 1e30:
            raise ArithmeticError("the tail of the source could not be bounded")
    t *= 2.0  # of a Gaussian tail nothing is left there
    end = (law.log_p(arb(t), arb(0))(arb(0)) - level).exp()
    upper, gain = beyond(t), -q.loss - law.tail(arb(t))[0] * (1 + end).log()
    for panel in panels(arb(0), arb(t), both):
        upper -= panel.integral(0)
        gain += panel.integral(1)
    # c <= 1 + the integral over s < cut of (lambda p - l) k, and 1 / theta(cut) - 1, l = e^level.
    reach = (_REACH + 0.01) / root
    cut = arb(outer).max(arb(0)) + reach

    def excess(s0: arb, h: arb) -> Function:
        log_p = law.log_p(s0, h)
        dual, top = log_dual(s0, h, log_p), _largest_kernel(dim, beta, s0, h)

        def values(z: Any) -> list[Any]:
            above = (dual(z) + log_p(z) - level).exp() - 1
            # The second is looked at, not integrated: it may be as large as it likes.
            return [area * level.exp() * (s0 + z) ** (dim - 1) * above * top, above * _TINY]

        return values

    # Of noise beyond reach the mass is nothing, unless lambda p / l is large: there k is small.
    most, far, error, parts = arb(0), arb(0), arb(0), []
    for p in panels(arb(0), cut, excess, 1e-9 * width):
        end, top = p.centre + p.half, _largest_kernel(dim, beta, p.centre, p.half)
        nodes = [(x, w * v[0] / top) for (x, w), v in zip(p.nodes, p.values, strict=True)]
        height = abs(p.integrands(acb(arb(0, p.half)))[1]).upper() / _TINY
        mass = None if height < _HEAP else sum((abs(g) for _, g in nodes), p.errors[0])
        if mass is None:
            most = most.max(height)
        else:
            far += mass * (-beta * (cut + reach - end) ** 2).exp()
        error += p.errors[0]
        parts.append((p.centre - p.half, end, mass, nodes))
    across = ((arb(dim - 1) / 2).sqrt() + _REACH) / root
    missed = most * (arb(_REACH).erfc() + _chi(arb(dim - 1) / 2, beta * across**2))

    def c(radii: list[arb]) -> arb_mat:
        lo, hi = radii[-1] - reach, ((radii[0] + reach) ** 2 + across**2).sqrt()
        near, rest = [], missed + error
        for a, b, mass, part in parts:
            gap = (radii[-1] - b).max(a - radii[0])
            gone = None if mass is None else mass * (-beta * gap**2).exp()
            if (lo <= b and a <= hi) or not (gone is None or gone < _LEAST):
                near += part
            elif gone is not None:
                rest += gone

        def at(r: arb) -> arb:
            kernels = ((-beta * (x - r) ** 2).exp() * mean(dim, 2 * beta * x * r) for x, _ in near)
            terms = (g * k for (_, g), k in zip(near, kernels, strict=True))
            return sum(terms, 1 + arb(0, rest))

        return arb_mat([[at(r)] for r in radii])

    far += 1 + most * arb(_REACH).erfc()
    sup = supremum(c, [(arb(0), cut + reach)], beta, 1e-3 * width).max(far)
    theta = (root * (outer - cut)).erfc() / 2
    return gain - (sup + 1 / theta - 1).log(), upper


def _largest_kernel(dim: int, beta: arb, s0: arb, h: arb) -> arb:
    """A bound, for all r, of |e^(-beta (z - r)^2) mean(2 beta z r)| on the ellipse of a panel."""
    lo, hi = (s0 - 5 * h / 3).max(arb(0)), s0 + 5 * h / 3
    top = mean(dim, 2 * beta * lo * hi)  # r >= hi
    for i in range(16):
        away = (lo - hi * (i + 1) / 16).nonnegative_part()
        top = top.max((-beta * away**2).exp() * mean(dim, 2 * beta * lo * hi * i / 16))
    bound: arb = top * (beta * (4 * h / 3) ** 2).exp()
    return bound
