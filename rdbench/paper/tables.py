"""The table of one figure: what the audit found of every estimator on every case."""

from __future__ import annotations

from collections.abc import Sequence

from rdbench.paper.cells import Found
from rdbench.paper.markup import Sheet
from rdbench.paper.numbers import (
    Row,
    best,
    conditional_ends,
    leaders,
    mean_text,
    number,
    point_text,
    rate_text,
    rows_of,
    samples,
    span,
    state,
    worst_point,
)
from rdbench.report.summary import SCORED, Interval, abscissa
from rdbench.report.units import nats_per

RULE = (
    "Bold gaps: the best of the case and all that are not significantly worse, by the 95% interval "
    "of the difference to the best on the same symbols (by the intervals of both in records of "
    "before schema 3). They have a gap at every slope. Audited values are compared: a gap that is "
    "only bounded from above (≤) may be smaller than it looks."
)
CONDITIONAL_RULE = (
    "Bold error of p(y|x): the one whose 95% interval lies wholly below that of every other "
    "estimator of the case, on the slopes at which both have one."
)
POPULATION = (
    "Every gap is of q on the population: fresh draws or exact integrals, against the exact curve, "
    "whatever q was trained on."
)
UPPER = (
    "≤ x: an upper bound was estimated, x is its 95% upper end; how far below the gap lies is not "
    "known."
)
WORST = (
    "The worst gap is the largest of noisy numbers, with the interval of that one point: it leans "
    "upwards."
)
RATE_ERROR = (
    "R − R(D), the largest of a row in magnitude, sets an estimate of R against the curve at an "
    "estimate of D. Its interval contains the noise of both and the width of the truth; records "
    "of before schema 3 have none, and no number here."
)
NOTES = (RULE, CONDITIONAL_RULE, POPULATION, UPPER, WORST, RATE_ERROR)
"""What holds for the tables of all figures."""
_NUMBERS = (
    "estimator", "seeds", "ok", "gap", "worst gap", "at R", "side", "R − R(D)",
    "error of p(y|x)", "floor", "mode mass", "CPU s", "source samples",
)  # fmt: skip
_GAP, _CONDITIONAL = 4, 9
_CSV = (
    "case", "estimator", "seeds", "points", "ok", "scored", "gap_mean", "gap_lo", "gap_hi", "side",
    "worst_gap", "worst_lo", "worst_hi", "worst_at_rate", "rate_error", "conditional_error",
    "conditional_lo", "conditional_hi", "conditional_floor", "mode_mass_error", "cpu_s",
    "n_source_samples", "best_gap", "best_conditional", "state",
)  # fmt: skip
_IN_UNITS = frozenset(
    {
        "gap_mean", "gap_lo", "gap_hi", "worst_gap", "worst_lo", "worst_hi", "worst_at_rate",
        "rate_error",
    }
)  # fmt: skip


def part_table(found: Found, units: str) -> Sheet:
    """The table of one figure: one row per case and estimator.

    Args:
        found: the part and its records.
        units: ``nats`` or ``bits``, for gaps and rates.

    Raises:
        RdbenchError: an unknown unit.
    """
    scale = nats_per(units)
    rows = rows_of(found)
    winners = {case: _winners([r for r in rows if r.case == case]) for case in found.part.cases}
    bold = set()
    for i, row in enumerate(rows):
        gap, conditional = winners[row.case]
        bold |= {(i, _GAP)} if row.label in gap else set()
        bold |= {(i, _CONDITIONAL)} if conditional == row.label else set()
    texts = [(row.case, row.label, *_texts(row, scale)) for row in rows]
    shown = [i for i, row in enumerate(rows) if i == 0 or rows[i - 1].case != row.case]
    return Sheet(
        name=f"table-{found.part.name}",
        title=f"Figure {found.part.name}: {found.part.title}",
        header=("case", *(_with_unit(name, units) for name in _NUMBERS)),
        rows=tuple(t if i in shown else ("", *t[1:]) for i, t in enumerate(texts)),
        numeric=(False, False, *[True] * (len(_NUMBERS) - 1)),
        csv_header=tuple(f"{n}_{units}" if n in _IN_UNITS else n for n in _CSV),
        csv_rows=tuple(_csv_row(row, winners[row.case], scale) for row in rows),
        bold=frozenset(bold),
        notes=(*NOTES, *stale_notes([found])),
    )


def _with_unit(name: str, units: str) -> str:
    if name in ("gap", "worst gap"):
        return f"{name} ({units}) [95%]"
    if name == "error of p(y|x)":
        return f"{name} [95%]"
    return f"{name} ({units})" if name in ("at R", "R − R(D)") else name


Winners = tuple[frozenset[str], str | None]
"""Whose gap is bold, and whose error of p(y|x)."""


def _winners(rows: Sequence[Row]) -> Winners:
    return leaders(rows), best(rows, conditional_ends)


def _texts(row: Row, scale: float) -> list[str]:
    if not row.records:
        return ["0", "not run", *["-"] * (len(_NUMBERS) - 3)]
    found, worst = row.summary, worst_point(row.points)
    conditional = found.conditional
    answered = any(point.status in SCORED for point in row.points)  # a refusal costs nothing
    gap = mean_text(found.gap, found.is_upper, scale) if found.scored else state(row)
    if found.scored not in (0, found.points):
        gap += f" (of {found.scored})"
    error = "-"
    if conditional is not None and conditional.error is not None:
        error = f"{number(conditional.error)} {span(conditional.lo, conditional.hi)}".rstrip()
    return [
        str(found.seeds),
        f"{found.ok}/{found.points}",
        gap,
        point_text(worst, scale),
        rate_text(worst, scale),
        ", ".join(found.sides) or "-",
        _rate_error(found.rate_error, scale),
        error,
        number(None if conditional is None else conditional.floor),
        number(None if conditional is None else conditional.mode_mass),
        number(found.cpu_s if answered else None),
        _count(samples(row) if answered else None),
    ]


def _rate_error(found: Interval, scale: float) -> str:
    return f"{number(found.mean, scale)} {span(found.lo, found.hi, scale)}".rstrip()


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}".replace(",", " ")


def _csv_row(row: Row, winners: Winners, scale: float) -> tuple[str, ...]:
    found, worst = row.summary, worst_point(row.points)
    conditional = found.conditional
    values: dict[str, object] = {
        "case": row.case,
        "estimator": row.label,
        "seeds": found.seeds,
        "points": found.points,
        "ok": found.ok,
        "scored": found.scored,
        "gap_mean": found.gap.mean,
        "gap_lo": found.gap.lo,
        "gap_hi": found.gap.hi,
        "side": "+".join(found.sides),
        "worst_gap": worst and worst.gap,
        "worst_lo": worst and (None if worst.side == "upper" else worst.gap_lo),
        "worst_hi": worst and worst.gap_hi,
        "worst_at_rate": worst and abscissa(worst),
        "rate_error": found.rate_error.mean,
        "conditional_error": conditional and conditional.error,
        "conditional_lo": conditional and conditional.lo,
        "conditional_hi": conditional and conditional.hi,
        "conditional_floor": conditional and conditional.floor,
        "mode_mass_error": conditional and conditional.mode_mass,
        "cpu_s": found.cpu_s,
        "n_source_samples": samples(row),
        "best_gap": int(row.label in winners[0]),
        "best_conditional": int(winners[1] == row.label),
        "state": state(row),
    }
    return tuple(raw(values[name], scale if name in _IN_UNITS else 1.0) for name in _CSV)


def raw(value: object, scale: float = 1.0) -> str:
    """A value of a CSV file, with every digit; empty where nothing is known."""
    if value is None:
        return ""
    return repr(value / scale) if isinstance(value, float) else str(value)


def stale_notes(found: Sequence[Found]) -> list[str]:
    """What is shown by records of earlier code."""
    titles = list(dict.fromkeys(title for one in found for title in one.stale))
    return [f"By earlier code: {'; '.join(titles)}."] if titles else []
