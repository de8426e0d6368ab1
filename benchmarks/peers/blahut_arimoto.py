"""Our Blahut-Arimoto against the package `dit` at equal accuracy: CPU seconds, one thread.

    pip install -r benchmarks/peers/requirements.txt
    python -m benchmarks.peers.blahut_arimoto [--only GLOB] [--rounds 3] [--out results/peers]

Writes ``blahut_arimoto.csv``, one row per problem, aim, contender and round; contenders take turns
within a round. What each has to reach: F - F* <= 1e-3 and 1e-6 nats, which only somebody who knows
F* can see; a certified gap log max c <= 1e-4, which the user can see; and whatever dit leaves where
it stops by itself.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

from benchmarks._cases import pin

pin()  # before NumPy is imported
os.environ["DIT_OPT_JOBS"] = "1"

import argparse
import importlib
import importlib.metadata
import importlib.util
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TypeVar
from unittest import mock

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from benchmarks.peers.tables import BadFile, read, write
from benchmarks.peers.timings import Timing
from rdbench.estimators.blahut_arimoto.smooth import smooth
from rdbench.inference import finite
from rdbench.inference.kernels import DenseKernel

Found = TypeVar("Found")
EXCESS = (1e-3, 1e-6)
CERTIFIED = (1e-4,)
_SHORTEST_S = 0.02  # what is quicker is done several times
_LEAST_EXCESS = 1e-9  # what the interior point is asked to certify at most
_SHIPPED_N = 100  # largest n for dit's 100 starts


@dataclass(frozen=True, eq=False)
class Problem:
    """n letters that are source and reproduction alphabet at once, and one slope."""

    p: Float[ndarray, " n"]
    rho: Float[ndarray, "n n"]
    beta: float
    """-dR/dD in nats."""

    @property
    def n(self) -> int:
        """The number of letters."""
        return len(self.p)


def zipf(n: int, beta: float) -> Problem:
    """p ~ 1 / k under Hamming distortion."""
    p = 1.0 / np.arange(1, n + 1)
    return Problem(p / p.sum(), 1.0 - np.eye(n), beta)


def gaussian(n: int, beta: float) -> Problem:
    """A standard Gaussian on a grid of +-6.5, squared error: q* is spread over the grid."""
    x = np.linspace(-6.5, 6.5, n)
    p = np.exp(-0.5 * x**2)
    return Problem(p / p.sum(), (x[:, None] - x) ** 2, beta)


def uniform(n: int, beta: float) -> Problem:
    """Uniform on a grid of [-1, 1], squared error: q* is a few atoms."""
    x = np.linspace(-1.0, 1.0, n)
    return Problem(np.full(n, 1.0 / n), (x[:, None] - x) ** 2, beta)


def table(n: int, beta: float) -> Problem:
    """Equal probabilities, distortions drawn independently from U(0, 1)."""
    return Problem(np.full(n, 1.0 / n), np.random.default_rng(0).random((n, n)), beta)


PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    "zipf-10": lambda: zipf(10, 3.0),
    "gaussian-100": lambda: gaussian(100, 20.0),
    "uniform-100": lambda: uniform(100, 20.0),
    "gaussian-500": lambda: gaussian(500, 20.0),
    "uniform-500": lambda: uniform(500, 20.0),
    "table-500": lambda: table(500, 20.0),
    "gaussian-2000": lambda: gaussian(2000, 20.0),
    "uniform-2000": lambda: uniform(2000, 20.0),
}
"""By name; the name ends with n."""


def timed(work: Callable[[], Found]) -> tuple[float, Found]:
    """CPU seconds of one call, the mean of several where one is short; and what the first found."""
    calls, start = 1, time.process_time()
    found = work()
    while (seconds := time.process_time() - start) < _SHORTEST_S:
        work()
        calls += 1
    return seconds / calls, found


def first_below(values: ndarray, target: float) -> int | None:
    """Iterations after which the value is at most the target for the first time."""
    below = np.flatnonzero(values <= target)
    return int(below[0]) if below.size else None


class Contest:
    """One problem: F*, the path of the classical iteration, and the contenders."""

    def __init__(self, name: str, problem: Problem) -> None:
        """Solve it once, and see how many iterations each aim takes.

        Raises:
            RuntimeError: F* is not known to 1e-8 nats.
        """
        self.name, self.problem = name, problem
        kernel = DenseKernel.build(problem.rho, problem.beta)
        best = finite.interior_point(kernel, problem.p, tolerance=1e-10, iterations=80)
        if best.gap > 1e-8:
            raise RuntimeError(f"{name}: F* is certified to {best.gap:.1e} only")
        self.optimum = best.lagrangian
        self.most = {10: 50_000, 100: 50_000, 500: 20_000}.get(problem.n, 2000)
        path = finite.ba(
            kernel, problem.p, tolerance=0.0, iterations=self.most, history=True
        ).history
        # entry k is what k iterations lead to
        self.excess = np.array([f for _, f, _ in path]) - self.optimum
        self.gap = np.array([gap for _, _, gap in path])
        self.dit = importlib.import_module("dit.rate_distortion.blahut_arimoto")

    def rows(self, rounds: int) -> Iterator[Timing]:
        """All aims, contenders in turn."""
        for k in range(rounds):
            for target in EXCESS:
                yield from self._to("F - F*", self.excess, target, k)
            for target in CERTIFIED:
                yield from self._to("certified", self.gap, target, k)
            yield from self._own_stop(1, k)
            if self.problem.n <= _SHIPPED_N:
                yield from self._own_stop(100, k)

    def _to(self, aim: str, path: ndarray, target: float, k: int) -> Iterator[Timing]:
        needed = first_below(path, target)
        count = self._count(needed)
        # what dit does in a second or so; more is scaled
        long = max(20, min(2000, int(5e7 / self.problem.n**2)))
        if count <= long:
            cpu, weights = timed(lambda: self._dit_loop(count))
            yield self._row(aim, target, "dit", k, count, cpu, weights, False, needed)
        else:
            short = long // 5
            cpu = timed(lambda: self._dit_loop(long))[0] - timed(lambda: self._dit_loop(short))[0]
            cpu *= count / (long - short)
            yield self._row(aim, target, "dit", k, count, cpu, None, True, needed)
        yield from self._ours(aim, target, k, needed)

    def _own_stop(self, restarts: int, k: int) -> Iterator[Timing]:
        """The public function of dit with its 100 iterations at most, and ours to what it left."""
        p, rho, beta = self.problem.p, self.problem.rho, self.problem.beta / math.log(2)
        np.random.seed(k)  # noqa: NPY002 - dit draws its starts from the global generator
        cpu, (_, joint) = timed(
            lambda: self.dit.blahut_arimoto(p, beta, lambda *_: rho, restarts=restarts)
        )
        weights = joint.sum(0)
        aim = f"dit's own stop, {restarts} start" + "s" * (restarts > 1)
        excess = max(self._judge(weights)[0], _LEAST_EXCESS)
        yield self._row(aim, excess, "dit", k, 0, cpu, weights, False, 0)
        yield from self._ours(aim, excess, k, first_below(self.excess, excess))

    def _dit_loop(self, iterations: int) -> ndarray:
        """The weights of so many of dit's iterations from its first start, without its stop."""
        n, rho = self.problem.n, self.problem.rho
        start = np.full((n, n), 1.0 / n)
        with mock.patch.object(np, "isclose", return_value=False):
            # beta in bits; a ready matrix of distortions costs dit nothing
            _, joint = self.dit._blahut_arimoto(
                self.problem.p, self.problem.beta / math.log(2), start, lambda *_: rho, iterations
            )
        weights: ndarray = joint.sum(0)
        return weights

    def _count(self, needed: int | None) -> int:
        """How many iterations are made: those needed, or the most where none lead there."""
        return self.most if needed is None else max(needed, 1)

    def _ours(self, aim: str, target: float, k: int, needed: int | None) -> Iterator[Timing]:
        """The classical iteration, then the default, which goes on to its certificate.

        Where the aim is log max c itself, which the first iterations of the default do not wait
        for, that is the interior point alone.

        Args:
            aim: as in the table.
            target: nats.
            k: the round.
            needed: iterations that lead to the target; None where none do.
        """
        own = finite.interior_point if aim == "certified" else _default
        for name, solver, tolerance, most, enough in (
            ("classical", finite.ba, -math.inf, self._count(needed), needed),
            ("default", own, target, 80, 0),
        ):
            cpu, got = timed(partial(self._solved, solver, tolerance, most))
            iterations, w = got.iterations, got.weights
            yield self._row(aim, target, name, k, iterations, cpu, w, False, enough)

    def _solved(
        self, solver: Callable[..., finite.Solution], tolerance: float, iterations: int
    ) -> finite.Solution:
        """A solver of ours, with the kernel's set-up."""
        kernel = DenseKernel.build(self.problem.rho, self.problem.beta)
        return solver(kernel, self.problem.p, tolerance=tolerance, iterations=iterations)

    def _judge(self, weights: ndarray) -> tuple[float, float]:
        """F(w) - F* and log max c(w), by none of the contenders."""
        k = np.exp(-self.problem.beta * self.problem.rho)
        z = k @ (weights / weights.sum())
        c = k.T @ (self.problem.p / z)
        return float(-self.problem.p @ np.log(z)) - self.optimum, float(np.log(c.max()))

    def _row(
        self, aim: str, target: float, contender: str, k: int, iterations: int, cpu: float,
        weights: ndarray | None, scaled: bool, needed: int | None,
    ) -> Timing:  # fmt: skip
        """A row; a contender that was really run has to be as good as is said.

        Raises:
            RuntimeError: it is not.
        """
        excess, gap = (math.nan, math.nan) if weights is None else self._judge(weights)
        judged, reached = gap if aim == "certified" else excess, needed is not None
        if weights is not None and reached and judged > target * 1.001 + 1e-12:
            raise RuntimeError(f"{self.name}, {aim} {target:g}: {contender} reached {judged:g}")
        return Timing(
            self.name, self.problem.n, self.problem.beta, aim, target, contender, k, iterations,
            cpu, excess, gap, scaled, reached, versions(),
        )  # fmt: skip


def _default(
    kernel: DenseKernel, p: ndarray, *, tolerance: float, iterations: int
) -> finite.Solution:
    """As `blahut_arimoto` solves: a few classical iterations, else the interior point."""
    even = np.full(kernel.shape[1], 1.0 / kernel.shape[1])
    found = smooth(kernel, p, even, tolerance, lambda _: True)
    if found is not None:
        return found
    return finite.interior_point(kernel, p, tolerance=tolerance, iterations=iterations)


def versions() -> str:
    """The versions of dit and NumPy."""
    return " ".join(f"{name}={importlib.metadata.version(name)}" for name in ("dit", "numpy"))


def main() -> int:
    """Exit code 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers.blahut_arimoto",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="*", help="a glob over the problems")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/peers"))
    given = parser.parse_args()
    chosen = [name for name in PROBLEMS if fnmatchcase(name, given.only)]
    if not chosen:
        parser.error(f"--only {given.only!r} chooses none of {', '.join(PROBLEMS)}")
    if given.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {given.rounds}")
    if importlib.util.find_spec("dit") is None:
        parser.error("dit is missing: pip install -r benchmarks/peers/requirements.txt")
    path = given.out / "blahut_arimoto.csv"
    try:
        kept = read(path, Timing) if path.is_file() else []
    except BadFile as error:
        parser.error(str(error))
    for name in chosen:
        began = time.process_time()
        rows = list(Contest(name, PROBLEMS[name]()).rows(given.rounds))
        kept = [*(row for row in kept if row.problem != name), *rows]
        write(path, Timing, sorted(kept, key=lambda row: list(PROBLEMS).index(row.problem)))
        print(f"{name}: {len(rows)} rows, {time.process_time() - began:.3g} CPU s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
