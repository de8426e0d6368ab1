"""``rdbench table``: one metric, or the gap against one estimator."""

from __future__ import annotations

from rdbench.cli.messages import note
from rdbench.cli.options import TableOptions
from rdbench.cli.outputs import apart_from_records, format_for, write_text
from rdbench.cli.stored import stored
from rdbench.outcomes import RdbenchError

_ENDINGS = {".md": "md", ".tex": "latex", ".csv": "csv", ".html": "html"}


def execute(options: TableOptions) -> int:
    """Print or write the table and return the exit code.

    Raises:
        RdbenchError: bad input, or a file that cannot be written.
    """
    apart_from_records(options.out, options.results)
    format = format_for(options.out, options.format, _ENDINGS, "md")
    if options.against is not None:
        from rdbench.report.against import against_table

        if options.metric != "gap":
            raise RdbenchError(f"--against compares gaps: drop --metric {options.metric}")
        records = stored(options.results)
        found = against_table(records, options.against, options.by, format, options.units)
        text, notes = found.text, found.notes
    else:
        from rdbench.report.tables import metric_table

        records = stored(options.results)
        text = metric_table(records, options.metric, options.by, format, options.units)
        notes = ()
    if options.out is None:
        print(text.rstrip("\n"))
    else:
        write_text(text.rstrip("\n") + "\n", options.out)
    for line in notes:
        note(line)
    return 0
