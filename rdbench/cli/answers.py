"""Shared by the commands that answer: options of codecs and axes, an answer, its picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rdbench.cli import parse
from rdbench.cli.looks import looks_of
from rdbench.cli.outputs import format_for
from rdbench.codecs.points import CodecPoint, read_points
from rdbench.codecs.units import NATS_SUM, Units, check_measure, parse_units
from rdbench.outcomes import RdbenchError
from rdbench.run.records import CellRecord

Case = tuple[str, str, int]
"""Suite, case, dimension."""
_ENDINGS = {".pdf": "pdf", ".png": "png", ".svg": "svg"}


def codecs_of(points: Path | None, points_units: str) -> tuple[CodecPoint, ...]:
    """The points of ``--points``; none without it.

    Raises:
        RdbenchError: a file or units that cannot be read.
    """
    units = parse_units("--points-units", points_units)
    if points is None:
        if units != NATS_SUM:
            raise RdbenchError("--points-units belongs to --points")
        return ()
    return read_points(points, units)


def axes_of(axes: str | None, units: str) -> Units:
    """The units of ``--axes``, or those of ``--units`` with summed distortion.

    Raises:
        RdbenchError: units that are none.
    """
    parse.units(units)
    return Units(rate=units) if axes is None else parse_units("--axes", axes)


def picture_format(out: Path) -> str:
    """The format that the ending of a picture stands for.

    Raises:
        RdbenchError: another ending.
    """
    return format_for(out, None, _ENDINGS, "png", by_option=False)


def by_case(records: Sequence[CellRecord]) -> dict[Case, list[CellRecord]]:
    """The records of every case."""
    found: dict[Case, list[CellRecord]] = {}
    for record in records:
        found.setdefault((record.suite, record.case, record.dim), []).append(record)
    return dict(sorted(found.items(), key=lambda item: (item[0][0], item[0][2], item[0][1])))


def one_case_of(records: Sequence[CellRecord], codecs: Sequence[CodecPoint]) -> None:
    """Refuse codecs beside several cases: they belong to one source.

    Raises:
        RdbenchError: there are several.
    """
    cases = by_case(records)
    if codecs and len(cases) > 1:
        listed = ", ".join(f"{suite}/{case}" for suite, case, _ in list(cases)[:6])
        more = ", ..." if len(cases) > 6 else ""
        raise RdbenchError(
            f"the points of a codec belong to one case: choose it by --cases out of {listed}{more}"
        )


def reply(
    records: Sequence[CellRecord],
    codecs: Sequence[CodecPoint] = (),
    *,
    rates: Sequence[float] | None = None,
    distortions: Sequence[float] | None = None,
    units: str = "nats",
) -> list[str]:
    """The answers of the cases of the records as lines of text, with the codecs beside them.

    Args:
        records: cells of one or several cases.
        codecs: operational points, with one case.
        rates: where D is wanted, in nats.
        distortions: where R is wanted, summed.
        units: ``nats`` or ``bits``.

    Raises:
        RdbenchError: a codec that cannot be.
    """
    from rdbench.cli.truth import TruthSources, known_band
    from rdbench.report.answer import answer, lines
    from rdbench.report.codec_lines import codec_lines

    one_case_of(records, codecs)
    out: list[str] = []
    sources = TruthSources()
    for own in by_case(records).values():
        for point in codecs:
            check_measure(point.units, own[0].distortion)
        known = known_band(own, sources)
        found = answer(own, rates=rates, distortions=distortions, known=known)
        out += ["", *lines(found, units)] if out else lines(found, units)
        if codecs:
            out += ["", *codec_lines(codecs, found.band, found.dim)]
    return out


def draw(
    records: Sequence[CellRecord],
    out: Path,
    units: Units,
    codecs: Sequence[CodecPoint] = (),
    kinds: Sequence[str] = ("band",),
    title: str = "",
) -> Path:
    """Draw records again; see `rdbench.report.drawn_again.draw_again`."""
    from rdbench.cli.truth import TruthSources, known_band
    from rdbench.report.drawn_again import draw_again

    one_case_of(records, codecs)
    sources = TruthSources()
    return draw_again(
        records,
        out,
        kinds=kinds,
        units=units,
        codecs=codecs,
        looks=looks_of(records),
        sources=sources,
        known=lambda own: known_band(own, sources),
        title=title,
    )
