"""Rose's mapping approach: few moving atoms, by deterministic annealing in the slope.

K. Rose, "A mapping approach to rate-distortion computation and analysis", IEEE Trans. Inf. Theory
40(6):1939-1952, 1994.

The reproduction is the image of the unit interval under a map into R^d. Under squared error the
best image is a set of isolated points wherever the Shannon lower bound is loose, so that a map is
atoms and the lengths of the intervals that go there, their weights. At slope beta

    p(j|i) ~ w_j exp(-beta |x_i - y_j|^2),  y_j <- E[X | j],  w_j <- P(j)

never raises F. From one atom at the mean, the slope rises; atoms split at their critical slopes
1 / (2 lambda_max(Cov(X | y_j))), and coincident ones are merged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Generator

from rdbench.estimators.mapping.annealing import Annealed, Schedule, anneal
from rdbench.estimators.mapping.averaging import averaged
from rdbench.estimators.mapping.fixed import first_atoms, iterated
from rdbench.estimators.mapping.symbols import Atoms as Placed
from rdbench.estimators.mapping.symbols import Symbols
from rdbench.fitting import Progress, Task, check_settings, not_seeded, standardised
from rdbench.inference.particles import conditional, exact_point
from rdbench.types import (
    Atoms,
    Claim,
    EstimatorInfo,
    Monitor,
    RdbenchError,
    Refusal,
    Start,
    TestChannel,
    View,
)

_WARM = 20_000
_LINE, _PUBLISHED = 400_000, 5_000
_FEWEST, _MOST, _PER_ATOM, _NUMBERS = 2_000, 4_000, 10, 1_000_000_000
_ATOMS = 1000
_STEPS = 400
_VISITS, _TOLERANCE, _MARGIN = (
    {True: 60, False: 5},
    {True: 1e-5, False: 0.003},
    {True: 3e-3, False: 0.05},
)
_SHORT_RATE = 0.6  # of log n, from where n atoms may be too few
_NAMED = 6


@dataclass(frozen=True)
class Mapping:
    """Annealed atoms under squared error; finite sources are known by their draws alone."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="Rose's mapping: annealed atoms that split at critical slopes; R <= log n",
        citation="K. Rose, IEEE Trans. Inf. Theory 40(6):1939-1952, 1994",
        distortions=("squared_error",),
        alphabet=False,
        slopes="positive",
        presets={
            "fixed_cardinality": {"algorithm": "fixed", "atoms": 6, "draws": _PUBLISHED},
            "equal_weights": {
                "algorithm": "fixed", "weights": "fixed", "atoms": 20, "draws": _PUBLISHED,
            },
        },
        preset_notes={
            "fixed_cardinality": "RDFC (Banerjee et al. 2004) as github.com/sgttwld/"
            "rate-distortion-with-fixed-cardinality has it: 6 atoms (also 5, 11, 20 there), "
            "equally spaced at first with random weights, 5,000 draws, at most 10,000 steps, until "
            "the weights move by less than 1e-4. Theirs is Beta(1, 2) alone, on [0, 1], at beta = "
            "100 and 60 to 400: other sources, the interval from the least to the largest draw, a "
            "start from draws in more dimensions, and logarithms are ours.",
            "equal_weights": "The mapping with 20 intervals of equal length, as the same programs "
            "have it: random points, until they move by less than 1e-5, there in units of the "
            "source, here of its standard deviation.",
        },
        colour="#7E57C2",
        marker="X",
    )  # fmt: skip

    algorithm: Literal["annealed", "fixed"] = "annealed"
    """``annealed``: as many atoms as split or appear. ``fixed``: ``atoms`` of them at every slope
    on its own, without annealing."""
    weights: Literal["updated", "fixed"] = "updated"
    """``fixed``: equal ones, under ``algorithm=fixed``."""
    atoms: int | None = None
    """The most atoms, None: 1,000; of ``fixed`` their number, None: 6."""
    ratio: float = 1.15
    """Of neighbouring slopes of the ladder of ``annealed``, above 1."""
    draws: int | None = None
    """Draws that are fitted to; None: 400,000 on a line, in bins; in more dimensions ten per atom,
    2,000 to 4,000, fresh ones at every slope of the ladder."""
    steps: int | None = None
    """Fixed-point steps at a slope that was asked for, None: 400; in more dimensions these
    are minibatches."""
    batch: int = 1000
    """Symbols of a minibatch."""
    claim_draws: int = not_seeded(4000)
    """Draws on which R and D are claimed."""

    def __post_init__(self) -> None:
        counts = ("atoms", "draws", "steps", "batch", "claim_draws")
        check_settings("mapping", self, counts, ("ratio",))
        if not self.ratio > 1.0:
            raise RdbenchError(f"mapping: ratio must be above 1, got {self.ratio}")
        if self.algorithm == "annealed" and self.weights == "fixed":
            raise RdbenchError("mapping: algorithm=annealed has weights=updated")

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Anneal through all slopes, ascending, and yield each as it is reached."""
        method = self._annealed if self.algorithm == "annealed" else self._fixed
        return standardised(method, view, betas, generator, monitor, warm=_WARM)

    def _annealed(self, task: Task) -> Iterator[TestChannel | Refusal]:
        line, effort, progress = task.dim == 1, task.monitor.effort, Progress(task.monitor)
        steps, visits = max(1, round((self.steps or _STEPS) * effort)), _VISITS[line]
        schedule = Schedule(
            ratio=self.ratio,
            most=self.atoms or _ATOMS,
            visits=visits,
            final=max(visits, steps) if line else visits,
            tolerance=_TOLERANCE[line],
            margin=_MARGIN[line],
        )
        whole = None
        if line:
            n = max(_FEWEST, round((self.draws or _LINE) * effort))
            whole = task.draws.distinct(n)

        def symbols_at(count: int, beta: float) -> Symbols:
            if whole is not None:
                return Symbols.of(whole, beta)
            n = self.draws or max(_FEWEST, min(_MOST, _PER_ATOM * count))
            n = max(count, min(n, _NUMBERS // (count * task.dim)))
            draw = task.draws.sample if task.draws.fixed is None else task.draws.distinct
            return Symbols.of(draw(n), beta)

        mean = Atoms(task.warm.mean(0)[None], task.warm.new_zeros(1))
        start = Start(mean, "one atom at the mean")
        claimed_on = task.draws.claim(self.claim_draws)

        def go_on(done: float) -> bool:
            progress.done = 0.5 * done if not line else done
            return progress()

        # in more dimensions the atoms are averaged over minibatches once all are there
        reached = []
        for found in anneal(symbols_at, task.betas, schedule, go_on):
            if line:
                yield self._channel(task, found, claimed_on, start, progress.stopped)
            else:
                reached.append(found)
        for k, found in enumerate(reached):

            def still(done: float, k: int = k) -> bool:
                progress.done = 0.5 + 0.5 * (k + done) / len(reached)
                return progress()

            draw = partial(task.draws.sample, self.batch)
            atoms = averaged(found.atoms, found.beta, draw, steps, still)
            found = Annealed(found.beta, atoms, math.nan, found.transitions, found.births)
            yield self._channel(task, found, claimed_on, start, progress.stopped)

    def _fixed(self, task: Task) -> Iterator[TestChannel | Refusal]:
        count = self.atoms or 6
        n = max(count, round((self.draws or _PUBLISHED) * task.monitor.effort))
        x = task.draws.distinct(n)
        symbols = Symbols(x, x.new_full((len(x),), 1.0 / len(x)))
        updated, progress = self.weights == "updated", Progress(task.monitor)
        limit = max(1, round(10_000 * task.monitor.effort))
        claimed_on = task.draws.claim(self.claim_draws)
        for k, beta in enumerate(task.betas):
            begun = first_atoms(symbols, count, updated, task.generator)

            def go_on(done: int, k: int = k) -> bool:
                progress.done = (k + done / limit) / len(task.betas)
                return progress()

            atoms, steps, settled = iterated(symbols, begun, beta, updated, limit, go_on)
            start = Start(Atoms(begun.y, begun.log_w), "points without regard to the source")
            yield self._answer(
                task, beta, atoms, claimed_on, start,
                f"{len(atoms.y)} atoms after {steps} steps", settled,
            )  # fmt: skip
            if progress.stopped:
                return

    def _channel(
        self,
        task: Task,
        found: Annealed,
        claimed_on: torch.Tensor,
        start: Start,
        stopped: bool,
    ) -> TestChannel:
        """The channel with what is told of its atoms."""
        told = [f"{len(found.atoms.y)} atoms"]
        if math.isfinite(found.log_c):
            told.append(f"log c <= {found.log_c:.1e} on the draws of the fit")
        if found.transitions:
            unit = task.scale**-2
            slopes = [f"{unit * t.critical:.4g}" for t in found.transitions[:_NAMED]]
            more = ", ..." if len(found.transitions) > _NAMED else ""
            told.append(f"critical slopes {', '.join(slopes)}{more}")
        if found.births:
            told.append(f"{found.births} appeared at a distance")
        if stopped:
            told.append("stopped before the end")
        return self._answer(
            task, found.beta, found.atoms, claimed_on, start, "; ".join(told), not stopped
        )

    def _answer(
        self,
        task: Task,
        beta: float,
        atoms: Placed,
        x: torch.Tensor,
        start: Start,
        reason: str,
        settled: bool,
    ) -> TestChannel:
        q = Atoms(atoms.y, atoms.log_w)
        rate, distortion = exact_point(q, task.distortion, x, beta)
        n = len(q.points)
        full = n >= (self.atoms or _ATOMS) or self.algorithm == "fixed"
        if full and rate > _SHORT_RATE * math.log(n):
            reason += f"; R = {rate:.3g} nats of at most log {n} = {math.log(n):.3g}"
        task.monitor.count(parameters=len(q.points) * (task.dim + (self.weights == "updated")))
        channel = TestChannel(
            beta,
            q,
            Claim(rate, distortion, task.draws.side),
            conditional(q, task.distortion, beta),
            status="ok" if settled else "not_converged",
            reason=reason,
            q_is="atoms",
            start=start,
        )
        task.monitor.checkpoint(partial(list, [channel]))
        return channel


ESTIMATOR = Mapping
