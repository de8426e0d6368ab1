"""Which rows of a table of gaps are set bold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from rdbench.report.against import SELVES
from rdbench.report.grouping import CELL_COLUMNS, SETTINGS, Cell, Value
from rdbench.report.paired import Entrant, Member, standing
from rdbench.report.style import estimator_label
from rdbench.run.records import CellRecord

RANKED = ("gap", "lagrangian")
"""The metrics whose best is bold: they differ by F*, which is the same for all on a case."""


def leaders(
    groups: Sequence[tuple[tuple[Value, ...], list[Cell]]],
    columns: Sequence[str],
    records: Sequence[CellRecord],
) -> frozenset[int]:
    """The rows to be set bold: of those that differ in the estimator alone, the leaders."""
    shared = [place for place, name in enumerate(columns) if name not in SELVES]
    if len(shared) == len(columns):
        return frozenset()
    empty = {_fits(record) for record in records if not record.points}
    blocks: dict[tuple[Value, ...], dict[int, Entrant]] = {}
    for row, (key, members) in enumerate(groups):
        pairs = cast(Sequence[Member], [one for one in members if one[1] is not None])
        whole = not empty or empty.isdisjoint(_fits(record) for record, _ in pairs)
        block = blocks.setdefault(tuple(key[place] for place in shared), {})
        block[row] = Entrant(tuple(pairs), whole)
    standings = (standing(block) for block in blocks.values())
    return frozenset(row for one in standings if one is not None for row in one.leaders)


def _fits(record: CellRecord) -> tuple[Value, ...]:
    """The estimator, case and settings that the cells of all seeds have in common."""
    settings = (CELL_COLUMNS[name](record) for name in ("suite", "case", *SETTINGS))
    return estimator_label(record), *settings
