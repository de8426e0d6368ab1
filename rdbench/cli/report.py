"""``rdbench report``: one page of all results."""

from __future__ import annotations

from rdbench import registry
from rdbench.cli import parse
from rdbench.cli.looks import looks_of
from rdbench.cli.options import ReportOptions
from rdbench.cli.outputs import apart_from_records
from rdbench.cli.stored import stored_for_page
from rdbench.cli.truth import TruthSources
from rdbench.report.files import writable
from rdbench.report.page.render import render, write


def execute(options: ReportOptions) -> int:
    """Write the page and return the exit code.

    Raises:
        RdbenchError: bad input, or a page that cannot be written.
    """
    parse.units(options.units)
    apart_from_records(options.out, options.results)
    writable(options.out)
    records, warnings = stored_for_page(options.results)
    # The page may travel further than the folder: it does not say where that was.
    warnings = [line.replace(f"{options.results}/", "") for line in warnings]
    with registry.settled():
        truth = TruthSources()
        page = render(
            records, options.title, options.units, looks_of(records), warnings, truth,
            truth.is_finite,
        )  # fmt: skip
    size = write(page, options.out)
    points = sum(len(record.points) for record in records)
    print(f"page: {options.out} ({_size(size)}; {len(records)} cells, {points} points)")
    return 0


def _size(n: int) -> str:
    return f"{n / 1e6:.2f} MB" if n >= 1e6 else f"{n / 1e3:.0f} kB"
