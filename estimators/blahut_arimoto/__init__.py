"""Blahut-Arimoto with a certified stop, on finite alphabets and on grids in one or two dimensions.

R. E. Blahut, "Computation of channel capacity and rate-distortion functions", IEEE Trans. Inf.
Theory 18(4), 1972; S. Arimoto, ibid. 18(1), 1972.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from torch import Generator

from rdbench.estimators.blahut_arimoto.channel import channel_of
from rdbench.estimators.blahut_arimoto.grid_kernels import SeparableKernel
from rdbench.estimators.blahut_arimoto.grids import Discretised
from rdbench.estimators.blahut_arimoto.problem import (
    FiniteProblem,
    codebook,
    finite_problem,
    gridded,
)
from rdbench.estimators.blahut_arimoto.smooth import smooth
from rdbench.estimators.blahut_arimoto.structured import LARGEST, answers, axes_of, spheres_of
from rdbench.estimators.blahut_arimoto.target import at_distortion
from rdbench.fitting import check_settings, not_seeded, split, uncovered
from rdbench.inference import finite
from rdbench.inference.kernels import DenseKernel, HasFactor, Kernel
from rdbench.types import (
    EstimatorInfo,
    Monitor,
    RdbenchError,
    Refusal,
    TestChannel,
    Unsupported,
    View,
)

Solver = Literal["interior_point", "squarem", "ba"]

_STRUCTURES = ("product", "radial", "structured")
_SOLVERS = {"interior_point": finite.interior_point, "squarem": finite.squarem, "ba": finite.ba}
# Certified gap in nats at which to stop, and most iterations: on a line or an alphabet, in the
# plane, and on symbols drawn at random, which leave more doubt than a smaller gap would settle.
_DEFAULTS = {"interior_point": (1e-8, 80), "squarem": (1e-5, 5_000), "ba": (1e-4, 10_000)}
_DEFAULTS_2D = {"squarem": (1e-4, 1_500), "ba": (1e-3, 1_000)}
_DEFAULTS_SAMPLED = (1e-2, 500)
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


@dataclass(frozen=True)
class BlahutArimoto:
    """min_w -sum_i p_i log sum_j w_j exp(-beta rho_ij), stopped on log max_j c_j < tolerance.

    A finite source is solved as it is, on ``view.alphabet`` or its own support. A density in one
    or two dimensions (squared or absolute error) is put on a grid, whose box is found from draws
    and the density. A grid too coarse for beta would report rates below R(D) and is refused.

    Two errors are told apart. ``status`` is ``not_converged`` where the weights are certified no
    closer than ``tolerance`` to the best on the same points. The cost of the grid itself is seen
    at half its step (`grid_error`), stated in ``reason`` beside the other, and refused beyond
    ``largest_error``.
    """

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="Blahut-Arimoto with a certified gap; grids in d = 1, 2, codebooks, or a structure",
        citation="R. E. Blahut, IEEE Trans. Inf. Theory 18(4):460-473, 1972",
        needs=frozenset({"density", "support"}),
        distortions=("squared_error", "absolute_error"),
        alphabet=False,
        variants={
            "support=codebook": {"distortions": None},
            **{f"support={kind}": {"distortions": ("squared_error",)} for kind in _STRUCTURES},
        },
        # no max_dim: in three dimensions the refusal says how many points a grid would take
        presets={
            "paper": {"solver": "ba"},
            "product": {"support": "product"},
            "radial": {"support": "radial"},
            "structured": {"support": "structured"},
        },
        preset_notes={
            "paper": "the classical multiplicative iteration of section II-B; grid, starting "
            "weights and stopping rule are not printed and are ours",
            "product": "independent coordinates by FastICA, from draws; any dimension",
            "radial": "uniform laws on spheres about the mean, from draws; any dimension",
            "structured": "the better of product, also along principal axes, and radial",
        },
        colour="#D55E00",
        marker="s",
    )

    solver: Solver = "interior_point"
    """``interior_point`` (Newton, to 1e-8; a few classical iterations first, where F falls so fast
    that they are certified to it); where its system is neither banded nor small (2-D
    grids, codebooks, finite alphabets beyond 1,600 points) it falls back to ``squarem``, the
    iteration with squared extrapolation. ``ba`` is the classical one."""
    support: Literal["grid", "codebook", "product", "radial", "structured"] = "grid"
    """``grid`` as above; ``codebook`` takes draws as reproduction points instead, in any dimension
    and under any distortion, with weights optimised on other draws. Its rate cannot exceed about
    log codebook_size. Half of a fixed training set is atoms, the other half optimises weights.
    Under squared error in any dimension, from draws alone: ``product`` solves on a line for every
    coordinate in the basis of FastICA; ``radial`` for uniform laws on spheres about the mean;
    ``structured`` takes the better of both and of a product in the basis of PCA, by F on held-out
    draws at every slope, and the grid where there is one (d <= 2 and a density)."""
    codebook_size: int = 1000
    """The number of atoms of a codebook."""
    points: int | None = None
    """Grid points per axis, at least 3; None takes as many as beta and the source need."""
    max_points: int | None = None
    """The most points per axis that None may take; None is 100,000 in 1-D, 1,024 in 2-D."""
    tolerance: float | None = None
    """Certified gap in nats at which to stop, times beta (D_max - D_min) where that is below one
    nat; None is 1e-8 for the interior point, 1e-5 (2-D: 1e-4) for squarem and 1e-4 (2-D: 1e-3) for
    ba, and 1e-2 for codebooks."""
    iterations: int | None = None
    """The most iterations per slope at effort 1; None is 80, 5,000 (2-D: 1,500) and 10,000 (2-D:
    1,000), and 500 for codebooks."""
    symbols_per_atom: int = not_seeded(20)
    """Symbols for every atom of a codebook, as far as the matrix of distortions allows."""
    box_draws: int = not_seeded(20_000)
    """Draws that find the box of a density."""
    structure_draws: int = not_seeded(400_000)
    """Draws that a product or spheres are fitted to, at most 2e7 numbers in all."""
    claim_draws: int = not_seeded(4000)
    """Draws on which R and D of a codebook are claimed."""
    largest_error: float = not_seeded(1e-2)
    """Discretisation error in nats with which a rate is worth reporting."""

    def __post_init__(self) -> None:
        counts = ("codebook_size", "points", "max_points", "iterations", "symbols_per_atom")
        positive = ("tolerance", "largest_error")
        check_settings(
            "blahut_arimoto",
            self,
            (*counts, "box_draws", "structure_draws", "claim_draws"),
            positive,
        )
        for name in ("points", "max_points"):
            if (getattr(self, name) or 3) < 3:
                raise RdbenchError(f"blahut_arimoto: {name} must be at least 3")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Solve every slope in turn, in the order given; all that is random are draws of the view.

        Yields:
            A channel or a refusal per slope; one that a stop left unconverged is yielded as such.
        """
        if not betas:
            return
        on_grid = view.dim <= 2 and view.log_prob is not None and self.support == "structured"
        if self.support in _STRUCTURES and not on_grid:
            yield from self._structured(view, betas, generator, monitor)
            return
        problem = self._problem(view, generator)
        largest = 0
        for done, beta in enumerate(betas):
            if not monitor.advance(done / len(betas)):
                return

            def go_on(fraction: float, done: int = done) -> bool:
                return monitor.advance((done + fraction) / len(betas))

            try:
                channel, solution = self._answer(problem, view, beta, monitor.effort, go_on)
            except Unsupported as reason:
                yield Refusal(beta, "unsupported", str(reason))
                continue
            largest = max(largest, len(solution.weights))
            monitor.count(parameters=largest)
            monitor.checkpoint(partial(list, [channel]))
            yield channel
            if solution.stopped:
                return

    def solve_distortion(
        self, view: View, target: float, monitor: Monitor | None = None
    ) -> TestChannel:
        """The channel of distortion ``target``, by a root search over the slope.

        On a straight piece of R(D), whose slope belongs to a whole interval of D, it is the
        time-sharing of the two ends. Its ``beta`` is the slope that was found, its claim R and D
        there. A codebook's claim is an estimate: the slope was chosen on the draws it is made on.

            generator, device = torch.Generator().manual_seed(0), torch.device("cpu")
            view, _ = make_view(problem, BlahutArimoto.info.needs, generator, device)
            rate = BlahutArimoto().solve_distortion(view, 0.1).claim.rate

        with make_view from rdbench.run.views.

        Args:
            view: the problem.
            target: D, in the source's units.
            monitor: asked before every slope; None runs to the end.

        Raises:
            RdbenchError: the problem is not supported, the target is not above D_min or not
                reached, a slope on the way to it is refused (with the reason), or the monitor said
                stop.
        """
        for refusal in uncovered(self, view, [1.0]):
            raise Unsupported(refusal.reason)
        problem = self._problem(view, Generator(view.device).manual_seed(0))
        if problem.claimed_on is not None:
            problem = replace(problem, side="estimate")

        def go_on(_: float) -> bool:
            return monitor is None or monitor.advance(0.0)

        def solve(beta: float) -> TestChannel:
            if not go_on(0.0):
                raise RdbenchError(f"stopped before D = {target:g} was found")
            effort = 1.0 if monitor is None else monitor.effort
            try:
                return self._answer(problem, view, beta, effort, go_on)[0]
            except Unsupported as reason:
                line = f"D = {target:g} asks for beta = {beta:.6g}: {reason}"
                raise RdbenchError(line) from None

        # under squared error D = d / (2 beta) at high rate, under absolute error d / beta
        above = target - problem.least
        guess = 0.5 * view.dim / above if above > 0 else 1.0
        exact = problem.error is None and problem.claimed_on is None
        accuracy = _EXACT_TARGET if exact else _TARGET
        return at_distortion(solve, target, guess, accuracy, least=problem.least)

    def _problem(self, view: View, generator: Generator) -> FiniteProblem:
        if self.support in ("product", "radial"):
            raise Unsupported(f"support={self.support} answers slopes, not target distortions")
        if self.support == "codebook":
            if view.alphabet is not None:
                raise Unsupported("a given reproduction alphabet leaves no codebook to draw")
            draws = split(view, generator)
            size = self.codebook_size
            return codebook(view, draws, size, self.symbols_per_atom, self.claim_draws)
        if view.support is not None:
            return finite_problem(view)
        return gridded(view, self.box_draws, self.points, self.max_points)

    def _structured(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """The channels of a product or of spheres; the solver's settings hold for each part."""
        if view.distortion.name != "squared_error" or view.alphabet is not None:
            raise Unsupported("needs squared error and R^d as reproduction space")
        draws = split(view, generator)
        n = max(2, min(round(self.structure_draws * monitor.effort), LARGEST // view.dim))
        x = draws.distinct(n).double()
        structures = []
        if self.support != "radial":
            structures.append(axes_of(x, generator, ica=True))
        if self.support == "structured" and structures[0].name == "independent axes":
            structures.append(axes_of(x, generator, ica=False))
        if self.support != "product":
            structures.append(spheres_of(x))
        exact = replace(self, tolerance=self.tolerance or 1e-6)

        def solve(
            problem: Discretised, beta: float, go_on: Callable[[float], bool]
        ) -> finite.Solution:
            return exact._solve(problem, beta, monitor.effort, False, go_on)

        yield from answers(structures, draws, betas, monitor, solve, self.claim_draws)

    def _answer(
        self,
        problem: FiniteProblem,
        view: View,
        beta: float,
        effort: float,
        go_on: Callable[[float], bool],
    ) -> tuple[TestChannel, finite.Solution]:
        """The channel at one slope, and the weights it is made of.

        Args:
            problem: the finite problem.
            view: what it was made of.
            beta: the slope.
            effort: multiplies the iterations.
            go_on: told the fraction of this slope that is done; on False the work ends.

        Raises:
            Unsupported: the problem at this slope is not supported.
        """
        discrete = problem.at(beta)
        solution = self._solve(discrete, beta, effort, problem.claimed_on is not None, go_on)
        return channel_of(problem, view, beta, discrete, solution, self.largest_error), solution

    def _solve(
        self,
        discrete: Discretised,
        beta: float,
        effort: float,
        sampled: bool,
        go_on: Callable[[float], bool],
    ) -> finite.Solution:
        """The best weights of a finite problem; ``sampled`` tells that its symbols are draws."""
        kernel, p = discrete.kernel, discrete.p
        if beta == 0:
            # Every q is optimal; the limit from above is what start holds, mostly an atom.
            return finite.Solution(discrete.start, 0.0, 0.0, 0, True)
        name: Solver = self.solver
        if name == "interior_point" and not _newton_is_cheap(kernel):
            name = "squarem"
        in_2d = isinstance(kernel, SeparableKernel)
        usual = _DEFAULTS_SAMPLED if sampled else (_DEFAULTS_2D if in_2d else _DEFAULTS)[name]
        enough, limit = self.tolerance or usual[0], self.iterations or usual[1]
        if name != "interior_point":  # Newton's method takes few steps or does not converge
            limit = max(1, math.ceil(limit * effort))
        # F moves by no more than ``most`` in all: at small beta an absolute gap says nothing.
        single, most = finite.single_letter(kernel, p, beta)
        scale = min(1.0, most)
        tolerance = max(enough * scale, min(_ROUNDING, _LOOSEST * scale))
        gap = max(finite.certified_gap(kernel, p, single), 0.0)
        if gap <= min(tolerance, _ONE_LETTER * scale):
            shift = float(np.sum(p * kernel.shift))
            return finite.Solution(single, shift + most, gap, 0, True)
        if name == "interior_point":
            found = smooth(kernel, p, discrete.start, tolerance, go_on)
            if found is not None:
                return found
        solution = _SOLVERS[name](
            kernel,
            p,
            weights=discrete.start,
            tolerance=tolerance,
            iterations=limit,
            go_on=lambda iteration: go_on(iteration / limit),
        )
        ended = solution.converged or solution.stopped or solution.iterations >= limit
        if ended or name != "interior_point":
            return solution
        # Rounding ended the Newton steps early: finish with the iteration that cannot fail.
        polished = finite.squarem(
            kernel,
            p,
            weights=np.maximum(solution.weights, _LEAST_WEIGHT),
            tolerance=tolerance,
            iterations=_POLISH,
            go_on=lambda _: go_on(1.0),
        )
        iterations = solution.iterations + polished.iterations
        better = polished if polished.gap < solution.gap else solution
        return replace(better, iterations=iterations, stopped=polished.stopped)


def _newton_is_cheap(kernel: Kernel) -> bool:
    if isinstance(kernel, DenseKernel):
        n, m = kernel.shape
        smaller = min(n, m)
        return smaller <= _NEWTON_LIMIT and n * m * smaller <= _NEWTON_OPERATIONS
    return isinstance(kernel, HasFactor)


ESTIMATOR = BlahutArimoto
