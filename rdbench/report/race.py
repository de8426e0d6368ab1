"""The picture of a race: the gap against CPU seconds, where records hold several budgets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from rdbench.report.figures import MOST_PANELS, RUN_FORMATS, add_legend, columns_for, style_handles
from rdbench.report.gaps import set_gap_axis
from rdbench.report.grouping import case_namer
from rdbench.report.scales import Axis, gap_axis, seconds_axis
from rdbench.report.scores import drawn_gap, is_scored, is_start, mean
from rdbench.report.style import (
    NOTE_COLOUR,
    NOTE_SIZE,
    Look,
    SeriesStyle,
    estimator_label,
    house_style,
    new_figure,
    save,
    say,
    series_styles,
)
from rdbench.report.ticks import MOST_TICKS, tick_logarithmically
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord


@dataclass(frozen=True)
class Entry:
    """An estimator at one budget: its mean CPU seconds, and the mean gap of its ladder by seed."""

    cpu_s: float
    gaps: tuple[float, ...]

    @property
    def gap(self) -> float:
        """The mean over seeds, in nats."""
        return math.fsum(self.gaps) / len(self.gaps)


Race = Mapping[str, Sequence[Entry]]
"""By estimator, the entries by rising CPU seconds."""


def races(records: Sequence[CellRecord]) -> dict[str, Race]:
    """By case, every estimator that has gaps; cases of one budget alone are left out.

    A ladder counts where every point of it is scored, and none is the start of its fit.
    """
    named = case_namer(records)
    budgets: dict[str, set[str]] = {}
    found: dict[str, dict[str, dict[str, list[tuple[float, float]]]]] = {}
    for record in records:
        case, label = named(record), estimator_label(record)
        budgets.setdefault(case, set()).add(record.budget)
        whole = all(is_scored(point) and not is_start(point) for point in record.points)
        gap = mean(map(drawn_gap, record.points)) if whole else None
        if gap is not None and record.cost.cpu_s:
            by_budget = found.setdefault(case, {}).setdefault(label, {})
            by_budget.setdefault(record.budget, []).append((record.cost.cpu_s, gap))
    return {
        case: {label: _entries(by_budget) for label, by_budget in sorted(estimators.items())}
        for case, estimators in found.items()
        if len(budgets[case]) > 1
    }


def left_out(records: Sequence[CellRecord]) -> dict[str, str]:
    """By case, in words, the ladders that `races` leaves out and why; none where all count."""
    named = case_namer(records)
    found: dict[str, dict[tuple[str, str], list[str]]] = {}
    for record in records:
        if not all(map(is_scored, record.points)):
            why = "a point without a gap"
        elif any(map(is_start, record.points)):
            why = "a point is where the fit began"
        else:
            continue
        budgets = found.setdefault(named(record), {}).setdefault((why, estimator_label(record)), [])
        if record.budget not in budgets:
            budgets.append(record.budget)
    return {
        case: "\n".join(
            f"{label} {', '.join(b)}: {why}" for (why, label), b in sorted(mine.items())
        )
        for case, mine in found.items()
    }


def _entries(by_budget: Mapping[str, Sequence[tuple[float, float]]]) -> list[Entry]:
    entries = [
        Entry(math.fsum(cpu_s for cpu_s, _ in seeds) / len(seeds), tuple(gap for _, gap in seeds))
        for seeds in by_budget.values()
    ]
    return sorted(entries, key=lambda entry: entry.cpu_s)


def save_race(
    records: Sequence[CellRecord],
    out_dir: Path,
    stem: str,
    units: str = "nats",
    looks: Mapping[str, Look] | None = None,
) -> list[Path]:
    """Draw every case with several budgets; one line per estimator, a bar from seed to seed.

    Args:
        records: finished cells.
        out_dir: the folder; it is made if need be.
        stem: the name of the files without its ending.
        units: ``nats`` or ``bits``.
        looks: colours and markers that estimators ask for, by name.

    Returns:
        The files; none where nothing raced.
    """
    found = dict(list(races(records).items())[:MOST_PANELS])
    if not found:
        return []
    scale = nats_per(units)
    names = {(record.estimator, estimator_label(record)) for record in records}
    absent = left_out(records)
    entries = [e for race in found.values() for mine in race.values() for e in mine]
    axis = gap_axis([(e.gap, min(e.gaps), max(e.gaps)) for e in entries])
    seconds = seconds_axis([e.cpu_s for e in entries], 1.4)
    with house_style():
        styles = series_styles(names, looks)
        across = columns_for(len(found))
        rows = -(-len(found) // across)
        figure = new_figure(max(3.3 * across, 5.0), 2.9 * rows + 0.9)
        grid = figure.subplots(rows, across, squeeze=False).ravel()
        for axes, (case, race) in zip(grid, found.items(), strict=False):
            _draw(axes, race, styles, axis, seconds, scale)
            if case in absent:
                axes.text(
                    0.02, 0.02, "not drawn:\n" + absent[case], transform=axes.transAxes,
                    fontsize=NOTE_SIZE, color=NOTE_COLOUR, va="bottom",
                )  # fmt: skip
            axes.set(title=case, xlabel="CPU seconds of the ladder", ylabel=f"mean gap ({units})")
        for axes in grid[len(found) :]:
            axes.set_axis_off()
        add_legend(figure, *style_handles(styles))
        return save(figure, out_dir, stem, RUN_FORMATS)


def _draw(
    axes: Axes,
    race: Race,
    styles: Mapping[str, SeriesStyle],
    axis: Axis,
    seconds: Axis,
    scale: float,
) -> None:
    set_gap_axis(axes, axis, scale)
    axes.set_xscale("log")
    axes.set_xlim(seconds.lo, seconds.hi)
    tick_logarithmically(axes.xaxis, seconds.lo, seconds.hi, most=MOST_TICKS)
    if not any(race.values()):
        say(axes, "no gaps")
    for label, entries in race.items():
        style = styles[label]
        axes.plot(
            [e.cpu_s for e in entries], [e.gap / scale for e in entries], color=style.colour,
            marker=style.marker, markerfacecolor=style.face, linestyle=style.line, linewidth=0.9,
        )  # fmt: skip
        for e in entries:
            ends = [min(e.gaps) / scale, max(e.gaps) / scale]
            axes.plot([e.cpu_s] * 2, ends, color=style.colour, linewidth=0.9, alpha=0.75)
