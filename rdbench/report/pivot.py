"""A table of cases by estimators, as papers print it: one metric, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from rdbench.outcomes import RdbenchError
from rdbench.report.grouping import (
    SETTINGS,
    TEXT_COLUMNS,
    TIMING_SETTINGS,
    Cell,
    case_namer,
    grouped,
    parse_by,
    text_of,
    varying,
)
from rdbench.report.leaders import RANKED, leaders
from rdbench.report.markup import Fitted, render
from rdbench.report.metrics import METRICS, Reduced, metric_named, reduce
from rdbench.report.tables import titles_of, values_of
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord

ESTIMATOR = "estimator"
INTERVALS = "intervals"


def pivot_table(
    records: Sequence[CellRecord],
    metric: str = "gap",
    by: str = "case,estimator",
    fmt: str = "md",
    units: str = "nats",
    width: int | None = None,
    estimators: Sequence[str] | None = None,
) -> Fitted:
    """One row per case (and what else ``by`` names), one column per estimator.

    A field is the mean over seeds and slopes as in ``metric_table``, followed by its interval; with
    ``≤`` it is the upper end of one, which is all that is known. ``(14/16)`` behind it counts the
    values in the mean, where some are missing, of those that there could be. A field is empty where
    nothing has been run. Of ``gap`` and ``lagrangian`` the best of a row and all that are not
    significantly worse are bold (``rdbench.report.paired.standing``), out of the estimators shown.
    CSV has every number in a column of its own.

    Args:
        records: the cells to show.
        metric: one of ``METRICS``.
        by: the columns that make a row, as in ``metric_table``; ``estimator`` is none of them.
        fmt: ``md``, ``latex`` (booktabs), ``csv`` or ``html``.
        units: ``nats`` or ``bits``.
        width: characters of a line of Markdown; intervals are left out of what is wider.
        estimators: the labels in the order of their columns; None for all, in order of their
            labels.

    Raises:
        RdbenchError: an unknown metric, column, format or unit, or no column but the estimator.
    """
    scale = nats_per(units)
    chosen = metric_named(metric)
    of_points = chosen.of == "point"
    rows = [name for name in parse_by(by, metric, of_points=of_points) if name != ESTIMATOR]
    if not rows:
        raise RdbenchError("--pivot needs a column for its rows, such as --by case")
    settings = SETTINGS + (TIMING_SETTINGS if chosen.unit == "s" else ())
    rows += [name for name in varying(records, settings) if name not in rows]
    columns = [*rows, ESTIMATOR]
    groups = grouped(records, columns, case_namer(records), of_points=of_points)
    best = leaders(groups, columns, records) if metric in RANKED else frozenset()
    labels = list(estimators or sorted({str(key[-1]) for key, _ in groups}))

    places = {key: place for place, (key, _) in enumerate(groups)}
    fields = {key: _reduced(metric, members) for key, members in groups}
    heads = list(dict.fromkeys(key[:-1] for key, _ in groups))
    left = [name not in TEXT_COLUMNS for name in rows]
    title = titles_of(metric, units)
    if fmt == "csv":
        parts = [f"{label} {one}" for label in labels for one in (*title, "n", "of")]
        body = [
            [*map(text_of, head), *chain(*(_plain(fields.get((*head, one)), scale, metric)
             for one in labels))] for head in heads
        ]  # fmt: skip
        return Fitted(render([*rows, *parts], body, [False] * (len(rows) + len(parts)), fmt))

    bold = {
        (row, len(rows) + column)
        for row, head in enumerate(heads)
        for column, label in enumerate(labels)
        if places.get((*head, label)) in best and fields[(*head, label)][0].values[0] is not None
    }
    names = rows
    if fmt == "md":  # which has no cells that span columns
        names = [*rows[:-1], f"{rows[-1]} | {title[0]}"]

    def made(*, intervals: bool) -> str:
        body = [
            [*map(text_of, head), *(_text(fields.get((*head, one)), scale, metric, fmt, intervals)
             for one in labels)] for head in heads
        ]  # fmt: skip
        flush = [*left, *[True] * len(labels)]
        return render([*names, *labels], body, flush, fmt, bold, (len(rows), title[0]))

    whole = made(intervals=True)
    if fmt != "md" or width is None or max(map(len, whole.splitlines())) <= width:
        return Fitted(whole)
    return Fitted(made(intervals=False), (INTERVALS,) if len(title) == 3 else ())


Field = tuple[Reduced, int]
"""The metric, and how many values there could be."""


def _reduced(metric: str, members: Sequence[Cell]) -> Field:
    return reduce(metric, members), len(members)


def _plain(field: Field | None, scale: float, metric: str) -> list[str]:
    if field is None:
        return [""] * (1 + len(METRICS[metric].ends)) + ["0", "0"]
    found, count = field
    return [*values_of(metric, found, scale, "csv"), str(found.count), str(count)]


def _text(field: Field | None, scale: float, metric: str, fmt: str, intervals: bool) -> str:
    if field is None:
        return ""
    found, count = field
    text, *ends = values_of(metric, found, scale, fmt)
    if intervals and len(ends) == 2 and not found.mark and found.values[0] is not None:
        text += f" [{', '.join(ends)}]"
    return text if found.count == count else f"{text} ({found.count}/{count})"
