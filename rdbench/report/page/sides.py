"""The band of a case: between the best upper and the best lower bound that estimators give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rdbench.band import Band
from rdbench.band.rows import bounds_below
from rdbench.report.answer import sides
from rdbench.report.page.pack import rounded
from rdbench.report.scales import Axis
from rdbench.run.records import CellRecord

_GRID = 160
_LEAST = 1e-6
"""Of the axis: where a band begins on a linear one."""


def side_data(records: Sequence[CellRecord], axis: Axis | None) -> dict[str, Any] | None:
    """The band along the axis of D; None where the records of a case hold no lower bound.

    ``band`` has rows (D, lower, upper), ``lower`` rows (D, lower) where no channel reaches; the
    ends are those of `rdbench.report.answer`, which hold all at once. ``widths`` are the least and
    the largest of the nats between the two at the points that channels reach. Where the sides
    contradict each other there is no band, and ``crossing`` names both.

    Args:
        records: cells of one case.
        axis: of D, from `rdbench.report.scales.curve_axes`.
    """
    if axis is None or not any(bounds_below(point) for one in records for point in one.points):
        return None
    band, _ = sides(records)
    if band.crossing is not None:
        return {"band": [], "lower": [], "widths": None, "crossing": band.crossing.by}
    lo = max(axis.lo, _LEAST * axis.hi)
    found = np.clip(band.vertices[:, 0], lo, axis.hi)
    d = np.unique(np.concatenate([np.geomspace(lo, axis.hi, _GRID), found]))
    lower, upper = band.least(d), band.most(d)
    known = np.isfinite(upper)
    first = int(np.argmax(known)) if known.any() else len(d) - 1
    return {
        "band": rounded(np.column_stack([d, lower, upper])),
        "lower": rounded(np.column_stack([d, lower])[: first + 1]),
        "widths": _widths(band),
        "crossing": None,
    }


def _widths(band: Band) -> list[float] | None:
    """The least and the largest width at the points of the upper side."""
    found = [band.width(d) for d, rate in band.vertices.tolist() if rate > 0.0]
    return [min(found), max(found)] if found else None
