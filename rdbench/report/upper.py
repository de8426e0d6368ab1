"""The picture of a case whose truth nobody knows: audited points (D, R), and lower tangents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rdbench.band import Band
from rdbench.report.points import titled
from rdbench.report.style import BAND_ALPHA, Look, estimator_label
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord, PointRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SCORED = ("ok", "not_converged")


def draw_points(
    axes: Axes,
    records: Sequence[CellRecord],
    units: str = "nats",
    looks: Mapping[str, Look] | None = None,
) -> None:
    """R against D of every audited point, with 95% intervals, an estimator a line.

    Rows of side ``lower`` are tangents: R(D) >= F_lo - beta D, the highest of which is drawn; what
    lies between it and the best upper bound, both with their errors, is grey.

    Args:
        axes: where to draw.
        records: of one case.
        units: nats or bits, of R.
        looks: colours and markers of estimators.
    """
    scale = nats_per(units)
    members: dict[str, list[PointRecord]] = {}
    names: dict[str, str] = {}
    for record in records:
        members.setdefault(estimator_label(record), []).extend(record.points)
        names[estimator_label(record)] = record.estimator
    for label, points in members.items():
        upper = [p for p in points if is_upper(p)]
        if not upper:
            continue
        upper.sort(key=lambda p: p.distortion or 0.0)
        look = (looks or {}).get(names[label])
        axes.errorbar(
            [p.distortion or 0.0 for p in upper],
            [(p.rate or 0.0) / scale for p in upper],
            xerr=[p.distortion_half or 0.0 for p in upper],
            yerr=[(p.rate_half or 0.0) / scale for p in upper],
            label=label,
            color=look.colour if look else None,
            marker=(look.marker if look else None) or "o",
            markersize=5,
            linewidth=1,
            capsize=2,
        )
    _draw_band(axes, records, scale)
    axes.set_xlabel("D")
    axes.set_ylabel(f"R ({units})")
    axes.set_ylim(bottom=0.0)
    axes.set_xlim(left=0.0)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()


def _draw_band(axes: Axes, records: Sequence[CellRecord], scale: float) -> None:
    """The bound from below where there is one, and in grey what lies between it and the upper."""
    band = Band.of_records(records, truth=False)
    if not band.tangents:
        return
    low, high = axes.get_xlim()
    d = np.linspace(max(low, 1e-6 * high), high, 400)
    least, most = band.least(d) / scale, band.most(d) / scale
    axes.plot(d, least, color="black", linestyle="--", label="lower bound")
    between = np.isfinite(most)
    if band.crossing is None:
        at, least, most = d[between], least[between], most[between]
        area = axes.fill_between(at, least, most, color="black", alpha=BAND_ALPHA, linewidth=0)
        area.set_gid("between")
        area.set_label("R(D) is here")


def is_upper(point: PointRecord) -> bool:
    """Whether a point was audited and lies above R(D)."""
    audited = point.rate is not None and point.distortion is not None
    return audited and point.status in _SCORED and point.side != "lower"


def save_points(
    records: Sequence[CellRecord], out: Path, units: str = "nats",
    looks: Mapping[str, Look] | None = None,
) -> Path:  # fmt: skip
    """Write the picture of one case; the ending of the file is its format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.subplots()
    draw_points(axes, records, units, looks)
    axes.set_title(titled(records[0]), fontsize=9)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)
    return out
