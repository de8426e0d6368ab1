"""Which accuracy figures are measured, against which targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One estimator on one case: what is run, and what is asked of it.

    ``gap`` is the target for the worst audited gap in nats over the ladder and the seeds, ``cpu``
    the target in CPU seconds for the whole ladder; None where none is set. A target per slope
    is multiplied by the number of slopes.
    """

    estimator: str
    suite: str
    case: str
    gap: float | None = None
    cpu: float | None = None
    dim: int | None = None
    rates: str | None = None
    betas: str | None = None
    mode_mass: float | None = None

    @property
    def name(self) -> str:
        """A line that tells the figures apart."""
        ladder = f" R = {self.rates}" if self.rates else f" β = {self.betas}" if self.betas else ""
        return f"{self.estimator} {self.suite}/{self.case}{ladder}"

    def command(self, seeds: str, results: str) -> list[str]:
        """The arguments of ``rdbench`` that run it."""
        words = ["run", "--suite", self.suite, "--cases", self.case]
        words += ["--estimators", self.estimator, "--seeds", seeds]
        for option, value in (("dims", self.dim), ("rates", self.rates), ("betas", self.betas)):
            if value is not None:
                words += [f"--{option}", str(value)]
        return [*words, "--results", results]


def _ramp(estimator: str, targets: dict[int, tuple[float, float]]) -> list[Figure]:
    return [
        Figure(estimator, "vector_gaussian", f"ramp-d{d}", gap, cpu, dim=d)
        for d, (gap, cpu) in targets.items()
    ]


# The Shannon bound of the paper's mixture is tight from beta = 1/2 on, 2.06 nats.
_PAPER_BETAS = "0.5,1,2,5,10,20,65"
_EIGHT_RATES = "3,5,10,20,30"

FIGURES: Sequence[Figure] = (
    *_ramp("ebrd", {2: (0.005, 15), 5: (0.008, 15), 10: (0.01, 20), 20: (0.015, 25)}),
    *_ramp("ebrd", {50: (0.02, 60)}),
    Figure("ebrd", "planar", "paper-d2", 0.005, 30, betas=_PAPER_BETAS),
    Figure("ebrd", "multimodal", "eight-d10", 0.015, 30, rates=_EIGHT_RATES, mode_mass=0.02),
    Figure("ebrd", "scalar", "laplacian-absolute-standard", 0.003, 10),
    Figure("ebrd", "high_dimensional", "laplacian-d6", 0.03, 30, dim=6),
    Figure("nerd", "vector_gaussian", "ramp-d1", 0.01, 10, dim=1, rates="0.1,0.5,1,2,4"),
    Figure("nerd", "vector_gaussian", "ramp-d2", 0.01, 10, dim=2, rates="0.1,0.5,1,2,4"),
    Figure("nerd", "gaussian_spectra", "nerd-d10", 0.06, 20, dim=10, betas="3"),
    Figure("beta_vae", "vector_gaussian", "ramp-d10", 0.02, 50, dim=10, rates="1,3,10,20,30"),
    Figure("beta_vae", "vector_gaussian", "ramp-d50", 0.02, 10, dim=50, rates="10"),
    Figure("beta_vae", "vector_gaussian", "ramp-d50", 0.1, 10, dim=50, rates="30"),
    Figure("wgd[particles=1000]", "vector_gaussian", "ramp-d10", 0.055, 6, dim=10, rates="4"),
    Figure("wgd[particles=4000]", "vector_gaussian", "ramp-d10", 0.03, 16, dim=10, rates="4"),
    Figure("wgd", "planar", "paper-d2", 0.01, 2, rates="3.4"),
    *_ramp("mixture_em", dict.fromkeys((2, 5, 10, 20, 50), (0.003, 5))),
    Figure("mixture_em", "gaussian_spectra", "nerd-d10", 0.003, 5, dim=10, betas="3"),
    Figure("mixture_em", "planar", "paper-d2", 0.003, 5, betas=_PAPER_BETAS),
    Figure("mixture_em", "multimodal", "eight-d10", 0.003, 5, rates=_EIGHT_RATES, mode_mass=0.02),
    # no target: what there is beyond
    Figure("ebrd", "scalar", "laplacian-squared"),
    Figure("ebrd", "scalar", "uniform-squared"),
    Figure("ebrd", "planar", "banana-d2"),
    Figure("ebrd:plain", "vector_gaussian", "ramp-d10", dim=10),
    Figure("nerd", "vector_gaussian", "ramp-d10", dim=10),
    # the objective of the authors, whose gradient saturates at log N = 7.6 nats
    Figure("nerd[objective=plug_in]", "vector_gaussian", "ramp-d10", dim=10, rates="2,5,10,20"),
    Figure("beta_vae", "high_dimensional", "laplacian-d6", dim=6),
    Figure("mixture_em", "high_dimensional", "laplacian-d6", dim=6),
    Figure("blahut_arimoto[support=codebook]", "vector_gaussian", "ramp-d10", dim=10, rates="2,4"),
)

TIMED: Sequence[str] = (
    "ebrd", "ebrd:plain", "nerd", "beta_vae", "wgd", "wgd[particles=4000]", "mixture_em",
    "blahut_arimoto[support=codebook]",
    "ebrd:paper", "nerd:paper", "beta_vae:paper", "wgd:paper",
)  # fmt: skip
"""Estimators whose time to a gap is measured, d = 10 ramp."""

TIMED_RATES = (2, 5, 10, 30)
THRESHOLDS = (0.1, 0.05, 0.01)
"""Gaps in nats."""
