"""The hyper-parameters of EBRD, which all of its parts read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rdbench.fitting import check_settings, not_seeded


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters; the docstring of the package describes the three algorithms."""

    algorithm: Literal["reference", "plain", "published"] = "reference"
    """``reference`` has a mixture under the network, ``plain`` none; ``published`` is the paper's
    Algorithm 1."""
    hidden: int = 64
    """Width of the two layers; half of it under squared error, over a reference."""
    iterations: int = 300
    """Gradient steps; under squared error six times as many come first at the highest slope."""
    batch: int = 512
    """Symbols per step and slope under squared error, twice as many at the highest slope; the
    number of chains in ``plain`` and ``published``. Under absolute error with independent
    coordinates four times as many symbols and twice as many strata."""
    learning_rate: float | None = None
    """Learning rate of the network; None: 1e-2 at the highest slope and 3e-3 at all of them under
    squared error, 2e-3 under absolute error, 4e-3 in ``plain``, 1e-3 in ``published``."""
    reference_rate: float | None = None
    """Learning rate of the reference under absolute error; None: 3e-2, as the weight of the atom
    that low rates tend to has to be learned from a tenth."""
    averaging: float = 0.99
    """Decay of the running mean of the weights that is returned."""
    components: int = 8
    """Largest number of reference components, four times as many under squared error in up to two
    dimensions; held-out likelihood chooses."""
    warm_draws: int = 20_000
    """Draws to which centre, scale and the first reference are fitted under absolute error and in
    ``plain``."""
    draws: int = 50_000
    """Draws to which the references are fitted under squared error; 100 for every parameter of a
    Gaussian, up to 150,000, where that is more."""
    polish: int = 30
    """The most EM iterations at every slope."""
    marginal_steps: int = 2
    """Langevin steps of the marginal chains of ``plain`` between two gradient steps."""
    conditional_steps: int = 2
    """Half the Langevin steps that ``plain`` takes in chains of p(y|x) per gradient step."""
    langevin_steps: int | None = None
    """K, the Langevin steps of Algorithm 1; None: as published for the distortion."""
    epsilon: float | None = None
    """Step size of Algorithm 1; None: as published for the distortion."""
    held_out_draws: int = not_seeded(20_000)
    """Draws that choose the number of components under squared error."""
    judging_draws: int = not_seeded(4000)
    """Draws, among ``held_out_draws``, that decide how much of the network is kept; under absolute
    error the draws that judge whether coordinates are independent."""
    claim_draws: int | None = not_seeded(None)
    """Draws that R and D are claimed on; None: 4,000 under squared error over a reference, 2,000
    elsewhere (over d, at least 500, where coordinates are independent)."""
    component_gain: float = not_seeded(5e-4)
    """Nats that more components have to gain under squared error."""
    network_gain: float = not_seeded(1e-3)
    """Nats that the network has to gain, besides three standard errors of the gain."""
    floor: float = not_seeded(2e-3)
    """d times the least variance of a component, in units of 1 / (2 beta). Half of it is the most
    that it costs in nats: an energy needs a density, where the best q may be atoms."""
    dependence: float = not_seeded(0.02)
    """Nats of mutual information between coordinates that count as none under absolute error."""
    effective_draws: float = not_seeded(24.0)
    """Effective draws of q per symbol below which ``plain`` draws p(y|x) by chains."""
    curvature: float | None = not_seeded(None)
    """Curvature of the quadratic under the network, where the source has unit variance; None: 0.1
    in ``plain``, 0.01 in ``published``."""

    def __post_init__(self) -> None:
        counts = (
            *("hidden", "iterations", "batch", "components", "warm_draws", "draws", "polish"),
            *("marginal_steps", "conditional_steps", "langevin_steps"),
            *("held_out_draws", "judging_draws", "claim_draws"),
        )
        positive = (
            *("learning_rate", "reference_rate", "epsilon", "component_gain", "network_gain"),
            *("floor", "dependence", "effective_draws", "curvature"),
        )
        check_settings("ebrd", self, counts, positive, fractions=("averaging",))
