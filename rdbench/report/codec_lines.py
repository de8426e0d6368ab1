"""Codecs beside R(D) as text: distances in bits and dB, BD-rates."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rdbench.band import Band
from rdbench.bracket import Bracket
from rdbench.codecs import CodecPoint, check_possible, distance
from rdbench.codecs.compare import bd_rates, contrary
from rdbench.report.answer import aligned, span
from rdbench.report.trust import number
from rdbench.report.units import nats_per


def codec_lines(points: Sequence[CodecPoint], band: Band, dim: int) -> list[str]:
    """How far every point is from R(D), and every curve from the others.

    Args:
        points: of codecs.
        band: what is known of R(D).
        dim: d of the source.

    Raises:
        RdbenchError: a point that cannot be, or bounds that contradict each other.
    """
    check_possible(points, band, dim)
    bits = nats_per("bits")
    head = ["rate (bits)", "D", "R - R(D) (bits)", *(["per dim (bits)"] if dim > 1 else []),
            "D over D(R) (dB)", "codec"]  # fmt: skip
    rows = []
    for point in points:
        found = distance(point, band, dim)
        each = [_ends(found.excess, dim * bits)] if dim > 1 else []
        rows.append(
            [number(found.rate / bits), number(found.distortion), _ends(found.excess, bits), *each,
             _ends(found.loss, 1.0), found.name]
        )  # fmt: skip
    out = ["Codecs, from the upper bound of R(D) to the lower one", "", *aligned([head, *rows], 1)]
    deltas = bd_rates(points, band, dim)
    if deltas:
        rows = [["BD-rate (%)", "codec", "against"]]
        rows += [[span(percent, 1.0), test, anchor] for test, anchor, percent in deltas]
        out += ["", *aligned(rows, 2)]
    if any(-math.inf < distance(point, band, dim).excess.lo < 0.0 for point in points):
        out += ["", "A negative end: the codec beats the best upper bound, which is loose there."]
    wrong = contrary(points)
    if wrong:
        out += [
            "",
            f"More rate, more distortion: {', '.join(wrong)}. Is the unit right (psnr:PEAK)?",
        ]
    return out


def _ends(ends: Bracket, scale: float) -> str:
    """A distance; below what is known of it where one side of R(D) is missing there."""
    if ends.hi == -math.inf or ends.lo == math.inf:
        return "-"  # of a point that loses nothing, in dB
    if ends.lo == -math.inf:
        return f"≤ {number(ends.hi / scale)}"
    if ends.hi == math.inf:
        return f"≥ {number(ends.lo / scale)}"
    return span(ends, scale)
