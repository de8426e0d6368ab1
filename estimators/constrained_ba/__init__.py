"""Blahut-Arimoto at a target distortion: the slope is found by Newton's method in every iteration.

L. Chen, S. Wu, W. Ye, H. Wu, W. Zhang, H. Wu, B. Bai, "A constrained BA algorithm for
rate-distortion and distortion-rate functions", CSIAM Trans. Appl. Math. 6, 2025 (arXiv:2305.02650).
S. Wu, W. Ye, H. Wu, H. Wu, W. Zhang, B. Bai, "A communication optimal transport approach to the
computation of rate distortion functions", 2022 (arXiv:2212.10098).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Generator, Tensor

from rdbench.estimators.blahut_arimoto.channel import channel_of
from rdbench.estimators.blahut_arimoto.grids import Discretised
from rdbench.estimators.blahut_arimoto.problem import FiniteProblem, finite_problem, gridded
from rdbench.estimators.constrained_ba.dense import LEAST_LOG, DenseProblem, dense
from rdbench.estimators.constrained_ba.iteration import Found, constrained
from rdbench.estimators.constrained_ba.search import at_slope
from rdbench.estimators.constrained_ba.sinkhorn import sinkhorn
from rdbench.fitting import check_settings, not_seeded, uncovered
from rdbench.inference import finite
from rdbench.types import (
    EstimatorInfo,
    Monitor,
    RdbenchError,
    Refusal,
    TestChannel,
    Unsupported,
    View,
)

_COUNTS = (251, 501, 1001, 2001)
"""Grid points that are tried in turn until they are enough for beta and for the source."""
_ONE_LETTER = 1e-8
_ITERATIONS, _FEWEST, _OPERATIONS = 2000, 50, 400_000_000
_SAME_GRID = 0.3
_GRIDS = 4


def _always(_: int) -> bool:
    return True


@dataclass(frozen=True)
class ConstrainedBA:
    """min I(X; Y) subject to E rho(X, Y) <= D on a finite alphabet or a grid on a line.

    For a fixed q the best channel is p(j|i) ~ q_j exp(-beta rho_ij), beta such that its distortion
    is D; the next q is its marginal. `solve_distortion` is the method itself. `fit`, which is asked
    for slopes, searches the D whose slope is the one asked for.
    """

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="Blahut-Arimoto at a target D, its slope by Newton steps; letters and lines",
        citation="L. Chen et al., CSIAM Trans. Appl. Math. 6:350-379, 2025",
        needs=frozenset({"density", "support"}),
        distortions=("squared_error", "absolute_error"),
        alphabet=False,
        max_dim=1,
        presets={
            "paper": {"accelerate": False},
            "sinkhorn": {"algorithm": "sinkhorn"},
        },
        preset_notes={
            "paper": "CBA without extrapolation, q uniform at first as in the authors' programs. "
            "Ours: the bracket of Newton's method, logarithms, the grid, and the stop on a "
            "certified gap instead of a change of R below 1e-10.",
            "sinkhorn": "The alternating Sinkhorn iteration of CommOT (Wu et al. 2022). Ours: as "
            "for paper.",
        },
        colour="#882255",
        marker="h",
    )

    algorithm: Literal["newton", "sinkhorn"] = "newton"
    """``newton``: the constrained Blahut-Arimoto iteration. ``sinkhorn``: the alternating Sinkhorn
    iteration on the plan phi_i K_ij psi_j q_j."""
    accelerate: bool = True
    """Squared extrapolation of log q; ``sinkhorn`` has none."""
    points: int | None = None
    """Grid points, at least 3; None takes the first of 251, 501, 1001 and 2001 that is enough."""
    tolerance: float = 1e-4
    """Certified gap in nats at which to stop."""
    iterations: int | None = None
    """The most iterations at one target, or in all at one slope, at effort 1; None is 2,000, and
    fewer where the matrix of distortions has more than 200,000 entries."""
    box_draws: int = not_seeded(20_000)
    """Draws that find the box of a density."""
    largest_error: float = not_seeded(1e-2)
    """Discretisation error in nats with which a rate is worth reporting."""

    def __post_init__(self) -> None:
        check_settings(
            "constrained_ba",
            self,
            ("points", "iterations", "box_draws"),
            ("tolerance", "largest_error"),
        )
        if (self.points or 3) < 3:
            raise RdbenchError("constrained_ba: points must be at least 3")

    def fit(
        self,
        view: View,
        betas: Sequence[float],
        generator: Generator,  # noqa: ARG002 - nothing is random but the draws of the view
        monitor: Monitor,
    ) -> Iterator[TestChannel | Refusal]:
        """The channel whose target distortion has the slope, for every slope in turn."""
        if not betas:
            return
        problem = self.problem(view)
        largest, stopped = 0, False
        for done, beta in enumerate(betas):
            if stopped or not monitor.advance(done / len(betas)):
                return

            def go_on(fraction: float, done: int = done) -> bool:
                nonlocal stopped
                stopped = stopped or not monitor.advance((done + fraction) / len(betas))
                return not stopped

            try:
                discrete = problem.at(beta)
                solution, note = self._at_slope(discrete, beta, monitor.effort, go_on)
                channel = channel_of(problem, view, beta, discrete, solution, self.largest_error)
            except Unsupported as reason:
                yield Refusal(beta, "unsupported", str(reason))
                continue
            channel = _with(channel, note)
            largest = max(largest, len(solution.weights))
            monitor.count(parameters=largest)
            monitor.checkpoint(partial(list, [channel]))
            yield channel

    def solve_distortion(
        self, view: View, target: float, monitor: Monitor | None = None
    ) -> TestChannel:
        """The channel of distortion ``target``; its ``beta`` is the slope that was found.

            generator, device = torch.Generator().manual_seed(0), torch.device("cpu")
            view, _ = make_view(problem, ConstrainedBA.info.needs, generator, device)
            rate = ConstrainedBA().solve_distortion(view, 0.1).claim.rate

        with make_view from rdbench.run.views. On a straight piece of R(D) every target is answered
        as it is. From D_max on no rate is needed, and the channel is that of slope 0.

        Args:
            view: the problem.
            target: D, in the source's units.
            monitor: asked every ten iterations; None runs to the end.

        Raises:
            RdbenchError: the problem is not supported, the target is not above D_min, a grid would
                be too large (with the reason), or the monitor said stop.
        """
        for refusal in uncovered(self, view, [1.0]):
            raise Unsupported(refusal.reason)
        problem = self.problem(view)
        above = target - problem.least
        if not 0.0 < above < math.inf:
            least = problem.least
            asked = "a positive number" if least == 0.0 else f"above D_min = {least:.9g}"
            raise RdbenchError(f"a target distortion is {asked}, got {target}")
        discrete = problem.at(0.0)
        nothing = finite.Solution(discrete.start, 0.0, 0.0, 0, True)
        free = channel_of(problem, view, 0.0, discrete, nothing, self.largest_error)
        if free.claim.distortion <= target:
            return free

        def go_on(_: int) -> bool:
            return monitor is None or monitor.advance(0.0)

        effort = 1.0 if monitor is None else monitor.effort
        beta = 0.5 * view.dim / above
        for _ in range(_GRIDS):
            discrete = problem.at(beta)
            matrix = dense(discrete)
            limit = self._limit(matrix, effort)
            found = self.solve(
                matrix, target - matrix.least, _log(discrete.start), beta, limit=limit, go_on=go_on
            )
            if found.stopped:
                raise RdbenchError(f"stopped before D = {target:g} was found")
            near = abs(math.log(found.beta / beta)) < _SAME_GRID
            beta = found.beta
            if near or problem.error is None:
                break
        discrete = problem.at(beta)
        solution = _solution(discrete, found, self.tolerance)
        return channel_of(problem, view, beta, discrete, solution, self.largest_error)

    def problem(self, view: View) -> FiniteProblem:
        """Letters, or a density on the first grid that is fine enough at a slope.

        Raises:
            Unsupported: there are neither probabilities nor a density.
        """
        if view.support is not None:
            return finite_problem(view)
        drawn = view.sample(self.box_draws)
        shown = replace(view, sample=lambda _: drawn)
        counts = _COUNTS if self.points is None else (self.points,)
        grids = [gridded(shown, self.box_draws, count, None) for count in counts]

        def at(beta: float) -> Discretised:
            why = None
            for grid in grids:
                try:
                    return grid.at(beta)
                except Unsupported as reason:
                    why = reason
            assert why is not None
            raise why

        return replace(grids[-1], at=at)

    def _at_slope(
        self,
        discrete: Discretised,
        beta: float,
        effort: float,
        go_on: Callable[[float], bool],
    ) -> tuple[finite.Solution, str]:
        """Weights at a slope, and which target they are of."""
        if beta == 0.0:
            return finite.Solution(discrete.start, 0.0, 0.0, 0, True), ""
        kernel, p = discrete.kernel, discrete.p
        single, most = finite.single_letter(kernel, p, beta)
        scale = min(1.0, most)
        tolerance = max(self.tolerance * scale, 1e-13)
        gap = max(finite.certified_gap(kernel, p, single), 0.0)
        if gap <= min(tolerance, _ONE_LETTER * scale):
            shift = float(np.sum(p * kernel.shift))
            return finite.Solution(single, shift + most, gap, 0, True), ""
        matrix = dense(discrete)

        most = self._limit(matrix, effort)

        def solve(target: float, log_q: Tensor, guess: float, inner: float, limit: int) -> Found:
            begun = most - limit
            return self.solve(
                matrix, target, log_q, guess,
                tolerance=inner, limit=limit, go_on=lambda i: go_on((begun + i) / most),
            )  # fmt: skip

        found, gap = at_slope(matrix, beta, _log(discrete.start), solve, tolerance, most)
        note = f"target D = {found.channel.distortion + matrix.least:.6g}, slope {found.beta:.6g}"
        return _solution(discrete, replace(found, gap=gap), tolerance), note

    def _limit(self, matrix: DenseProblem, effort: float) -> int:
        usual = min(_ITERATIONS, max(_FEWEST, _OPERATIONS // matrix.rho.numel()))
        return max(1, math.ceil((self.iterations or usual) * effort))

    def solve(
        self,
        matrix: DenseProblem,
        target: float,
        log_q: Float[Tensor, " m"],
        guess: float,
        *,
        tolerance: float | None = None,
        limit: int | None = None,
        go_on: Callable[[int], bool] = _always,
    ) -> Found:
        """q of least rate at a target on a matrix of distortions.

        Args:
            matrix: the finite problem.
            target: D without the row minima, > 0.
            log_q: log weights to start from.
            guess: of the slope.
            tolerance: certified gap in nats at which to stop; None is that of the settings.
            limit: the most iterations; None likewise.
            go_on: asked every ten iterations.
        """
        tolerance, limit = tolerance or self.tolerance, limit or self._limit(matrix, 1.0)
        if self.algorithm == "sinkhorn":
            return sinkhorn(
                matrix, target, log_q, guess, tolerance=tolerance, limit=limit, go_on=go_on
            )
        return constrained(
            matrix, target, log_q, guess,
            tolerance=tolerance, limit=limit, go_on=go_on, extrapolate=self.accelerate,
        )  # fmt: skip


def _log(start: Float[ndarray, " m"]) -> Float[Tensor, " m"]:
    """Log weights of a start, none of them lost."""
    log_w = torch.from_numpy(np.log(np.maximum(start, math.exp(LEAST_LOG))))
    return torch.log_softmax(log_w, 0)


def _solution(discrete: Discretised, found: Found, tolerance: float) -> finite.Solution:
    """What was found, with F at its slope."""
    w = found.log_q.exp().numpy()
    shift = float(np.sum(discrete.p * discrete.kernel.shift))
    z = np.maximum(discrete.kernel.forward(w), 1e-300)
    f = shift - float(discrete.p @ np.log(z))
    return finite.Solution(w, f, found.gap, found.iterations, found.gap <= tolerance, found.stopped)


def _with(channel: TestChannel, note: str) -> TestChannel:
    reason = "; ".join(filter(None, (channel.reason, note)))
    return replace(channel, reason=reason)


ESTIMATOR = ConstrainedBA
