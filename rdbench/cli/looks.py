"""The colours and markers of estimators, for pictures: records do not hold them."""

from __future__ import annotations

from collections.abc import Sequence

from rdbench import registry
from rdbench.outcomes import RdbenchError
from rdbench.report.style import Look
from rdbench.run.records import CellRecord


def looks_of(records: Sequence[CellRecord]) -> dict[str, Look]:
    """The look that every registration asks for, by name; none of one that is not installed."""
    looks = {}
    for name in sorted({record.estimator for record in records}):
        try:
            info = registry.load_estimator(name).info
        except RdbenchError:
            continue
        looks[name] = Look(info.colour, info.marker)
    return looks
