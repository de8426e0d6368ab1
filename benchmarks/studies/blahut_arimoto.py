"""What Blahut-Arimoto costs: one run, one thread, CPU seconds.

(a) the interior point to a certified gap of 1e-8 on a Gaussian grid of 500 points;
(b) one iteration of the classical solver at n = 500 and 2000, next to two plain NumPy mat-vecs
    and, where the package `dit` is installed, to one of its rate-distortion Blahut-Arimoto.

    pip install dit
    python benchmarks/studies/blahut_arimoto.py [--repeats 7] [--iterations 200]

Times are the best and the median of ``--repeats`` rounds, in which the contenders take turns, so
that a busy machine slows them alike. A ratio is the median over rounds of the ratio within one.
Neither torch nor the rest of rdbench is needed: NumPy, SciPy and jaxtyping will do.
"""

from __future__ import annotations

# ruff: noqa: E402
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported

import argparse
import importlib
import importlib.util
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rdbench.inference import finite
from rdbench.inference.kernels import DenseKernel

TARGET_S = 0.3
TARGETS = {500: 12.0, 2000: 8.0}
TARGET_MATVEC = 1.3


def gaussian_grid(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and squared distances of n points on +-6.5 standard deviations."""
    x = np.linspace(-6.5, 6.5, n)
    p = np.exp(-0.5 * x**2)
    return p / p.sum(), (x[:, None] - x) ** 2


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def dit_round(p: np.ndarray, rho: np.ndarray, beta: float, iterations: int) -> float:
    """CPU seconds per iteration of dit's loop, its set-up taken off by a second, shorter run."""
    dit_ba = importlib.import_module("dit.rate_distortion.blahut_arimoto")

    start = np.full(rho.shape, 1.0 / len(p))

    def loop(k: int) -> float:
        # dit stops where the distortion hardly changes; here it must make all k iterations
        original = np.isclose
        np.isclose = lambda *_: False  # type: ignore[assignment]
        try:
            # beta in bits; the distortion is a ready matrix, which costs dit nothing
            return cpu_seconds(
                lambda: dit_ba._blahut_arimoto(p, beta / math.log(2), start, lambda *_: rho, k)
            )
        finally:
            np.isclose = original

    short, long = max(1, iterations // 5), iterations
    return (loop(long) - loop(short)) / (long - short)


def per_iteration(n: int, beta: float, repeats: int, iterations: int, with_dit: bool) -> bool:
    """Print the table for one n; whether every target was met."""
    p, rho = gaussian_grid(n)
    kernel = DenseKernel.build(rho, beta)
    w = np.full(n, 1.0 / n)
    matrix, transpose = kernel.matrix, kernel.transpose

    def two_matvecs() -> None:
        for _ in range(iterations):
            matrix @ w
            transpose @ p

    def ours() -> None:
        got = finite.ba(kernel, p, tolerance=1e-300, iterations=iterations)
        assert got.iterations == iterations

    rows: dict[str, list[float]] = {"two mat-vecs": [], "classical ba": [], "dit": []}
    for _ in range(repeats):
        rows["two mat-vecs"].append(cpu_seconds(two_matvecs) / iterations)
        rows["classical ba"].append(cpu_seconds(ours) / iterations)
        if with_dit:
            rows["dit"].append(dit_round(p, rho, beta, max(10, iterations // 20)))
    base = np.array(rows["classical ba"])
    print(f"\nn = {n}, beta = {beta:g}, {repeats} rounds")
    met = True
    for name, times in rows.items():
        if not times:
            print(f"  {name:14s} not installed")
            continue
        t = np.array(times)
        print(f"  {name:14s} best {1e6 * t.min():9.1f} us  median {1e6 * np.median(t):9.1f} us")
    over = float(np.median(base / np.array(rows["two mat-vecs"])))
    met &= over <= TARGET_MATVEC
    print(f"  ba / two mat-vecs = {over:.2f} (target <= {TARGET_MATVEC})")
    if with_dit:
        ratio = float(np.median(np.array(rows["dit"]) / base))
        met &= ratio >= TARGETS[n]
        print(f"  dit / ba = {ratio:.1f} (target >= {TARGETS[n]:g})")
    return met


def certified(repeats: int) -> bool:
    """Print the cost of a certified 1e-8 at several slopes; whether all meet the target."""
    p, rho = gaussian_grid(500)
    print("interior point, Gaussian grid of 500, to a certified gap of 1e-8")
    met = True
    for beta in (0.6, 2.0, 20.0, 500.0):
        times = []
        for _ in range(repeats):
            got: list[finite.Solution] = []
            times.append(
                cpu_seconds(
                    lambda beta=beta, got=got: got.append(
                        finite.interior_point(DenseKernel.build(rho, beta), p, tolerance=1e-8)
                    )
                )
            )
        solution = got[0]
        truth = 0.5 * math.log(2 * beta) + 0.5
        met &= solution.converged and float(np.median(times)) <= TARGET_S
        print(
            f"  beta {beta:6g}: gap {solution.gap:.1e}, F - F* {solution.lagrangian - truth:+.1e}, "
            f"{solution.iterations} steps, median {np.median(times):.3f} s (target <= {TARGET_S})"
        )
    return met


def main() -> int:
    """Run both parts; exit code 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="rounds of every timing")
    parser.add_argument("--iterations", type=int, default=200, help="iterations in one timing")
    options = parser.parse_args()
    with_dit = importlib.util.find_spec("dit") is not None
    met = certified(options.repeats)
    for n, beta in ((500, 20.0), (2000, 20.0)):
        iterations = options.iterations if n == 500 else max(20, options.iterations // 5)
        met &= per_iteration(n, beta, options.repeats, iterations, with_dit)
    print("\nall targets met" if met else "\na target was missed")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
