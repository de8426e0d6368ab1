"""From a density in one or two dimensions to a finite rate-distortion problem on a grid.

Squared error: the source nodes are the reproduction nodes, with trapezoid weights, whose error is
exponentially small for a smooth density once step sqrt(2 beta) <= 1; where it jumps, cells are
integrated (`jumps`) and the step is a quarter of that. Absolute error: reproduction nodes on a
uniform grid and Gauss-Legendre source nodes inside every cell. There Z has kinks at the
reproduction nodes, and a source sampled only at those sees the peaks of Z: its F errs by
-(beta step)^2 / 12, a rate below R(D). Gauss nodes integrate over the cell, and what is left is
the price of the atoms, positive and of the order (beta step)^4.

NumPy only; ``density`` maps (k, d) to (k,).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.estimators.blahut_arimoto.boxes import OUTSIDE, Box, Density
from rdbench.estimators.blahut_arimoto.grid_kernels import BandedKernel, SeparableKernel
from rdbench.estimators.blahut_arimoto.jumps import cell_masses, inner_masses
from rdbench.inference.kernels import DenseKernel, Kernel
from rdbench.inference.scan_kernel import ScanKernel
from rdbench.types import Unsupported

MASS_GOAL, MASS_LIMIT = 1e-6, 1e-3
"""The sum of density times step must be one: within the first where points allow, within the
second at all. A larger error means that the grid steps over the source."""

_DENSE_ENTRIES = 16_000_000
_FINER_AT_JUMPS = 4
LEAST_2D = 97
"""The fewest points per axis in two dimensions, whatever beta is."""

# Fewest points per axis and how often they may be doubled until the source is resolved.
_TRIES = {
    ("squared_error", 1): (501, 2),
    ("absolute_error", 1): (2001, 3),
    ("squared_error", 2): (LEAST_2D, 2),
    ("absolute_error", 2): (LEAST_2D, 2),
}


@dataclass(frozen=True)
class Discretised:
    """Source probabilities, the kernel, the reproduction points and a good start for weights."""

    p: Float[ndarray, " n"]
    kernel: Kernel
    points: Float[ndarray, "m d"]
    start: Float[ndarray, " m"]
    axes: tuple[Float[ndarray, " _"], ...] = ()
    """The uniform axes whose product the reproduction points are; none of a finite problem."""
    edges: tuple[float, ...] = ()
    """The ends of the source with the jumps of its density between them; empty without jumps."""


def _axis(box: Box, axis: int, count: int) -> tuple[ndarray, float, int]:
    """``count`` uniform nodes that cover the box, the step, and the index of the mode's node."""
    step = float(box.widths[axis]) / (count - 2)
    before = math.ceil((box.mode[axis] - box.lo[axis]) / step)
    return box.mode[axis] + step * (np.arange(count) - before), step, before


def largest_step(distortion: str, beta: float, limit: bool = True) -> float:
    """The largest step of the grid that is accepted at beta (or, without ``limit``, aimed at).

    Squared error: 1/sqrt(2 beta), where the discretisation errs by about 1e-8 in F (1e-2 at twice
    that). Absolute error: 1/(2 beta), 4e-5 too high in F; the aim is 1/(8 beta), 2e-7.
    """
    if beta == 0:
        return math.inf
    if distortion == "squared_error":
        return 1.0 / math.sqrt(2.0 * beta)
    return (0.5 if limit else 0.125) / beta


def gauss_cells(edges: ndarray, order: int) -> tuple[ndarray, ndarray, ndarray]:
    """Nodes and weights inside every cell, cell by cell, and the nodes as fractions of a cell."""
    t, w = np.polynomial.legendre.leggauss(order)
    t, w, step = 0.5 * (t + 1.0), 0.5 * w, edges[1] - edges[0]
    nodes = (edges[:-1, None] + step * t).ravel()
    return nodes, np.tile(step * w, len(edges) - 1), t


def _squared_line(
    density: Density, box: Box, count: int, beta: float, refine: int
) -> tuple[ndarray, Kernel, ndarray]:
    """Source masses, kernel and reproduction nodes, ``refine`` source nodes to each of those.

    Where the kernel is banded, every source node is a reproduction node as well.
    """
    nodes, step, anchor = _axis(box, 0, count * refine)
    mass = cell_masses(density, nodes, box.edges) if box.jumps else density(nodes[:, None]) * step
    n = len(nodes)
    if n > 600 and beta > 0 and 4 * BandedKernel.half_width(step, beta) < count:
        return mass, BandedKernel.build(n, step, beta), nodes[:, None]
    kept = np.arange(anchor % refine, n, refine)
    if n * len(kept) > _DENSE_ENTRIES:
        raise Unsupported(
            f"{count} points at beta = {beta:g} need a dense matrix; take fewer points"
        )
    # differences of indices, not of nodes: exact for a source far from the origin
    rho = (step * np.subtract.outer(np.arange(n), kept)) ** 2
    return mass, DenseKernel.build(rho, beta), nodes[kept, None]


def absolute_line(
    density: Density, nodes: ndarray, step: float, edges: tuple[float, ...], beta: float
) -> tuple[ndarray, ScanKernel]:
    """Masses of three source nodes in every cell of the reproduction grid, and the kernel.

    Args:
        density: of d = 1, (k, 1) to (k,).
        nodes: of the reproduction grid, uniform.
        step: between them.
        edges: the ends of the source with the jumps between them; empty without jumps.
        beta: the slope.
    """
    x, weights, fractions = gauss_cells(nodes, 3)
    mass = density(x[:, None]) * weights
    if edges:
        mass = inner_masses(density, nodes, fractions, edges, mass)
    return mass, ScanKernel(len(nodes), step, beta, fractions)


def plane(
    density: Density, axes: Sequence[tuple[ndarray, float]], beta: float, squared: bool
) -> tuple[ndarray, SeparableKernel]:
    """Source masses and the kernel on a product grid.

    Args:
        density: of d = 2, (k, 2) to (k,).
        axes: nodes of the reproduction grid, uniform, and their step, along both coordinates.
        beta: the slope.
        squared: whether errors are squared, and source nodes those of the reproduction grid; else
            there are two by two in every cell.
    """
    nodes, widths, rho = [], [], []
    for y, step in axes:
        k = np.arange(len(y))
        if squared:  # differences of indices, as in 1-D
            nodes.append(y)
            widths.append(np.full(len(y), step))
            rho.append((step * np.subtract.outer(k, k)) ** 2)
        else:
            x, width, _ = gauss_cells(y, 2)
            nodes.append(x)
            widths.append(width)
            rho.append(np.abs(np.subtract.outer(x, y)))
    mass = density(product(nodes[0], nodes[1])) * np.outer(widths[0], widths[1]).ravel()
    return mass, SeparableKernel.build(rho[0], rho[1], beta)


def product(x: ndarray, y: ndarray) -> ndarray:
    """The points of a product grid, the second coordinate fastest."""
    return np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)


def _readable(count: int) -> str:
    return str(count) if count < 10**9 else f"{count:.3g}"


def _counts(
    box: Box, distortion: str, beta: float, points: int | None, max_points: int
) -> list[list[int]]:
    """Numbers of points per axis to try, coarsest first.

    Raises:
        Unsupported: no allowed number is fine enough for beta.
    """
    finer = _FINER_AT_JUMPS if distortion == "squared_error" and box.jumps else 1
    limit = largest_step(distortion, beta) / finer
    need = [math.ceil(w / limit) + 2 for w in box.widths]
    have = max_points if points is None else points
    if max(need) > have:
        raise Unsupported(
            f"{have} points per axis give a step of {float(box.widths.max()) / (have - 2):.3g}, "
            f"too coarse for beta = {beta:.6g}: the limit is {limit:.3g}, "
            f"which takes {' x '.join(map(_readable, need))} points"
        )
    dim = len(box.lo)
    if points is not None:
        return [[points] * dim]
    aim = limit if dim == 2 else largest_step(distortion, beta, limit=False) / finer
    least, doublings = _TRIES[distortion, dim]
    wanted = [max(least, math.ceil(w / aim) + 2) for w in box.widths]
    return [[min(max(n, least << k), max_points) for n in wanted] for k in range(doublings + 1)]


def discretise(
    density: Density,
    box: Box,
    distortion: str,
    beta: float,
    *,
    points: int | None,
    max_points: int,
) -> Discretised:
    """The finite problem at beta, with ``points`` per axis or as many as beta and source need.

    Args:
        density: of the source, (k, d) to (k,).
        box: that holds it, d = 1 or 2.
        distortion: "squared_error" or "absolute_error".
        beta: the slope.
        points: per axis; None for as many as it takes.
        max_points: the most per axis that None takes.

    Raises:
        Unsupported: the step that is allowed is too coarse for beta or for the source.
    """
    squared, dim = distortion == "squared_error", len(box.lo)

    def build(counts: list[int], refine: int = 1) -> tuple[ndarray, Kernel, ndarray]:
        if squared and dim == 1:
            return _squared_line(density, box, counts[0], beta, refine)
        axes = [_axis(box, k, count)[:2] for k, count in enumerate(counts)]
        if dim == 2:
            points = product(axes[0][0], axes[1][0])
            return *plane(density, axes, beta, squared), points
        return *absolute_line(density, *axes[0], box.edges, beta), axes[0][0][:, None]

    # In 1-D the source nodes can be refined alone, so that there a rough sum is enough at first.
    refinable = squared and dim == 1 and points is None
    goal = MASS_LIMIT if refinable else MASS_GOAL
    for counts in _counts(box, distortion, beta, points, max_points):
        mass, kernel, nodes = build(counts)
        if abs(mass.sum() - 1.0) <= goal:
            break
    if not abs(mass.sum() - 1.0) <= MASS_LIMIT:
        ends = " x ".join(f"[{a:.6g}, {b:.6g}]" for a, b in zip(box.lo, box.hi, strict=True))
        raise Unsupported(
            f"{' x '.join(map(str, counts))} points miss the source: density times cell sums to "
            f"{mass.sum():.6g} instead of 1 over {ends}, so it takes a finer grid, a normalised "
            "density, or a box from more draws where a mode lies outside"
        )
    for refine in (2, 4, 8) if refinable else ():
        if abs(mass.sum() - 1.0) <= MASS_GOAL:
            break
        mass, kernel, nodes = build(counts, refine)
    if dim == 2:
        mass = trimmed(mass)
    p = mass / mass.sum()
    start = density(nodes)
    if beta == 0:
        start = _limit_at_zero(nodes, start / start.sum(), distortion)
    # A weight of zero would stay zero under the multiplicative iteration.
    start = np.maximum(start, 1e-30 * start.max() * (beta > 0))
    axes = (nodes[:, 0],) if dim == 1 else (nodes[:: counts[1], 0], nodes[: counts[1], 1])
    return Discretised(p, kernel, nodes, start, axes, box.edges)


def trimmed(mass: ndarray) -> ndarray:
    """Source masses without the smallest ones, OUTSIDE in all.

    The corners of a box in 2-D hold masses like 1e-40: nothing in F, but an accelerated iteration
    cannot see what it does there, and the certificate would wait for it.
    """
    order = np.argsort(mass)
    kept = mass.copy()
    kept[order[: np.searchsorted(np.cumsum(mass[order]), OUTSIDE)]] = 0.0
    return kept


def _limit_at_zero(points: ndarray, mass: ndarray, distortion: str) -> ndarray:
    """The optimum as beta -> 0: one atom at the mean (squared error) or at the median."""
    if distortion == "squared_error":
        centre = mass @ points
    else:
        centre = np.array([_median(points[:, k], mass) for k in range(points.shape[1])])
    atom = np.zeros(len(points))
    atom[np.argmin(np.abs(points - centre).sum(1))] = 1.0
    return atom


def _median(x: ndarray, mass: ndarray) -> float:
    order = np.argsort(x, kind="stable")
    return float(x[order][np.searchsorted(np.cumsum(mass[order]), 0.5)])
