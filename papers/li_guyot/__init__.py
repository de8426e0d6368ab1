"""Li, Guyot: Rate-distortion theory by and for energy-based models, as Wu et al. describe it."""

from __future__ import annotations

from pathlib import Path

from rdbench.reproduce.paper import Paper

PAPER = Paper(
    title="Rate-distortion theory by and for energy-based models (Li and Guyot), rebuilt from the "
    "account of Wu et al.",
    folder=Path(__file__).parent,
    parts=(),
)
