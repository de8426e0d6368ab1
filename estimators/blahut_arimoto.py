"""Blahut-Arimoto with a certified stop, on finite alphabets and on grids in one or two dimensions.

R. E. Blahut, "Computation of channel capacity and rate-distortion functions", IEEE Trans. Inf.
Theory 18(4), 1972; S. Arimoto, ibid. 18(1), 1972.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Generator, Tensor

from rdbench.inference import boxes, finite, grids
from rdbench.inference.kernels import DenseKernel, HasFactor, Kernel, SeparableKernel
from rdbench.types import (
    Atoms,
    Claim,
    Distortion,
    EstimatorInfo,
    Monitor,
    RdbenchError,
    Refusal,
    Side,
    TestChannel,
    View,
)

Solver = Literal["interior_point", "squarem", "ba"]

_SOLVERS = {"interior_point": finite.interior_point, "squarem": finite.squarem, "ba": finite.ba}
# Default certified gap (nats) and number of iterations of each solver.
_TOLERANCE = {"interior_point": 1e-8, "squarem": 1e-5, "ba": 1e-4}
_ITERATIONS = {"interior_point": 80, "squarem": 5_000, "ba": 10_000}
_TOLERANCE_2D = {"squarem": 1e-4, "ba": 1e-3}
_ITERATIONS_2D = {"squarem": 1_500, "ba": 1_000}
_MAX_POINTS = {1: 100_000, 2: 1_024}
# A dense Newton step costs k^3 operations, k the smaller side of the kernel.
_NEWTON_LIMIT = 1_600
_DENSE_ENTRIES = 25_000_000
_BOX_DRAWS = 20_000
# Newton steps drive weights to zero, from where the multiplicative iteration could not lift them.
_LEAST_WEIGHT = 1e-14
_POLISH = 300
# Dropping atoms of this mass in all changes F by about as much.
_PRUNED_MASS = 1e-13
_CHUNK = 1 << 22


@dataclass(frozen=True)
class BlahutArimoto:
    """min_w -sum_i p_i log sum_j w_j exp(-beta rho_ij), stopped on log max_j c_j < tolerance.

    A finite source is solved as it is, on ``view.alphabet`` or its own support. A density in one
    or two dimensions (squared or absolute error) is put on a grid, whose box is found from draws
    and the density. A grid too coarse for beta would report rates below R(D) and is refused.

    Args:
        solver: ``interior_point`` (Newton, to 1e-8); where its system is neither banded nor small
            (2-D grids, finite alphabets beyond 1,600 points) it falls back to ``squarem``.
            ``squarem`` is the iteration with squared extrapolation, ``ba`` the classical one.
        points: grid points per axis; None takes as many as beta and the source need.
        max_points: the most points per axis that None may take; None is 100,000 in 1-D, 1,024
            in 2-D.
        tolerance: certified gap in nats at which to stop; None is 1e-8 for the interior point,
            1e-5 (2-D: 1e-4) for squarem and 1e-4 (2-D: 1e-3) for ba.
        iterations: the most iterations per slope at effort 1; None is 80, 5,000 (2-D: 1,500) and
            10,000 (2-D: 1,000).
    """

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="Blahut-Arimoto with a certified gap; continuous sources on grids in d = 1, 2",
        citation="R. E. Blahut, IEEE Trans. Inf. Theory 18(4):460-473, 1972",
        needs=frozenset({"density", "support"}),
        presets={"paper": {"solver": "ba"}},
        preset_notes={
            "paper": "the classical multiplicative iteration of section II-B; grid, starting "
            "weights and stopping rule are not printed and are ours"
        },
        colour="#D55E00",
        marker="s",
    )

    solver: Solver = "interior_point"
    points: int | None = None
    max_points: int | None = None
    tolerance: float | None = None
    iterations: int | None = None

    def __post_init__(self) -> None:
        if self.solver not in get_args(Solver):
            raise RdbenchError(f"solver is one of {', '.join(get_args(Solver))}; got {self.solver}")
        for name, least in (("points", 3), ("max_points", 3), ("iterations", 1)):
            value = getattr(self, name)
            if value is not None and not (
                isinstance(value, int) and not isinstance(value, bool) and value >= least
            ):
                raise RdbenchError(f"{name} is a whole number >= {least} or none; got {value!r}")
        if self.tolerance is not None and not (0 < self.tolerance < math.inf):
            raise RdbenchError(f"tolerance is a positive number of nats; got {self.tolerance}")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Solve every slope in turn, in the order given; nothing here is random but the box."""
        del generator
        try:
            problem = _finite_problem(view) if view.support is not None else self._gridded(view)
        except grids.GridError as error:
            yield from (Refusal(beta, "unsupported", str(error)) for beta in betas)
            return
        side: Side = "upper" if view.support is not None else "estimate"
        largest = 0
        for done, beta in enumerate(betas):
            if not monitor.advance(done / len(betas)):
                return
            try:
                discrete = problem(beta)
            except grids.GridError as error:
                yield Refusal(beta, "unsupported", str(error))
                continue
            largest = max(largest, len(discrete.start))
            monitor.count(parameters=largest)
            solution = self._solve(discrete, beta, monitor, done / len(betas), len(betas))
            channel = self._channel(solution, discrete, beta, view, side)
            if solution.stopped:
                monitor.checkpoint([channel])
                return
            yield channel

    def _gridded(self, view: View) -> Callable[[float], grids.Discretised]:
        """The problem on a grid as a function of beta; draws are taken here, once."""
        name, dim = view.distortion.name, view.dim
        if view.log_prob is None:
            raise grids.GridError("Blahut-Arimoto needs a finite support or a density")
        if name not in ("squared_error", "absolute_error"):
            raise grids.GridError(f"a density under {name}: only squared and absolute error are")
        if view.alphabet is not None:
            raise grids.GridError("a density with a given reproduction alphabet is not supported")
        draws = view.sample(_BOX_DRAWS).double().cpu().numpy()
        if dim > 2:
            return _too_many_dimensions(draws, name)
        log_prob = view.log_prob

        def density(x: ndarray) -> ndarray:
            values = log_prob(torch.from_numpy(x).to(view.device)).double().exp().cpu().numpy()
            if np.isnan(values).any():
                raise RdbenchError("the source's log density is not a number somewhere")
            return values

        box = boxes.find_box(draws, density)
        most = self.max_points or _MAX_POINTS[dim]
        return lambda beta: grids.discretise(
            density, box, name, beta, points=self.points, max_points=most
        )

    def _solve(
        self, discrete: grids.Discretised, beta: float, monitor: Monitor, done: float, total: int
    ) -> finite.Solution:
        kernel, p = discrete.kernel, discrete.p
        if beta == 0:
            # Every q is optimal; the limit from above is an atom, which is what start holds.
            return finite.Solution(discrete.start, 0.0, 0.0, 0, True)
        name: Solver = self.solver
        if name == "interior_point" and not _newton_is_cheap(kernel):
            name = "squarem"
        in_2d = isinstance(kernel, SeparableKernel)
        limit = self.iterations or (_ITERATIONS_2D if in_2d else _ITERATIONS)[name]
        if name != "interior_point":  # Newton's method takes few steps or does not converge
            limit = max(1, math.ceil(limit * monitor.effort))
        tolerance = self.tolerance or (_TOLERANCE_2D if in_2d else _TOLERANCE)[name]

        def go_on(iteration: int) -> bool:
            return monitor.advance(done + iteration / limit / total)

        solution = _SOLVERS[name](
            kernel,
            p,
            weights=discrete.start,
            tolerance=tolerance,
            iterations=limit,
            go_on=go_on,
        )
        if (
            name == "interior_point"
            and not (solution.converged or solution.stopped)
            and solution.iterations < limit
        ):
            # Rounding ended the Newton steps early: finish with the iteration that cannot fail.
            polished = finite.squarem(
                kernel,
                p,
                weights=np.maximum(solution.weights, _LEAST_WEIGHT),
                tolerance=tolerance,
                iterations=_POLISH,
                go_on=lambda _: monitor.advance(done + 1.0 / total),
            )
            better = polished if polished.gap < solution.gap else solution
            solution = replace(
                better,
                iterations=solution.iterations + polished.iterations,
                stopped=polished.stopped,
            )
        return solution

    def _channel(
        self,
        solution: finite.Solution,
        discrete: grids.Discretised,
        beta: float,
        view: View,
        side: Side,
    ) -> TestChannel:
        d = finite.distortion(discrete.kernel, discrete.p, solution.weights)
        atoms = _atoms(discrete.points, solution.weights, view.device)
        reason = (
            ""
            if solution.converged
            else f"certified gap {solution.gap:.2g} nats after {solution.iterations} iterations"
        )
        return TestChannel(
            beta=beta,
            marginal=atoms,
            claim=Claim(max(0.0, solution.lagrangian - beta * d), d, side),
            sample_conditional=_conditional(atoms, view.distortion, beta),
            status="ok" if solution.converged else "not_converged",
            reason=reason,
        )


ESTIMATOR = BlahutArimoto


def _newton_is_cheap(kernel: Kernel) -> bool:
    if isinstance(kernel, DenseKernel):
        return min(kernel.shape) <= _NEWTON_LIMIT
    return isinstance(kernel, HasFactor)


def _finite_problem(view: View) -> Callable[[float], grids.Discretised]:
    """A finite source, exactly; points of probability zero do not take part."""
    assert view.support is not None
    if view.pmf is None:
        raise grids.GridError("a finite support without probabilities")
    support, p = view.support.double(), view.pmf.double().cpu().numpy()
    points = support if view.alphabet is None else view.alphabet.double()
    n, m = int((p > 0).sum()), len(points)
    if n * m > _DENSE_ENTRIES:
        raise grids.GridError(f"a {n} x {m} matrix of distortions; the limit is {_DENSE_ENTRIES}")
    kept = torch.from_numpy(np.flatnonzero(p > 0)).to(support.device)
    rho = view.distortion.pairwise(support[kept], points).double().cpu().numpy()
    p = p[p > 0] / p.sum()

    def at(beta: float) -> grids.Discretised:
        start = np.full(m, 1.0 / m)
        if beta == 0:
            start = np.eye(1, m, int(np.argmin(p @ rho)))[0]
        return grids.Discretised(p, DenseKernel.build(rho, beta), points.cpu().numpy(), start)

    return at


def _too_many_dimensions(draws: ndarray, distortion: str) -> Callable[[float], grids.Discretised]:
    """The refusal of d >= 3, with the number of points that +-6.5 standard deviations take."""
    widths = 13.0 * draws.std(0)

    def refuse(beta: float) -> grids.Discretised:
        step = grids.largest_step(distortion, beta)
        # at small beta the source itself asks for a step, as in two dimensions
        digits = float(np.log10(np.maximum(widths / step, grids.LEAST_2D)).sum())
        raise grids.GridError(
            f"no grids in d = {draws.shape[1]}: at beta = {beta:.6g} the step may be at most "
            f"{step:.3g}, and it would take about 10^{digits:.1f} points (d = 1, 2 are supported)"
        )

    return refuse


def _atoms(points: ndarray, weights: ndarray, device: torch.device) -> Atoms:
    """The marginal q as atoms, less the lightest of _PRUNED_MASS in all (F moves by as much)."""
    order = np.argsort(weights)
    kept = np.sort(order[np.searchsorted(np.cumsum(weights[order]), _PRUNED_MASS) :])
    w = weights[kept] / weights[kept].sum()
    return Atoms(
        torch.from_numpy(np.ascontiguousarray(points[kept], dtype=np.float64)).to(device),
        torch.from_numpy(np.log(w)).to(device),
    )


def _conditional(
    atoms: Atoms, distortion: Distortion, beta: float
) -> Callable[[Tensor, int, Generator], Tensor]:
    """Draws of p(y|x) ~ w(y) exp(-beta rho(x, y)): categorical, some rows of x at a time."""
    rows = max(1, _CHUNK // len(atoms.points))

    def sample(x: Float[Tensor, "n d"], k: int, generator: Generator) -> Float[Tensor, "n k d"]:
        picked = []
        for part in torch.split(x.double(), rows):
            logits = atoms.log_weights - beta * distortion.pairwise(part, atoms.points)
            chances = torch.softmax(logits, 1)
            picked.append(torch.multinomial(chances, k, replacement=True, generator=generator))
        return atoms.points[torch.cat(picked)]

    return sample
