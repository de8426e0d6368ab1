"""Published settings beside ours: the mean gap of every setting on every case, and its cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set

from msgspec.structs import replace

from rdbench.report.scores import abscissa
from rdbench.report.style import estimator_label
from rdbench.report.units import nats_per
from rdbench.reproduce.cells import Planned
from rdbench.reproduce.paper import Found, Paper
from rdbench.reproduce.sheet import Sheet, number, plain
from rdbench.reproduce.tables import POPULATION, RULE, Row, gap_text, leaders, stale_notes
from rdbench.run.records import CellRecord

SIDE_BY_SIDE = "side-by-side"
"""The name of the parts that hold one estimator at several settings."""
_TITLE = "Published settings and ours"


def shared_slopes(plans: Sequence[Planned]) -> dict[str, frozenset[str]]:
    """By case, the slopes at which every setting is asked, as texts equal up to rounding.

    Cells trained on fixed draws, and those of parts that are there for pictures of draws, are left
    out.
    """
    out: dict[str, frozenset[str]] = {}
    for plan in plans:
        if plan.part.n_train is None and not plan.part.draws:
            for cell in plan.cells:
                slopes = frozenset(map(_slope, cell.betas))
                out[cell.case] = out.get(cell.case, slopes) & slopes
    return out


def _slope(beta: float) -> str:
    return f"{beta:.9g}"


def settings(paper: Paper) -> list[str]:
    """The labels of all settings, estimator by estimator; the first stored one leads its own."""
    named = [label for part in (*paper.parts, *paper.stored) for label in part.estimators]
    names = list(dict.fromkeys(label.partition(":")[0] for label in named))
    first = paper.stored[0].estimators[0] if paper.stored else ""
    return sorted(
        dict.fromkeys(named),
        key=lambda one: (names.index(one.partition(":")[0]), one != first, ":" in one),
    )


def settings_tables(
    found: Sequence[Found], paper: Paper, plans: Sequence[Planned], units: str, *, full: bool
) -> list[Sheet]:
    """The mean gap of every setting on every case, and its CPU seconds per slope.

    Args:
        found: all parts.
        paper: the paper; one without further settings has no such tables.
        plans: its cells, for the slopes that count.
        units: ``nats`` or ``bits``.
        full: whether records of the further settings were looked for.

    Raises:
        RdbenchError: an unknown unit.
    """
    scale = nats_per(units)
    if not any(part.name == SIDE_BY_SIDE for part in paper.stored):
        return []
    slopes = shared_slopes(plans)
    labels, cases = settings(paper), list(slopes)
    looked_for = {label for part in paper.parts for label in part.estimators}
    absent = {one: "not run" if full or one in looked_for else "needs --full" for one in labels}
    fits = {(label, case): _fits(found, label, case) for label in labels for case in cases}
    rows = {key: _row(*key, fits[key], slopes[key[1]]) for key in fits}
    cost = {key: _cpu_per_slope(fits[key]) for key in fits}
    best = {case: leaders([rows[label, case] for label in labels]) for case in cases}
    costs = tuple((one, *(number(cost[one, case], 1.0, 2) for case in cases)) for one in labels)
    header, numeric = ("estimator", *cases), (False, *[True] * len(cases))
    return [
        Sheet(
            name=SIDE_BY_SIDE,
            title=f"{_TITLE}: mean gap ({units}) [95%]",
            header=header,
            rows=tuple(
                (one, *(_gap(rows[one, case], absent[one], scale) for case in cases))
                for one in labels
            ),
            numeric=numeric,
            csv_header=(
                "case", "estimator", "seeds", "slopes", "points", "scored", f"gap_mean_{units}",
                f"gap_lo_{units}", f"gap_hi_{units}", "side", f"worst_gap_{units}",
                f"worst_hi_{units}", "cpu_s_per_slope", "best", "state",
            ),
            csv_rows=tuple(
                _values(rows[one, case], cost[one, case], absent[one], one in best[case], scale)
                for case in cases for one in labels
            ),
            bold=frozenset(
                (i, 1 + j) for i, one in enumerate(labels) for j, case in enumerate(cases)
                if one in best[case]
            ),
            notes=(
                _slopes_note(rows, cases, units),
                RULE,
                POPULATION,
                *stale_notes([one for one in found if one.part.name == SIDE_BY_SIDE]),
            ),
        ),
        Sheet(
            name=f"{SIDE_BY_SIDE}-cpu",
            title=f"{_TITLE}: CPU seconds of a fit per slope of its ladder",
            header=header,
            rows=costs,
            numeric=numeric,
            csv_header=header,
            csv_rows=costs,
            notes=("One fit is one ladder of slopes; the audit is not in it.",),
        ),
    ]  # fmt: skip


def _fits(found: Sequence[Found], label: str, case: str) -> list[CellRecord]:
    """The records of one setting on one case, trained on fresh draws."""
    held = {
        record.cell: record
        for one in found
        for record in one.records
        if record.case == case and record.n_train is None and estimator_label(record) == label
    }
    return list(held.values())


def _row(label: str, case: str, fits: Sequence[CellRecord], slopes: Set[str]) -> Row:
    """The records cut down to the slopes that count; other ladders are left out."""
    cut = [replace(r, points=[p for p in r.points if _slope(p.beta) in slopes]) for r in fits]
    return Row(case, label, tuple(one for one in cut if len(one.points) == len(slopes)))


def _cpu_per_slope(fits: Sequence[CellRecord]) -> float | None:
    """CPU seconds of the fits divided by their slopes, mean over the ladders and seeds."""
    known = [
        record.cost.cpu_s / len(record.points)
        for record in fits
        if record.cost.cpu_s is not None and record.points
    ]
    return math.fsum(known) / len(known) if known else None


def _gap(row: Row, absent: str, scale: float) -> str:
    if not row.records:
        return absent
    text, points = gap_text(row, scale), row.summary.points
    return f"{text[:-1]}/{points})" if text.endswith(")") and row.summary.scored else text


def _slopes_note(rows: Mapping[tuple[str, str], Row], cases: Sequence[str], units: str) -> str:
    """At which rates the means were taken."""
    texts = []
    for case in cases:
        row = next((r for (_, c), r in rows.items() if c == case and r.records), None)
        if row is not None:
            rates = sorted(r for p in row.records[0].points if (r := abscissa(p)) is not None)
            listed = ", ".join(number(rate, nats_per(units)) for rate in rates)
            texts.append(f"{case} at R = {listed}")
    where = f": {'; '.join(texts)} {units}" if texts else ""
    return f"Means over the slopes at which every setting is asked{where}."


def _values(
    row: Row, cpu: float | None, absent: str, is_best: bool, scale: float
) -> tuple[str, ...]:
    found = row.summary
    gap, worst = found.gap, found.worst
    slopes = len({_slope(point.beta) for record in row.records for point in record.points})
    return (
        row.case,
        row.label,
        *map(plain, (found.seeds, slopes, found.points, found.scored)),
        *(plain(value, scale) for value in (gap.mean, gap.lo, gap.hi)),
        "+".join(found.sides),
        plain(worst and worst.gap, scale),
        plain(worst and worst.hi, scale),
        plain(cpu),
        str(int(is_best)),
        row.state if row.records else absent,
    )
