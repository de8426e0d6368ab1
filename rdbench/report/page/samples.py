"""Which draws of p(y|x) the page carries: a few rates of every series, within a budget of bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rdbench.report.page.pack import Pool, clipped
from rdbench.report.scores import abscissa
from rdbench.run.records import CellRecord, Draws, PointRecord

MOST_BYTES = 700_000
"""All draws together, as JSON."""
DIGITS = 3
"""Of every coordinate; the picture is 300 pixels wide."""
BINS = 24
"""Of the histograms of draws on the line."""


@dataclass(frozen=True)
class _Kept:
    """A point with draws: its case, the place of its cell on the page, and its own in the cell."""

    case: tuple[str, str]
    cell: int
    place: int
    point: PointRecord
    draws: Draws


def samples(records: Sequence[CellRecord], labels: Sequence[int]) -> dict[str, Any]:
    """The draws to show, of the first seed of every series.

    Three rates of each ladder (low, middle, high) are kept where that fits into ``MOST_BYTES``,
    else two or one, else fewer cases.

    Args:
        records: the cells in the order of the page.
        labels: the series of each.

    Returns:
        ``bases``: symbols and source draws, which the points of a case share; ``points``: cell,
        index in the cell, base, draws of p(y|x) and of the reproduction, axes, on the line bars
        of histograms; ``of`` and ``shown``: how many points have draws and how many are here.
    """
    kept: dict[tuple[str, str, int], list[_Kept]] = {}
    for cell, (record, label) in enumerate(zip(records, labels, strict=True)):
        case = (record.suite, record.case)
        drawn = [
            _Kept(case, cell, place, point, point.draws)
            for place, point in enumerate(record.points)
            if point.draws is not None
        ]
        if drawn:
            kept.setdefault((*case, label), drawn)
    points = [one for ladder in kept.values() for one in ladder]
    cases = list(dict.fromkeys(one.case for one in points))
    attempts = [(each, len(cases)) for each in (3, 2, 1)]
    attempts += [(1, count) for count in reversed(range(len(cases)))]
    for each, count in attempts:
        found = _packed([one for one in points if one.case in cases[:count]], each)
        if len(json.dumps(found, separators=(",", ":"))) <= MOST_BYTES:
            break
    total = sum(point.draws is not None for record in records for point in record.points)
    return found | {"of": total, "shown": len(found["points"])}


def _packed(points: Sequence[_Kept], each: int) -> dict[str, Any]:
    bases = Pool()
    # The same slopes for every series of a case, or they could not be compared.
    slopes: dict[tuple[str, str], dict[float, float]] = {}
    for one in points:
        rate, beta = abscissa(one.point), one.point.beta
        slopes.setdefault(one.case, {})[beta] = beta if rate is None else rate
    chosen = {case: _spread(found, each) for case, found in slopes.items()}
    rows = [
        {
            "cell": one.cell,
            "point": one.place,
            "base": _base(bases, one.draws),
            "y": _rounded(one.draws.y),
            "reproduction": _rounded(one.draws.reproduction),
            "axes": _axes(one.draws),
            **_bars(one.draws),
        }
        for one in points
        if one.point.beta in chosen[one.case]
    ]
    return {"bases": bases.values, "points": rows}


def _spread(rates: Mapping[float, float], each: int) -> set[float]:
    """``each`` of the slopes, evenly over the ladder of their rates, without its ends."""
    ordered = sorted(rates, key=rates.__getitem__)
    if len(ordered) <= each:
        return set(ordered)
    return {ordered[round((k + 0.5) * len(ordered) / each - 0.5)] for k in range(each)}


def _axes(draws: Draws) -> list[list[float]]:
    """[lo, hi] of every coordinate, with a margin."""
    everything = [*draws.x, *draws.source, *draws.reproduction, *(y for ys in draws.y for y in ys)]
    axes = []
    for values in zip(*everything, strict=True):
        lo, hi = clipped(min(values)), clipped(max(values))
        pad = 0.05 * (hi - lo or abs(hi) or 1.0)
        axes.append([float(f"{end:.6g}") for end in (lo - pad, hi + pad)])
    return axes


def _bars(draws: Draws) -> dict[str, list[int]]:
    """On the line, how many draws of the source and of Y are in each of ``BINS`` equal bins."""
    axes = _axes(draws)
    if len(axes) != 1:
        return {}
    lo, hi = axes[0]
    found = {}
    for name, drawn in (("source_bars", draws.source), ("bars", draws.reproduction)):
        part = (np.clip(np.ravel(drawn), lo, hi) - lo) / (hi - lo)
        bins = np.minimum((BINS * part).astype(int), BINS - 1)
        found[name] = np.bincount(bins, minlength=BINS).tolist()
    return found


def _base(bases: Pool, draws: Draws) -> int:
    value = {"x": _rounded(draws.x), "source": _rounded(draws.source)}
    return bases.place(value, json.dumps(value))


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    number = float(f"{value:.{DIGITS}g}")
    if not math.isfinite(number):  # the largest numbers can be rounded to infinity
        return value
    return int(number) if number.is_integer() else number
