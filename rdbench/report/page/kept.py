"""Which cells a page holds: all of them, or of every estimator and case the first seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rdbench.report.grouping import CELL_COLUMNS, SETTINGS
from rdbench.report.style import estimator_label
from rdbench.run.records import CellRecord

MOST_POINTS = 20_000
"""Points that a page holds one by one, about 9 MB; of more it holds the first seeds alone."""


@dataclass(frozen=True)
class Kept:
    """The cells of a page, by their places among the records.

    ``seeds`` is how many of each estimator, case and setting, None where none is left out.
    """

    places: tuple[int, ...]
    seeds: int | None = None


def kept(records: Sequence[CellRecord], most: int | None = None) -> Kept:
    """The cells whose points a page holds; at least one of every estimator, case and setting.

    Args:
        records: all cells, in any order; the choice does not depend on it.
        most: how many points; `MOST_POINTS` where None.
    """
    most = MOST_POINTS if most is None else most
    if sum(len(record.points) for record in records) <= most:
        return Kept(tuple(range(len(records))))
    series: dict[tuple[object, ...], list[int]] = {}
    for place, record in enumerate(records):
        settings = (CELL_COLUMNS[name](record) for name in SETTINGS)
        key = (record.suite, record.case, record.dim, estimator_label(record), *settings)
        series.setdefault(key, []).append(place)
    for places in series.values():
        places.sort(key=lambda place: (records[place].seed, records[place].cell))
    seeds, points = 0, 0
    while True:
        points += sum(
            len(records[own[seeds]].points) for own in series.values() if seeds < len(own)
        )
        if points > most and seeds:
            break
        seeds += 1
        if points > most or all(seeds >= len(own) for own in series.values()):
            break
    chosen = sorted(place for own in series.values() for place in own[:seeds])
    return Kept(tuple(chosen), seeds)
