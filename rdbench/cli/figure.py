"""``rdbench figure``: a selection of the records, drawn again."""

from __future__ import annotations

from rdbench import registry
from rdbench.cli import parse
from rdbench.cli.answers import axes_of, codecs_of, draw, picture_format
from rdbench.cli.options import FigureOptions
from rdbench.cli.outputs import apart_from_records
from rdbench.cli.stored import stored
from rdbench.outcomes import RdbenchError, unknown
from rdbench.report.files import writable
from rdbench.report.selection import selected
from rdbench.run.records import CellRecord

_KINDS = ("band", "excess", "gap")


def execute(options: FigureOptions) -> int:
    """Write the figure and return the exit code.

    Raises:
        RdbenchError: bad input, a selection without records, or a file that cannot be written.
    """
    axes = axes_of(options.axes, options.units)
    codecs = codecs_of(options.points, options.points_units)
    kinds = list(dict.fromkeys(part.strip() for part in options.panels.split(",")))
    for kind in kinds:
        if kind not in _KINDS:
            raise unknown("panel", kind, _KINDS)
    seeds = None if options.seeds is None else parse.integers("--seeds", options.seeds, 0)
    apart_from_records(options.out, options.results)
    picture_format(options.out)
    writable(options.out)
    records, _ = stored(options.results)
    records = _of_suites(records, options.suite)
    wanted = None if options.estimators is None else registry.split_list(options.estimators)
    records, _ = selected(records, options.cases, wanted)
    if seeds is not None:
        held = sorted({record.seed for record in records})
        records = [record for record in records if record.seed in seeds]
        if not records:
            raise RdbenchError(
                f"no record of seed {options.seeds}; stored: {', '.join(map(str, held))}"
            )
    path = draw(records, options.out, axes, codecs, kinds, options.title or "")
    print(f"picture: {path}")
    return 0


def _of_suites(records: list[CellRecord], suites: str | None) -> list[CellRecord]:
    """The records of these suites, installed or not."""
    if suites is None:
        return records
    held = sorted({record.suite for record in records})
    wanted = registry.split_list(suites)
    for name in wanted:
        if name not in held:
            raise unknown("stored suite", name, held)
    return [record for record in records if record.suite in wanted]
