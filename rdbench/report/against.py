"""The table of paired differences: every estimator against one of them, on the same symbols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rdbench.outcomes import RdbenchError
from rdbench.report.grouping import (
    SETTINGS,
    TEXT_COLUMNS,
    Cell,
    case_namer,
    grouped,
    number,
    parse_by,
    text_of,
    varying,
)
from rdbench.report.markup import Fitted, fitted
from rdbench.report.paired import Difference, Member, difference
from rdbench.report.style import estimator_label
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord

SELVES = ("estimator", "preset", "params")
"""The columns that say which estimator a row is of."""

NOTES = {
    "upper": "holds upper: the audit bounds the estimator's gap from above only, so that of the "
    "interval only the upper end bounds the difference of the gaps",
    "lower": "holds lower: the audit bounds the other's gap from above only, so that of the "
    "interval only the lower end bounds the difference of the gaps",
    "audited": "holds audited: the audit bounds both gaps from above only; the interval is of the "
    "audited values and no bound of the difference of the gaps",
    "estimate": "holds estimate: the audit of one of the two guarantees neither end",
}
UNPAIRED = (
    "where paired is less than n the rest is compared by the points' own intervals: there are no "
    "blocks of common symbols in those records (run them again for narrower intervals)"
)


def against_table(
    records: Sequence[CellRecord],
    name: str,
    by: str = "case,estimator",
    fmt: str = "md",
    units: str = "nats",
    width: int | None = None,
) -> Fitted:
    """The gap of every estimator less that of ``name``, with 95% intervals; negative is better.

    One row per group as in ``metric_table``; ``estimator`` is always one of the columns. A row is
    the mean over slopes (``rdbench.report.paired.difference``); ``n`` counts the points compared,
    ``of`` those of the estimator, ``better`` and ``worse`` the points at which the interval of
    the difference excludes zero, ``paired`` those compared on the same symbols.

    Args:
        records: the cells to show.
        name: the label of an estimator with preset and overrides, such as ``nerd:paper``.
        by: the columns that make a group, as in ``metric_table``.
        fmt: ``md``, ``latex`` (booktabs), ``csv`` or ``html``; CSV keeps every digit.
        units: ``nats`` or ``bits``.
        width: characters of a line of Markdown, as in ``metric_table``.

    Raises:
        RdbenchError: nothing stored has that label; an unknown column, format or unit.
    """
    scale = nats_per(units)
    labels = sorted({estimator_label(record) for record in records})
    if name not in labels:
        known = f"stored: {', '.join(labels)}" if labels else "nothing is stored"
        raise RdbenchError(f"no estimator {name!r} to compare with; {known}")
    columns = parse_by(by, "gap", of_points=True)
    columns += [] if "estimator" in columns else ["estimator"]
    columns += [one for one in varying(records, SETTINGS) if one not in columns]
    case_name = case_namer(records)
    # The columns that the rows have in common with the estimator they are held against.
    shared = [one for one in columns if one not in (*SELVES, *CELL_ALIKE)]
    mine = [record for record in records if estimator_label(record) == name]
    reference = dict(grouped(mine, shared, case_name, of_points=True))
    others = [record for record in records if estimator_label(record) != name]

    rows, found = [], []
    for key, members in grouped(others, columns, case_name, of_points=True):
        here = tuple(key[columns.index(one)] for one in shared)
        one = difference(_pairs(members), _pairs(reference.get(here, [])))
        found += [] if one is None else [one]
        rows.append([*map(text_of, key), *_texts(one, scale, fmt), str(len(members))])
    header = [
        *columns, f"gap - gap of {name} ({units})", "diff_lo", "diff_hi", "holds", "better",
        "worse", "paired", "n", "of",
    ]  # fmt: skip
    numeric = [title not in TEXT_COLUMNS and title != "holds" for title in header]
    droppable = [("of",), ("paired", "n"), ("better", "worse"), ("holds",)] if fmt == "md" else []
    table = fitted(header, rows, numeric, fmt, droppable=droppable, width=width)
    return replace(table, notes=tuple(_notes(found)))


CELL_ALIKE = ("n_train", "commit", "threads", "jobs", "status", "side", "audit_method")
"""Columns in which the two that are compared may differ: on the same symbols all the same."""


def _pairs(members: Sequence[Cell]) -> list[Member]:
    return [(record, point) for record, point in members if point is not None]


def _texts(found: Difference | None, scale: float, fmt: str) -> list[str]:
    if found is None:
        absent = "" if fmt == "csv" else "-"
        return [*[absent] * 6, "0", "0"]
    values = (found.value, found.lo, found.hi)
    if fmt == "csv":
        texts = [repr(value / scale) for value in values]
    else:
        texts = [number(value, scale, sign=True) for value in values]
    counts = (found.better, found.worse, found.paired, found.points)
    return [*texts, found.holds, *map(str, counts)]


def _notes(found: Sequence[Difference]) -> list[str]:
    kinds = {one.holds for one in found}
    notes = [text for kind, text in NOTES.items() if kind in kinds]
    return notes + ([UNPAIRED] if any(one.paired < one.points for one in found) else [])
