"""The vanishing of an atom: Bernoulli(.3) under Hamming distortion, tracked from high slopes down.

    python -m rdbench.papers.root_tracking.tracking

makes the tables in ``data`` again (a second). As the slope falls, the optimal mass of the rarer
letter falls to zero: with D = 1 / (1 + e^beta) it is (p - D) / (1 - 2 D), which is zero at
beta = log((1 - p) / p) = log(7/3). Two ways find that slope without the formula:

- ``tracking``: the optimum at 32, 31.99, ... by Blahut-Arimoto, each from the one before, until a
  mass is no larger than a threshold. .01 is the threshold of the published code.
- ``truth``: the slope up to which the other letter alone is optimal. By Blahut's condition that is
  where c = sum_i p_i K_i1 / K_i0, K = exp(-beta rho), passes 1, which bisection brackets.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

DATA = Path(__file__).parent / "data"
P = 0.3
"""The probability of the rarer letter."""
FIRST, STEP, TOLERANCE = 32.0, 0.01, 1e-9
"""As in the published code: the first slope, the step, the change of q that ends the iteration."""
PUBLISHED = 0.86
THRESHOLDS = (1e-2, 1e-3, 1e-4)
_RHO = np.array([[0.0, 1.0], [1.0, 0.0]])
_SOURCE = np.array([1.0 - P, P])
_MOST = 1_000_000


@dataclass(frozen=True)
class Track:
    """The slopes that were solved, descending, and the mass of the rarer letter at each."""

    betas: Float[ndarray, " k"]
    masses: Float[ndarray, " k"]
    iterations: int


def optimum(beta: float, q: Float[ndarray, " 2"]) -> tuple[Float[ndarray, " 2"], int]:
    """Blahut-Arimoto at a slope from q, and its iterations."""
    kernel = np.exp(-beta * _RHO)
    for iteration in range(1, _MOST):
        new = q * (kernel.T @ (_SOURCE / (kernel @ q)))
        if np.abs(new - q).max() <= TOLERANCE:
            return new, iteration
        q = new
    raise ArithmeticError(f"Blahut-Arimoto has not converged at beta = {beta}")


def track(threshold: float, step: float = STEP) -> Track:
    """From the first slope down in equal steps, to the first mass that is within the threshold."""
    q, iterations = _SOURCE, 0
    betas: list[float] = []
    masses: list[float] = []
    while not masses or masses[-1] > threshold:
        beta = FIRST - step * len(betas)
        q, spent = optimum(beta, q)
        betas.append(beta)
        masses.append(float(q[1]))
        iterations += spent
    return Track(np.array(betas), np.array(masses), iterations)


def mass(beta: float) -> float:
    """The optimal mass of the rarer letter: (p - D) / (1 - 2 D), D = 1 / (1 + e^beta), or zero."""
    d = 1.0 / (1.0 + math.exp(beta))
    return max((P - d) / (1.0 - 2.0 * d), 0.0)


def vanishing(tolerance: float = 1e-12) -> tuple[float, float]:
    """The slope from which the rarer letter has mass, in a bracket: c passes 1 there."""

    def excess(beta: float) -> float:
        kernel = np.exp(-beta * _RHO)
        return float(_SOURCE @ (kernel[:, 1] / kernel[:, 0])) - 1.0

    lo, hi = 0.1, FIRST
    while hi - lo > tolerance:
        middle = 0.5 * (lo + hi)
        lo, hi = (middle, hi) if excess(middle) < 0.0 else (lo, middle)
    return lo, hi


def run() -> dict[str, list[dict[str, Any]]]:
    """The rows of both tables: what is compared, and the mass at the slopes near its end."""
    lo, hi = vanishing()
    rows = [_row("truth", lo, hi, "where c passes 1, by bisection; log(7/3) = 0.84730")]
    masses: list[dict[str, Any]] = []
    for threshold in THRESHOLDS:
        began = time.process_time()
        found = track(threshold)
        seconds = time.process_time() - began
        note = (
            f"{len(found.betas):,} slopes, {found.iterations:,} iterations of Blahut-Arimoto, "
            f"{seconds:.2f} CPU s"
        )
        last = round(float(found.betas[-1]), 9)
        rows.append(_row(f"tracking, mass ≤ {threshold:g}", last, last, note))
        near = found.betas < 2.0
        if threshold == min(THRESHOLDS):
            masses = [
                {
                    "beta": round(float(b), 2),
                    "mass": float(f"{m:.6g}"),
                    "exact": float(f"{mass(b):.6g}"),
                }
                for b, m in zip(found.betas[near], found.masses[near], strict=True)
            ]
    return {"computed": rows, "masses": masses}


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _row(by: str, lo: float, hi: float, note: str) -> dict[str, Any]:
    return {"case": "bernoulli-0.3", "by": by, "quantity": "slope", "lo": lo, "hi": hi,
            "note": note}  # fmt: skip


if __name__ == "__main__":
    for name, rows in run().items():
        pd.DataFrame(rows).to_csv(DATA / f"{name}.csv", index=False)
