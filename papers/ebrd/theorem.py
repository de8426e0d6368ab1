"""Theorem 1 of the EBRD paper as an experiment: the infimum of eq. (5) with N symbols and N draws.

    python -m rdbench.papers.ebrd.theorem

makes the tables in ``data`` again (about 70 CPU seconds; on one thread the same rows each time),
which are committed: the answer does not depend on any estimator.

Sources are Gaussian vectors under squared error, where F*, q* and two floors (`theorem_bounds`)
are closed forms. Three readings of the theorem's F_N are compared with F*:

- ``exact``: the draws come from q* itself, symbols are fresh. What a perfectly trained model gives.
- ``fitted``: the infimum over N free atoms, evaluated on the N symbols that they were fitted to.
  What "inf over theta" means when the family is rich.
- ``held out``: the same atoms on fresh symbols.

Every gap is paired: eq. (5) minus the mean of the optimal potential over the same symbols, whose
expectation is F*. That takes out the noise of the symbols and leaves the expectation as it is. The
number of fresh symbols does not change the expectation either, so fewer than N are used.

The tables, gaps and rates in nats:

- ``gaps``: eq. (5) with n symbols and draws: the mean gap over ``replicates``, its 95% t-interval,
  each on so many ``symbols``; ``rate`` is R of Appendix A, which never exceeds log n.
- ``floors``: closed-form bounds for n atoms, as gaps to F*. No n atoms have a smaller gap than
  ``atoms`` on the population (0 where log n >= R*), n draws of q* none smaller than ``draws`` in
  expectation; on their own n symbols free atoms have at most ``fitted`` = log n - F*.
- ``prices``: log N (nats) that brings the gap down to ``GAP``. ``measured`` is interpolated on the
  measured curve, with the crossings of both ends of its interval, empty where the ``largest`` N
  does not reach it. No fewer ``draws`` of q* can do, nor fewer ``atoms``, wherever they are. q* has
  variance in ``active`` directions, and a density where they are all ``dim``.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy import stats
from torch import Generator, Tensor
from torch.quasirandom import SobolEngine

from rdbench.distortions import SquaredError
from rdbench.inference.plug_in import appendix_a
from rdbench.papers.ebrd.theorem_bounds import (
    atoms_floor,
    atoms_needed,
    draws_floor,
    draws_needed,
    optimal_marginal,
)
from rdbench.references.gaussian import WaterFilling
from rdbench.run.seeds import seed_for
from rdbench.sources.gaussian import vector_gaussian

DATA = Path(__file__).parent / "data"
FILES = {
    "gaps": DATA / "theorem-1.csv",
    "floors": DATA / "theorem-1-floors.csv",
    "prices": DATA / "theorem-1-price.csv",
}
Row = dict[str, Any]
GAP = 0.05
"""Nats per symbol: the accuracy whose price in N is measured."""
_SHOWN = ((2, 2.0), (10, 2.0), (10, 5.0), (10, 10.0), (10, 20.0))
"""(dimension, true rate in nats) of the cases with all three readings."""
_PRICED = ((10, 1.0), (10, 3.0), (10, 4.0), (10, 6.0))
"""Cases with the exact q* alone, no further than the price of ``GAP`` needs."""
_BOUNDED = (8.0, 12.0, 14.0, 16.0, 18.0, 25.0, 30.0)
"""Further rates (nats) in ten dimensions at which the floors give a price without sampling."""
_SIZES = (32, 100, 316, 1000, 3162, 10_000, 31_623, 100_000)
_FITTED_SIZES = (100, 316, 1000, 3162)
_FITTED_SYMBOLS = 12_000
"""Over all replicates: small samples get more of them, 4 to 32."""
_MOVES, _TOLERANCE = 40, 2e-3
_LEAST_WEIGHT = 1e-12


def load() -> dict[str, pd.DataFrame]:
    """The committed tables, by the names of ``FILES``."""
    return {name: pd.read_csv(path) for name, path in FILES.items()}


def run() -> dict[str, list[Row]]:
    """Run the experiment: the rows of every table."""
    gaps: list[Row] = []
    floors: list[Row] = []
    prices: list[Row] = []
    for dim, rate in (*_SHOWN, *_PRICED):
        print(f"Theorem 1: d = {dim}, R = {rate:g} nats", flush=True)
        case, shown = Case(dim, rate), (dim, rate) in _SHOWN
        exact: list[Row] = []
        for n in _SIZES:
            # Without a panel of its own: up to the size at which the gap is surely small.
            if shown or not exact or exact[-1]["gap_hi"] > 0.5 * GAP:
                exact.append(case.exact(n))
        gaps += exact
        if shown:
            gaps += [row for n in _FITTED_SIZES for row in case.fitted(n)]
            between = np.geomspace(min(_SIZES), max(_SIZES), 25).round().astype(int).tolist()
            floors += [case.floor(n) for n in sorted({*_SIZES, *_FITTED_SIZES, *between})]
        prices.append(case.price(exact))
    prices += [Case(10, rate).price([]) for rate in _BOUNDED]
    return {"gaps": gaps, "floors": floors, "prices": prices}


class Case:
    """A Gaussian vector with sigma_i = 2^(-i/10) at one true rate in nats."""

    def __init__(self, dim: int, rate: float, floor_symbols: int = 8192) -> None:
        self.dim, self.rate = dim, float(rate)
        self.head: Row = {"case": f"ramp-d{dim}", "dim": dim, "true_rate": self.rate}
        self.source = vector_gaussian(dim)
        self.truth = WaterFilling(self.source)
        self.beta = self.truth.slope(self.rate)
        self.optimal = optimal_marginal(self.source, self.beta)
        self._floor_symbols = floor_symbols

    def _generator(self, *names: object) -> Generator:
        """A stream of its own for every use."""
        stream = seed_for("theorem", self.head["case"], self.rate, 0, *names)
        return torch.Generator().manual_seed(stream)

    def exact(self, n: int, replicates: int = 16, symbols: int = 128) -> Row:
        """n draws of q* and fresh symbols."""
        results = []
        for replicate in range(replicates):
            x = self.source.sample(symbols, self._generator("x", n, replicate))
            y = self.optimal.sample(n, self._generator("y", n, replicate))
            results.append(self._evaluated(x, y))
        return self._row("exact", n, results, symbols)

    def fitted(self, n: int, fresh_symbols: int = 1000) -> list[Row]:
        """n free atoms on their own n symbols and on fresh ones."""
        own, fresh = [], []
        for replicate in range(min(max(_FITTED_SYMBOLS // n, 4), 32)):
            x = self.source.sample(n, self._generator("fit", n, replicate))
            y = free_atoms(x, self.beta, _MOVES, _TOLERANCE)
            own.append(self._evaluated(x, y))
            others = self.source.sample(fresh_symbols, self._generator("held out", n, replicate))
            fresh.append(self._evaluated(others, y))
        return [self._row("fitted", n, own, n), self._row("held out", n, fresh, fresh_symbols)]

    def floor(self, n: int) -> Row:
        """The closed-form floors at n."""
        draws = draws_floor(self.truth, self._many, self.beta, math.log(n)).mean()
        return self.head | {
            "n": n,
            "atoms": atoms_floor(self.truth, self.beta, n),
            "draws": float(draws),
            "fitted": math.log(n) - self.truth.point(self.beta).lagrangian.hi,
        }

    def price(self, rows: Sequence[Row]) -> Row:
        """The price of ``GAP`` nats, on a measured curve where there is one."""
        log_n = [math.log(row["n"]) for row in rows]
        measured = {
            name.replace("gap", "measured"): crossing(log_n, [row[name] for row in rows], GAP)
            for name in ("gap", "gap_lo", "gap_hi")
        }
        return self.head | measured | {
            "draws": draws_needed(self.truth, self._many, self.beta, GAP),
            "atoms": atoms_needed(self.truth, self.beta, GAP),
            "largest": max(log_n, default=0.0),
            "active": int((self.optimal.stds > 0.0).sum()),
        }  # fmt: skip

    @functools.cached_property
    def _many(self) -> Tensor:
        """Scrambled Sobol points, the same at all rates: their error is small and shared."""
        points = SobolEngine(self.dim, scramble=True, seed=0)
        uniform = points.draw(self._floor_symbols, dtype=torch.float64)
        z = torch.special.ndtri(uniform.clamp(1e-12, 1.0 - 1e-12))
        x: Tensor = self.source.mean + (z * self.source.stds) @ self.source.basis.T
        return x

    def _evaluated(self, x: Tensor, y: Tensor) -> tuple[float, float]:
        """The paired gap of eq. (5), and R of Appendix A."""
        rate, distortion = appendix_a(SquaredError(), x, y, self.beta)
        optimum = float(self.truth.potential(x, self.beta).mean())
        return rate + self.beta * distortion - optimum, rate

    def _row(
        self, reading: str, n: int, results: Sequence[tuple[float, float]], symbols: int
    ) -> Row:
        gaps, rates = np.array(results).T
        half = float(stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / math.sqrt(len(gaps)))
        gap = float(gaps.mean())
        return self.head | {
            "beta": self.beta, "reading": reading, "n": n, "gap": gap, "gap_lo": gap - half,
            "gap_hi": gap + half, "rate": float(rates.mean()), "replicates": len(gaps),
            "symbols": symbols,
        }  # fmt: skip


def free_atoms(
    x: Float[Tensor, "n d"], beta: float, moves: int, tolerance: float
) -> Float[Tensor, "n d"]:
    """Atoms free to follow the sample: the infimum of eq. (5) over a rich family.

    With draws y_j = T(u_j) and a family that contains every map T, the infimum over theta is one
    over the N atoms themselves, of weight 1/N, here under squared error. One step puts every atom
    at the mean of the symbols that use it, y_j <- sum_i p_ij x_i / sum_i p_ij: EM for a mixture of
    N equal Gaussians of variance 1 / (2 beta), which never raises the objective. At the start,
    y = x, the objective is at most log N.

    Args:
        x: the N symbols.
        beta: the slope, per nat.
        moves: most steps.
        tolerance: nats; the descent ends where four steps gain less.
    """
    # float32 moves atoms well enough; what is reported is computed in float64 elsewhere.
    working = x.float()
    ones = torch.cat([working, torch.ones_like(working[:, :1])], 1)
    y = working.clone()
    before = math.inf
    for move in range(moves):
        logits = torch.addmm(-beta * y.square().sum(1), working, y.T, alpha=2.0 * beta)
        log_z = torch.logsumexp(logits, 1, keepdim=True)
        if move % 4 == 0:
            value = float((math.log(len(x)) - log_z[:, 0]).mean())
            if before - value < tolerance:
                break
            before = value
        sums = logits.sub_(log_z).exp_().T @ ones
        weight = sums[:, -1:]
        # An atom that no symbol uses stays where it is.
        y = torch.where(weight > _LEAST_WEIGHT, sums[:, :-1] / weight.clamp(min=_LEAST_WEIGHT), y)
    return y.double()


def crossing(log_n: Sequence[float], gaps: Sequence[float], level: float) -> float | None:
    """Where a falling curve of gaps first passes below ``level``, log-linear between its points.

    None where it never does, or is below from the start.
    """
    for (a, high), (b, low) in itertools.pairwise(zip(log_n, gaps, strict=True)):
        if high > level >= low:
            top, bottom = math.log(high), math.log(max(low, 1e-4 * level))
            return a + (top - math.log(level)) / (top - bottom) * (b - a)
    return None


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, rows in run().items():
        pd.DataFrame(rows).to_csv(FILES[name], index=False)
