"""The value of a column of `rdbench.columns` in a record."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from rdbench.columns import Column
from rdbench.report.claims import claim_excess, claimed_gap, verdict_in
from rdbench.report.protocol import log_draws, saturated
from rdbench.run.records import CellRecord, PointRecord, TracePoint

DERIVED: Mapping[str, Callable[[CellRecord, PointRecord], float | bool | str | None]] = {
    "claimed_gap": lambda _, point: claimed_gap(point),
    "claim_excess": lambda _, point: claim_excess(point),
    "claim": verdict_in,
    "log_n_paper_protocol": lambda _, point: log_draws(point),
    "paper_protocol_saturated": lambda _, point: saturated(point),
}
"""The columns of a point that follow from its fields."""


def compact_json(value: Mapping[str, Any]) -> str:
    """The mapping on one line, keys sorted, so that equal mappings give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def value(
    column: Column,
    record: CellRecord,
    point: PointRecord | None = None,
    checkpoint: TracePoint | None = None,
) -> Any:
    """The value of a column in a record, None where it is not known.

    Args:
        column: one of `rdbench.columns`.
        record: the cell.
        point: the slope, for columns of points.
        checkpoint: for columns of checkpoints.
    """
    holder: object
    match column.part:
        case "derived":
            make = DERIVED.get(column.name)
            return None if make is None or point is None else make(record, point)
        case "point":
            holder = point
        case "cell":
            holder = record
        case "checkpoint":
            holder = checkpoint
        case part:  # the cost or the provenance
            holder = getattr(record, part)
    found = getattr(holder, column.field or column.name, None)
    return compact_json(found) if column.kind == "mapping" and found is not None else found
