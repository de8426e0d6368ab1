"""``rdbench table``: one metric, by rows or cases by estimators, or the gap against one of them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from rdbench import registry
from rdbench.cli.messages import note
from rdbench.cli.options import TableOptions
from rdbench.cli.outputs import apart_from_records, format_for
from rdbench.cli.stored import stored
from rdbench.outcomes import RdbenchError
from rdbench.report.against import against_table
from rdbench.report.files import write_whole
from rdbench.report.latex import around
from rdbench.report.leaders import RANKED
from rdbench.report.markup import Fitted, left_out_note
from rdbench.report.pivot import pivot_table
from rdbench.report.selection import selected
from rdbench.report.tables import metric_table
from rdbench.run.records import CellRecord

_ENDINGS = {".md": "md", ".tex": "latex", ".csv": "csv", ".html": "html"}


def execute(options: TableOptions) -> int:
    """Print or write the table and return the exit code.

    Raises:
        RdbenchError: bad input, or a file that cannot be written.
    """
    _check(options)
    apart_from_records(options.out, options.results)
    format = format_for(options.out, options.format, _ENDINGS, "md")
    _check_latex(options, format)
    compared = options.against is not None or options.metric in RANKED
    records, _ = stored(options.results, blocks=compared)
    found = _table(options, records, format)
    text = found.text
    if format == "latex":
        text = around(text, options.caption, options.label, options.standalone)
    if options.out is None:
        print(text.rstrip("\n"))
    else:
        write_whole(f"{text.rstrip()}\n".encode(), options.out)
    notes = [*found.notes]
    if found.left_out:
        notes.append(left_out_note(found.left_out, _width(options)))
    for line in notes:
        note(line)
    return 0


def _check(options: TableOptions) -> None:
    """Refuse options that contradict each other."""
    if options.against is not None and options.metric != "gap":
        raise RdbenchError(f"--against compares gaps: drop --metric {options.metric}")
    if options.against is not None and options.pivot:
        raise RdbenchError("--against and --pivot are two different tables: drop one of them")


def _check_latex(options: TableOptions, format: str) -> None:
    """Refuse what only LaTeX has, and a label that it would not take."""
    words = {"caption": options.caption, "label": options.label, "standalone": options.standalone}
    given = [f"--{name}" for name, value in words.items() if value not in (None, False)]
    if given and format != "latex":
        raise RdbenchError(f"{given[0]} needs --format latex, got {format}")
    around("", options.caption, options.label)


def _table(options: TableOptions, records: Sequence[CellRecord], format: str) -> Fitted:
    """The table that is asked for, out of the records that are asked for."""
    by, units, width = options.by, options.units, _width(options)
    names = None if options.estimators is None else registry.split_list(options.estimators)
    if options.against is not None:
        # It is compared with, whether or not it is to have a row.
        names = None if names is None else [*names, options.against]
        records, _ = selected(records, options.cases, names)
        return against_table(records, options.against, by, format, units, width)
    records, labels = selected(records, options.cases, names)
    if options.pivot:
        return pivot_table(records, options.metric, by, format, units, width, labels)
    return metric_table(records, options.metric, by, format, units, width)


def _width(options: TableOptions) -> int | None:
    """The characters of a line where the table goes to a terminal; None: all columns."""
    if options.verbose or options.out is not None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns
