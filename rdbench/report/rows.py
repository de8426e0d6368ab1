"""Records as columns: what a tidy table holds, before it has types or is a file.

A column of cells has one value for each record, whatever number of rows that has: points, blocks,
checkpoints and draws repeat it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from rdbench.columns import AUDIT_S, TABLES, Column
from rdbench.report.scores import good_to
from rdbench.report.values import DERIVED, value
from rdbench.report.verdicts import verdicts_in
from rdbench.run.records import CellRecord

_OF_CELLS = ("cell", "cost", "provenance")


@dataclass(frozen=True)
class Rows:
    """A table of records.

    Args:
        columns: all of them, in order.
        counts: how many rows each record has.
        common: the columns that have one value for each record, by name.
        own: those that have one for each row.
    """

    columns: tuple[Column, ...]
    counts: list[int]
    common: Mapping[str, list[Any]]
    own: Mapping[str, list[Any]]


def rows_of(records: Sequence[CellRecord], what: str) -> Rows:
    """The table ``TABLES[what]`` of records."""
    columns = TABLES[what]
    names = [column.name for column in columns if column.part not in _OF_CELLS]
    counts, own = _MAKERS[what](records, [c for c in columns if c.part not in _OF_CELLS])
    common = {c.name: [value(c, r) for r in records] for c in columns if c.name not in names}
    none = [None] * sum(counts)
    return Rows(columns, counts, common, {name: own.get(name, none) for name in names})


def repeated(values: Iterable[Any], counts: Iterable[int]) -> list[Any]:
    """Every value as often as its count says."""
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


Made = tuple[list[int], dict[str, list[Any]]]
"""How many rows each record has, and the columns of the rows."""


def _points(records: Sequence[CellRecord], columns: Sequence[Column]) -> Made:
    points = [point for record in records for point in record.points]
    own = {c.name: list(map(attrgetter(c.source), points)) for c in columns if c.part == "point"}
    for name in DERIVED.keys() & {column.name for column in columns}:
        pairs = ((record, point) for record in records for point in record.points)
        if name == "claim":
            own[name] = list(verdicts_in(pairs))
        else:
            own[name] = [DERIVED[name](record, point) for record, point in pairs]
    return [len(record.points) for record in records], own


def _blocks(records: Sequence[CellRecord], columns: Sequence[Column]) -> Made:
    blocks = [point.gap_blocks for record in records for point in record.points]
    counts, own = _expanded(records, columns, list(map(len, blocks)))
    own["block"] = [place for means in blocks for place in range(len(means))]
    own["gap_block"] = [mean for means in blocks for mean in means]
    return counts, own


def _expanded(records: Sequence[CellRecord], columns: Sequence[Column], each: list[int]) -> Made:
    """The columns of points, every point repeated."""
    _, own = _points(records, columns)
    left = iter(each)
    counts = [sum(next(left) for _ in record.points) for record in records]
    return counts, {name: repeated(values, each) for name, values in own.items()}


def _cells(records: Sequence[CellRecord], _: Sequence[Column]) -> Made:
    best = [good_to(record) for record in records]
    audits = [[p.audit_s for p in record.points if p.audit_s is not None] for record in records]
    return [1] * len(records), {
        "n_points": [len(record.points) for record in records],
        "n_ok": [sum(point.status == "ok" for point in record.points) for record in records],
        "good_to": [None if found is None else found.rate for found in best],
        AUDIT_S.name: [sum(own) if own else None for own in audits],
    }


def _traces(records: Sequence[CellRecord], columns: Sequence[Column]) -> Made:
    marks = [mark for record in records for mark in record.trace]
    own = {c.name: list(map(attrgetter(c.source), marks)) for c in columns}
    return [len(record.trace) for record in records], own


def _draws(records: Sequence[CellRecord], columns: Sequence[Column]) -> Made:
    law: list[str] = []
    symbol: list[int | None] = []
    x: list[Sequence[float]] = []
    y: list[Sequence[float]] = []
    each = []
    for kept in (point.draws for record in records for point in record.points):
        before = len(law)
        if kept is not None:
            for number, (fixed, drawn) in enumerate(zip(kept.x, kept.y, strict=True)):
                law += ["conditional"] * len(drawn)
                symbol += [number] * len(drawn)
                x += [fixed] * len(drawn)
                y += drawn
            law += ["joint"] * len(kept.source)
            symbol += [None] * len(kept.source)
            x += kept.source
            y += kept.reproduction
        each.append(len(law) - before)
    counts, own = _expanded(records, columns, each)
    own |= {"law": law, "symbol": symbol}
    for name, vectors in (("x", x), ("y", y)):
        for place in (0, 1):
            own[f"{name}{place + 1}"] = [
                vector[place] if place < len(vector) else None for vector in vectors
            ]
    return counts, own


_MAKERS: Mapping[str, Callable[[Sequence[CellRecord], Sequence[Column]], Made]] = {
    "points": _points, "blocks": _blocks, "cells": _cells, "traces": _traces, "draws": _draws,
}  # fmt: skip
