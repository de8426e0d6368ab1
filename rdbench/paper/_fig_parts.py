"""What the figures with points in the plane share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy import ndarray

from rdbench.report.labels import columns_within
from rdbench.report.style import PAGE_WIDTH
from rdbench.run.records import PointRecord

CLOUD: dict[str, Any] = {
    "linestyle": "none", "marker": "o", "markersize": 1.3, "markeredgewidth": 0.0,
    "rasterized": True,
}  # fmt: skip
"""How a cloud of draws is drawn."""
SMALL = 6.8
"""Points: the smallest text of the figures."""


def plane(axes: Axes, points: Float[ndarray, "n 2"], *, left: bool, pad: float = 0.08) -> None:
    """Equal scales that hold all ``points``, a frame, and ticks on the left if asked for."""
    lo, hi = points.min(axis=0), points.max(axis=0)
    half = 0.5 * float((hi - lo).max()) * (1.0 + 2.0 * pad) or 1.0
    middle = 0.5 * (lo + hi)
    axes.set_xlim(middle[0] - half, middle[0] + half)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    axes.set_aspect("equal")
    axes.locator_params(nbins=4)
    axes.spines[["top", "right"]].set_visible(True)
    axes.tick_params(labelleft=left)


def legend_below(
    figure: Figure, handles: Sequence[Line2D], names: Sequence[str], note: str
) -> None:
    """A legend below everything, with a small line of text over it."""
    figure.legend(
        handles, names, title=note or None, title_fontproperties={"size": SMALL},
        loc="outside lower center", ncols=columns_within(PAGE_WIDTH, names),
    )  # fmt: skip


def audited(point: PointRecord, scale: float) -> list[str]:
    """What the audit found, in two lines: R and D, then the gap with its interval."""
    lines = []
    if point.rate is not None and point.distortion is not None:
        lines.append(f"R = {point.rate / scale:.3g}, D = {point.distortion:.3g}")
    gap = _gap(point, scale)
    return [*lines, *([gap] if gap else [])]


def _gap(point: PointRecord, scale: float) -> str:
    if point.gap_hi is None:
        return "" if point.gap is None else f"gap {point.gap / scale:.2g}"
    if point.side == "upper" or point.gap_lo is None:
        return f"gap ≤ {point.gap_hi / scale:.2g}"
    return f"gap [{point.gap_lo / scale:.2g}, {point.gap_hi / scale:.2g}]"


def truth(point: PointRecord, scale: float, units: str) -> str:
    """R* and D* of ``point`` by the middle of their brackets; its slope where they are unknown."""
    ends = (point.rate_lo, point.rate_hi, point.dist_lo, point.dist_hi)
    if None in ends:
        return f"β = {point.beta:.3g}"
    rate, distortion = (0.5 * (lo + hi) for lo, hi in (ends[:2], ends[2:]))  # type: ignore[operator]
    return f"R* = {rate / scale:.3g} {units}, D* = {distortion:.3g}"


def array(vectors: Sequence[Sequence[float]]) -> Float[ndarray, "n 2"]:
    """Draws in the plane as an array, without those that are not finite."""
    points = np.array(vectors, dtype=np.float64).reshape(-1, 2)
    return points[np.isfinite(points).all(axis=1)]
