"""Both sides of F* for finitely many source letters or points: sums in balls, lambda = 1 / Z."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from operator import itemgetter

from flint import arb, arb_mat

from rdbench.verify.supremum import supremum

Side = tuple[arb, arb]


def table(seed: int, rows: int, columns: int) -> list[list[float]]:
    """Doubles of the Mersenne twister MT19937 with the plain seeding, 53 bits each, row by row."""
    words = [seed]
    for k in range(1, 624):
        words.append((1812433253 * (words[-1] ^ (words[-1] >> 30)) + k) % 2**32)
    twister = random.Random()
    twister.setstate((3, (*words, 624), None))
    return [[twister.random() for _ in range(columns)] for _ in range(rows)]


def letters(rho: Sequence[Sequence[float]], q: dict[int, arb], beta: arb) -> Side:
    """F(q) - log max_j c_j and F(q), for equal probabilities of the rows of ``rho``."""
    n, m = len(rho), len(rho[0])
    kernel = arb_mat(n, m, [(-beta * r).exp() for row in rho for r in row])
    z = (kernel * arb_mat([[q.get(j, arb(0))] for j in range(m)])).entries()
    c = arb_mat([[1 / (n * each) for each in z]]) * kernel
    f = -sum((each.log() for each in z), arb(0)) / n
    return f - reduce(arb.max, c.entries()).log(), f


def cloud(
    points: Sequence[Sequence[float]], atoms: Sequence[Sequence[float]], weights: list[arb],
    beta: arb, width: float,
) -> Side:  # fmt: skip
    """F(q) - log sup c and F(q), for equal probabilities of points on the line or in the plane.

    The nearest point of the convex hull is nearer to all points, so that sup c is in their box.
    """
    n = len(points)
    f, masses = _upper(points, atoms, weights, beta, lambda a, b: (a - b) ** 2)
    seen: dict[int, arb_mat] = {}

    def factor(axis: int, ys: list[arb]) -> arb_mat:
        if id(ys) not in seen:
            rows = [[(-beta * (y - x[axis]) ** 2).exp() for x in points] for y in ys]
            if axis == 0:
                rows = [[m * v for m, v in zip(masses, row, strict=True)] for row in rows]
            seen[id(ys)] = arb_mat(rows)
        return seen[id(ys)]

    def c(*axes: list[arb]) -> arb_mat:
        other = factor(1, axes[1]).transpose() if len(axes) == 2 else arb_mat(n, 1, [1] * n)
        return factor(0, axes[0]) * other

    box = [(arb(min(axis)), arb(max(axis))) for axis in zip(*points, strict=True)]
    return f - supremum(c, box, beta, 1e-3 * width).log(), f


def absolute(
    points: Sequence[Sequence[float]], atoms: Sequence[Sequence[float]], weights: list[arb],
    beta: arb,
) -> Side:  # fmt: skip
    """The same under absolute error, where c is convex between the coordinates of the points.

    sup c = max c(u, v) over their coordinates u and v, c(u, v) = sum_i m_i exp(-beta |x_i1 - u|)
    exp(-beta |x_i2 - v|). For each v the sums over x_i1 <= u and x_i1 > u are recursions along u;
    of points with the same x_i1 any may come first, as they are at distance zero.
    """
    f, masses = _upper(points, atoms, weights, beta, lambda a, b: abs(a - b))
    order = sorted(zip(points, masses, strict=True), key=itemgetter(0))
    us, vs = [x[0] for x, _ in order], [x[1] if len(x) == 2 else 0.0 for x, _ in order]
    falls = [arb(1), *((beta * (arb(a) - b)).exp() for a, b in pairwise(us))]
    growth = {v: (beta * v).exp() for v in vs}
    split = [(v, m * growth[v], m / growth[v]) for v, (_, m) in zip(vs, order, strict=True)]
    top = arb(0)
    for v, grown in growth.items():
        shrunk, left, right = 1 / grown, [arb(0)], arb(0)
        gains = [above * shrunk if y <= v else below * grown for y, above, below in split]
        for gain, fall in zip(gains, falls, strict=True):
            left.append(left[-1] * fall + gain)
        for gain, fall, other in zip(gains[::-1], falls[::-1], left[:0:-1], strict=True):
            top = top.max(other + right)
            right = (right + gain) * fall
    return f - top.log(), f


def _upper(
    points: Sequence[Sequence[float]], atoms: Sequence[Sequence[float]], weights: list[arb],
    beta: arb, loss: Callable[[arb, float], arb],
) -> tuple[arb, list[arb]]:  # fmt: skip
    """F(q) = -sum_i log Z(x_i) / n, and m_i = 1 / (n Z(x_i)), of n points."""

    def z(x: Sequence[float]) -> arb:
        here = [arb(a) for a in x]
        rhos = (sum((loss(a, b) for a, b in zip(here, y, strict=True)), arb(0)) for y in atoms)
        return sum((w * (-beta * rho).exp() for w, rho in zip(weights, rhos, strict=True)), arb(0))

    n, found = len(points), [z(x) for x in points]
    return -sum((each.log() for each in found), arb(0)) / n, [1 / (n * each) for each in found]
