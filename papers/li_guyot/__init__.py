"""Li, Guyot: Rate-distortion theory by and for energy-based models, as Wu et al. describe it."""

from __future__ import annotations

from pathlib import Path

from rdbench.reproduce.paper import Paper, Part

PAPER = Paper(
    title="Rate-distortion theory by and for energy-based models (Li and Guyot), rebuilt from the "
    "account of Wu et al.",
    folder=Path(__file__).parent,
    parts=(
        Part("1", "Gaussian vectors", "vector_gaussian", ("ramp-d2", "ramp-d5", "ramp-d10"),
             ("li_guyot", "ebrd")),
        Part("2", "A mixture", "planar", ("paper-d2",), ("li_guyot", "ebrd")),
    ),
)  # fmt: skip
