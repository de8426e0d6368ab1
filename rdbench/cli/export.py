"""``rdbench export``: tidy rows of all results."""

from __future__ import annotations

from rdbench.cli.options import ExportOptions
from rdbench.cli.outputs import apart_from_records, format_for
from rdbench.cli.stored import stored, stored_with_draws
from rdbench.report.csv_file import write_csv

_ENDINGS = {".csv": "csv", ".parquet": "parquet"}


def execute(options: ExportOptions) -> int:
    """Write the rows and return the exit code.

    Raises:
        RdbenchError: bad input, or a file that cannot be written.
    """
    apart_from_records(options.out, options.results)
    format = format_for(options.out, options.format, _ENDINGS, "csv")
    with_draws = options.what == "draws"
    if with_draws and format == "csv":
        write_csv(stored_with_draws(options.results), options.what, options.out)
        return 0
    records, _ = stored(options.results, draws=with_draws, blocks=options.what == "blocks")
    if format == "csv":
        write_csv(records, options.what, options.out)
    else:
        from rdbench.report.export import frame, write  # here: CSV needs no pandas

        write(frame(records, options.what), format, options.out)
    return 0
