"""The bench of the authors of constrained Blahut-Arimoto, against a certified solution.

    python -m benchmarks.constrained [--out results/constrained]

M = N = 100 midpoints on [-8, 8], p = density times width, renormalised: N(0, 1) under squared error
and Laplace(1) under absolute error, D = .1, .3, .5, .7, .9, from uniform q. The contenders stop on
a certified gap of 1e-6 nats, or after 3,000 iterations. The truth is R(D) of the same finite
problem: the interior point of `blahut_arimoto`, to 1e-10, with a root search over the slope.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator

from benchmarks.peers.tables import markdown, write
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.estimators.blahut_arimoto import BlahutArimoto
from rdbench.estimators.constrained_ba import ConstrainedBA
from rdbench.estimators.constrained_ba.dense import dense
from rdbench.estimators.constrained_ba.iteration import Found
from rdbench.run.views import make_view
from rdbench.sources.finite import FiniteSource
from rdbench.types import Problem, TestChannel, View

TARGETS = (0.1, 0.3, 0.5, 0.7, 0.9)
CONTENDERS = {
    "constrained_ba:paper": ConstrainedBA(accelerate=False, tolerance=1e-6, iterations=3000),
    "constrained_ba": ConstrainedBA(tolerance=1e-6, iterations=3000),
    "constrained_ba:sinkhorn": ConstrainedBA(algorithm="sinkhorn", tolerance=1e-6, iterations=3000),
}
_SHORTEST_S = 0.05


@dataclass(frozen=True)
class Row:
    """One contender at one target; rates in nats."""

    source: str
    distortion: float
    truth: float
    contender: str
    excess: float
    """R less the truth; the truth itself is known to 1e-10."""
    gap: float
    """Certified."""
    iterations: int
    exponentials: int
    """Of the 100 by 100 matrix."""
    cpu_s: float
    ours_cpu_s: float
    """Of the truth."""


def view_of(source: str) -> View:
    """The finite problem."""
    width = 16.0 / 100
    x = -8.0 + width * (np.arange(100) + 0.5)
    density = np.exp(-0.5 * x * x) if source == "gaussian" else np.exp(-np.abs(x))
    problem = Problem(
        FiniteSource(source, x[:, None], density / density.sum()),  # type: ignore[arg-type]
        SquaredError() if source == "gaussian" else AbsoluteError(),
        torch.from_numpy(x[:, None]),
    )
    needs = ConstrainedBA.info.needs
    return make_view(problem, needs, Generator().manual_seed(0), torch.device("cpu"))[0]


def timed(work: Callable[[], TestChannel]) -> tuple[float, TestChannel]:
    """CPU seconds of one call, the mean of several where one is short."""
    calls, start = 1, time.process_time()
    found = work()
    while (seconds := time.process_time() - start) < _SHORTEST_S:
        work()
        calls += 1
    return seconds / calls, found


def rows(source: str) -> Iterator[Row]:
    """All contenders at all targets."""
    view = view_of(source)
    for target in TARGETS:
        truth_s, truth = timed(
            lambda d=target: BlahutArimoto(tolerance=1e-10).solve_distortion(view, d)  # type: ignore[misc]
        )
        print(f"{source}, D = {target:g}: {truth_s:.3g} CPU s", file=sys.stderr, flush=True)
        for name, contender in CONTENDERS.items():
            seconds, channel = timed(
                lambda c=contender, d=target: c.solve_distortion(view, d)  # type: ignore[misc]
            )
            found = _again(contender, view, target)
            yield Row(
                source, target, truth.claim.rate, name, channel.claim.rate - truth.claim.rate,
                found.gap, found.iterations, found.evaluations, seconds, truth_s,
            )  # fmt: skip


def _again(contender: ConstrainedBA, view: View, target: float) -> Found:
    """What the channel does not tell: iterations and the certificate."""
    matrix = dense(contender.problem(view).at(0.5 / target))
    even = torch.full((100,), -math.log(100), dtype=torch.float64)
    return contender.solve(matrix, target - matrix.least, even, 0.5 / target)


def table(found: list[Row]) -> str:
    """One line per contender and target."""
    header = [
        "source", "D", "R(D), nats", "contender", "R - R(D)", "certified gap", "iterations",
        "exponentials", "CPU ms", "CPU ms, blahut_arimoto",
    ]  # fmt: skip
    lines = [
        [
            r.source, f"{r.distortion:g}", f"{r.truth:.6f}", r.contender, f"{r.excess:.1e}",
            f"{r.gap:.1e}", str(r.iterations), str(r.exponentials), f"{1e3 * r.cpu_s:.3g}",
            f"{1e3 * r.ours_cpu_s:.3g}",
        ]
        for r in found
    ]  # fmt: skip
    return markdown([header, *lines])


def main() -> int:
    """Exit code 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.constrained",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("results/constrained"))
    out: Path = parser.parse_args().out
    torch.set_num_threads(1)
    found = [row for source in ("gaussian", "laplacian") for row in rows(source)]
    write(out / "constrained.csv", Row, found)
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
