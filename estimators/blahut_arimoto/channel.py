"""The test channel that weights on the points of a finite problem make, and what it claims."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from rdbench.estimators.blahut_arimoto.grids import Discretised
from rdbench.estimators.blahut_arimoto.problem import FiniteProblem
from rdbench.inference import finite
from rdbench.inference.particles import conditional, exact_point
from rdbench.types import Atoms, Claim, Start, TestChannel, Unsupported, View

_PRUNED = 1e-13  # weight of the atoms that are dropped, in all


def channel_of(
    problem: FiniteProblem,
    view: View,
    beta: float,
    discrete: Discretised,
    solution: finite.Solution,
    largest_error: float,
) -> TestChannel:
    """The channel at one slope.

    Args:
        problem: the finite problem at every slope.
        view: what it was made of.
        beta: the slope.
        discrete: the problem at this slope.
        solution: weights on its points.
        largest_error: discretisation error in nats with which a rate is worth reporting.

    Raises:
        Unsupported: the grid errs by more.
    """
    atoms = _atoms(discrete.points, solution.weights, view.device)
    reason = (
        ""
        if solution.converged
        else f"certified gap {solution.gap:.2g} nats after {solution.iterations} iterations"
    )
    if problem.claimed_on is not None:
        # the symbols that chose the weights would flatter them
        rate, d = exact_point(atoms, view.distortion, problem.claimed_on, beta)
    else:
        d = finite.distortion(discrete.kernel, discrete.p, solution.weights)
        rate = finite.rate(discrete.kernel, discrete.p, solution.weights, beta)
    if problem.error is not None:
        error = problem.error(beta, discrete, solution)
        stated = f"discretisation error {error.total:.2g} nats"
        if error.total > largest_error:
            limit = f"the limit is {largest_error:g}: it takes a finer grid"
            raise Unsupported(f"{stated}; {limit}")
        convergence = reason or f"certified gap {max(solution.gap, 0.0):.2g} nats"
        reason = f"{convergence}; {stated}"
    begun, q_is = "the source's density on the grid", "atoms on a grid"
    if problem.error is None:
        begun = "uniform weights"
        q_is = "atoms on letters" if problem.claimed_on is None else "atoms on draws"
    start = Start(_atoms(discrete.points, discrete.start, view.device), begun)
    return TestChannel(
        beta=beta,
        marginal=atoms,
        claim=Claim(rate, d, problem.side),
        sample_conditional=conditional(atoms, view.distortion, beta),
        status="ok" if solution.converged else "not_converged",
        reason=reason,
        q_is=q_is,
        start=start if beta > 0.0 else None,
    )


def _atoms(
    points: Float[ndarray, "m d"], weights: Float[ndarray, " m"], device: torch.device
) -> Atoms:
    """Atoms of these weights, less the lightest of 1e-13 in all (F moves by about as much)."""
    order = np.argsort(weights)
    kept = np.sort(order[np.searchsorted(np.cumsum(weights[order]), _PRUNED) :])
    w = weights[kept] / weights[kept].sum()
    return Atoms(
        torch.from_numpy(np.ascontiguousarray(points[kept], dtype=np.float64)).to(device),
        torch.from_numpy(np.log(w)).to(device),
    )
