"""Axes: their limits and kinds, for figures and for the report page alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.report.impossible import is_impossible
from rdbench.report.scores import SCORED, drawn_gap, ends, is_scored
from rdbench.report.series import HEADROOM, Panel, Series
from rdbench.report.truth_line import TruthLine
from rdbench.run.records import PointRecord

LOG_SPAN = 30.0
"""From this ratio of rates or distortions on, an axis is logarithmic."""

Spread = tuple[float, float, float]
"""A gap and the ends of its interval; an end that is not known equals the gap."""


@dataclass(frozen=True)
class Axis:
    """The limits of an axis and how it is scaled.

    A ``symlog`` axis is linear around zero up to ``linear`` on either side, logarithmic beyond.
    """

    kind: Literal["linear", "log", "symlog"]
    lo: float
    hi: float
    linear: float = 0.0
    notes: int = 0
    """Lines of text above the data, at most over the panels that share the axis."""


def gap_scale(points: Sequence[PointRecord]) -> Axis:
    """The axis on which the gaps of all ``points`` can be read, in nats."""
    return gap_axis([(drawn_gap(p), *ends(p)) for p in points if is_scored(p)])


def gap_axis(spreads: Sequence[Spread]) -> Axis:
    """The axis on which all gaps and their intervals can be read, in the unit of ``spreads``.

    Gaps span many decades, so the axis is logarithmic where no interval reaches zero. Otherwise
    it is linear around zero up to the decade nearest to the noise (the upper quartile of the
    reach of the intervals that hold zero) and logarithmic beyond: what cannot be told from zero
    looks so.
    """
    values = [value for spread in spreads for value in spread]
    if not values:
        return Axis("symlog", -1e-2, 1.0, 1e-2)
    smallest, largest = min(values), max(values)
    if smallest > 0.0:
        return Axis("log", _decade(smallest), 10 * _decade(largest))
    reach = [
        max(abs(lo), abs(hi))
        for _, lo, hi in spreads
        if lo <= 0.0 <= hi and max(abs(lo), abs(hi)) > 0.0
    ]
    reach += [abs(gap) for gap, _, _ in spreads if gap < 0.0]
    if reach:
        noise = float(np.quantile(reach, 0.75))
    else:
        noise = min((abs(value) for value in values if value), default=1e-2)
    linear = min(max(_decade(noise * math.sqrt(10.0)), 1e-9), 0.1)
    return Axis("symlog", min(1.5 * smallest, -linear), 2.0 * max(largest, 2 * linear), linear)


def _decade(value: float) -> float:
    return float(10.0 ** math.floor(math.log10(value)))


def rate_axis(rates: Sequence[float]) -> Axis:
    """All rates on the axis, which is logarithmic where the ladder spans decades."""
    lo, hi = min(rates), max(rates)
    if lo > 0.0 and hi / lo > LOG_SPAN:
        pad = (hi / lo) ** 0.07
        return Axis("log", lo / pad, hi * pad)
    pad = 0.07 * (hi - lo) or max(0.5 * abs(hi), 0.5)
    return Axis("linear", lo - pad, hi + pad)


def distortion_axis(distortions: Sequence[float]) -> Axis:
    """All distortions on the axis, with a margin; a single one in the middle of a wide axis."""
    lo, hi = min(distortions), max(distortions)
    if lo > 0.0 and math.log(hi) - math.log(lo) > math.log(LOG_SPAN):
        pad = (hi / lo) ** 0.06
        return Axis("log", lo / pad, hi * pad)
    if lo == hi:
        return Axis("linear", 0.0, 2.0 * hi if hi > 0 else 1.0)
    return Axis("linear", max(0.0, lo - 0.06 * (hi - lo)), hi + 0.06 * (hi - lo))


def seconds_axis(seconds: Sequence[float], pad: float) -> Axis:
    """Seconds, logarithmically, with a factor ``pad`` of room on either side."""
    return Axis("log", min(seconds) / pad, max(seconds) * pad)


def curve_axes(panel: Panel) -> tuple[Axis, float] | None:
    """The axis of D and the end of the axis of R in nats; None where nothing can be drawn.

    All points are on the rate axis, unless a few would squash the curve.
    """
    pairs = [audited_pairs(series, panel.line) for series in panel.series]
    known = np.concatenate([np.zeros((0, 4)), *pairs])
    stated = [p for p in panel.points if None not in (p.rate_lo, p.rate_hi, p.dist_lo, p.dist_hi)]
    true_distortions = [d for p in stated for d in (p.dist_lo or 0.0, p.dist_hi or 0.0)]
    distortions = [*true_distortions, *known[:, 0].tolist()]
    if not distortions:
        return None
    largest = float(known[:, 1].max(initial=0.0))
    true = max((p.rate_hi or 0.0 for p in stated), default=None)
    top = largest if true is None else min(max(largest, true), HEADROOM * true)
    return distortion_axis(distortions), max(1.08 * top, 1e-12)


def audited_pairs(series: Series, line: TruthLine) -> Float[ndarray, "n 4"]:
    """The audited D and R of the points whose numbers count, and the half widths of both.

    The half widths are NaN where the records hold none; what no channel can reach is left out.
    """
    found = [
        (point.distortion, point.rate, point.distortion_half, point.rate_half)
        for point in series.points
        if point.status in SCORED and point.distortion is not None and point.rate is not None
        and not is_impossible(point, line)
    ]  # fmt: skip
    # None becomes NaN.
    return np.array(found, dtype=np.float64).reshape(-1, 4)
