"""Yang, Eckstein, Nutz, Mandt: Estimating R(D) by Wasserstein Gradient Descent (WGD)."""

from __future__ import annotations

from pathlib import Path

from rdbench.reproduce.paper import Drawing, Paper, Part

_CASES = ("noisy-sphere-d2", "noisy-sphere-d5", "noisy-sphere-d10")
_SLOPE = (5.0,)
"""Their lambda = 10 is for half of the squared error."""
_FLOW = (*(f"wgd[particles={n}]" for n in (10, 100)), "wgd")
_SMALLER = "batch=10000,iterations=2000"
"""Of 100,000 and 10,000: a fiftieth of the work."""
_PAPER = tuple(
    f"wgd:{preset}[{_SMALLER},particles={n}]" for preset in ("paper", "paper_hybrid")
    for n in (10, 100)
)  # fmt: skip
_PUBLISHED = (
    *(f"wgd:{preset}[particles={n}]" for preset in ("paper", "paper_hybrid") for n in (10, 100)),
    "wgd:paper",
    "wgd:paper_hybrid",
)


def _figures(drawing: Drawing) -> list[Path]:
    from rdbench.papers.wgd.figure import draw  # here: drawing is slow to load

    return draw(drawing)


PAPER = Paper(
    title="Estimating the Rate-Distortion Function by Wasserstein Gradient Descent (Yang et al.)",
    folder=Path(__file__).parent,
    parts=(
        Part("sphere", "Noisy sphere, d = 2, 5, 10", "noisy_sphere", _CASES,
             (*_FLOW, *_PAPER), betas=_SLOPE, dims=(2, 5, 10)),
    ),
    stored=(
        Part("sphere", "As published", "noisy_sphere", _CASES, _PUBLISHED, betas=_SLOPE,
             dims=(2, 5, 10)),
    ),
    figures=_figures,
)  # fmt: skip
