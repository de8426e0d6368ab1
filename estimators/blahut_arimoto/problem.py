"""The finite problems that blahut_arimoto solves: a finite source, a grid, a random codebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from rdbench.estimators.blahut_arimoto import boxes, grids
from rdbench.estimators.blahut_arimoto.grid_error import DiscretisationError, discretisation_error
from rdbench.inference import finite
from rdbench.inference.kernels import DenseKernel, check_distortions
from rdbench.inference.particles import starting_points
from rdbench.types import RdbenchError, View, given_letters

_MAX_POINTS = {1: 100_000, 2: 1_024}
_DENSE_ENTRIES = 25_000_000
_BOX_DRAWS = 20_000
_SYMBOLS_PER_ATOM = 20
_NEAR_ZERO = 1e-6


@dataclass(frozen=True)
class FiniteProblem:
    """The problem at every slope, and what its discretisation costs."""

    at: Callable[[float], grids.Discretised]
    """Raises GridError where the problem at this slope is not supported."""
    error: Callable[[float, grids.Discretised, finite.Solution], DiscretisationError] | None = None
    """None where nothing was put on a grid."""
    held: Float[Tensor, "n d"] | None = None
    """Where the source is a batch of draws: others, on which F(q) is taken at every slope."""
    least: float = 0.0
    """E min_y rho(X, y) of a finite source: no channel spends less."""


def finite_problem(view: View) -> FiniteProblem:
    """A finite source, exactly; points of probability zero do not take part.

    Raises:
        GridError: the matrix of distortions is too large, or there are no probabilities.
    """
    assert view.support is not None
    if view.pmf is None:
        raise grids.GridError("a finite support without probabilities")
    support, p = view.support.double(), view.pmf.double().cpu().numpy()
    alphabet = given_letters(view.distortion) if view.alphabet is None else view.alphabet
    points = support if alphabet is None else alphabet.to(support.device).double()
    n, m = int((p > 0).sum()), len(points)
    if n * m > _DENSE_ENTRIES:
        raise grids.GridError(f"a {n} x {m} matrix of distortions; the limit is {_DENSE_ENTRIES}")
    kept = torch.from_numpy(np.flatnonzero(p > 0)).to(support.device)
    rho = view.distortion.pairwise(support[kept], points).double().cpu().numpy()
    p = p[p > 0] / p.sum()
    _check(rho)
    least = float(p @ rho.min(1))
    return FiniteProblem(lambda beta: _dense(p, rho, beta, points.cpu().numpy()), least=least)


def gridded(view: View, points: int | None, max_points: int | None) -> FiniteProblem:
    """A density on a grid; the draws that find its box are taken here, once.

    Raises:
        GridError: no grid can hold this problem, whatever beta is.
    """
    name, dim = view.distortion.name, view.dim
    if view.log_prob is None:
        raise grids.GridError("Blahut-Arimoto needs a finite support or a density")
    if name not in ("squared_error", "absolute_error"):
        raise grids.GridError(f"a density under {name}: only squared and absolute error are")
    if view.alphabet is not None:
        raise grids.GridError("a density with a given reproduction alphabet is not supported")
    draws = view.sample(_BOX_DRAWS).double().cpu().numpy()
    if dim > 2:
        return FiniteProblem(_too_many_dimensions(draws, name))
    log_prob = view.log_prob

    def density(x: ndarray) -> ndarray:
        values = log_prob(torch.from_numpy(x).to(view.device)).double().exp().cpu().numpy()
        if np.isnan(values).any():
            raise RdbenchError("the source's log density is not a number somewhere")
        return values

    box = boxes.find_box(draws, density)
    most = max_points or _MAX_POINTS[dim]
    return FiniteProblem(
        lambda beta: grids.discretise(density, box, name, beta, points=points, max_points=most),
        lambda beta, discrete, solution: discretisation_error(
            density, name, beta, discrete, solution.weights, solution.lagrangian, solution.gap
        ),
    )


def codebook(view: View, size: int, claim_symbols: int) -> FiniteProblem:
    """``size`` draws as reproduction points against 20 times as many symbols, in any dimension.

    Under squared error most draws are shrunk first, until the noise of slope beta is out of their
    covariance. With far fewer symbols per atom the weights would follow their noise.
    ``claim_symbols`` more are held for the claims of all slopes.

    Raises:
        GridError: the reproduction alphabet is given, or the matrix of distortions is too large.
    """
    if view.alphabet is not None:
        raise grids.GridError("a given reproduction alphabet leaves no codebook to draw")
    n = min(_SYMBOLS_PER_ATOM * size, _DENSE_ENTRIES // size)
    if n < size:
        raise grids.GridError(f"{size} atoms are too many: {n} symbols would fit beside them")
    drawn, symbols = view.sample(size).double(), view.sample(n).double()
    held = view.sample(claim_symbols).double()
    p = np.full(n, 1.0 / n)

    def at(beta: float) -> grids.Discretised:
        atoms = drawn
        if view.distortion.name == "squared_error" and beta > 0:
            atoms = starting_points(drawn, symbols, 0.5 / beta)
        atoms = torch.unique(atoms, dim=0)
        rho = view.distortion.pairwise(symbols, atoms).double().cpu().numpy()
        _check(rho)
        return _dense(p, rho, beta, atoms.cpu().numpy())

    return FiniteProblem(at, held=held)


def _check(rho: ndarray) -> None:
    try:
        check_distortions(rho)
    except ValueError as reason:
        raise grids.GridError(str(reason)) from None


def _dense(p: ndarray, rho: ndarray, beta: float, points: ndarray) -> grids.Discretised:
    m = len(points)
    start = np.full(m, 1.0 / m)
    if beta == 0:
        reach = p @ rho
        start = np.eye(1, m, int(np.argmin(reach)))[0]
        if np.isinf(reach.min()):  # no letter serves all: the limit from above has a rate
            near_zero = _NEAR_ZERO / max(float(np.ptp(rho[np.isfinite(rho)])), 1e-300)
            start = finite.interior_point(DenseKernel.build(rho, near_zero), p).weights
    return grids.Discretised(p, DenseKernel.build(rho, beta), points, start)


def _too_many_dimensions(draws: ndarray, distortion: str) -> Callable[[float], grids.Discretised]:
    """The refusal of d >= 3, with the number of points that +-6.5 standard deviations take."""
    widths = 13.0 * draws.std(0)

    def refuse(beta: float) -> grids.Discretised:
        step = grids.largest_step(distortion, beta)
        # at small beta the source itself asks for a step, as in two dimensions
        digits = float(np.log10(np.maximum(widths / step, grids.LEAST_2D)).sum())
        raise grids.GridError(
            f"no grids in d = {draws.shape[1]}: at beta = {beta:.6g} the step may be at most "
            f"{step:.3g}, and it would take about 10^{digits:.1f} points (d = 1, 2 are supported; "
            "support=codebook takes any dimension)"
        )

    return refuse
