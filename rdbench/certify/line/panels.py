"""Gauss-Legendre panels with a proved bound of their error.

If f is analytic in the Bernstein ellipse of parameter r > 1 about [-1, 1] and |f| <= M there, its
Chebyshev coefficients are at most 2 M r^-k, and the k-point Gauss rule errs by at most

    (64 / 15) M r^(-2k) / (1 - r^-2)

(Trefethen, Approximation Theory and Approximation Practice, theorem 19.3). On a panel of half
width h the ellipse fits into the rectangle |Re z - centre| <= h (r + 1/r) / 2,
|Im z| <= h (r - 1/r) / 2, and the bound gains the factor h.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

NODES = 16
ELLIPSES = np.geomspace(1.2, 8.0, 10)
"""The ellipses that are tried; the bound of a panel is the least over them."""


@cache
def _rule(nodes: int) -> tuple[ndarray, ndarray]:
    t, w = np.polynomial.legendre.leggauss(nodes)
    return t, w


@dataclass(frozen=True)
class Panels:
    """[left_k, right_k], disjoint and in order, not necessarily adjacent."""

    left: Float[ndarray, " k"]
    right: Float[ndarray, " k"]

    @classmethod
    def between(cls, edges: Float[ndarray, " k1"]) -> Panels:
        """Adjacent panels with these edges, in order."""
        return cls(edges[:-1], edges[1:])

    @property
    def centre(self) -> Float[ndarray, " k"]:
        """The middles."""
        return cast(ndarray, 0.5 * (self.left + self.right))

    @property
    def half(self) -> Float[ndarray, " k"]:
        """Half the widths."""
        return cast(ndarray, 0.5 * (self.right - self.left))

    def bisected(self, which: ndarray) -> Panels:
        """With the panels where ``which`` holds cut in two."""
        left = np.concatenate([self.left, self.centre[which]])
        right = np.concatenate([np.where(which, self.centre, self.right), self.right[which]])
        order = np.argsort(left)
        return Panels(left[order], right[order])

    def quadrature(
        self, nodes: int = NODES
    ) -> tuple[Float[ndarray, "k nodes"], Float[ndarray, "k nodes"]]:
        """Nodes and weights of every panel."""
        t, w = _rule(nodes)
        half = self.half[:, None]
        return self.centre[:, None] + half * t, half * w

    def rectangles(self) -> tuple[Float[ndarray, "k r"], Float[ndarray, "k r"]]:
        """Reach and height of the rectangles about the ellipses of every panel."""
        half = self.half[:, None]
        return half * (ELLIPSES + 1.0 / ELLIPSES) / 2.0, half * (ELLIPSES - 1.0 / ELLIPSES) / 2.0

    def log_error(self, log_modulus: Float[ndarray, "k r"]) -> ndarray:
        """Log of the error bound, by panel and ellipse, where log |f| <= ``log_modulus``."""
        factor = np.log(64.0 / 15.0) - 2 * NODES * np.log(ELLIPSES) - np.log1p(-(ELLIPSES**-2.0))
        return cast(ndarray, log_modulus + factor + np.log(self.half)[:, None])


def layout(
    lo: float,
    hi: float,
    width: float,
    *,
    growth: float = 0.0,
    onset: float = 0.0,
    breaks: tuple[float, ...] = (),
) -> Float[ndarray, " k1"]:
    """Edges from lo to hi of panels not wider than ``width`` or ``growth`` (|u| - ``onset``).

    Zero and the ``breaks`` inside are edges.

    Args:
        lo: the least edge.
        hi: the largest.
        width: of the panels near the origin.
        growth: how fast they may widen beyond ``onset``.
        onset: |u| from which they do.
        breaks: further edges.
    """
    stops = sorted({lo, hi, *(b for b in (0.0, *breaks) if lo < b < hi)})
    edges = [lo]
    for start, stop in pairwise(stops):
        near, far = sorted((abs(start), abs(stop)))
        offsets = [near]
        while offsets[-1] < far:
            offsets.append(offsets[-1] + max(width, growth * (offsets[-1] - onset)))
        # Spread the overshoot over all panels instead of leaving a sliver.
        scale = (far - near) / (offsets[-1] - near)
        steps = near + (np.array(offsets[1:]) - near) * scale
        steps[-1] = far
        if stop > 0:
            edges.extend(steps)
        else:
            edges.extend(-np.concatenate([steps[:-1][::-1], [near]]))
    return np.array(edges)
