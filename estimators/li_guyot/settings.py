"""The hyper-parameters of li_guyot, which all of its parts read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rdbench.fitting import check_settings, not_seeded


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters; none of them is published where we could read it."""

    hidden: int = 64
    """Width of the two layers of the energy's network."""
    iterations: int = 400
    """Gradient steps of the energy."""
    batch: int = 512
    """Chains of q, and pairs (x, y) in a step, for every slope."""
    learning_rate: float = 0.015
    """Learning rate of the energy, which decays to a hundredth by a cosine."""
    averaging: float = 0.98
    """Decay of the running mean of the energy's weights that is returned."""
    warm_draws: int = 50_000
    """Draws to which centre, scale and whitening are fitted."""
    pool: int = 8
    """Pairs (x, y) that persist, over ``batch``; they take turns."""
    refresh: float = 0.05
    """Fraction of the pairs of a step that get a new symbol."""
    fresh_rate: float = 1.0
    """Nats per coordinate (as if q were normal) from which all pairs get new symbols."""
    langevin_steps: int = 3
    """Langevin steps of every chain between two gradient steps."""
    critic: Literal["plain", "lemma"] = "plain"
    """What the statistics network is: ``plain`` sees x and y, as in MINE; ``lemma`` has the term
    -beta rho(x, y) of Lemma 1 as well, which is exact but for a function of x."""
    critic_hidden: int = 64
    """Width of the two layers of the statistics network."""
    critic_steps: int = 1500
    """Gradient steps of the statistics network."""
    critic_rate: float = 1e-2
    """Learning rate of the statistics network, which decays by a cosine."""
    moving_average: float = 0.05
    """Weight of the newest batch in the denominator of the gradient."""
    shuffles: int = 4
    """Draws of y for every x, from the other pairs, that stand for the product of the marginals."""
    claim_pairs: int = not_seeded(4000)
    """Pairs (x, y) that R and D are claimed on; half as many choose the factor of the network."""

    def __post_init__(self) -> None:
        check_settings(
            "li_guyot",
            self,
            (
                *("hidden", "iterations", "batch", "warm_draws", "pool", "langevin_steps"),
                *("critic_hidden", "critic_steps", "shuffles", "claim_pairs"),
            ),
            ("learning_rate", "fresh_rate", "critic_rate", "moving_average"),
            fractions=("averaging", "refresh", "moving_average"),
        )
