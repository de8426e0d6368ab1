"""Theorem 1 of the EBRD paper as an experiment: the infimum of eq. (5) with N symbols and N draws.

Sources are Gaussian vectors under squared error, where F*, q* and two floors (`theorem_bounds`)
are closed forms. Three readings of the theorem's F_N are compared with F*:

- ``exact``: the draws come from q* itself, symbols are fresh. What a perfectly trained model gives.
- ``fitted``: the infimum over N free atoms, evaluated on the N symbols that they were fitted to.
  What "inf over theta" means when the family is rich.
- ``held out``: the same atoms on fresh symbols.

Every gap is paired: eq. (5) minus the mean of the optimal potential over the same symbols, whose
expectation is F*. That takes out the noise of the symbols and leaves the expectation as it is. The
number of fresh symbols does not change the expectation either, so fewer than N are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy import stats
from torch import Generator, Tensor
from torch.quasirandom import SobolEngine

from rdbench.distortions import SquaredError
from rdbench.inference.plug_in import appendix_a
from rdbench.paper.theorem_atoms import free_atoms
from rdbench.paper.theorem_bounds import (
    atoms_floor,
    atoms_needed,
    draws_floor,
    draws_needed,
    optimal_marginal,
)
from rdbench.references.gaussian import WaterFilling
from rdbench.run.seeds import seed_for
from rdbench.sources.gaussian import vector_gaussian

Reading = Literal["exact", "fitted", "held out"]
GAP = 0.05
"""Nats per symbol: the accuracy whose price in N is measured."""


@dataclass(frozen=True)
class PlugInRow:
    """Eq. (5) with n symbols and draws: means over replicates with 95% t-intervals, in nats."""

    case: str
    dim: int
    true_rate: float
    beta: float
    reading: Reading
    n: int
    gap: float
    gap_lo: float
    gap_hi: float
    rate: float
    """R of Appendix A, which never exceeds log n."""
    replicates: int
    symbols: int
    """Symbols on which one replicate is evaluated."""


@dataclass(frozen=True)
class FloorRow:
    """What theory says of n atoms, as gaps to F* in nats."""

    case: str
    dim: int
    true_rate: float
    n: int
    atoms: float
    """No n atoms have a smaller gap on the population; 0 where log n >= R*."""
    draws: float
    """n draws of q* have no smaller gap in expectation."""
    fitted: float
    """log n - F*: the infimum over free atoms on their own n symbols is at most this."""


@dataclass(frozen=True)
class NeededRow:
    """How many draws of q* bring the gap down to ``GAP`` nats; everything as log N in nats."""

    case: str
    dim: int
    true_rate: float
    measured: float | None
    """Interpolated on the measured curve; None where the largest N does not reach it."""
    measured_lo: float | None
    measured_hi: float | None
    draws: float
    """No fewer draws of q* can do (the floor for draws)."""
    atoms: float
    """No fewer atoms can do, wherever they are."""
    largest: float
    """log of the largest N that was run."""
    active: int
    """Directions in which q* has variance; it has a density where they are all ``dim``."""


@dataclass(frozen=True)
class Theorem:
    """The rows of the experiment."""

    plug_in: tuple[PlugInRow, ...]
    floors: tuple[FloorRow, ...]
    needed: tuple[NeededRow, ...]


@dataclass(frozen=True)
class Effort:
    """How much is run; the defaults take about 70 CPU seconds on one core."""

    shown: tuple[tuple[int, float], ...] = ((2, 2.0), (10, 2.0), (10, 5.0), (10, 10.0), (10, 20.0))
    """(dimension, true rate in nats) of the cases with all three readings."""
    priced: tuple[tuple[int, float], ...] = ((10, 1.0), (10, 3.0), (10, 4.0), (10, 6.0))
    """Cases with the exact q* alone, no further than the price of ``GAP`` needs."""
    bounded: tuple[float, ...] = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 25, 30)
    """Rates (nats) in the largest dimension at which the floors give a price without sampling."""
    sizes: tuple[int, ...] = (32, 100, 316, 1000, 3162, 10_000, 31_623, 100_000)
    replicates: int = 16
    symbols: int = 128
    fitted_sizes: tuple[int, ...] = (100, 316, 1000, 3162)
    fitted_symbols: int = 12_000
    """Over all replicates: small samples get more of them, 4 to 32."""
    held_out: int = 1000
    moves: int = 40
    tolerance: float = 2e-3
    floor_symbols: int = 8192


def run_theorem(
    seed: int = 0, effort: Effort | None = None, tell: Callable[[str], None] = lambda _: None
) -> Theorem:
    """Run the experiment; the same seed gives the same rows on one thread.

    Args:
        seed: of all draws.
        effort: how much is run.
        tell: hears one line per case.
    """
    asked = effort or Effort()
    plug_in: list[PlugInRow] = []
    floors: list[FloorRow] = []
    needed: list[NeededRow] = []
    for dim, rate in (*asked.shown, *asked.priced):
        tell(f"Theorem 1: d = {dim}, R = {rate:g} nats")
        case = _Case(dim, rate, seed)
        shown = (dim, rate) in asked.shown
        exact = case.exact_curve(asked, least=-math.inf if shown else 0.5 * GAP)
        plug_in += exact
        if shown:
            for n in asked.fitted_sizes:
                plug_in += case.fitted(n, asked)
            floors += [case.floor(n, asked) for n in _floor_sizes(asked)]
        needed.append(case.needed(exact, asked))
    run = {(row.dim, row.true_rate) for row in needed}
    largest = max(dim for dim, _ in asked.shown)
    others = [rate for rate in asked.bounded if (largest, rate) not in run]
    needed += [_Case(largest, rate, seed).needed([], asked) for rate in others]
    return Theorem(tuple(plug_in), tuple(floors), tuple(needed))


class _Case:
    """A Gaussian vector with sigma_i = 2^(-i/10) at one true rate."""

    def __init__(self, dim: int, rate: float, seed: int) -> None:
        self.dim, self.rate, self.seed = dim, float(rate), seed
        self.name = f"ramp-d{dim}"
        self.source = vector_gaussian(dim)
        self.truth = WaterFilling(self.source)
        self.beta = self.truth.slope(self.rate)

    def generator(self, *names: object) -> Generator:
        """A stream of its own for every use."""
        stream = seed_for("theorem", self.name, self.rate, self.seed, *names)
        return torch.Generator().manual_seed(stream)

    def exact_curve(self, effort: Effort, least: float) -> list[PlugInRow]:
        """Up to the size at which the gap is surely below ``least`` nats."""
        rows: list[PlugInRow] = []
        for n in effort.sizes:
            if not rows or rows[-1].gap_hi > least:
                rows.append(self.exact(n, effort))
        return rows

    def exact(self, n: int, effort: Effort) -> PlugInRow:
        """Draws of q*, fresh symbols."""
        q = optimal_marginal(self.source, self.beta)
        results = []
        for replicate in range(effort.replicates):
            x = self.source.sample(effort.symbols, self.generator("x", n, replicate))
            y = q.sample(n, self.generator("y", n, replicate))
            results.append(self._evaluated(x, y))
        return self._row("exact", n, results, effort.symbols)

    def fitted(self, n: int, effort: Effort) -> list[PlugInRow]:
        """Free atoms on their own symbols and on fresh ones."""
        own, fresh = [], []
        for replicate in range(min(max(effort.fitted_symbols // n, 4), 32)):
            x = self.source.sample(n, self.generator("fit", n, replicate))
            y = free_atoms(x, self.beta, effort.moves, effort.tolerance)
            own.append(self._evaluated(x, y))
            others = self.source.sample(effort.held_out, self.generator("held out", n, replicate))
            fresh.append(self._evaluated(others, y))
        return [
            self._row("fitted", n, own, n),
            self._row("held out", n, fresh, effort.held_out),
        ]

    def floor(self, n: int, effort: Effort) -> FloorRow:
        """The closed-form floors at n."""
        return FloorRow(
            case=self.name,
            dim=self.dim,
            true_rate=self.rate,
            n=n,
            atoms=atoms_floor(self.truth, self.beta, n),
            draws=float(draws_floor(self.truth, self._many(effort), self.beta, math.log(n)).mean()),
            fitted=math.log(n) - self.truth.point(self.beta).lagrangian.hi,
        )

    def needed(self, rows: Sequence[PlugInRow], effort: Effort) -> NeededRow:
        """The price of ``GAP`` nats."""
        log_n = [math.log(row.n) for row in rows]
        return NeededRow(
            case=self.name,
            dim=self.dim,
            true_rate=self.rate,
            measured=crossing(log_n, [row.gap for row in rows], GAP),
            measured_lo=crossing(log_n, [row.gap_lo for row in rows], GAP),
            measured_hi=crossing(log_n, [row.gap_hi for row in rows], GAP),
            draws=draws_needed(self.truth, self._many(effort), self.beta, GAP),
            atoms=atoms_needed(self.truth, self.beta, GAP),
            largest=max(log_n, default=0.0),
            active=int((optimal_marginal(self.source, self.beta).stds > 0.0).sum()),
        )

    def _many(self, effort: Effort) -> Tensor:
        """Scrambled Sobol points, the same at all rates: their error is small and shared."""
        points = SobolEngine(self.dim, scramble=True, seed=self.seed)
        uniform = points.draw(effort.floor_symbols, dtype=torch.float64)
        z = torch.special.ndtri(uniform.clamp(1e-12, 1.0 - 1e-12))
        x: Tensor = self.source.mean + (z * self.source.stds) @ self.source.basis.T
        return x

    def _evaluated(self, x: Tensor, y: Tensor) -> tuple[float, float]:
        """The paired gap of eq. (5), and R of Appendix A."""
        rate, spent = appendix_a(SquaredError(), x, y, self.beta)
        optimum = float(self.truth.potential(x, self.beta).mean())
        return rate + self.beta * spent - optimum, rate

    def _row(
        self, reading: Reading, n: int, results: Iterable[tuple[float, float]], symbols: int
    ) -> PlugInRow:
        gaps, rates = np.array(list(results)).T
        half = float(stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / math.sqrt(len(gaps)))
        gap = float(gaps.mean())
        return PlugInRow(
            self.name, self.dim, self.rate, self.beta, reading, n, gap, gap - half, gap + half,
            float(rates.mean()), len(gaps), symbols,
        )  # fmt: skip


def _floor_sizes(effort: Effort) -> list[int]:
    """Every size that is run, and enough between them for a smooth curve."""
    between = np.geomspace(min(effort.sizes), max(effort.sizes), 25).round().astype(int)
    return sorted({*effort.sizes, *effort.fitted_sizes, *between.tolist()})


def crossing(log_n: Sequence[float], gaps: Sequence[float], level: float) -> float | None:
    """Where a falling curve of gaps first passes below ``level``, log-linear between its points.

    None where it never does, or is below from the start.
    """
    for k in range(1, len(gaps)):
        if gaps[k - 1] > level >= gaps[k]:
            high, low = math.log(gaps[k - 1]), math.log(max(gaps[k], 1e-4 * level))
            share = (high - math.log(level)) / (high - low)
            return log_n[k - 1] + share * (log_n[k] - log_n[k - 1])
    return None
