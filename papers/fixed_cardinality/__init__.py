"""Rate-distortion with fixed cardinality (RDFC): few moving atoms with weights."""

from __future__ import annotations

from pathlib import Path

from rdbench.reproduce.paper import Paper, Part

_ATOMS = (6, 20, 50)
_MAPPING = (
    "mapping:fixed_cardinality", "mapping:equal_weights", "mapping:equal_weights[atoms=6]",
)  # fmt: skip

PAPER = Paper(
    title="Rate-distortion functions with fixed cardinality (RDFC)",
    folder=Path(__file__).parent,
    parts=(
        Part("beta", "Beta(1, 2), squared error", "published", ("beta-1-2",),
             ("blahut_arimoto", *(f"wgd[particles={n}]" for n in _ATOMS)), betas=(100.0,)),
    ),
    stored=(
        Part("beta", "Atoms that move", "published", ("beta-1-2",), _MAPPING, betas=(100.0,)),
    ),
)  # fmt: skip
