"""Root tracking (RTRD): the optimum followed along the slope, and where an atom vanishes."""

from __future__ import annotations

from pathlib import Path

from rdbench.reproduce.paper import Drawing, Paper


def _figures(drawing: Drawing) -> list[Path]:
    from rdbench.papers.root_tracking.figure import draw  # here: drawing is slow to load

    return draw(drawing.out)


PAPER = Paper(
    title="Root tracking for rate-distortion (RTRD)",
    folder=Path(__file__).parent,
    parts=(),
    figures=_figures,
)
"""No estimator is involved: `rdbench.papers.root_tracking.tracking` computes its numbers."""
