"""The answer for one case: R at given D or D at given R, from both sides, and whom to trust."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rdbench.band import Band, Reached
from rdbench.bracket import Bracket
from rdbench.report.trust import Known, number, sentences
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord

_OWN = 8
"""At most so many points of its own that an answer chooses."""


@dataclass(frozen=True)
class Answer:
    """What the records of a case say of its R(D).

    ``band`` is what the truth and the estimators prove together. The ends of ``at_distortions`` and
    ``at_rates`` are of the estimators alone, where they have any; else of the truth.
    """

    suite: str
    case: str
    dim: int
    measure: str
    band: Band
    at_distortions: tuple[Known, ...]
    at_rates: tuple[Known, ...]
    sentences: tuple[str, ...]


def answer(
    records: Sequence[CellRecord],
    *,
    rates: Sequence[float] | None = None,
    distortions: Sequence[float] | None = None,
    known: Band | None = None,
) -> Answer:
    """The answer from the records of one case.

    Args:
        records: its cells.
        rates: where D is wanted, in nats.
        distortions: where R is wanted, summed. Neither: R where the upper bounds were audited.
        known: what is known of R(D) beside the records; None for nothing.

    Returns:
        The answer; without numbers, and saying so, where two bounds contradict each other.
    """
    first = records[0]
    shown, whole = sides(records, known)
    audited = Band.of_records(records, truth=False)
    silent = Band(silent=whole.silent)
    middle = Band.of_records(records, truth=False, trusted=False).also(silent)
    beside = whole if audited.tangents and whole.tangents != audited.tangents else None
    crossing = shown.crossing or whole.crossing
    if distortions is None and rates is None:
        distortions = _own(shown)
    if crossing is not None:  # no number of a band that is false is worth anything
        distortions = rates = ()
    at_d = tuple(_at_distortion(shown, middle, beside, d) for d in distortions or ())
    at_r = tuple(_at_rate(shown, middle, r) for r in rates or ())
    return Answer(
        first.suite, first.case, first.dim, first.distortion, whole, at_d, at_r,
        sentences(records, shown, audited, [*at_d, *at_r], crossing),
    )  # fmt: skip


def sides(records: Sequence[CellRecord], known: Band | None = None) -> tuple[Band, Band]:
    """What the estimators prove, each side from the truth where they prove nothing; and all of it.

    Args:
        records: cells of one case.
        known: what is known of R(D) beside the records; None for nothing.
    """
    whole = Band.of_records(records).also(known or Band())
    own = Band.of_records(records, truth=False)
    shown = Band(own.tangents or whole.tangents, own.reached or whole.reached, whole.silent)
    return shown, whole


def lines(found: Answer, units: str) -> list[str]:
    """The answer as text in columns: in nats and in bits, per symbol and per dimension.

    Args:
        found: as `answer` gave it.
        units: ``nats`` or ``bits``, for the columns of each end.

    Raises:
        RdbenchError: the unit is unknown.
    """
    scale = nats_per(units)
    other = "bits" if units == "nats" else "nats"
    out = [f"R(D) of {found.suite}/{found.case} (d = {found.dim}, {found.measure}), per symbol"]
    each = found.dim > 1
    if found.at_distortions:
        known = [f"truth ({units})"] if _beside(found) else []
        head = ["D", *(["D/d"] if each else []), f"R ≥ ({units})", f"R ≤ ({units})", "estimate",
                "left", *known, f"R ({other})", *(["R/d (nats)", "R/d (bits)"] if each else []),
                "from below by", "from above by"]  # fmt: skip
        rows = [_of_distortion(k, found.dim, scale, nats_per(other)) for k in found.at_distortions]
        out += ["", *aligned([head, *rows], 2)]
    if found.at_rates:
        head = [f"R ({units})", f"R ({other})", "D ≥", "D ≤", "left (dB)",
                *(["D/d"] if each else []), "from below by", "from above by"]  # fmt: skip
        rows = [_of_rate(k, found.dim, scale, nats_per(other)) for k in found.at_rates]
        out += ["", *aligned([head, *rows], 2)]
    return [*out, "", *found.sentences]


def _beside(found: Answer) -> bool:
    """Whether the truth stands beside both ends of the estimators."""
    return any(k.truth is not None for k in found.at_distortions)


def aligned(rows: Sequence[Sequence[str]], texts: int) -> list[str]:
    """Rows of cells in columns, flush right but for the last ``texts`` of them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = len(widths) - texts
    return [
        "  ".join(
            cell.rjust(width) if k < numbers else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def span(ends: Bracket, scale: float) -> str:
    """``[lo, hi]``, or one number where they are one, in the unit of ``scale``."""
    lo, hi = number(ends.lo / scale), number(ends.hi / scale)
    return lo if lo == hi else f"[{lo}, {hi}]"


def _own(band: Band) -> list[float]:
    """Distortions of the vertices of the upper side, a few of them, from low rates to high ones."""
    kept: list[Reached] = []
    for one in reversed(band.reached):
        # Of several estimators at one slope one is enough.
        if one.rate > (1.1 * kept[-1].rate if kept else 0.0):
            kept.append(one)
    kept = kept or [*band.reached[-1:]]
    if len(kept) > _OWN:
        kept = [kept[round(k * (len(kept) - 1) / (_OWN - 1))] for k in range(_OWN)]
    return [one.distortion for one in kept]


def _at_distortion(band: Band, middle: Band, beside: Band | None, d: float) -> Known:
    rate = band.rate(d)
    best = min(float(middle.most(np.array([d]))[0]), rate.hi)
    return Known(
        Bracket.exact(d), rate, best if math.isfinite(best) else math.nan, band.below(d),
        band.above(d), None if beside is None else beside.rate(d),
    )  # fmt: skip


def _at_rate(band: Band, middle: Band, rate: float) -> Known:
    d = band.distortion(rate)
    return Known(
        d, Bracket.exact(rate), middle.distortion(rate).hi if middle.reached else math.nan,
        band.below(d.lo), band.above(d.hi) if math.isfinite(d.hi) else "",
    )  # fmt: skip


def _of_distortion(k: Known, dim: int, scale: float, other: float) -> list[str]:
    each = [number(k.distortion.lo / dim)] if dim > 1 else []
    parts = [span(k.rate, dim * nats_per(one)) for one in ("nats", "bits")] if dim > 1 else []
    return [
        number(k.distortion.lo), *each, number(k.rate.lo / scale), number(k.rate.hi / scale),
        number(k.middle / scale), number(k.rate.width / scale),
        *([] if k.truth is None else [span(k.truth, scale)]), span(k.rate, other), *parts,
        k.below or "-", k.above or "-",
    ]  # fmt: skip


def _of_rate(k: Known, dim: int, scale: float, other: float) -> list[str]:
    d = k.distortion
    left = 10.0 * math.log10(d.hi / d.lo) if d.lo > 0.0 and math.isfinite(d.hi) else math.inf
    return [
        number(k.rate.lo / scale), number(k.rate.lo / other), number(d.lo), number(d.hi),
        number(left), *([span(d, dim)] if dim > 1 else []), k.below or "-", k.above or "-",
    ]  # fmt: skip
