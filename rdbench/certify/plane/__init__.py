"""F*(beta) of a density in the plane under squared error.

The source is summed by the trapezoidal rule on a product grid, whose error falls exponentially
with 1 / step for densities like these; it is observed under halving and part of the bracket.
docs/certificates.md, section 6, derives what is used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.certify.certificate import Certificate
from rdbench.certify.checks import check_slope, rounding
from rdbench.certify.plane.density import PlaneDensity
from rdbench.certify.plane.fields import Field, axes_over, gaussians, grid_peaks, on_grid
from rdbench.certify.plane.maximum import maximum_plane
from rdbench.certify.plane.solve import AtomSet, cluster, log_partition, solve_atoms, weigh

_ROUNDS = 8
# n m^2 of one step of the interior point, beyond which the atoms are refined only once.
_MUCH_WORK = 3e9
_MOST_CANDIDATES = 900
_MOST_NODES = 4_000_000
# Nodes with less mass than this are left out where the atoms are solved, not in the bracket.
_SOLVER_MASS = 1e-13
_EDGE = 1e-3
# A weight whose c is so far above one bounds nothing.
_USELESS = 10.0
_PARTS = (0.3, 0.03, 3e-3, 3e-4, 1e-5)


@dataclass(frozen=True)
class _Grid:
    """A product grid with step ``steps`` and the probabilities of its nodes."""

    first: Float[ndarray, " g1"]
    second: Float[ndarray, " g2"]
    log_p: Float[ndarray, "g1 g2"]
    steps: Float[ndarray, " 2"]

    @classmethod
    def build(cls, density: PlaneDensity, steps: Float[ndarray, " 2"]) -> _Grid:
        counts = _counts(density, steps).astype(int)
        first, second = (
            density.lo[a] + (density.hi[a] - density.lo[a]) * np.arange(counts[a]) / (counts[a] - 1)
            for a in (0, 1)
        )
        nodes = np.stack(np.meshgrid(first, second, indexing="ij"), -1).reshape(-1, 2)
        log_p = density.log_density(nodes).reshape(counts)
        return cls(first, second, log_p, np.array([first[1] - first[0], second[1] - second[0]]))

    @cached_property
    def p(self) -> Float[ndarray, "g1 g2"]:
        """Density times the area of a cell."""
        return cast(ndarray, np.exp(self.log_p) * self.steps.prod())

    def heavy(self, mass: float) -> tuple[Float[ndarray, "n 2"], Float[ndarray, " n"]]:
        """The nodes with at least this part of the largest, as points with probabilities."""
        i, j = np.nonzero(self.p > mass * self.p.max())
        p = self.p[i, j]
        return np.stack([self.first[i], self.second[j]], 1), p / p.sum()

    def z(self, q: AtomSet, beta: float) -> Float[ndarray, "g1 g2"]:
        """Z at the nodes; it underflows far from all atoms."""
        left = gaussians(self.first, q.points[:, 0], beta) * q.weights
        return cast(ndarray, left @ gaussians(self.second, q.points[:, 1], beta).T)


def _counts(density: PlaneDensity, steps: Float[ndarray, " 2"]) -> Float[ndarray, " 2"]:
    """How many nodes of a grid with at most these steps cover the box, along each axis."""
    return cast(ndarray, np.ceil((density.hi - density.lo) / steps) + 1.0)


def _check_nodes(density: PlaneDensity, beta: float, steps: Float[ndarray, " 2"]) -> None:
    """Refuse a finest grid that is too large, naming what sets its step: the density or beta."""
    nodes = _counts(density, steps).prod()
    if nodes <= _MOST_NODES:
        return
    alone = _counts(density, 0.5 * density.steps).prod()
    what = (
        f"{density.name} is too narrow for its extent, at any beta"
        if alone > _MOST_NODES
        else f"beta = {beta:g} is too large for {density.name}"
    )
    raise ValueError(f"{what}: {nodes:.3g} grid nodes, the limit is {_MOST_NODES}")


def certify_plane(
    density: PlaneDensity, beta: float, tolerance: float, start: Certificate | None = None
) -> Certificate:
    """``lo <= F*(beta) <= hi`` of a density in the plane.

    Args:
        density: log density, box and bounds of what lies outside.
        beta: slope >= 0.
        tolerance: the width of the bracket asked for, in nats.
        start: a certificate at a nearby slope, whose atoms are among the candidates.

    Returns:
        A certificate of kind "certified (numerical)". Twice what halving the step changes is part
        of the bracket, on both sides, and in ``quadrature``.

    Raises:
        ValueError: a bad slope or tolerance, or a slope or a density that needs too fine a grid.
    """
    check_slope(beta, tolerance)
    if beta * density.second_moment <= 0.5 * tolerance:
        centre = density.centre[None]
        return Certificate.of_one_point(centre, density.second_moment, beta, tolerance)
    steps = np.minimum(density.steps, 0.35 / np.sqrt(2.0 * beta))
    _check_nodes(density, beta, 0.5 * steps)
    grid = _Grid.build(density, steps)
    fine = _Grid.build(density, 0.5 * steps)
    # The atoms need no finer grid than their own spacing does.
    coarse = _Grid.build(density, np.minimum(density.steps, 0.7 / np.sqrt(2.0 * beta)))
    q = _solve(grid, coarse, beta, tolerance, start)
    upper, change, distortion = _upper(density, grid, fine, q, beta)
    lower, moved = _lower(density, grid, fine, q, beta, tolerance)
    slack = rounding(upper, terms=fine.p.size)
    lo, hi = lower - moved - slack, upper + change + slack
    return Certificate(
        beta=float(beta),
        lo=float(lo),
        hi=float(hi),
        points=q.points,
        weights=q.weights,
        distortion=distortion,
        kind="certified (numerical)",
        tolerance=tolerance,
        quadrature=change + moved,
        reason="" if hi - lo <= tolerance else f"adding atoms ended at {hi - lo:.1e} nats",
    )


def _solve(
    grid: _Grid, coarse: _Grid, beta: float, tolerance: float, start: Certificate | None
) -> AtomSet:
    unit = 1.0 / np.sqrt(2.0 * beta)
    x, p = coarse.heavy(_SOLVER_MASS)
    core, _ = grid.heavy(1e-7)
    for spacing in (0.7, 0.85, 1.0, 1.3, 1.6, 2.0):
        points = spacing * unit * np.unique(np.round(core / (spacing * unit)).astype(int), axis=0)
        if len(points) <= _MOST_CANDIDATES:
            break
    else:  # fewer would be too far apart for any tolerance
        raise ValueError(
            f"beta = {beta:g} is too large for a certificate: {len(points)} atoms to choose from "
            f"cover the source, the limit is {_MOST_CANDIDATES}"
        )
    if start is not None:
        points = np.vstack([points, start.points])
    q = weigh(x, p, points, beta, 1e-6)
    q = cluster(q, 0.5 * unit)

    tau = _tau(grid, 0.01 * tolerance)

    def peaks(q: AtomSet) -> tuple[ndarray, float]:
        c = _field(grid, q, tau, beta)
        mass = np.exp(np.minimum(np.log(p) - log_partition(x, q, beta)[0], 50.0))
        return grid_peaks(c, x, mass, x.min(0), x.max(0), beta, 0.1 * tolerance)

    rounds = _ROUNDS if len(x) * len(q.weights) ** 2 < _MUCH_WORK else 1
    return solve_atoms(x, p, beta, q, peaks, 0.3 * tolerance, rounds)


def _tau(grid: _Grid, mass: float) -> float:
    """A density below which the given mass lies."""
    density, p = np.exp(grid.log_p).ravel(), grid.p.ravel()
    order = np.argsort(density)
    below = np.cumsum(p[order])
    return float(density[order[min(int(np.searchsorted(below, mass)), len(p) - 1)]])


def _log_lambda(grid: _Grid, q: AtomSet, tau: float, beta: float) -> Float[ndarray, "g1 g2"]:
    """-log(Z + (pi / beta) (p tau / (p + tau) + EDGE tau)), smooth like Z and p.

    Where p is far above tau it is 1 / Z but for a tau / p of it. Where the atoms end and p falls
    below tau, lambda p stays below about beta / pi, as for the Shannon bound, and at last it
    falls like p, so that nothing is cut off at the box.
    """
    density = np.exp(grid.log_p)
    extra = density * (tau / (density + tau)) + _EDGE * tau
    return cast(ndarray, -np.log(grid.z(q, beta) + np.pi / beta * extra))


def _field(grid: _Grid, q: AtomSet, tau: float, beta: float) -> Field:
    """c of that lambda."""
    mass = grid.p * np.exp(_log_lambda(grid, q, tau, beta))
    return on_grid(grid.first, grid.second, mass, beta)


def _upper(
    density: PlaneDensity, grid: _Grid, fine: _Grid, q: AtomSet, beta: float
) -> tuple[float, float, float]:
    """F(q) with the bound of the tail, twice what halving the step changes, and D."""
    away = q.points - density.centre
    spread = float(q.weights @ (away**2).sum(1))
    # -log Z(x) <= beta E_q ||x - Y||^2 <= 2 beta (||x - c||^2 + E_q ||Y - c||^2).
    tail = 2.0 * beta * (density.outside_square + spread * density.outside_mass)
    values = []
    for g in (grid, fine):
        keep = g.p > 1e-25 * g.p.max()
        i, j = np.nonzero(keep)
        log_z, rho = log_partition(np.stack([g.first[i], g.second[j]], 1), q, beta)
        # The nodes that are left out: Jensen's bound again.
        a, b = np.nonzero(~keep)
        far = (g.first[a] - density.centre[0]) ** 2 + (g.second[b] - density.centre[1]) ** 2
        rest = 2.0 * beta * float(g.p[a, b] @ (far + spread))
        values.append(-float(g.p[i, j] @ log_z) + rest)
        distortion = float(g.p[i, j] @ rho)
    return values[1] + tail, 2.0 * abs(values[1] - values[0]), distortion


def _lower(
    density: PlaneDensity, grid: _Grid, fine: _Grid, q: AtomSet, beta: float, tolerance: float
) -> tuple[float, float]:
    """E log lambda - log sup c of the best tau, and twice what halving the step changes.

    Outside the box lambda is one: it adds nothing to E log lambda, and at most the mass to c.
    """
    best, moved = 0.0, 0.0  # F* >= 0
    for part in _PARTS:
        tau = _tau(grid, part * tolerance)
        expected = [float((g.p * _log_lambda(g, q, tau, beta)).sum()) for g in (grid, fine)]
        coarse, c = _field(grid, q, tau, beta), _field(fine, q, tau, beta)
        if c(*axes_over(density.lo, density.hi, beta, 1.0)).max() > _USELESS:
            continue
        upper = maximum_plane(c, density.lo, density.hi, beta, 0.02 * tolerance)
        axes = axes_over(density.lo, density.hi, beta, 2.0)
        values = c(*axes)
        # What changes far below the maximum does no harm.
        raised = float((values + 2.0 * np.abs(coarse(*axes) - values)).max() - values.max())
        change = 2.0 * abs(expected[1] - expected[0]) + raised
        value = expected[1] - float(np.log(upper + density.outside_mass))
        if value - change > best - moved:
            best, moved = value, change
    return best, moved
