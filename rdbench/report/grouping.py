"""The rows of a table: the columns to group by, their order and their texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter

from rdbench.columns import HEAD, MACHINE, TABLES
from rdbench.outcomes import RdbenchError
from rdbench.report.style import estimator_label
from rdbench.report.values import value
from rdbench.run.records import CellRecord, PointRecord

Value = str | int | float | None
SortKey = tuple[tuple[int, float, str], ...]
CaseName = Callable[[CellRecord], str]
Cell = tuple[CellRecord, PointRecord | None]


def case_namer(records: Iterable[CellRecord]) -> CaseName:
    """How to name a case: ``suite/case`` where two suites share a case name, else ``case``."""
    suites: dict[str, set[str]] = {}
    for record in records:
        suites.setdefault(record.case, set()).add(record.suite)
    return lambda record: (
        f"{record.suite}/{record.case}" if len(suites[record.case]) > 1 else record.case
    )


CELL_COLUMNS: Mapping[str, Callable[[CellRecord], Value]] = {
    column.name: partial(value, column)
    for column in (*HEAD, *MACHINE)
    if column.name not in ("cell", "dirty", "schema", "versions")
} | {"estimator": estimator_label}
POINT_COLUMNS: Mapping[str, Callable[[PointRecord], Value]] = {
    name: attrgetter(name) for name in ("beta", "target_rate", "status", "side", "audit_method")
}
SETTINGS = ("suite_version", "budget", "n_train", "device")
"""Settings that no mean may mix: they become columns wherever the records differ in them."""
TIMING_SETTINGS = ("threads", "jobs")


def varying(records: Sequence[CellRecord], names: Iterable[str]) -> list[str]:
    """Those of the columns ``names`` in which the records differ."""
    return [name for name in names if len({CELL_COLUMNS[name](r) for r in records}) > 1]


def sort_key(values: Sequence[Value]) -> SortKey:
    """Missing first, then numbers by size, then texts; of those budgets such as ``20s`` by size."""
    return tuple(map(_key, values))


def _key(value: Value) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    if isinstance(value, str):
        seconds = _SECONDS.fullmatch(value)
        return 2, float(seconds[1]) if seconds else 0.0, value
    return 1, value, ""


_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")

TEXT_COLUMNS = frozenset(
    column.name for column in TABLES["points"] if column.kind in ("text", "mapping")
)
"""The columns set flush left."""


def column_value(
    name: str,
    record: CellRecord,
    point: PointRecord | None,
    case_name: CaseName,
) -> Value:
    """The value of the column ``name`` in a row of points, or of cells (``point`` None)."""
    if name == "case":
        return case_name(record)
    if name in CELL_COLUMNS or point is None:
        return CELL_COLUMNS[name](record)
    return POINT_COLUMNS[name](point)


def parse_by(by: str, metric: str, *, of_points: bool) -> list[str]:
    """The columns of a comma list, each once.

    Raises:
        RdbenchError: there is none, or one by which ``metric`` cannot be grouped.
    """
    names = list(dict.fromkeys(name.strip() for name in by.split(",") if name.strip()))
    choices = [*CELL_COLUMNS, *(POINT_COLUMNS if of_points else ())]
    unknown = [name for name in names if name not in choices]
    if unknown or not names:
        what = f"cannot group {metric} by {unknown[0]!r}" if unknown else "no columns to group by"
        raise RdbenchError(f"{what}; choose from {', '.join(choices)}")
    return names


def grouped(
    records: Iterable[CellRecord],
    columns: Sequence[str],
    case_name: CaseName,
    *,
    of_points: bool,
) -> list[tuple[tuple[Value, ...], list[Cell]]]:
    """The groups that ``columns`` make, in order, each with its points, or cells (point None)."""
    groups: dict[tuple[Value, ...], list[Cell]] = {}
    order: dict[tuple[Value, ...], SortKey] = {}
    own = [of_points and name in POINT_COLUMNS for name in columns]
    for record in records:
        # What the points of a cell have in common is looked up once.
        common = [
            None if of_point else column_value(name, record, None, case_name)
            for name, of_point in zip(columns, own, strict=True)
        ]
        points: Sequence[PointRecord | None] = record.points if of_points else [None]
        if not points:
            continue
        parts: Iterable[tuple[tuple[Value, ...], Sequence[PointRecord | None]]]
        if any(own):
            parts = [
                (
                    tuple(
                        column_value(name, record, point, case_name) if of_point else value
                        for name, of_point, value in zip(columns, own, common, strict=True)
                    ),
                    [point],
                )
                for point in points
            ]
        else:
            parts = [(tuple(common), points)]
        for key, some in parts:
            if key not in groups:
                groups[key] = []
                # Cases in order of their dimension: ramp-d10 comes after ramp-d2.
                ahead = (record.suite, record.dim) if "case" in columns else ()
                order[key] = sort_key((*ahead, *key))
            groups[key] += [(record, point) for point in some]
    return [(key, groups[key]) for key in sorted(groups, key=order.__getitem__)]


def number(value: float | None, scale: float, *, sign: bool = False) -> str:
    """Three significant digits in the unit of ``scale`` nats."""
    if value is None:
        return "-"
    return f"{value / scale:{'+' if sign else ''}.3g}"


def text_of(value: Value) -> str:
    """The value of a column as text."""
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
