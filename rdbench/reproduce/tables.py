"""The table of one figure: what the audit found of every estimator on every case."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rdbench.report.paired import Entrant, standing
from rdbench.report.scores import SCORED, Worst
from rdbench.report.style import estimator_label
from rdbench.report.summary import Summary, summarise
from rdbench.report.units import nats_per
from rdbench.reproduce.paper import Found
from rdbench.reproduce.sheet import Sheet, number, plain, with_span
from rdbench.run.records import CellRecord

RULE = (
    "Bold gaps: the best of the case and all that are not significantly worse, by the 95% interval "
    "of the difference to the best on the same symbols. Only an estimator with a gap at every "
    "slope can be bold. Audited values are compared: a gap that is only bounded from above (≤) may "
    "be smaller than it looks."
)
POPULATION = (
    "Every gap is of q on the population (fresh draws or exact integrals) and against the exact "
    "curve, whatever q was trained on."
)
NOTES = (
    RULE,
    POPULATION,
    "≤ x: an upper bound was estimated, and x is its 95% upper end. How far below x the gap lies "
    "is not known.",
    "The worst gap is the largest of several noisy numbers, so it leans upwards. Its interval is "
    "of the largest true gap, and is valid all the same.",
    "R − R(D), the one of largest magnitude on the ladder: an estimate of R against the curve at "
    "an estimate of D. Its interval contains the noise of both and the width of the truth.",
    "Records from before schema 3 have no interval of R − R(D), so no number is shown, and their "
    "gaps are compared by the intervals of both.",
)
"""Notes to the tables of all figures."""
_GAP = 4  # the column that is set bold
_CSV = (
    "case", "estimator", "seeds", "points", "ok", "scored", "gap_mean", "gap_lo", "gap_hi", "side",
    "worst_gap", "worst_lo", "worst_hi", "worst_at_rate", "rate_error", "conditional_error",
    "conditional_lo", "conditional_hi", "conditional_floor", "mode_mass_error", "cpu_s",
    "n_source_samples", "best_gap", "state",
)  # fmt: skip
_IN_UNITS = ("gap_", "worst_", "rate_error")


@dataclass(frozen=True)
class Row:
    """The records of one estimator on one case, all seeds; none where it was not run."""

    case: str
    label: str
    records: tuple[CellRecord, ...]

    @property
    def summary(self) -> Summary:
        """Means, intervals and counts over the points."""
        return summarise(self.records)

    @property
    def state(self) -> str:
        """The words for a row without a number: ``not run``, or how its points ended."""
        ended = Counter(point.status for record in self.records for point in record.points)
        if not ended:
            return self.records[0].status.replace("_", " ") if self.records else "not run"
        return ", ".join(
            f"{'no gap' if status in SCORED else status.replace('_', ' ')} {count}/{ended.total()}"
            for status, count in ended.most_common()
        )


def rows_of(found: Found) -> list[Row]:
    """One row for every case and estimator of the part, run or not."""
    held: dict[tuple[str, str], list[CellRecord]] = {
        (case, label): [] for case in found.part.cases for label in found.part.estimators
    }
    for record in found.records:
        held.get((record.case, estimator_label(record)), []).append(record)
    return [Row(case, label, tuple(records)) for (case, label), records in held.items()]


def leaders(rows: Sequence[Row]) -> frozenset[str]:
    """Of the rows of one case, the labels of the best gap and of all not significantly worse."""
    entrants = {
        row.label: Entrant(
            tuple((record, point) for record in row.records for point in record.points),
            whole=all(record.points for record in row.records),
        )
        for row in rows
    }
    found = standing(entrants)
    return frozenset() if found is None else found.leaders


def part_table(found: Found, units: str) -> Sheet:
    """The table of one part: one row per case and estimator.

    Args:
        found: the part and its records.
        units: ``nats`` or ``bits``, for gaps and rates.

    Raises:
        RdbenchError: an unknown unit.
    """
    scale = nats_per(units)
    rows = rows_of(found)
    best = {c: leaders([row for row in rows if row.case == c]) for c in found.part.cases}
    texts, values = [], []
    for i, row in enumerate(rows):
        case = "" if i and rows[i - 1].case == row.case else row.case
        texts.append((case, row.label, *_texts(row, scale)))
        values.append(_values(row, row.label in best[row.case], scale))
    header = (
        "case", "estimator", "seeds", "ok", f"gap ({units}) [95%]", f"worst gap ({units}) [95%]",
        f"at R ({units})", "side", f"R − R(D) ({units})", "error of p(y|x) [95%]", "floor",
        "mode mass", "CPU s", "source samples",
    )  # fmt: skip
    return Sheet(
        name=f"table-{found.part.name}",
        title=f"Figure {found.part.name}: {found.part.title}",
        header=header,
        rows=tuple(texts),
        numeric=(False, False, *[True] * (len(header) - 2)),
        csv_header=tuple(f"{n}_{units}" if n.startswith(_IN_UNITS) else n for n in _CSV),
        csv_rows=tuple(values),
        bold=frozenset((i, _GAP) for i, row in enumerate(rows) if row.label in best[row.case]),
        notes=(*NOTES, *stale_notes([found])),
    )


def _texts(row: Row, scale: float) -> list[str]:
    if not row.records:
        return ["0", "not run", *["-"] * 10]
    found = row.summary
    known = found.conditional
    answered = any(p.status in SCORED for r in row.records for p in r.points)
    drawn = _samples(row)
    return [
        str(found.seeds),
        f"{found.ok}/{found.points}",
        gap_text(row, scale),
        _worst_text(found.worst, scale),
        number(None if found.worst is None else found.worst.rate, scale),
        ", ".join(found.sides) or "-",
        with_span(found.rate_error.mean, found.rate_error.lo, found.rate_error.hi, scale),
        "-" if known is None else with_span(known.error, known.lo, known.hi),
        number(None if known is None else known.floor),
        number(None if known is None else known.mode_mass),
        number(found.cpu_s if answered else None),  # a refusal costs nothing
        "-" if drawn is None or not answered else f"{drawn:,.0f}".replace(",", " "),
    ]


def gap_text(row: Row, scale: float) -> str:
    """The mean gap with its interval, of one bounded from above its upper end; else the state."""
    found = row.summary
    if not found.scored:
        return row.state
    text = with_span(found.gap.mean, found.gap.lo, found.gap.hi, scale)
    if found.is_upper:
        text = f"≤ {number(found.gap.hi, scale)}"
    return text if found.scored == found.points else f"{text} (of {found.scored})"


def _worst_text(worst: Worst | None, scale: float) -> str:
    if worst is None:
        return "-"
    if worst.is_bound or worst.is_upper:
        return f"{'≥' if worst.is_bound else '≤'} {number(worst.gap, scale)}"
    return with_span(worst.gap, worst.lo, worst.hi, scale)


def _values(row: Row, is_best: bool, scale: float) -> tuple[str, ...]:
    found = row.summary
    gap, worst, known = found.gap, found.worst, found.conditional
    in_units = (
        gap.mean, gap.lo, gap.hi, "+".join(found.sides),
        *(worst and getattr(worst, name) for name in ("gap", "lo", "hi", "rate")),
        found.rate_error.mean,
    )  # fmt: skip
    return (
        row.case,
        row.label,
        *map(plain, (found.seeds, found.points, found.ok, found.scored)),
        *(plain(value, scale) for value in in_units),
        *((known and plain(getattr(known, n))) or "" for n in ("error", "lo", "hi", "floor")),
        plain(known and known.mode_mass),
        plain(found.cpu_s),
        plain(_samples(row)),
        str(int(is_best)),
        row.state,
    )


def _samples(row: Row) -> float | None:
    """Source draws of a fit, mean over the seeds."""
    counts = (record.cost.n_source_samples for record in row.records)
    known = [n for n in counts if n is not None]
    return math.fsum(known) / len(known) if known else None


def stale_notes(found: Sequence[Found]) -> list[str]:
    """One note that names the cells answered by earlier code, or none."""
    titles = list(dict.fromkeys(title for one in found for title in one.stale))
    return [f"By earlier code: {'; '.join(titles)}."] if titles else []
