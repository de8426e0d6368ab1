"""Chen and others (ISIT 2024): discrete schemes for the rate-distortion function converge."""

from __future__ import annotations

from pathlib import Path

from rdbench.reproduce.paper import Drawing, Paper


def _figures(drawing: Drawing) -> list[Path]:
    from rdbench.papers.discretisation.figure import draw  # here: drawing is slow to load

    return draw(drawing.out)


PAPER = Paper(
    title="The convergence of discrete schemes for the rate-distortion function (Chen et al.)",
    folder=Path(__file__).parent,
    parts=(),
    figures=_figures,
)
"""No estimator is involved: `rdbench.papers.discretisation.orders` computes its numbers."""
