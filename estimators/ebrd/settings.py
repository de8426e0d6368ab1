"""The hyper-parameters of EBRD, which all of its parts read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rdbench.fitting import check_settings, not_seeded


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters; the docstring of the package describes the three algorithms."""

    algorithm: Literal["energy", "product", "reference", "published"] = "energy"
    """``energy`` is one network per slope from a neutral start; ``product`` a sum of energies of
    independent coordinates; ``reference`` has a fitted mixture under the network; ``published`` is
    the paper's Algorithm 1."""
    hidden: int = 64
    """Width of the two layers; half of it over a reference under squared error."""
    iterations: int = 400
    """Gradient steps; over a reference under squared error six times as many come first at the
    highest slope."""
    batch: int = 512
    """Symbols per step and slope, and chains of q; in ``energy`` twice as many chains where they
    are weighted. Over a reference twice as many symbols at the highest slope; under absolute error
    with independent coordinates four times as many symbols and twice as many strata."""
    learning_rate: float | None = None
    """Learning rate of the network; None: 1.5e-2 in ``energy`` and ``product``, 1e-3 in
    ``published``; over a reference 1e-2 at the highest slope and 3e-3 at all of them under squared
    error, 2e-3 under absolute error."""
    averaging: float = 0.98
    """Decay of the running mean of the weights that is returned."""
    warm_draws: int = 50_000
    """Draws to which centre, scale and whitening are fitted, and the first reference under
    absolute error."""
    pool: int = 8
    """``energy``: pairs (x, y) that persist, over ``batch``; they take turns."""
    refresh: float = 0.05
    """``energy``: fraction of the pairs of a step that get a new symbol."""
    fresh_rate: float = 1.0
    """``energy``: nats per coordinate (as if q were normal) from which all pairs are renewed."""
    marginal_steps: int = 3
    """``energy``: Langevin steps of the chains of q between two gradient steps."""
    conditional_steps: int = 3
    """``energy``: Langevin steps of the chains of p(y|x) between two gradient steps."""
    effective_draws: float = 24.0
    """``energy``: effective draws of q per symbol below which p(y|x) is drawn by chains rather
    than by weights; a quarter of it where strata stand for q, in up to two dimensions."""
    reference_rate: float | None = None
    """Learning rate of the reference under absolute error; None: 3e-2, as the weight of the atom
    that low rates tend to has to be learned from a tenth."""
    components: int = 8
    """Largest number of reference components, four times as many under squared error in up to two
    dimensions; held-out likelihood chooses. 1 is one Gaussian in any dimension."""
    draws: int = 50_000
    """Draws to which the references are fitted under squared error; 100 for every parameter of a
    Gaussian, up to 150,000, where that is more."""
    polish: int = 30
    """The most EM iterations at every slope."""
    langevin_steps: int | None = None
    """K, the Langevin steps of Algorithm 1; None: as published for the distortion."""
    epsilon: float | None = None
    """Step size of Algorithm 1; None: as published for the distortion."""
    epsilon_is: Literal["noise", "time"] = "noise"
    """``noise``: a step is -(epsilon^2 / 2) grad + epsilon z, as printed. ``time``: epsilon is the
    time step, -epsilon grad + sqrt(2 epsilon) z."""
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
    """Nats that the network has to gain over a reference, besides three standard errors."""
    bracket: float = not_seeded(0.03)
    """Nats within which importance sampling has to bracket log Z and log Z_x of a network over a
    reference, or it is not kept, whatever it gains."""
    floor: float = not_seeded(2e-3)
    """d times the least variance of a component, in units of 1 / (2 beta). Half of it is the most
    that it costs in nats: an energy needs a density, where the best q may be atoms."""
    dependence: float = not_seeded(0.02)
    """Nats of mutual information between coordinates that count as none under absolute error."""
    curvature: float | None = not_seeded(None)
    """Curvature of the quadratic under the network of ``published``; None: 0.01."""

    def __post_init__(self) -> None:
        counts = (
            *("hidden", "iterations", "batch", "components", "warm_draws", "draws", "polish"),
            *("pool", "marginal_steps", "conditional_steps", "langevin_steps"),
            *("held_out_draws", "judging_draws", "claim_draws"),
        )
        positive = (
            *("learning_rate", "reference_rate", "epsilon", "component_gain", "network_gain"),
            *("bracket", "floor", "dependence", "effective_draws", "fresh_rate", "curvature"),
        )
        check_settings("ebrd", self, counts, positive, fractions=("averaging", "refresh"))
