"""EBRD: one energy network per slope, trained by sampling (Wu et al.).

The reproduction marginal is q(y) = exp(-E(y)) / Z and, by Lemma 1, the test channel is
p(y|x) proportional to exp(-E(y) - beta rho(x, y)). The gradient of F(q) needs no Z (eq. 4):

    grad F = E_{x, y ~ p(y|x)} grad E(y) - E_{y ~ q} grad E(y).

``algorithm="reference"`` (default) puts a Gaussian mixture under the network. Under squared error
p_ref(y|x) is drawn exactly, so that the expectations of eq. (4) are weighted sums: see `reference`.
Under absolute error with independent coordinates (always for d = 1) it needs no chains either,
elsewhere it takes those of ``plain``: see `absolute`.
``algorithm="plain"`` does without the mixture: a weak fixed quadratic under the network (`plain`).
``algorithm="published"`` is the paper's Algorithm 1: fixed Langevin steps from N(0, I), afresh at
every iteration (`published`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Generator

from rdbench.estimators.ebrd.absolute import fit_absolute
from rdbench.estimators.ebrd.plain import fit_plain
from rdbench.estimators.ebrd.published import fit_published
from rdbench.estimators.ebrd.reference import fit_reference
from rdbench.estimators.ebrd.settings import Settings
from rdbench.types import EstimatorInfo, Monitor, Refusal, TestChannel, View


@dataclass(frozen=True)
class EBRD(Settings):
    """Energy-based rate-distortion; the fields are hyper-parameters."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="energy-based model, one network for every slope",
        citation="Wu, Xu, Chen, Wu, Zhang: Estimating Rate-Distortion Functions Using the "
        "Energy-Based Model",
        distortions=("squared_error", "absolute_error"),
        alphabet=False,
        slopes="positive",
        presets={
            "paper": {"algorithm": "published", "hidden": 128, "learning_rate": 1e-3},
            "plain": {"algorithm": "plain", "iterations": 600},
        },
        preset_notes={
            "paper": "Algorithm 1 as printed: K = 50 and epsilon = 1.2e-2 for squared error, "
            "K = 80 and 3.5e-2 for absolute error, chains from N(0, I). Not printed, our choice: "
            "the network (two SiLU layers of 128 plus |y|^2 / 200, so that q exists), N = 512, "
            "300 iterations of Adam at 1e-3, and K and epsilon for d > 1.",
            "plain": "No publication: our own reading of the paper with a weak fixed quadratic "
            "under the network, adapted Metropolis steps, persistent chains and reweighting. "
            "Its claim is Appendix A with 2000 draws of q, whose rate saturates at "
            "log 2000 = 7.6 nats.",
        },
        not_invariant=frozenset({"shift:paper", "scale:paper"}),
        colour="#0072B2",
        marker="o",
    )

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Train all slopes together, then yield a channel for each."""
        default = fit_reference if view.distortion.name == "squared_error" else fit_absolute
        run = {"reference": default, "plain": fit_plain, "published": fit_published}[self.algorithm]
        return run(self, view, betas, generator, monitor) if betas else iter(())


ESTIMATOR = EBRD
