"""Both sides of F* for finitely many source letters or points: sums in balls, lambda = 1 / Z."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import reduce

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
    z = [
        sum(
            (w * (-beta * _square(x, y)).exp() for y, w in zip(atoms, weights, strict=True)), arb(0)
        )
        for x in points
    ]
    masses = [1 / (n * each) for each in z]
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
    f = -sum((each.log() for each in z), arb(0)) / n
    return f - supremum(c, box, beta, 1e-3 * width).log(), f


def _square(x: Sequence[float], y: Sequence[float]) -> arb:
    return sum(((arb(a) - b) ** 2 for a, b in zip(x, y, strict=True)), arb(0))
