"""``rdbench answer``: R(D) of the stored cases from both sides, and codecs beside it."""

from __future__ import annotations

from rdbench import registry
from rdbench.cli import parse
from rdbench.cli.answers import axes_of, codecs_of, draw, picture_format, reply
from rdbench.cli.options import AnswerOptions
from rdbench.cli.outputs import apart_from_records
from rdbench.cli.stored import stored
from rdbench.outcomes import RdbenchError
from rdbench.report.files import writable
from rdbench.report.selection import selected
from rdbench.report.units import nats_per


def execute(options: AnswerOptions) -> int:
    """Print the answers, draw them if asked, and return the exit code.

    Raises:
        RdbenchError: bad input, a codec that cannot be, or a picture that cannot be written.
    """
    axes = axes_of(options.axes, options.units)
    codecs = codecs_of(options.points, options.points_units)
    if options.out is None and options.axes is not None:
        raise RdbenchError("--axes belongs to --out: the units of a picture")
    rates = distortions = None
    if options.rates is not None:
        scale = nats_per(options.units)
        rates = [scale * one for one in parse.positive_numbers("--rates", options.rates)]
    if options.distortions is not None:
        distortions = parse.positive_numbers("--distortions", options.distortions)
    if options.out is not None:
        apart_from_records(options.out, options.results)
        picture_format(options.out)
        writable(options.out)
    records, _ = stored(options.results)
    wanted = None if options.estimators is None else registry.split_list(options.estimators)
    records, _ = selected(records, options.cases, wanted)
    text = reply(records, codecs, rates=rates, distortions=distortions, units=options.units)
    print("\n".join(text))
    if options.out is not None:
        print(f"\npicture: {draw(records, options.out, axes, codecs)}")
    return 0
