"""Blahut-Arimoto with a certified stop, on finite alphabets and on grids in one or two dimensions.

R. E. Blahut, "Computation of channel capacity and rate-distortion functions", IEEE Trans. Inf.
Theory 18(4), 1972; S. Arimoto, ibid. 18(1), 1972.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal, get_args

import numpy as np
from torch import Generator

from rdbench.estimators.blahut_arimoto import grid_error, grids
from rdbench.estimators.blahut_arimoto.problem import (
    FiniteProblem,
    codebook,
    finite_problem,
    gridded,
)
from rdbench.estimators.blahut_arimoto.target import at_distortion
from rdbench.inference import finite
from rdbench.inference.kernels import DenseKernel, HasFactor, Kernel, SeparableKernel
from rdbench.inference.particles import conditional, exact_point, weighted
from rdbench.types import (
    Claim,
    EstimatorInfo,
    Monitor,
    RdbenchError,
    Refusal,
    TestChannel,
    View,
)

Solver = Literal["interior_point", "squarem", "ba"]
Support = Literal["grid", "codebook"]

_SOLVERS = {"interior_point": finite.interior_point, "squarem": finite.squarem, "ba": finite.ba}
# Default certified gap (nats) and number of iterations of each solver.
_TOLERANCE = {"interior_point": 1e-8, "squarem": 1e-5, "ba": 1e-4}
_ITERATIONS = {"interior_point": 80, "squarem": 5_000, "ba": 10_000}
_TOLERANCE_2D = {"squarem": 1e-4, "ba": 1e-3}
_ITERATIONS_2D = {"squarem": 1_500, "ba": 1_000}
# Symbols drawn at random leave more doubt than this, so that more would only fit their noise.
_TOLERANCE_SAMPLED, _ITERATIONS_SAMPLED = 1e-2, 500
# A dense Newton step costs n m k operations, k the smaller of n and m.
_NEWTON_LIMIT, _NEWTON_OPERATIONS = 1_600, 1e10
# Newton steps drive weights to zero, from where the multiplicative iteration could not lift them.
_LEAST_WEIGHT = 1e-14
# Sums of Z and c err by some units in the last place. Where that is more than the gap asked for,
# it is enough as long as it is small against the whole problem.
_ROUNDING, _LOOSEST = 4e-15, 1e-4
# Below the first critical slope one letter for all symbols is the optimum, whatever the tolerance.
_ONE_LETTER = 1e-8
# Relative error of D at a target distortion: of a finite source, and where D itself is uncertain.
_EXACT_TARGET, _TARGET = 1e-9, 1e-6
_POLISH = 300
_CLAIM_SYMBOLS = 4_000


@dataclass(frozen=True)
class BlahutArimoto:
    """min_w -sum_i p_i log sum_j w_j exp(-beta rho_ij), stopped on log max_j c_j < tolerance.

    A finite source is solved as it is, on ``view.alphabet`` or its own support. A density in one
    or two dimensions (squared or absolute error) is put on a grid, whose box is found from draws
    and the density. A grid too coarse for beta would report rates below R(D) and is refused.

    Two errors are told apart. ``status`` is ``not_converged`` where the weights are certified no
    closer than ``tolerance`` to the best on the same points. The cost of the grid itself is seen
    at half its step (`grid_error`), stated in ``reason`` beside the other, and refused beyond
    0.01 nats.

    Args:
        support: ``grid`` as above; ``codebook`` takes draws as reproduction points instead, in
            any dimension and under any distortion, with weights optimised on 20 times as many
            other draws. Its rate cannot exceed about log codebook_size.
        solver: ``interior_point`` (Newton, to 1e-8); where its system is neither banded nor small
            (2-D grids, codebooks, finite alphabets beyond 1,600 points) it falls back to
            ``squarem``. ``squarem`` is the iteration with squared extrapolation, ``ba`` the
            classical one.
        codebook_size: the number of atoms of a codebook.
        points: grid points per axis; None takes as many as beta and the source need.
        max_points: the most points per axis that None may take; None is 100,000 in 1-D, 1,024
            in 2-D.
        tolerance: certified gap in nats at which to stop, times beta (D_max - D_min) where that
            is below one nat; None is 1e-8 for the interior point, 1e-5 (2-D: 1e-4) for squarem
            and 1e-4 (2-D: 1e-3) for ba, and 1e-2 for codebooks.
        iterations: the most iterations per slope at effort 1; None is 80, 5,000 (2-D: 1,500) and
            10,000 (2-D: 1,000), and 500 for codebooks.
    """

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="Blahut-Arimoto with a certified gap; grids in d = 1, 2 or random codebooks",
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
    support: Support = "grid"
    codebook_size: int = 1000
    points: int | None = None
    max_points: int | None = None
    tolerance: float | None = None
    iterations: int | None = None

    def __post_init__(self) -> None:
        if self.solver not in get_args(Solver):
            raise RdbenchError(f"solver is one of {', '.join(get_args(Solver))}; got {self.solver}")
        if self.support not in get_args(Support):
            raise RdbenchError(f"support is grid or codebook; got {self.support}")
        counts = {"points": 3, "max_points": 3, "iterations": 1, "codebook_size": 1}
        for name, least in counts.items():
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
        """Solve every slope in turn, in the order given; all that is random are draws of the view.

        Yields:
            A channel or a refusal per slope; what a stop left unconverged is yielded as such.
        """
        del generator
        try:
            problem = self._problem(view)
        except grids.GridError as error:
            yield from (Refusal(beta, "unsupported", str(error)) for beta in betas)
            return
        largest = 0
        for done, beta in enumerate(betas):
            if not monitor.advance(done / len(betas)):
                return
            answer, solution = self._answer(problem, view, beta, monitor, done, len(betas))
            if solution is not None:
                largest = max(largest, len(solution.weights))
                monitor.count(parameters=largest)
            if isinstance(answer, TestChannel):
                monitor.checkpoint(partial(list, [answer]))
            yield answer
            if solution is not None and solution.stopped:
                return

    def solve_distortion(
        self, view: View, target: float, monitor: Monitor | None = None
    ) -> TestChannel:
        """The channel that spends ``target``, by a root search over the slope.

        On a straight piece of R(D), whose slope belongs to a whole interval of D, it is the
        time-sharing of the two ends. Its ``beta`` is the slope that was found, its claim R and D
        there:

            generator, device = torch.Generator().manual_seed(0), torch.device("cpu")
            view, _ = make_view(problem, BlahutArimoto.info.needs, generator, device)
            rate = BlahutArimoto().solve_distortion(view, 0.1).claim.rate

        with make_view from rdbench.run.views.

        Args:
            view: the problem.
            target: D, in the source's units.
            monitor: asked before every slope; None runs to the end.

        Raises:
            RdbenchError: the target is not above D_min or not reached, a slope on the way to it is
                refused (with the reason), or the monitor said stop.
        """
        watch = monitor or _Unlimited()
        try:
            problem = self._problem(view)
        except grids.GridError as error:
            raise RdbenchError(str(error)) from None

        def solve(beta: float) -> TestChannel:
            if not watch.advance(0.0):
                raise RdbenchError(f"stopped before D = {target:g} was found")
            answer, _ = self._answer(problem, view, beta, watch, 0, 1)
            if isinstance(answer, Refusal):
                raise RdbenchError(f"D = {target:g} asks for beta = {beta:.6g}: {answer.reason}")
            return answer

        # under squared error D = d / (2 beta) at high rate, under absolute error d / beta
        above = target - problem.least
        guess = 0.5 * view.dim / above if above > 0 else 1.0
        exact = problem.error is None and problem.held is None
        accuracy = _EXACT_TARGET if exact else _TARGET
        return at_distortion(solve, target, guess, accuracy, least=problem.least)

    def _problem(self, view: View) -> FiniteProblem:
        if self.support == "codebook":
            return codebook(view, self.codebook_size, _CLAIM_SYMBOLS)
        if view.support is not None:
            return finite_problem(view)
        return gridded(view, self.points, self.max_points)

    def _answer(
        self, problem: FiniteProblem, view: View, beta: float, monitor: Monitor, done: int, of: int
    ) -> tuple[TestChannel | Refusal, finite.Solution | None]:
        """The channel at one slope, or why there is none; and the weights, where there are some."""
        try:
            discrete = problem.at(beta)
        except grids.GridError as error:
            return Refusal(beta, "unsupported", str(error)), None
        solution = self._solve(discrete, beta, monitor, done / of, of, problem.held is not None)
        return self._channel(solution, discrete, problem, beta, view), solution

    def _solve(
        self,
        discrete: grids.Discretised,
        beta: float,
        monitor: Monitor,
        done: float,
        total: int,
        sampled: bool,
    ) -> finite.Solution:
        kernel, p = discrete.kernel, discrete.p
        if beta == 0:
            # Every q is optimal; the limit from above is what start holds, mostly an atom.
            return finite.Solution(discrete.start, 0.0, 0.0, 0, True)
        name: Solver = self.solver
        if name == "interior_point" and not _newton_is_cheap(kernel):
            name = "squarem"
        in_2d = isinstance(kernel, SeparableKernel)
        usual = _ITERATIONS_SAMPLED if sampled else (_ITERATIONS_2D if in_2d else _ITERATIONS)[name]
        limit = self.iterations or usual
        if name != "interior_point":  # Newton's method takes few steps or does not converge
            limit = max(1, math.ceil(limit * monitor.effort))
        enough = _TOLERANCE_SAMPLED if sampled else (_TOLERANCE_2D if in_2d else _TOLERANCE)[name]
        # F moves by no more than ``most`` in all: at small beta an absolute gap says nothing.
        single, most = finite.single_letter(kernel, p, beta)
        scale = min(1.0, most)
        tolerance = max((self.tolerance or enough) * scale, min(_ROUNDING, _LOOSEST * scale))
        gap = max(finite.certified_gap(kernel, p, single), 0.0)
        if gap <= min(tolerance, _ONE_LETTER * scale):
            shift = float(np.sum(p * kernel.shift))
            return finite.Solution(single, shift + most, gap, 0, True)

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
        problem: FiniteProblem,
        beta: float,
        view: View,
    ) -> TestChannel | Refusal:
        atoms = weighted(discrete.points, solution.weights, view.device)
        reason = (
            ""
            if solution.converged
            else f"certified gap {solution.gap:.2g} nats after {solution.iterations} iterations"
        )
        if problem.held is not None:
            # the symbols that chose the weights would flatter them
            rate, d = exact_point(atoms, view.distortion, problem.held, beta)
            claim = Claim(rate, d, "upper" if view.n_train is None else "estimate")
        else:
            d = finite.distortion(discrete.kernel, discrete.p, solution.weights)
            rate = finite.rate(discrete.kernel, discrete.p, solution.weights, beta)
            claim = Claim(rate, d, "upper" if problem.error is None else "estimate")
        if problem.error is not None:
            error = problem.error(beta, discrete, solution)
            stated = f"discretisation error {error.total:.2g} nats"
            if error.total > grid_error.LIMIT:
                limit = f"the limit is {grid_error.LIMIT:g}: it takes a finer grid"
                return Refusal(beta, "unsupported", f"{stated}; {limit}")
            convergence = reason or f"certified gap {max(solution.gap, 0.0):.2g} nats"
            reason = f"{convergence}; {stated}"
        return TestChannel(
            beta=beta,
            marginal=atoms,
            claim=claim,
            sample_conditional=conditional(atoms, view.distortion, beta),
            status="ok" if solution.converged else "not_converged",
            reason=reason,
        )


ESTIMATOR = BlahutArimoto


class _Unlimited:
    """The monitor of a call from outside a run: it never says stop."""

    effort = 1.0

    def advance(self, done: float) -> bool:
        del done
        return True

    def checkpoint(self, build: object) -> bool:
        del build
        return True

    def count(self, *, gradient_steps: int = 0, parameters: int = 0) -> None:
        del gradient_steps, parameters


def _newton_is_cheap(kernel: Kernel) -> bool:
    if isinstance(kernel, DenseKernel):
        n, m = kernel.shape
        smaller = min(n, m)
        return smaller <= _NEWTON_LIMIT and n * m * smaller <= _NEWTON_OPERATIONS
    return isinstance(kernel, HasFactor)
