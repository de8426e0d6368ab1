"""The hyper-parameters of NERD, which its parts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rdbench.fitting import check_settings, not_seeded
from rdbench.types import RdbenchError


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters; the docstring of the package describes the method."""

    network: Literal["residual", "published"] = "residual"
    """``residual``: an affine map, fitted first, plus a network; ``published``: the authors'."""
    objective: Literal["auto", "plug_in", "importance"] = "auto"
    """The estimate of Z(x) in training: ``plug_in`` from draws of q that all symbols share,
    ``importance`` from draws near each symbol, ``auto`` whichever does at the slope's rate."""
    hidden: int = 64
    """Width of the residual network; that of the published one is dim x."""
    iterations: int = 300
    """Gradient steps per slope."""
    batch: int = 256
    """Symbols per step."""
    draws: int = 2048
    """N, the draws of q that all symbols share in the plug-in."""
    pairs: int = 4
    """Antithetic pairs of latents per symbol of importance weighting."""
    learning_rate: float = 5e-3
    """Learning rate of Adam, at first."""
    averaging: float = 0.98
    """Decay of the running mean of the weights that is returned."""
    components: int = 8
    """Largest number of components of the latent law; held-out likelihood chooses."""
    warm_draws: int = 100_000
    """Draws to which the affine map is fitted."""
    selection_draws: int = not_seeded(10_000)
    """Draws, among ``warm_draws``, on which the number of components is chosen."""
    em_draws: int = not_seeded(20_000)
    """Draws, among ``warm_draws``, to which the affine map is fitted anew at every slope."""
    held_out_draws: int = not_seeded(1000)
    """Draws on which a start and what training made of it are compared."""
    claim_draws: int = not_seeded(2000)
    """Draws on which R and D are claimed."""
    margin: float = not_seeded(4.0)
    """Nats by which log N has to exceed the rate for ``auto`` to take the plug-in."""

    def __post_init__(self) -> None:
        sizes = ("warm_draws", "selection_draws", "em_draws", "held_out_draws", "claim_draws")
        counts = ("hidden", "iterations", "batch", "draws", "pairs", "components", *sizes)
        check_settings("nerd", self, counts, ("learning_rate", "margin"), ("averaging",))
        if self.network == "published" and self.objective == "importance":
            raise RdbenchError("nerd: the published network is trained by objective=plug_in")

    def steps(self, effort: float) -> int:
        """Gradient steps at every slope."""
        return max(1, round(self.iterations * effort))
