"""The search for q on the line under squared error; what it finds is only a proposal.

The weights on a grid come from an interior point. Points where c(y) > 1 peaks between the atoms
are added and the weights solved again (an exchange method), which also settles marginals that are
nearly continuous. At last neighbours are merged and moved together with their weights by Newton.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.line.atoms import LineAtoms
from rdbench.certify.line.densities import LineDensity
from rdbench.certify.line.panels import Panels, layout
from rdbench.certify.line.sides import Constraint, extent, onset
from rdbench.certify.line.weights import optimal_weights
from rdbench.certify.maximum import grid_values, interpolate
from rdbench.certify.newton import newton_atoms

MOST_ATOMS = 5000
_MOST_MOVED = 250
# How far out peaks of c are looked for; atoms stand farther out in heavy tails.
_SEARCHED = 2000.0
_STEP = 0.5
_GROWTH = 0.05
_NODES = 10
_EXCHANGES = 6
_POLISHES = 8
_MOVES = 40
# An atom far out in a heavy tail has hardly any weight and saves many a nat.
_LIGHTEST = 1e-20


@dataclass(frozen=True)
class _Nodes:
    """The source as points with probabilities, where atoms stand, and where peaks are sought."""

    x: Float[ndarray, " n"]
    p: Float[ndarray, " n"]
    lo: float
    hi: float
    searched: float
    beta: float

    def peaks(self, atoms: LineAtoms, excess: float) -> Float[ndarray, " k"]:
        """Local maxima of c where it is above 1 + ``excess``."""
        log_z, _, _ = atoms.log_partition(self.x, self.beta)
        # Far from all atoms 1/Z overflows; there is a peak all the same.
        masses = self.p * np.exp(np.minimum(-log_z, 600.0))
        lo, hi = max(self.lo, -self.searched), min(self.hi, self.searched)
        c = Constraint(self.x, masses, lo, hi, (0.0, 0.0), self.beta)
        y, value = grid_values(interpolate(c, lo, hi, self.beta))
        y, value = y[:, :-1].ravel(), value[:, :-1].ravel()
        inner = value[1:-1]
        top = (inner >= value[:-2]) & (inner > value[2:]) & (inner > 1.0 + excess)
        found = y[1:-1][top]
        ends = [end for end, v in ((lo, value[0]), (hi, value[-1])) if v > 1.0 + excess]
        return np.concatenate([found, ends])


def _nodes(density: LineDensity, beta: float, tolerance: float) -> _Nodes:
    lo, hi = (extent(density, beta, 1e-2 * tolerance, side) for side in (-1, 1))
    width = min(0.9 / math.sqrt(beta), 2.0 * density.scale)
    far = onset(density, tolerance)
    edges = layout(lo, hi, width, growth=0.2, onset=far, breaks=density.breaks)
    x, w = (v.ravel() for v in Panels.between(edges).quadrature(_NODES))
    p = w * np.exp(density.log_prob(x))
    searched = _SEARCHED / math.sqrt(beta) + far
    return _Nodes(x, p / p.sum(), lo, hi, searched, beta)


def search(
    density: LineDensity,
    beta: float,
    tolerance: float,
    start: Float[ndarray, " m"] | None = None,
) -> Iterator[LineAtoms]:
    """Better and better q; stop taking them when one is good enough.

    Args:
        start: points that an earlier search at a neighbouring slope ended with.

    Raises:
        ValueError: the grid for this slope would have more than ``MOST_ATOMS`` points.
    """
    nodes = _nodes(density, beta, tolerance)
    step = _STEP / math.sqrt(2.0 * beta)
    far = onset(density, tolerance)
    points = layout(nodes.lo, nodes.hi, step, growth=_GROWTH, onset=far)
    if len(points) > MOST_ATOMS:
        limit = beta * (MOST_ATOMS / len(points)) ** 2
        raise ValueError(
            f"beta = {beta:g} needs {len(points)} atoms on the line; the limit of {MOST_ATOMS} "
            f"is at about beta = {limit:.3g}"
        )
    if start is not None:
        inside = start[(start > nodes.lo) & (start < nodes.hi)]
        points = np.unique(np.concatenate([points, inside]))
    weights = None
    spacing = 1.0 / math.sqrt(2.0 * beta)
    for _ in range(_EXCHANGES):
        weights = optimal_weights(nodes.x, nodes.p, beta, points, weights)
        atoms = _pruned(points, weights)
        yield atoms
        new = _apart(nodes.peaks(atoms, 0.02 * tolerance), atoms.points, 1e-3 * spacing)
        if not len(new):
            break
        points, weights = _joined(atoms, new)
    atoms = _merged(atoms.points, atoms.weights, 0.5 * spacing)
    if len(atoms.points) > _MOST_MOVED:
        return
    for _ in range(_POLISHES):
        moved, weights, residual = newton_atoms(
            nodes.x[:, None], nodes.p, beta, atoms.points[:, None], atoms.weights,
            iterations=_MOVES, tolerance=1e-4 * tolerance,
        )  # fmt: skip
        atoms = _merged(moved[:, 0], weights, 0.1 * spacing)
        yield atoms
        new = _apart(nodes.peaks(atoms, 0.02 * tolerance), atoms.points, 0.1 * spacing)
        if len(new):
            points, start_weights = _joined(atoms, new)
            found = optimal_weights(nodes.x, nodes.p, beta, points, start_weights)
            weights = np.maximum(found, 1e-14)
            atoms = LineAtoms(points, weights / weights.sum())
        elif residual < 1e-3 * tolerance:
            return


def _pruned(points: ndarray, weights: ndarray) -> LineAtoms:
    keep = weights > _LIGHTEST
    return LineAtoms(points[keep], weights[keep] / weights[keep].sum())


def _apart(new: ndarray, points: ndarray, distance: float) -> Float[ndarray, " k"]:
    """Those of the new points that are not at an atom already."""
    return new[np.abs(new[:, None] - points).min(1) > distance] if len(new) else new


def _joined(atoms: LineAtoms, new: ndarray) -> tuple[ndarray, ndarray]:
    points = np.concatenate([atoms.points, new])
    weights = np.concatenate([atoms.weights, np.full(len(new), 1e-3 / len(new))])
    order = np.argsort(points)
    return points[order], weights[order] / weights.sum()


def _merged(points: ndarray, weights: ndarray, distance: float) -> LineAtoms:
    """Neighbours closer than ``distance`` become one atom at their mean."""
    keep = weights > 1e-16
    order = np.argsort(points[keep])
    y, w = points[keep][order], weights[keep][order]
    while len(y) > 1:
        gaps = np.diff(y)
        i = int(gaps.argmin())
        if gaps[i] >= distance:
            break
        total = w[i] + w[i + 1]
        y[i] = (w[i] * y[i] + w[i + 1] * y[i + 1]) / total
        w[i] = total
        y, w = np.delete(y, i + 1), np.delete(w, i + 1)
    return LineAtoms(y, w / w.sum())
