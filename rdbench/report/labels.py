"""Names beside the lines they belong to, and the legend where they do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy

from rdbench.report.style import BAND_ALPHA, NOTE_COLOUR, TRUTH_COLOUR, SeriesStyle

_LINE = 1.25
"""Of a text's size: the distance of two lines of text."""
_LETTER = 0.0083
"""The mean width of a letter in inches per point of size."""
_ROOM = 0.17
"""The most that names may take of the width of the figure."""
_AWAY = 12.0
"""Points from the axes to the marker before a name."""


@dataclass(frozen=True)
class Ending:
    """Where a line ends: ``x`` in data coordinates, ``y`` in parts of the height of the axes."""

    label: str
    x: float
    y: float


def label_lines(axes: Axes, endings: Sequence[Ending], styles: Mapping[str, SeriesStyle]) -> bool:
    """Write the names of lines to the right of ``axes``, each with its marker and a thin leader.

    Call it when everything else is in the figure: the names keep apart by the height that the
    layout gives the axes.

    Args:
        axes: where the lines are.
        endings: one per line.
        styles: the looks of the lines, by label.

    Returns:
        Whether it was done; False where the names are too many or too long, and need a legend.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    size = 0.9 * float(rcParams["font.size"])
    longest = max((len(ending.label) for ending in endings), default=0)
    if not endings or longest * _LETTER * size > _ROOM * figure.get_figwidth():
        return False
    figure.draw_without_rendering()
    height = axes.get_window_extent().height * 72.0 / figure.dpi
    order = sorted(range(len(endings)), key=lambda index: (endings[index].y, endings[index].label))
    places = keep_apart([endings[index].y for index in order], _LINE * size / height)
    if places is None:
        return False
    beside = offset_copy(axes.transAxes, fig=figure, x=_AWAY, y=0.0, units="points")
    named = offset_copy(axes.transAxes, fig=figure, x=_AWAY + size, y=0.0, units="points")
    mixed = axes.get_xaxis_transform()
    for index, place in zip(order, places, strict=True):
        ending = endings[index]
        style = styles[ending.label]
        leader: dict[str, Any] = {
            "arrowstyle": "-", "color": style.colour, "linewidth": 0.5, "alpha": 0.6,
            "shrinkA": 3.0, "shrinkB": 4.0,
        }  # fmt: skip
        axes.annotate(
            "", (ending.x, ending.y), xycoords=mixed, xytext=(1.0, place), textcoords=beside,
            arrowprops=leader, annotation_clip=False,
        )  # fmt: skip
        axes.plot(
            [1.0], [place], transform=beside, clip_on=False, linestyle="none", marker=style.marker,
            color=style.colour, markerfacecolor=style.face, gid="label",
        )  # fmt: skip
        axes.text(1.0, place, ending.label, transform=named, fontsize=size, va="center_baseline")
    return True


def keep_apart(wanted: Sequence[float], distance: float) -> list[float] | None:
    """Places in [0, 1] close to the ``wanted`` ones, in their order and ``distance`` apart.

    Args:
        wanted: places in rising order.
        distance: the least one between neighbours.

    Returns:
        The places with the least sum of squared shifts; None where they do not fit.
    """
    count = len(wanted)
    if (count - 1) * distance > 1.0:
        return None
    # Less k * distance the k-th place need only not fall: isotonic regression by pooling.
    pools: list[tuple[float, int]] = []
    for index, place in enumerate(wanted):
        total, size = place - index * distance, 1
        while pools and pools[-1][0] / pools[-1][1] > total / size:
            before, members = pools.pop()
            total, size = total + before, size + members
        pools.append((total, size))
    last = 1.0 - (count - 1) * distance
    levels = [min(max(total / size, 0.0), last) for total, size in pools for _ in range(size)]
    return [level + index * distance for index, level in enumerate(levels)]


def handle(style: SeriesStyle) -> Line2D:
    """A series as a legend shows it."""
    return Line2D(
        [], [], color=style.colour, marker=style.marker, markerfacecolor=style.face,
        linestyle=style.line, linewidth=0.9,
    )  # fmt: skip


def truth_handle() -> Line2D:
    """The truth as a legend shows it."""
    return Line2D([], [], color=TRUTH_COLOUR, linewidth=1.4)


def band_handle() -> Line2D:
    """The band of the truth as a legend shows it."""
    return Line2D([], [], color=TRUTH_COLOUR, alpha=BAND_ALPHA, linewidth=6.0)


def missing_handle() -> Line2D:
    """A point without a result as a legend shows it."""
    return Line2D([], [], color=NOTE_COLOUR, marker="x", linestyle="none", markersize=4.5)


def columns_within(width: float, names: Sequence[str]) -> int:
    """How many columns a legend of ``names`` may have in ``width`` inches."""
    letter = _LETTER * 0.9 * float(rcParams["font.size"])
    widths = [0.5 + letter * len(name) for name in names]
    if sum(widths) <= width:
        return max(len(names), 1)
    return max(1, int(width / max(widths)))
