"""Yang and Mandt: Towards Empirical Sandwich Bounds on the Rate-Distortion Function."""

from __future__ import annotations

import math
from pathlib import Path

from rdbench.reproduce.paper import Paper, Part

_SUITE = "published"
_PLANE = ("variances-d2",)
_STANDARD = ("standard-d2", "standard-d4", "standard-d8", "standard-d16")
_MANY = ("variances-d1000",)
_SLOPE = (1.5,)
"""Their lambda = 3 is for the mean over two coordinates."""
_SLOPES = (1.5, 5.0, 15.0, 50.0)
"""Their lambda = (n/2) {3, 10, 30, 100}, over n; at the lowest, n/2, the rate is zero."""
_BITS = tuple(ratio * math.log(2.0) for ratio in (1.0, 3.0, 10.0, 30.0, 100.0, 300.0))
"""Their lambda per coordinate of bits and of the mean; at .3 the rate is zero."""

PAPER = Paper(
    title="Towards Empirical Sandwich Bounds on the Rate-Distortion Function (Yang, Mandt)",
    folder=Path(__file__).parent,
    parts=(
        Part("demo", "The notebook's Gaussian in the plane", _SUITE, _PLANE,
             ("beta_vae", "blahut_arimoto", "blahut_arimoto[points=50]", "csiszar_dual",
              "beta_vae:paper[steps=8000]"), betas=_SLOPE),
        Part("standard", "N(0, I), n = 2 to 16", _SUITE, _STANDARD,
             ("beta_vae", "csiszar_dual"), betas=_SLOPES),
    ),
    stored=(
        Part("n1000", "1,000 variances of U(0, 2)", _SUITE, _MANY,
             ("beta_vae:paper[steps=2000]",), betas=(_BITS[1], _BITS[3])),
        Part("demo", "As published", _SUITE, _PLANE, ("beta_vae:paper", "csiszar_dual:paper"),
             betas=_SLOPE),
        Part("standard", "As published", _SUITE, _STANDARD, ("csiszar_dual:paper",),
             betas=_SLOPES),
        Part("n1000", "As published", _SUITE, _MANY, ("beta_vae:paper",), betas=_BITS),
    ),
)  # fmt: skip
