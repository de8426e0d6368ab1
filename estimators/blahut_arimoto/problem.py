"""The finite problems that blahut_arimoto solves: a finite source, a grid, a random codebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from rdbench.estimators.blahut_arimoto.boxes import find_box
from rdbench.estimators.blahut_arimoto.grid_error import DiscretisationError, discretisation_error
from rdbench.estimators.blahut_arimoto.grids import LEAST_2D, Discretised, discretise, largest_step
from rdbench.fitting import Split
from rdbench.inference import finite
from rdbench.inference.kernels import DenseKernel, check_distortions
from rdbench.inference.particles import starting_points
from rdbench.types import RdbenchError, Side, Unsupported, View, given_letters

_MAX_POINTS = {1: 100_000, 2: 1_024}
_DENSE_ENTRIES = 25_000_000
_NEAR_ZERO = 1e-6


@dataclass(frozen=True)
class FiniteProblem:
    """The problem at every slope, and what its discretisation costs."""

    at: Callable[[float], Discretised]
    """Raises Unsupported where the problem at this slope is not supported."""
    side: Side
    """The side of the claim."""
    error: Callable[[float, Discretised, finite.Solution], DiscretisationError] | None = None
    """None where nothing was put on a grid."""
    claimed_on: Float[Tensor, "n d"] | None = None
    """Where the source is a batch of draws: others, on which F(q) is taken at every slope."""
    least: float = 0.0
    """E min_y rho(X, y) of a finite source: no channel has less distortion."""


def finite_problem(view: View) -> FiniteProblem:
    """A finite source, exactly; points of probability zero do not take part.

    Raises:
        Unsupported: the matrix of distortions is too large, or there are no probabilities.
    """
    assert view.support is not None
    if view.pmf is None:
        raise Unsupported("a finite support without probabilities")
    support, p = view.support.double(), view.pmf.double().cpu().numpy()
    alphabet = given_letters(view.distortion) if view.alphabet is None else view.alphabet
    points = support if alphabet is None else alphabet.to(support.device).double()
    n, m = int((p > 0).sum()), len(points)
    if n * m > _DENSE_ENTRIES:
        raise Unsupported(f"a {n} x {m} matrix of distortions; the limit is {_DENSE_ENTRIES}")
    kept = torch.from_numpy(np.flatnonzero(p > 0)).to(support.device)
    rho = view.distortion.pairwise(support[kept], points).double().cpu().numpy()
    p = p[p > 0] / p.sum()
    _check(rho)
    least = float(p @ rho.min(1))
    letters = points.cpu().numpy()
    return FiniteProblem(lambda beta: _dense(p, rho, beta, letters), "upper", least=least)


def gridded(view: View, draws: int, points: int | None, max_points: int | None) -> FiniteProblem:
    """A density on a grid.

    Args:
        view: the problem, under squared or absolute error.
        draws: how many find its box; they are taken here, once, and of a fixed training set with
            replacement from all of its points: no number but the box depends on them.
        points: grid points per axis; None takes as many as beta and the source need.
        max_points: the most that None may take; None for the default.

    Raises:
        Unsupported: there is no density.
    """
    name, dim = view.distortion.name, view.dim
    if view.log_prob is None:
        raise Unsupported("Blahut-Arimoto needs a finite support or a density")
    drawn = view.sample(draws).double().cpu().numpy()
    if dim > 2:
        return FiniteProblem(_too_many_dimensions(drawn, name), "estimate")
    log_prob = view.log_prob

    def density(x: ndarray) -> ndarray:
        values = log_prob(torch.from_numpy(x).to(view.device)).double().exp().cpu().numpy()
        if np.isnan(values).any():
            raise RdbenchError("the source's log density is not a number somewhere")
        return values

    box = find_box(drawn, density)
    most = max_points or _MAX_POINTS[dim]

    def error(beta: float, on: Discretised, best: finite.Solution) -> DiscretisationError:
        return discretisation_error(density, name, beta, on, best)

    return FiniteProblem(
        lambda beta: discretise(density, box, name, beta, points=points, max_points=most),
        "estimate",
        error,
    )


def codebook(
    view: View, draws: Split, size: int, symbols_per_atom: int, claim_draws: int
) -> FiniteProblem:
    """Draws as reproduction points, with weights optimised on other draws, in any dimension.

    Under squared error most points are shrunk first, until the noise of slope beta is out of their
    covariance. With few symbols per atom the weights would follow their noise. Of fixed points the
    first half are reproduction points and the second half symbols, so that none is both.

    Args:
        view: the problem.
        draws: of its source.
        size: how many reproduction points.
        symbols_per_atom: symbols for every point.
        claim_draws: other symbols, on which all slopes are claimed.

    Raises:
        Unsupported: the matrix of distortions is too large.
    """
    n = min(symbols_per_atom * size, _DENSE_ENTRIES // size)
    if n < size:
        raise Unsupported(f"{size} atoms are too many: {n} symbols would fit beside them")
    if draws.fixed is None:
        drawn, symbols = draws.sample(size).double(), draws.sample(n).double()
    else:
        drawn, symbols = draws.distinct(draws.fixed).tensor_split(2)
        drawn, symbols = drawn[:size], symbols[:n]
    claimed_on = draws.claim(claim_draws).double()
    p = np.full(len(symbols), 1.0 / len(symbols))

    def at(beta: float) -> Discretised:
        atoms = drawn
        if view.distortion.name == "squared_error" and beta > 0:
            atoms = starting_points(drawn, symbols, 0.5 / beta)
        atoms = torch.unique(atoms, dim=0)
        rho = view.distortion.pairwise(symbols, atoms).double().cpu().numpy()
        _check(rho)
        return _dense(p, rho, beta, atoms.cpu().numpy())

    return FiniteProblem(at, draws.side, claimed_on=claimed_on)


def _check(rho: ndarray) -> None:
    try:
        check_distortions(rho)
    except ValueError as reason:
        raise Unsupported(str(reason)) from None


def _dense(p: ndarray, rho: ndarray, beta: float, points: ndarray) -> Discretised:
    m = len(points)
    start = np.full(m, 1.0 / m)
    if beta == 0:
        reach = p @ rho
        start = np.eye(1, m, int(np.argmin(reach)))[0]
        if np.isinf(reach.min()):  # no letter serves all: the limit from above has a rate
            near_zero = _NEAR_ZERO / max(float(np.ptp(rho[np.isfinite(rho)])), 1e-300)
            start = finite.interior_point(DenseKernel.build(rho, near_zero), p).weights
    return Discretised(p, DenseKernel.build(rho, beta), points, start)


def _too_many_dimensions(draws: ndarray, distortion: str) -> Callable[[float], Discretised]:
    """The refusal of d >= 3, with the number of points that +-6.5 standard deviations take."""
    widths = 13.0 * draws.std(0)

    def refuse(beta: float) -> Discretised:
        step = largest_step(distortion, beta)
        # at small beta the source itself asks for a step, as in two dimensions
        digits = float(np.log10(np.maximum(widths / step, LEAST_2D)).sum())
        raise Unsupported(
            f"no grids in d = {draws.shape[1]}: at beta = {beta:.6g} the step may be at most "
            f"{step:.3g}, and it would take about 10^{digits:.1f} points (d = 1, 2 are supported; "
            "support=codebook takes any dimension)"
        )

    return refuse
