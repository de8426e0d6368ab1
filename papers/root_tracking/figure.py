"""The picture of the vanishing atom: its mass against the slope."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from rdbench.papers.root_tracking.tracking import DATA, THRESHOLDS, vanishing
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
    """The mass of the rarer letter, exact and tracked, with the thresholds and the true slope."""
    rows = pd.read_csv(DATA / "masses.csv")
    rows = rows[rows["beta"] <= 1.05]
    figure = new_figure(0.6 * PAGE_WIDTH, 2.8)
    axes = figure.subplots()
    axes.plot(rows["beta"], rows["exact"], color=TRUTH_COLOUR, label="exact")
    axes.plot(rows["beta"], rows["mass"], "o", color="#882255", markersize=3, label="tracked")
    axes.axvline(vanishing()[0], color=TRUTH_COLOUR, linewidth=0.8, linestyle=":",
                 label="β = log(7/3)")  # fmt: skip
    axes.axvline(0.86, color="#332288", linewidth=0.8, linestyle="--", label="published, 0.86")
    for threshold in THRESHOLDS:
        axes.axhline(threshold, color=NOTE_COLOUR, linewidth=0.5)
    axes.set(yscale="log", ylim=(5e-5, 0.2), xlabel="slope β", ylabel="mass of the rarer letter")
    axes.legend(loc="lower right")
    figure.suptitle("Bernoulli(.3), Hamming: an atom vanishes; grey: thresholds")
    return figure
