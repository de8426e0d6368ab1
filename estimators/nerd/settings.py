"""The hyper-parameters of NERD, which its parts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rdbench.fitting import check_settings, not_seeded
from rdbench.types import RdbenchError


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters; the docstring of the package describes the method."""

    network: Literal["pieces", "product", "residual", "published"] = "pieces"
    """``pieces``: affine pieces and a network, from a neutral start; ``product``: a
    network for every independent coordinate (squared error); ``residual``: the affine map
    of a fitted mixture plus a network; ``published``: the authors'."""
    objective: Literal["auto", "plug_in", "importance"] = "auto"
    """The estimate of Z(x) in training: ``plug_in`` from draws of q that all symbols share,
    ``importance`` from draws near each symbol, ``auto`` whichever does at the slope's rate. The
    affine part of ``pieces`` takes no draws but under ``plug_in``."""
    hidden: int = 32
    """Width of the network; that of the published one is dim x."""
    iterations: int = 250
    """Gradient steps per slope; of ``pieces`` those of the affine part."""
    first_iterations: int = 1500
    """The same at the first slope of ``pieces``."""
    network_iterations: int = 200
    """Gradient steps per slope with the network of ``pieces``."""
    batch: int = 512
    """Symbols per step; with the network of ``pieces`` a quarter of them."""
    draws: int = 2048
    """N, the draws of q that all symbols share in the plug-in."""
    pairs: int = 4
    """Antithetic pairs of latents per symbol of importance weighting."""
    learning_rate: float = 0.1
    """Learning rate of Adam, at first; of ``pieces`` that of the affine part at the first slope,
    .4 of it at the others."""
    network_rate: float = 0.01
    """The same with the network of ``pieces``."""
    decay: float = 0.01
    """What the learning rate of ``pieces`` falls to, exponentially."""
    annealing: float = 1000.0
    """At the first slope beta of ``pieces`` rises from 1 / ``annealing`` of it, geometrically, over
    half of the steps."""
    averaging: float = 0.98
    """Decay of the running mean of the weights that is returned."""
    components: int = 32
    """Pieces, or one, whichever held-out symbols prefer at the first slope; of ``residual`` the
    most components of the latent law, chosen by held-out likelihood."""
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
        steps = ("iterations", "first_iterations", "network_iterations")
        counts = ("hidden", *steps, "batch", "draws", "pairs", "components", *sizes)
        positive = ("learning_rate", "network_rate", "decay", "annealing", "margin")
        check_settings("nerd", self, counts, positive, ("averaging", "decay"))
        if self.network in ("published", "product") and self.objective == "importance":
            raise RdbenchError(f"nerd: the {self.network} network is trained by objective=plug_in")

    def steps(self, effort: float) -> int:
        """Gradient steps at every slope."""
        return max(1, round(self.iterations * effort))
