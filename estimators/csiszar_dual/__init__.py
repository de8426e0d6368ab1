"""Csiszar's dual by ascent: log lambda is trained for E log lambda - log sup_y c(y).

For every lambda > 0, F*(beta) >= E log lambda(X) - log sup_y E[lambda(X) exp(-beta rho(X, y))]
(Csiszar 1974). Yang and Mandt (ICLR 2022) train a network log u = -log lambda for it: the preset
``paper``. The default trains a sum of kernels, which the optimal dual function is,

    log lambda(x) = -log sum_k w_k K_k(x),

with Gaussians K_k under squared error, no narrower than exp(-beta ||x||^2) at first; of a finite
source and of given letters with exp(-beta rho(x, y_k)).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Generator

from rdbench.estimators.csiszar_dual import atoms, mixture, published
from rdbench.fitting import check_settings
from rdbench.types import DualBound, EstimatorInfo, Monitor, Refusal, View


@dataclass(frozen=True)
class CsiszarDual:
    """A lower bound of R(D): a trained dual function."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="lower bound: a dual function trained by ascent",
        citation="Yang, Mandt: Towards Empirical Sandwich Bounds on the Rate-Distortion Function, "
        "ICLR 2022",
        side="lower",
        needs=frozenset({"support"}),
        distortions=("squared_error", "hamming"),
        slopes="positive",
        presets={
            "paper": {"kind": "network", "batch": 1024, "steps": 3000},
        },
        preset_notes={
            "paper": "Algorithm 1 and section 6 of the paper, and the authors' code (rdlb.py): "
            "three hidden layers of 100 d units (at most 1000), SELU, Adam 5e-4 with their "
            "schedule, k = 1024, two C_k a step, alpha by a moving mean (0.2), y by Adam 1e-2 "
            "from the 10 best symbols, at most 1000 steps; 60 C_k for the claim, half of which "
            "give alpha. Those are their settings for N(0, I_n); widths, steps, rate and starts of "
            "their other sources differ. Our choice: standard coordinates, the 10 are followed "
            "at once, and y of the claim is found by mean shift from all symbols."
        },
        variants={"kind=network": {"distortions": ("squared_error",), "alphabet": False}},
        colour="#7F7F7F",
        marker="v",
    )

    kind: Literal["kernels", "network"] = "kernels"
    """``kernels``: a sum of them. ``network``: log u of the paper."""
    components: int = 32
    """The most Gaussians; held-out likelihood chooses. Of atoms: 16 times as many."""
    draws: int = 300_000
    """Draws to fit to, times the effort."""
    steps: int = 600
    """Steps of the ascent at a slope, times the effort."""
    batch: int = 6_000
    """The fewest draws of a step; more at high rates."""
    learning_rate: float = 4e-3
    """Of the ascent; of the network 5e-4."""
    iterations: int = 300
    """Of expectation and maximisation on a finite source."""
    judged_on: int = 100_000
    """Draws that choose the cap and give the claim, times the effort."""

    def __post_init__(self) -> None:
        counts = ("components", "draws", "steps", "batch", "iterations", "judged_on")
        check_settings("csiszar_dual", self, counts, ("learning_rate",))

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[DualBound | Refusal]:
        """From the largest slope down."""
        ladder = sorted(betas, reverse=True)
        if self.kind == "network":
            return published.fit(view, ladder, generator, monitor, self.steps, self.batch)
        if view.support is not None and view.pmf is not None:
            return atoms.finite(view, ladder, generator, monitor, self.iterations)
        if view.distortion.name == "squared_error" and view.alphabet is None:
            return mixture.fit(view, ladder, generator, monitor, self)
        return atoms.drawn(view, ladder, generator, monitor, self)


ESTIMATOR = CsiszarDual
