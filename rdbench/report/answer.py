"""The answer for one case: R at given D or D at given R, from both sides, and whom to trust."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rdbench.band import Band, Reached, bounds_above, bounds_below, half_above
from rdbench.bracket import Bracket
from rdbench.outcomes import SCORED
from rdbench.report.style import estimator_label
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord

NO_LOWER = (
    "There is no lower bound: nothing says how far below R(D) lies. `rdbench run` with --sandwich "
    "gives every upper bound its lower twin."
)
NO_UPPER = (
    "There is no audited upper bound: an audit of side `exact` or `upper` is needed, and none of "
    "these rows has one."
)
_EXACT = 1e-9
_OWN = 8
"""At most so many points of its own that an answer chooses."""


@dataclass(frozen=True)
class Known:
    """R at one D, or D at one R, in nats and summed distortion.

    ``ends`` are trusted, ``middle`` the estimate from above without its interval (NaN where there
    is none). ``below`` and ``above`` say who gives the ends.
    """

    distortion: Bracket
    rate: Bracket
    middle: float
    below: str
    above: str


@dataclass(frozen=True)
class Answer:
    """What the records of a case say of its R(D).

    ``band`` is what the truth and the estimators prove together. ``at_distortions`` have their
    upper end from the estimators alone, where there is one.
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
    known = known or Band()
    whole = Band.of_records(records).also(known)
    audited = Band.of_records(records, truth=False)
    middle = Band.of_records(records, truth=False, trusted=False).also(Band(silent=known.silent))
    reached = audited.reached or whole.reached
    shown = Band(whole.tangents, reached, known.silent)
    crossing = shown.crossing
    if distortions is None and rates is None:
        distortions = _own(shown)
    if crossing is not None:  # no number of a band that is false is worth anything
        distortions = rates = ()
    at_d = tuple(_at_distortion(shown, middle, d) for d in distortions or ())
    at_r = tuple(_at_rate(shown, middle, r) for r in rates or ())
    return Answer(
        first.suite, first.case, first.dim, first.distortion, whole, at_d, at_r,
        _sentences(records, shown, audited, [*at_d, *at_r]),
    )  # fmt: skip


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
        head = ["D", *(["D/d"] if each else []), f"R ≥ ({units})", f"R ≤ ({units})", "estimate",
                "left", f"R ({other})", *(["R/d (nats)", "R/d (bits)"] if each else []),
                "from below by", "from above by"]  # fmt: skip
        rows = [_of_distortion(k, found.dim, scale, nats_per(other)) for k in found.at_distortions]
        out += ["", *aligned([head, *rows], 2)]
    if found.at_rates:
        head = [f"R ({units})", f"R ({other})", "D ≥", "D ≤", "left (dB)",
                *(["D/d"] if each else []), "from below by", "from above by"]  # fmt: skip
        rows = [_of_rate(k, found.dim, scale, nats_per(other)) for k in found.at_rates]
        out += ["", *aligned([head, *rows], 2)]
    return [*out, "", *found.sentences]


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


def number(value: float) -> str:
    """Four significant digits, no fewer than three decimals up to a thousand."""
    if not math.isfinite(value):
        return "-" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if 1e-3 <= abs(value) < 1e3 or value == 0.0:
        return f"{value:.4f}"
    return f"{value:.4g}"


def _own(band: Band) -> list[float]:
    """Distortions of the vertices of the upper side, a few of them, from low rates to high ones."""
    kept: list[Reached] = []
    for one in reversed(band.reached):
        # Of several estimators at one slope one is enough.
        if one.rate > (1.1 * kept[-1].rate if kept else 0.0):
            kept.append(one)
    if len(kept) > _OWN:
        kept = [kept[round(k * (len(kept) - 1) / (_OWN - 1))] for k in range(_OWN)]
    return [one.distortion for one in kept]


def _at_distortion(band: Band, middle: Band, d: float) -> Known:
    best = float(middle.most(np.array([d]))[0])
    return Known(
        Bracket.exact(d), band.rate(d), best if math.isfinite(best) else math.nan, band.below(d),
        band.above(d),
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
        number(k.middle / scale), number(k.rate.width / scale), span(k.rate, other), *parts,
        k.below or "-", k.above or "-",
    ]  # fmt: skip


def _of_rate(k: Known, dim: int, scale: float, other: float) -> list[str]:
    d = k.distortion
    left = 10.0 * math.log10(d.hi / d.lo) if d.lo > 0.0 and math.isfinite(d.hi) else math.inf
    return [
        number(k.rate.lo / scale), number(k.rate.lo / other), number(d.lo), number(d.hi),
        number(left), *([span(d, dim)] if dim > 1 else []), k.below or "-", k.above or "-",
    ]  # fmt: skip


# --------------------------------------------------------------------------------------------
# whom to trust, and why


def _sentences(
    records: Sequence[CellRecord], shown: Band, audited: Band, found: Sequence[Known]
) -> tuple[str, ...]:
    out = [_upper(records, audited, found), _lower(records, shown, found)]
    out += _uncounted(records)
    widths = [k.rate.width for k in found if k.rate.width and math.isfinite(k.rate.width)]
    if widths and shown.tangents:
        most = max(widths)
        out.append(
            f"Between the two at most {number(most)} nats ({number(most / nats_per('bits'))} bits) "
            "are left here; the ends of all rows hold at once in 95% of cases."
        )
    out += _limits(records, found)
    crossing = shown.crossing
    if crossing is not None:
        out.append(
            f"The bounds contradict each other: {crossing.by} at D = {crossing.distortion:.4g}, by "
            f"{crossing.rate:.3g} nats. One is false."
        )
    return tuple(out)


def _upper(records: Sequence[CellRecord], audited: Band, found: Sequence[Known]) -> str:
    if not audited.reached:
        return NO_UPPER
    votes = Counter(
        name for k in found for name in k.above.split(", ") if name and not _is_truth(name)
    ) or Counter(one.by for one in audited.reached)
    best, count = votes.most_common(1)[0]
    points = [p for r in records if estimator_label(r) == best for p in r.points if bounds_above(p)]
    sides = " or ".join(sorted({str(p.side) for p in points}))
    means = (
        "its audit is of F(q) itself" if sides == "exact"
        else "its audit can only err upwards, so that F(q) may be less"
    )  # fmt: skip
    methods = ", ".join(sorted({p.audit_method for p in points if p.audit_method})) or "unknown"
    width = max((half_above(p) or 0.0 for p in points), default=0.0)
    interval = f"within {number(width)} nats (95%)" if width > _EXACT else "by exact sums"
    return (
        f"From above trust {best}: it gives the least upper end ({count} of {len(found)} here); "
        f"side {sides}: {means}, known {interval}; method {methods}."
    )


def _lower(records: Sequence[CellRecord], shown: Band, found: Sequence[Known]) -> str:
    if not shown.tangents:
        return NO_LOWER
    votes = Counter(k.below for k in found if k.below) or Counter(t.by for t in shown.tangents)
    best = votes.most_common(1)[0][0]
    if _is_truth(best):
        return f"From below stands what is known of F*: {best}."
    rows = [p for r in records if estimator_label(r) == best for p in r.points if bounds_below(p)]
    evidence = " or ".join(sorted({str(e) for p in rows if (e := getattr(p, "evidence", None))}))
    return f"From below trust {best}: {evidence or 'audited'} lower bound."


def _uncounted(records: Sequence[CellRecord]) -> list[str]:
    """The estimators of which no row bounds anything, though there are results."""
    by: dict[str, list[bool]] = {}
    for record in records:
        for p in record.points:
            if p.status in SCORED and p.lagrangian is not None:
                by.setdefault(estimator_label(record), []).append(
                    bounds_above(p) or bounds_below(p)
                )
    left_out = sorted(name for name, counted in by.items() if not any(counted))
    if not left_out:
        return []
    return [
        f"Not counted: {', '.join(left_out)}. The side of their audits is `estimate` (neither end "
        "is guaranteed), or they have no interval."
    ]


def _limits(records: Sequence[CellRecord], found: Sequence[Known]) -> list[str]:
    """What a fixed training set cannot say."""
    sizes = {record.n_train for record in records if record.n_train}
    if not sizes:
        return []
    n = max(sizes)
    beyond = [k for k in found if k.rate.hi > math.log(n) - 1.0 and math.isfinite(k.rate.hi)]
    text = (
        f"The fits saw n = {n:,} symbols: no channel through them carries more than log n = "
        f"{number(math.log(n))} nats, and upper bounds get loose from about one nat below."
    )
    return [text + (f" That concerns {len(beyond)} of the points here." if beyond else "")]


def _is_truth(name: str) -> bool:
    return name.startswith("truth")
