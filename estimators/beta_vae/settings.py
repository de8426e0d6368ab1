"""The hyper-parameters of the beta-VAE, which all of its parts read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rdbench.fitting import check_settings, not_seeded
from rdbench.types import RdbenchError


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters; the docstring of the package describes the algorithms."""

    algorithm: Literal["vae", "mixture", "tied", "published", "published_flow"] = "vae"
    """``vae`` starts at N(mean, covariance), ``mixture`` at a fitted mixture; ``tied`` has no
    networks; ``published`` and ``published_flow`` are the authors' models."""
    hidden: int = 64
    """Width of the networks in encoder and decoder."""
    layers: int = 0
    """Layers of the flow in the prior."""
    bins: int = 8
    """Bins of each spline of the flow; even, so that a knot lies in the middle."""
    masked: int = 10
    """Width of the masked networks of ``published_flow``."""
    steps: int | None = None
    """Gradient steps with networks; None: 400 (``mixture``: 1,000), beyond d = 20 half of them, as
    a step costs some d^2."""
    batch: int = 128
    """Symbols per step."""
    learning_rate: float | None = None
    """Learning rate of networks and flow; None: 1e-2 on one Gaussian, 3e-3 on a mixture."""
    prior_rate: float = 5e-3
    """Learning rate, with networks, of the mixture, from which the encoder's linear part
    follows."""
    affine_steps: int = 1000
    """Gradient steps without networks, for each number of components; beyond d = 20 half of them.
    ``tied``: for each slope, in any dimension."""
    affine_batch: int = 256
    """Symbols per step without networks."""
    affine_rate: float = 0.2
    """Learning rate without networks, for one component; for K of them divided by K^.4."""
    averaging: float = 0.98
    """Decay of the running mean of the parameters that is returned."""
    components: int = 32
    """Largest number of prior components (``tied``: the number, of every coordinate); held-out
    draws choose. ``vae`` tries 1, 8, 32 and so on."""
    warm_draws: int = 100_000
    """Draws to which the start is fitted, or whose mean and covariance it has."""
    selection_draws: int = not_seeded(20_000)
    """Draws, among ``warm_draws``, on which ``mixture`` chooses the number of components."""
    polish: int = not_seeded(4)
    """Iterations of EM on all ``warm_draws``, after the choice."""
    held_out_draws: int = not_seeded(4000)
    """Draws that choose between numbers of components, the starts and what was trained."""
    claim_draws: int = not_seeded(4000)
    """Draws on which R and D are claimed."""
    floor: float = not_seeded(2e-4)
    """Smallest variance of the prior of ``mixture`` at the start, over that of the noise: a
    direction that reverse water-filling leaves out costs half of it, in nats."""

    def __post_init__(self) -> None:
        sizes = ("warm_draws", "selection_draws", "held_out_draws", "claim_draws", "polish")
        steps = ("steps", "affine_steps", "batch", "affine_batch")
        counts = ("hidden", "bins", "masked", "components", *steps, *sizes)
        rates = ("learning_rate", "prior_rate", "affine_rate", "floor")
        check_settings("beta_vae", self, counts, rates, ("averaging",))
        if self.bins % 2:
            raise RdbenchError(f"beta_vae: bins must be even, got {self.bins}")
        if self.layers < 0:
            raise RdbenchError(f"beta_vae: layers must be at least 0, got {self.layers}")
