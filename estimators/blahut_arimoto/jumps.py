"""Densities on the line that jump: where, and source masses that the jumps do not spoil.

Sums over nodes err by a share of a cell wherever the density jumps. Here only the other factor of
the integrand, which is smooth, is interpolated between nodes, by polynomials on either side of a
jump; the density itself is integrated cell by cell, cut at the jumps. NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

Density = Callable[[ndarray], ndarray]

_SCAN = 4001
_MOST = 64
_LEAST = 1e-4
"""A jump counts from this share of the largest density on."""
_DEGREE = 5
_RULE = np.polynomial.legendre.leggauss(8)


def find_jumps(density: Density, lo: float, hi: float) -> tuple[float, ...]:
    """Where the density of d = 1 jumps between lo and hi; ends of its support among them.

    A jump is a change that bisection does not make smaller. One that lies closer to another than
    a 4000th of the range may be missed: what is left then is seen as a discretisation error.
    """
    x = np.linspace(lo, hi, _SCAN)
    p = density(x[:, None])
    size = float(p.max())
    change = np.abs(np.diff(p))
    near = np.maximum(np.append(change[1:], 0.0), np.append(0.0, change[:-1]))
    # Beside a jump nothing changes as much, unless another jump is there.
    suspects = np.flatnonzero((change > _LEAST * size) & (change > 2.0 * near))
    suspects = np.union1d(suspects, np.argsort(-change)[:4])
    suspects = suspects[np.argsort(-change[suspects])][:_MOST]
    found = []
    for k in suspects:
        a, b = float(x[k]), float(x[k + 1])
        at_a, at_b = float(p[k]), float(p[k + 1])
        while b - a > 1e-14 * (hi - lo):
            middle = 0.5 * (a + b)
            if not a < middle < b:
                break
            value = float(density(np.array([[middle]]))[0])
            if abs(value - at_a) >= abs(value - at_b):
                b, at_b = middle, value
            else:
                a, at_a = middle, value
        if abs(at_b - at_a) > _LEAST * size:
            found.append(0.5 * (a + b))
    return tuple(sorted(found))


def cell_masses(
    density: Density, nodes: Float[ndarray, " n"], edges: tuple[float, ...]
) -> Float[ndarray, " n"]:
    """Masses w_j with sum_j w_j g(x_j) = int p g to the fifth degree in g, for uniform nodes.

    Args:
        density: of d = 1, (k, 1) to (k,).
        nodes: uniform; they cover the edges.
        edges: the ends of the source with the jumps between them, in order.
    """
    step = float(nodes[-1] - nodes[0]) / (len(nodes) - 1)
    mass = np.zeros(len(nodes))
    for lo, hi in pairwise(edges):
        first = int(np.clip(np.floor((lo - nodes[0]) / step + 1e-9), 0, len(nodes) - 2))
        last = int(np.clip(np.ceil((hi - nodes[0]) / step - 1e-9), 1, len(nodes) - 1))
        cells = np.arange(first, last)
        left, right = np.maximum(nodes[cells], lo), np.minimum(nodes[cells + 1], hi)
        # Nodes beyond the piece serve the cell that is cut alone, so that no mass is negative.
        low, high = np.full(len(cells), first), np.full(len(cells), last)
        low[1:] += nodes[first] < lo - 1e-9 * step
        high[:-1] -= nodes[last] > hi + 1e-9 * step
        degree = int(min(_DEGREE, (high - low).min()))
        if degree < 1:  # a piece within a cell or two
            low, high, degree = np.full(len(cells), first), np.full(len(cells), last), 1
        begin = np.clip(cells - degree // 2, low, high - degree)
        x, share = _gauss(left, right)
        t = (x - nodes[0]) / step - begin[:, None]
        weighed = share * density(x.reshape(-1, 1)).reshape(x.shape)
        for j, basis in enumerate(_lagrange(t, np.arange(degree + 1.0))):
            np.add.at(mass, begin + j, (weighed * basis).sum(1))
    if mass.min() < 0.0:
        return _linear_masses(density, nodes, edges)
    return mass


def _linear_masses(density: Density, nodes: ndarray, edges: tuple[float, ...]) -> ndarray:
    """The same to the first degree: never negative, whatever the density is."""
    step = float(nodes[-1] - nodes[0]) / (len(nodes) - 1)
    mass = np.zeros(len(nodes))
    cuts = np.union1d(nodes, [e for e in edges if nodes[0] < e < nodes[-1]])
    x, share = _gauss(cuts[:-1], cuts[1:])
    weighed = share * density(x.reshape(-1, 1)).reshape(x.shape)
    place = np.clip((x - nodes[0]) / step, 0.0, len(nodes) - 1.0)
    k = np.minimum(place.astype(int), len(nodes) - 2)
    np.add.at(mass, k, weighed * (1.0 - (place - k)))
    np.add.at(mass, k + 1, weighed * (place - k))
    return mass


def inner_masses(
    density: Density,
    nodes: Float[ndarray, " n"],
    fractions: Float[ndarray, " g"],
    edges: tuple[float, ...],
    mass: Float[ndarray, " k"],
) -> Float[ndarray, " k"]:
    """The masses of source nodes inside the cells, put right in cells with an edge.

    Args:
        density: of d = 1, (k, 1) to (k,).
        nodes: the ends of the cells, uniform.
        fractions: where the source nodes lie in every cell, from 0 to 1.
        edges: the ends of the source with the jumps between them, in order.
        mass: of the source nodes where nothing jumps, cell by cell.
    """
    step = float(nodes[-1] - nodes[0]) / (len(nodes) - 1)
    out = mass.reshape(len(nodes) - 1, len(fractions)).copy()
    for cell in {int((e - nodes[0]) / step) for e in edges if nodes[0] <= e < nodes[-1]}:
        a, b = nodes[cell], nodes[cell] + step
        cuts = np.array([a, *(e for e in edges if a < e < b), b])
        x, share = _gauss(cuts[:-1], cuts[1:])
        weighed = (share * density(x.reshape(-1, 1)).reshape(x.shape)).ravel()
        t = ((x - a) / step).ravel()
        found = np.array([float(weighed @ basis) for basis in _lagrange(t, fractions)])
        if found.min() < 0.0:
            place = np.interp(t, fractions, np.arange(float(len(fractions))))
            k = np.minimum(place.astype(int), len(fractions) - 2)
            found = np.bincount(k, weighed * (1.0 - place + k), len(fractions))
            found += np.bincount(k + 1, weighed * (place - k), len(fractions))
        out[cell] = found
    return cast(ndarray, out.ravel())


def _gauss(left: ndarray, right: ndarray) -> tuple[ndarray, ndarray]:
    half = 0.5 * (right - left)[:, None]
    return 0.5 * (left + right)[:, None] + half * _RULE[0], half * _RULE[1]


def _lagrange(t: ndarray, at: ndarray) -> list[ndarray]:
    """The polynomials that are one at one of ``at`` and zero at the others."""
    found = []
    for j, here in enumerate(at):
        basis = np.ones_like(t)
        for m, there in enumerate(at):
            if m != j:
                basis = basis * ((t - there) / (here - there))
        found.append(basis)
    return found
