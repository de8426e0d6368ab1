"""``rdbench table``: one metric, or the gap against one estimator."""

from __future__ import annotations

import shutil
import sys

from rdbench.cli.messages import note
from rdbench.cli.options import TableOptions
from rdbench.cli.outputs import apart_from_records, format_for
from rdbench.cli.stored import stored
from rdbench.outcomes import RdbenchError
from rdbench.report.against import against_table
from rdbench.report.files import write_whole
from rdbench.report.markup import left_out_note
from rdbench.report.tables import metric_table

_ENDINGS = {".md": "md", ".tex": "latex", ".csv": "csv", ".html": "html"}


def execute(options: TableOptions) -> int:
    """Print or write the table and return the exit code.

    Raises:
        RdbenchError: bad input, or a file that cannot be written.
    """
    if options.against is not None and options.metric != "gap":
        raise RdbenchError(f"--against compares gaps: drop --metric {options.metric}")
    apart_from_records(options.out, options.results)
    format = format_for(options.out, options.format, _ENDINGS, "md")
    by, units, width = options.by, options.units, _width(options)
    records, _ = stored(options.results)
    if options.against is not None:
        found = against_table(records, options.against, by, format, units, width)
    else:
        found = metric_table(records, options.metric, by, format, units, width)
    if options.out is None:
        print(found.text.rstrip("\n"))
    else:
        write_whole(f"{found.text.rstrip()}\n".encode(), options.out)
    notes = [*found.notes]
    if found.left_out:
        notes.append(left_out_note(found.left_out, width))
    for line in notes:
        note(line)
    return 0


def _width(options: TableOptions) -> int | None:
    """The characters of a line where the table goes to a terminal; None: all columns."""
    if options.verbose or options.out is not None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns
