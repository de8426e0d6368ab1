"""The picture of the vanishing atom: its mass against the slope."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rdbench.papers.root_tracking.tracking import DATA, PUBLISHED, THRESHOLDS, mass, vanishing
from rdbench.report.style import (
    NOTE_COLOUR,
    PAGE_WIDTH,
    PRINT_SIZE,
    TRUTH_COLOUR,
    house_style,
    new_figure,
    save,
)


def draw(out: Path) -> list[Path]:
    """``figure-vanishing`` from the committed table.

    Raises:
        RdbenchError: a folder that cannot be written.
    """
    with house_style(PRINT_SIZE):
        return save(vanishing_figure(), out, "figure-vanishing")


def vanishing_figure() -> Figure:
    """The mass of the rarer letter, exact and tracked; the true slope and the published one."""
    rows = pd.read_csv(DATA / "masses.csv")
    rows = rows[rows["beta"] <= 0.96]
    figure = new_figure(0.7 * PAGE_WIDTH, 2.8)
    axes = figure.subplots()
    slopes = np.linspace(0.82, 0.96, 200)
    axes.plot(slopes, [mass(float(b)) for b in slopes], color=TRUTH_COLOUR, label="exact")
    axes.plot(rows["beta"], rows["mass"], "o", color="#882255", markersize=4, label="tracked")
    axes.axvline(vanishing()[0], color=TRUTH_COLOUR, linewidth=0.8, linestyle=":",
                 label="β = log(7/3)")  # fmt: skip
    axes.axvline(PUBLISHED, color="#332288", linewidth=0.8, linestyle="--", label="published")
    axes.axhline(THRESHOLDS[0], color=NOTE_COLOUR, linewidth=0.5, label="their threshold")
    axes.set(xlabel="slope β", ylabel="mass of the rarer letter", xlim=(0.82, 0.965))
    axes.legend(loc="lower right")
    figure.suptitle("Bernoulli(.3), Hamming: an atom vanishes")
    return figure
