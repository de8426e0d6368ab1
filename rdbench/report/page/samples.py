"""Which draws of p(y|x) the page carries: a few rates of every series, within a budget of bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rdbench.report.page.pack import Pool, clipped
from rdbench.report.summary import abscissa
from rdbench.run.records import CellRecord, Draws, PointRecord

MOST_BYTES = 700_000
"""All draws together, as JSON."""
DIGITS = 3
"""Of every coordinate; the picture is 300 pixels wide."""
BINS = 24
"""Of the histograms of draws on the line."""


@dataclass(frozen=True)
class Ladder:
    """The points with draws of one cell: its place in the list of cells, and theirs in it."""

    cell: int
    case: tuple[str, str]
    points: tuple[tuple[int, PointRecord], ...]


def samples(records: Sequence[CellRecord], labels: Sequence[int]) -> dict[str, Any]:
    """The draws to show, of the first seed of every series.

    Three rates of each ladder (low, middle, high) are kept where that fits into ``MOST_BYTES``,
    else two or one, else fewer cases.

    Args:
        records: the cells in the order of the page.
        labels: the series of each.

    Returns:
        ``bases``: symbols and source draws, which the points of a case share; ``points``: cell,
        index in the cell, base, draws of p(y|x) and of the reproduction; ``of`` and ``shown``:
        how many points have draws and how many are here.
    """
    ladders = _ladders(records, labels)
    total = sum(point.draws is not None for record in records for point in record.points)
    found: dict[str, Any] = {"bases": [], "points": [], "of": total, "shown": 0}
    for each in (3, 2, 1):
        found = _packed(ladders, each)
        if len(json.dumps(found, separators=(",", ":"))) <= MOST_BYTES:
            break
    else:
        while len(json.dumps(found, separators=(",", ":"))) > MOST_BYTES:
            last = ladders[-1].case
            ladders = [ladder for ladder in ladders if ladder.case != last]
            found = _packed(ladders, 1)
    return found | {"of": total, "shown": len(found["points"])}


def _ladders(records: Sequence[CellRecord], labels: Sequence[int]) -> list[Ladder]:
    first: dict[tuple[str, str, int], int] = {}
    for index, (record, label) in enumerate(zip(records, labels, strict=True)):
        if any(point.draws is not None for point in record.points):
            first.setdefault((record.suite, record.case, label), index)
    return [
        Ladder(
            index,
            (suite, case),
            tuple(
                (place, point)
                for place, point in enumerate(records[index].points)
                if point.draws is not None
            ),
        )
        for (suite, case, _), index in first.items()
    ]


def _packed(ladders: Sequence[Ladder], each: int) -> dict[str, Any]:
    bases = Pool()
    # The same slopes for every series of a case, or they could not be compared.
    slopes: dict[tuple[str, str], dict[float, float]] = {}
    for ladder in ladders:
        for _, point in ladder.points:
            rate = abscissa(point)
            slopes.setdefault(ladder.case, {})[point.beta] = point.beta if rate is None else rate
    chosen = {case: _spread(found, each) for case, found in slopes.items()}
    points = [
        {
            "cell": ladder.cell,
            "point": place,
            "base": _base(bases, draws),
            "y": _rounded(draws.y),
            "reproduction": _rounded(draws.reproduction),
            "axes": _axes(draws),
            **_bars(draws),
        }
        for ladder in ladders
        for place, draws in _kept(ladder, chosen[ladder.case])
    ]
    return {"bases": bases.values, "points": points}


def _kept(ladder: Ladder, slopes: set[float]) -> Iterator[tuple[int, Draws]]:
    for place, point in ladder.points:
        if point.draws is not None and point.beta in slopes:
            yield place, point.draws


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
