"""How fast R(D) of a discretised source converges: in the step of the grid and in its truncation.

    python -m rdbench.papers.discretisation.orders

makes the tables in ``data`` again (7 CPU seconds). A source on the line is cut to [-T, T] and into
cells of width h, whose probabilities are renormalised; the reproduction letters are the middles of
the cells. Two costs of a cell i and a letter j, under squared error:

- ``averages``: E[(X - y_j)^2 | cell i], the mean over the cell. The discrete problem is the
  continuous one with channels that are constant on cells and letters that lie on the grid, so that
  its optimum is no smaller (of the source cut to [-T, T]).
- ``midpoints``: (c_i - y_j)^2, c_i the middle of the cell. Nothing orders the two optima.

F of the finite problem is certified, and so is F* of the source. Two tables:

- ``errors``: F - F* against h, at a T that leaves 1e-9 of the mass out or less; and F_T - F_widest
  against T, at one h, which is what truncation alone costs.
- ``computed``: the orders. In the step: -d log|error| / d log h between neighbouring steps, for
  steps below half of the noise scale 1 / sqrt(2 beta), where the error is still far above the
  brackets. In the truncation: d log|error| / d log(mass that is left out).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from rdbench.certify.finite import certify_finite
from rdbench.distortions import SquaredError
from rdbench.references.certified import Certified
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.uniform import UniformSource
from rdbench.types import Bracket, Problem, Reference

DATA = Path(__file__).parent / "data"
COSTS = ("averages", "midpoints")
_TOLERANCE = 1e-10
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_ABOVE = 30.0
"""An error counts where it is so many times the brackets of both ends."""


@dataclass(frozen=True)
class Study:
    """A source on the line, symmetric about zero, and what is asked of it."""

    name: str
    reference: Callable[[], Reference]
    log_prob: Callable[[ndarray], ndarray]
    tail: Callable[[float], float]
    """P(|X| > T)."""
    beta: float
    half: float
    """T of the steps."""
    steps: tuple[float, ...]
    halves: tuple[float, ...] = ()
    """T of the truncations; none of a source with bounded support."""
    step: float = 0.0
    """h of the truncations."""

    @functools.cached_property
    def truth(self) -> Bracket:
        """F* of the source."""
        return self.reference().point(self.beta).lagrangian


@dataclass(frozen=True)
class Cells:
    """Cells of equal width: probabilities, middles, means and variances within."""

    p: Float[ndarray, " n"]
    middle: Float[ndarray, " n"]
    mean: Float[ndarray, " n"]
    variance: Float[ndarray, " n"]

    def costs(self, kind: str) -> Float[ndarray, "n n"]:
        """rho(i, j), letters at the middles."""
        y = self.middle[None, :]
        if kind == "midpoints":
            return np.asarray((self.middle[:, None] - y) ** 2)
        return np.asarray((self.mean[:, None] - y) ** 2 + self.variance[:, None])


def cells(log_prob: Callable[[ndarray], ndarray], half: float, step: float) -> Cells:
    """[-half, half] in cells of width ``step``, by Gauss's rule in each; zero is an edge.

    Args:
        log_prob: the log density, of an array.
        half: a multiple of the step.
        step: the width of a cell.
    """
    count = round(2.0 * half / step)
    middle = (np.arange(count) - 0.5 * (count - 1)) * step
    x = middle[:, None] + 0.5 * step * _NODES
    mass = np.exp(log_prob(x)) * (0.5 * step * _WEIGHTS)
    p = mass.sum(1)
    mean = (mass * x).sum(1) / p
    variance = (mass * (x - mean[:, None]) ** 2).sum(1) / p
    return Cells(p / p.sum(), middle, mean, variance)


def optimum(of: Cells, kind: str, beta: float) -> Bracket:
    """F of the finite problem, in nats, with its certificate."""
    found = certify_finite(of.costs(kind), of.p, beta, _TOLERANCE)
    return Bracket(found.lo, found.hi)


def _laplacian() -> Reference:
    return Certified(Problem(LaplacianSource(0.0, 1.0), SquaredError()), 1e-7)


def _uniform() -> Reference:
    return Certified(Problem(UniformSource(-1.0, 1.0), SquaredError()), 1e-7)


STUDIES = (
    Study("gaussian", lambda: WaterFilling(scalar_gaussian()), stats.norm.logpdf,
          lambda t: 2.0 * float(stats.norm.sf(t)), 2.0, 7.0,
          (1.0, 0.5, 0.25, 0.125, 0.0625), (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0), 0.125),
    Study("laplacian", _laplacian, stats.laplace.logpdf, lambda t: math.exp(-t), 2.0, 24.0,
          (1.0, 0.5, 0.25, 0.125), (2.0, 3.0, 4.0, 6.0, 8.0, 10.0), 0.25),
    Study("uniform", _uniform, stats.uniform(-1.0, 2.0).logpdf, lambda _: 0.0, 12.0, 1.0,
          (0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625)),
)  # fmt: skip


def errors(study: Study) -> list[dict[str, Any]]:
    """The rows of one source: in the step for both costs, then in the truncation."""
    rows: list[dict[str, Any]] = []
    for kind in COSTS:
        for step in study.steps:
            found = optimum(cells(study.log_prob, study.half, step), kind, study.beta)
            rows.append(_row(study, "step", kind, step, study.half, found, study.truth))
    if study.halves:
        widest = optimum(cells(study.log_prob, study.half, study.step), COSTS[0], study.beta)
        for half in study.halves:
            cut = optimum(cells(study.log_prob, half, study.step), COSTS[0], study.beta)
            rows.append(_row(study, "truncation", COSTS[0], study.step, half, cut, widest))
    return rows


def _row(
    study: Study, what: str, kind: str, step: float, half: float, found: Bracket, exact: Bracket
) -> dict[str, Any]:
    return {
        "source": study.name, "beta": study.beta, "varied": what, "cost": kind, "h": step,
        "T": half, "mass_out": study.tail(half), "error_lo": found.lo - exact.hi,
        "error_hi": found.hi - exact.lo,
    }  # fmt: skip


def orders(rows: pd.DataFrame, abscissa: str) -> tuple[float, float] | None:
    """The least and the largest slope of log|error| in the log of a column, between neighbours.

    Rows whose error is not far above its bracket are left out; None of fewer than two.
    """
    size = (0.5 * (rows["error_lo"] + rows["error_hi"])).abs().to_numpy()
    width = (rows["error_hi"] - rows["error_lo"]).to_numpy()
    used = size > _ABOVE * width
    x, e = np.log(rows[abscissa].to_numpy()[used]), np.log(size[used])
    if len(x) < 2:
        return None
    found = np.diff(e) / np.diff(x)
    return float(found.min()), float(found.max())


def summary(table: pd.DataFrame, studies: Sequence[Study] = STUDIES) -> list[dict[str, Any]]:
    """What is compared: orders, and the range of F - F* over the steps."""
    rows = []
    for study in studies:
        mine = table[table["source"] == study.name]
        fine = 0.75 / math.sqrt(2.0 * study.beta)
        for kind in COSTS:
            steps = mine[(mine["varied"] == "step") & (mine["cost"] == kind)]
            rows.append(
                _found(
                    study,
                    f"cell {kind}",
                    "gap",
                    (float(steps["error_lo"].min()), float(steps["error_hi"].max())),
                )
            )
            rows.append(_found(study, f"step, {kind}", "order",
                               orders(steps[steps["h"] <= fine], "h")))  # fmt: skip
        cut = mine[mine["varied"] == "truncation"]
        if len(cut):
            rows.append(_found(study, "truncation, averages", "order", orders(cut, "mass_out")))
    return [row for row in rows if row]


def _found(
    study: Study, by: str, quantity: str, ends: tuple[float, float] | None
) -> dict[str, Any]:
    if ends is None:
        return {}
    return {"case": study.name, "by": by, "quantity": quantity, "lo": ends[0], "hi": ends[1],
            "note": f"β = {study.beta:g}"}  # fmt: skip


def rounded(rows: pd.DataFrame) -> pd.DataFrame:
    """Six digits: more depend on the processor."""
    return rows.map(lambda v: float(f"{v:.6g}") if isinstance(v, float) else v)


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = pd.DataFrame([row for study in STUDIES for row in errors(study)])
    rounded(found).to_csv(DATA / "errors.csv", index=False)
    rounded(pd.DataFrame(summary(found))).to_csv(DATA / "computed.csv", index=False)
