"""Li and Guyot's estimator, after the description in Wu et al.: one energy, and MINE for the rate.

The text of Q. Li and C. Guyot, "Rate-distortion theory by and for energy-based models", IEEE
Transactions on Communications, 2024, was not available to us. This is built from what Wu et al.
say of it (section I and Lemma 1): one network represents both

    q(y) = exp(-E(y)) / Z     and     p(y|x) proportional to exp(-E(y) - beta rho(x, y)),

and the mutual information in R + beta D is approximated by an additional network, that of MINE
(Belghazi et al. 2018). Everything else is our choice: the energy descends along

    E_{x, y ~ p(y|x)} grad E(y) - E_{y ~ q} grad E(y),

the conditional chains being the positive phase and the marginal chains the negative one, with
Langevin chains that persist and Adam, as `rdbench.estimators.ebrd` has them. Then, with the
energy fixed, the statistics network is trained on pairs of the conditional chains (`mine`), and
R is its value on pairs that it has not seen, D their mean distortion.

That R is a lower bound of the information of the pairs, up to sampling noise, and saturates near
log N of N pairs. It is no upper bound of R(D), and no lower one either. The audit scores q, as it
does every energy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Generator

from rdbench.estimators.li_guyot.settings import Settings
from rdbench.estimators.li_guyot.training import channels
from rdbench.fitting import standardised
from rdbench.types import EstimatorInfo, Monitor, Refusal, TestChannel, View


@dataclass(frozen=True)
class LiGuyot(Settings):
    """One energy for q and p(y|x), and a network for the mutual information."""

    info: ClassVar[EstimatorInfo] = EstimatorInfo(
        summary="one energy for q and p(y|x), rate by MINE; rebuilt from the account of Wu et al.",
        citation="Li, Guyot: Rate-distortion theory by and for energy-based models, 2024 (not "
        "read), after Wu, Xu, Chen, Wu, Zhang; Belghazi et al.: Mutual information neural "
        "estimation, 2018",
        distortions=("squared_error", "absolute_error"),
        alphabet=False,
        slopes="positive",
        presets={"lemma": {"critic": "lemma"}},
        preset_notes={
            "lemma": "No publication. The statistics network is added to -beta rho(x, y), the part "
            "of log p(y|x) that is known, and has only a function of x left to learn.",
        },
        colour="#117733",
        marker="P",
    )

    def fit(
        self, view: View, betas: Sequence[float], generator: Generator, monitor: Monitor
    ) -> Iterator[TestChannel | Refusal]:
        """Train all energies together, then all statistics networks, then yield the channels."""
        return standardised(
            lambda task: channels(self, task),
            view,
            betas,
            generator,
            monitor,
            warm=self.warm_draws,
        )


ESTIMATOR = LiGuyot
