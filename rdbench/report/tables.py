"""Tables for people: the summary after a run, and one metric in a markup of choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rdbench.report.claims import counts_of, texts_of
from rdbench.report.grouping import (
    SETTINGS,
    TEXT_COLUMNS,
    TIMING_SETTINGS,
    CaseName,
    Cell,
    Value,
    case_namer,
    grouped,
    number,
    parse_by,
    text_of,
    varying,
)
from rdbench.report.leaders import RANKED, leaders
from rdbench.report.markup import Fitted, fitted, left_out_note
from rdbench.report.metrics import METRICS, Reduced, metric_named, reduce
from rdbench.report.scores import SCORED
from rdbench.report.sections import SECTIONS, Section, Shown
from rdbench.report.summary import Summary, Trouble, summarise, troubles
from rdbench.report.units import nats_per
from rdbench.report.verdicts import verdicts_in
from rdbench.run.records import CellRecord


def print_summary(
    records: Sequence[CellRecord], units: str, console: Console, *, verbose: bool = False
) -> None:
    """Print how far every estimator is from the truth, what it claims, and what went wrong.

    One row per case and estimator over all slopes and seeds. The interval of the mean gap is
    [mean gap_lo, mean gap_hi]: valid however the errors of the points are correlated, so wider
    than need be where they are independent. CPU seconds are of one fit (one ladder), averaged
    over seeds.

    Args:
        records: the cells to show.
        units: ``nats`` or ``bits``, for gaps and rates.
        console: where to print; lines are not cut where it is no terminal.
        verbose: all columns, however wide; otherwise a terminal shows the most important ones
            that fit, a line per row.

    Raises:
        RdbenchError: the unit is unknown.
    """
    scale = nats_per(units)
    if not records:
        console.print("nothing to show: no cell has finished")
        return
    case_name = case_namer(records)
    settings = varying(records, SETTINGS)
    keys = ["case", "estimator", *settings]
    groups = grouped(records, keys, case_name, of_points=False)
    rows = [(key, summarise([record for record, _ in members])) for key, members in groups]
    width = console.width if console.is_terminal and not verbose else None
    left_out: list[str] = []
    printed = False
    for section in SECTIONS:
        shown = [(key, found) for key, found in rows if section.is_shown(found)]
        if not shown:
            continue
        if printed:
            console.print()
        said = (
            column
            for column in section.columns
            if not column.optional or any(column.text(one, scale) != "-" for _, one in shown)
        )
        section = replace(section, columns=tuple(said))
        table, titles = _fitting(section, width, console, shown, settings, units, scale)
        left_out += titles
        _print_whole(table, console)
        printed = True
    for note in _notes(records, case_name, units, scale):
        console.print(note, soft_wrap=True, highlight=False)
    if left_out:
        console.print(left_out_note(left_out, console.width), soft_wrap=True, highlight=False)


def _fitting(
    section: Section, width: int | None, console: Console, *drawn: Any
) -> tuple[Table, list[str]]:
    """The table of a section within ``width``, and the titles of the columns left out."""
    table = _section_table(section.title, section.columns, *drawn)
    if width is None or _width(table, console) <= width:
        return table, []
    brief = [replace(one, text=one.brief or one.text) for one in section.columns]
    kept: list[Shown] = []
    for column in sorted(brief, key=lambda column: column.rank):
        wider = [one for one in brief if one in (*kept, column)]
        attempt = _section_table(section.title, wider, *drawn)
        if not kept or _width(attempt, console) <= width:
            table, kept = attempt, wider
    return table, [one.title for one in brief if one not in kept]


def _width(table: Table, console: Console) -> int:
    return console.measure(table, options=console.options.update(max_width=10_000)).maximum


def _print_whole(table: Table, console: Console) -> None:
    """Print a table without cutting a number: what is too wide for a terminal is folded there."""
    natural = _width(table, console)
    if natural <= console.width:
        console.print(table)
        return
    # A file or a pipe has no width: rich would cut the columns to 80 characters.
    whole = console.options.update(max_width=natural, width=natural)
    for line in console.render_lines(table, whole, pad=False):
        text = "".join(segment.text for segment in line)
        console.print(Text(text.rstrip()), soft_wrap=True)


def _section_table(
    title: str,
    columns: Sequence[Shown],
    rows: Sequence[tuple[tuple[Value, ...], Summary]],
    settings: Sequence[str],
    units: str,
    scale: float,
) -> Table:
    """One section with some of its columns."""
    table = Table(
        title=title.format(units=units),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for name in ("case", "estimator", *settings):
        table.add_column(name, overflow="fold")
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    previous: Value = None
    for key, found in rows:
        if previous is not None and key[0] != previous:
            table.add_section()
        case = "" if key[0] == previous else text_of(key[0])
        cells = [column.text(found, scale) for column in columns]
        # As Text: a label such as name[key=1] would be read as markup.
        table.add_row(*map(Text, [case, *map(text_of, key[1:]), *cells]))
        previous = key[0]
    return table


def _notes(
    records: Sequence[CellRecord],
    case_name: CaseName,
    units: str,
    scale: float,
) -> list[Text]:
    """The failures, one line each, and how the timings were taken."""
    notes = [
        _trouble_note(trouble, units, scale)
        for trouble in sorted(troubles(records, case_name), key=lambda t: (t.estimator, t.status))
    ]
    jobs = {record.provenance.jobs for record in records}
    if jobs != {1}:
        notes.append(Text(f"CPU seconds were measured with up to {max(jobs)} cells at a time"))
    return notes


def _trouble_note(trouble: Trouble, units: str, scale: float) -> Text:
    where = f"{', '.join(trouble.cases)}"
    if trouble.rates is not None:
        lo, hi = (number(rate, scale) for rate in trouble.rates)
        where += f"; R = {lo}" + (f" to {hi}" if hi != lo else "") + f" {units}"
    if len(trouble.seeds) > 1 or trouble.seeds != (0,):
        where += f"; seed {', '.join(map(str, trouble.seeds))}"
    reason = trouble.reason if len(trouble.reason) <= 300 else trouble.reason[:299] + "…"
    kept = " (numbers kept)" if trouble.status == "not_converged" else ""
    style = "yellow" if trouble.status in (*SCORED, "unsupported", "no gap") else "red"
    plural = "point" if trouble.points == 1 else "points"
    return Text.assemble(
        trouble.estimator,
        ": ",
        (trouble.status, style),
        f"{kept}, {trouble.points} {plural} ({where})",
        f": {reason}" if reason else "",
    )


def metric_table(
    records: Sequence[CellRecord],
    metric: str = "gap",
    by: str = "case,estimator",
    fmt: str = "md",
    units: str = "nats",
    width: int | None = None,
) -> Fitted:
    """One metric, averaged within groups, and what was left out to fit a width.

    ``estimator`` stands for the whole label with preset and overrides. Columns for the suite's
    version, the budget, the number of training points and the device (for seconds also threads
    and jobs) are added where the records differ in them, so that no mean mixes settings.

    What the audit finds is followed by its interval where it has one and by what the estimator
    claims of it, gaps by the verdicts on the claims too. The last two columns count the values in
    the mean and all values there could be. Of the rows of ``gap`` and ``lagrangian`` that differ in
    the estimator alone the best and all that are not significantly worse are bold
    (``rdbench.report.paired.standing``); CSV has no bold.

    Args:
        records: the cells to show.
        metric: one of ``METRICS``.
        by: the columns that make a group, a comma list out of ``CELL_COLUMNS`` and, for metrics
            of points, ``POINT_COLUMNS``.
        fmt: ``md``, ``latex`` (booktabs), ``csv`` or ``html``; CSV keeps every digit.
        units: ``nats`` or ``bits``, for rates and gaps.
        width: characters of a line of Markdown. Claims, then counts, then intervals are left out
            until the table fits; None leaves nothing out.

    Raises:
        RdbenchError: an unknown metric, column, format or unit.
    """
    scale = nats_per(units)
    chosen = metric_named(metric)
    columns = parse_by(by, metric, of_points=chosen.of == "point")
    settings = SETTINGS + (TIMING_SETTINGS if chosen.unit == "s" else ())
    columns += [name for name in varying(records, settings) if name not in columns]
    groups = grouped(records, columns, case_namer(records), of_points=chosen.of == "point")

    names = [metric, *([chosen.claimed] if chosen.claimed else [])]
    judged = metric in ("gap", "worst_gap")
    titles = [titles_of(name, units) for name in names]
    header = [*columns, *chain(*titles), *(["claim"] if judged else []), "n", "of"]
    rows = []
    claims = _claims(groups) if judged else []
    for row, (key, members) in enumerate(groups):
        found = [reduce(name, members) for name in names]
        texts = [text_of(value) for value in key]
        for name, one in zip(names, found, strict=True):
            texts += values_of(name, one, scale, fmt)
        texts += [claims[row]] if judged else []
        rows.append([*texts, str(found[0].count), str(len(members))])
    numeric = [name not in TEXT_COLUMNS for name in header]
    best = leaders(groups, columns, records) if metric in RANKED else frozenset()
    bold = {(row, len(columns)) for row in best}
    of_claims = [("claim",), *(tuple(one) for one in titles[1:])]
    droppable = [*of_claims, ("n", "of"), tuple(titles[0][1:])]
    return fitted(header, rows, numeric, fmt, bold, droppable if fmt == "md" else (), width)


def _claims(groups: Sequence[tuple[tuple[Value, ...], list[Cell]]]) -> list[str]:
    """The verdicts on the claims of every group, counted; of all groups in one go."""
    pairs = [
        [(r, p) for r, p in members if p is not None and p.status in SCORED]
        for _, members in groups
    ]
    found = iter(verdicts_in(chain(*pairs)))
    return [", ".join(texts_of(counts_of(islice(found, len(own))))) for own in pairs]


def titles_of(name: str, units: str) -> list[str]:
    """The titles of the columns that a metric takes: its value, then its ends."""
    unit = units if METRICS[name].unit == "nats" else METRICS[name].unit
    return [name + (f" ({unit})" if unit in (units, "s", "MB") else ""), *METRICS[name].ends]


def values_of(name: str, found: Reduced, scale: float, fmt: str) -> list[str]:
    """The texts of one metric of a group; CSV has numbers alone."""
    factor = scale if METRICS[name].unit == "nats" else 1.0
    if fmt == "csv":
        return ["" if value is None else repr(value / factor) for value in found.values]
    texts = [number(value, factor) for value in found.values]
    if found.mark:
        texts[0] = f"{found.mark} {texts[0]}"
    return texts
