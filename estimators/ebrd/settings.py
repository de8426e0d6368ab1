"""The hyper-parameters of EBRD, which its parts share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from rdbench.types import RdbenchError


@dataclass(frozen=True)
class Settings:
    """All of them; ``ebrd.py`` says what they mean together."""

    algorithm: Literal["reference", "plain", "printed"] = "reference"
    hidden: int = 64
    """Width of the two layers; half of it under squared error, over a reference."""
    iterations: int = 300
    """Under squared error six times as many at the highest slope, before those at all of them."""
    batch: int = 512
    """Symbols per step and slope: twice as many at the highest slope under squared error; chains
    in ``plain``; a quarter of the symbols and half of the strata under absolute error in 1-D."""
    learning_rate: float | None = None
    """Of the network; None: 1e-2 at the highest slope and 3e-3 at all of them under squared error,
    2e-3 under absolute error, 4e-3 in ``plain``."""
    reference_rate: float | None = None
    """Of the reference under absolute error; None: 3e-2, as the weight of the atom that low rates
    tend to has to be learned from a tenth."""
    averaging: float = 0.99
    """Decay of the running mean of the weights that is returned."""
    components: int = 8
    """Largest number of reference components, four times as many under squared error in up to two
    dimensions; held-out likelihood chooses."""
    warm_draws: int = 20_000
    """Draws to which the reference is fitted before training, otherwise than in ``draws``."""
    draws: int = 50_000
    """Draws to which the references are fitted under squared error, if not 100 for every
    parameter of a Gaussian, up to 150,000, are more."""
    polish: int = 30
    """Most EM iterations at every slope."""
    marginal_steps: int = 2
    conditional_steps: int = 2
    langevin_steps: int | None = None
    """K of Algorithm 1; None: as printed for the distortion."""
    epsilon: float | None = None
    """Step size of Algorithm 1; None: as printed for the distortion."""

    def __post_init__(self) -> None:
        counts = (
            "hidden",
            "iterations",
            "batch",
            "components",
            "warm_draws",
            "draws",
            "polish",
            "langevin_steps",
        )
        for name in (*counts, "marginal_steps", "conditional_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RdbenchError(f"ebrd: {name} must be at least 1, got {value}")
        for name in ("learning_rate", "reference_rate", "epsilon"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < math.inf:
                raise RdbenchError(f"ebrd: {name} must be positive, got {value}")
        if not 0.0 <= self.averaging < 1.0:
            raise RdbenchError(f"ebrd: averaging must lie in [0, 1), got {self.averaging}")
