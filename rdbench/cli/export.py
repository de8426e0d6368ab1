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
    records = (
        stored_with_draws(options.results)
        if options.what == "draws"
        else stored(options.results, blocks=options.what == "blocks")[0]
    )
    if format == "csv":
        write_csv(records, options.what, options.out)
    else:
        from rdbench.report.parquet_file import write_parquet  # here: CSV needs no pandas

        write_parquet(records, options.what, options.out)
    return 0
