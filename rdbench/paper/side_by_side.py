"""The table of settings: the method as printed and as we use it, and the other estimators."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set

from msgspec.structs import replace

from rdbench.paper.cells import SIDE_BY_SIDE, Found, Planned
from rdbench.paper.markup import Sheet
from rdbench.paper.numbers import (
    Row,
    leaders,
    mean_text,
    number,
    slope_key,
    state,
    worst_point,
)
from rdbench.paper.tables import POPULATION, RULE, raw, stale_notes
from rdbench.report.style import estimator_label
from rdbench.report.summary import abscissa
from rdbench.report.units import nats_per
from rdbench.suites._recipe import Recipe

TITLE = "Published settings and ours"


def shared_slopes(plans: Sequence[Planned]) -> dict[str, frozenset[str]]:
    """By case, the keys of the slopes at which every setting is asked.

    Cells trained on fixed draws, and those of parts that are there for pictures of draws, are left
    out.
    """
    out: dict[str, frozenset[str]] = {}
    for plan in plans:
        part = plan.part
        if part.n_train is not None or part.draws:
            continue
        for cell in plan.cells:
            slopes = frozenset(map(slope_key, cell.betas))
            out[cell.case] = out.get(cell.case, slopes) & slopes
    return out


def settings(recipe: Recipe) -> list[str]:
    """All settings: the paper's method as printed and at its others, then the other estimators."""
    named = [label for part in (*recipe.parts, *recipe.full) for label in part.estimators]
    order = list(dict.fromkeys(label.partition(":")[0] for label in named))

    def key(label: str) -> tuple[int, bool, bool]:
        return order.index(label.partition(":")[0]), label != recipe.as_printed, ":" in label

    return sorted(dict.fromkeys(named), key=key)


def side_by_side(
    found: Sequence[Found],
    recipe: Recipe,
    slopes: Mapping[str, Set[str]],
    units: str,
    *,
    full: bool,
) -> list[Sheet]:
    """The mean gap of every setting on every case, and its CPU seconds per slope.

    Args:
        found: all parts.
        recipe: the paper.
        slopes: by case, the keys of the slopes that count, as of ``shared_slopes``.
        units: ``nats`` or ``bits``.
        full: whether records of the further settings were looked for.

    Raises:
        RdbenchError: an unknown unit.
    """
    scale = nats_per(units)
    labels, cases = settings(recipe), list(slopes)
    looked_for = {label for part in recipe.parts for label in part.estimators}
    absent = {label: "not run" if full or label in looked_for else "needs --full"
              for label in labels}  # fmt: skip
    rows = {(label, case): _row(found, label, case, slopes[case])
            for label in labels for case in cases}  # fmt: skip
    winners = {case: leaders([rows[label, case] for label in labels]) for case in cases}
    gaps = tuple(
        (label, *(_gap(rows[label, case], absent[label], scale) for case in cases))
        for label in labels
    )
    costs = tuple(
        (label, *(number(cpu_per_slope(found, label, case), 1.0, 2) for case in cases))
        for label in labels
    )
    numeric = (False, *[True] * len(cases))
    return [
        Sheet(
            name=SIDE_BY_SIDE,
            title=f"{TITLE}: mean gap ({units}) [95%]",
            header=("estimator", *cases),
            rows=gaps,
            numeric=numeric,
            csv_header=_csv_header(units),
            csv_rows=tuple(
                _csv_row(rows[label, case], cpu_per_slope(found, label, case), absent[label],
                         label in winners[case], scale)
                for case in cases for label in labels
            ),
            bold=frozenset(
                (i, 1 + j) for i, label in enumerate(labels) for j, case in enumerate(cases)
                if label in winners[case]
            ),
            notes=(
                _slopes_note(rows, cases, units, scale),
                RULE,
                POPULATION,
                *stale_notes([one for one in found if one.part.name == SIDE_BY_SIDE]),
            ),
        ),
        Sheet(
            name=f"{SIDE_BY_SIDE}-cpu",
            title=f"{TITLE}: CPU seconds of a fit per slope of its ladder",
            header=("estimator", *cases),
            rows=costs,
            numeric=numeric,
            csv_header=("estimator", *cases),
            csv_rows=costs,
            notes=("One fit is one ladder of slopes; the audit is not in it.",),
        ),
    ]  # fmt: skip


def _row(found: Sequence[Found], label: str, case: str, slopes: Set[str]) -> Row:
    """The records of one setting, trained on fresh draws, cut down to the slopes that count."""
    held = {}
    for one in found:
        for record in one.records:
            if record.case == case and estimator_label(record) == label and record.n_train is None:
                points = [p for p in record.points if slope_key(p.beta) in slopes]
                if len(points) == len(slopes):  # not another ladder, of a part with its own rates
                    held[record.cell] = replace(record, points=points)
    return Row(case, label, tuple(held.values()))


def cpu_per_slope(found: Sequence[Found], label: str, case: str) -> float | None:
    """CPU seconds of the fits divided by their slopes, mean over the ladders and seeds."""
    held = {
        record.cell: record.cost.cpu_s / len(record.points)
        for one in found
        for record in one.records
        if record.case == case and estimator_label(record) == label and record.n_train is None
        and record.cost.cpu_s is not None and record.points
    }  # fmt: skip
    return math.fsum(held.values()) / len(held) if held else None


def _gap(row: Row, absent: str, scale: float) -> str:
    if not row.records:
        return absent
    found = row.summary
    if not found.scored:
        return state(row)
    text = mean_text(found.gap, found.is_upper, scale)
    return text if found.scored == found.points else f"{text} (of {found.scored}/{found.points})"


def _slopes_note(
    rows: Mapping[tuple[str, str], Row], cases: Sequence[str], units: str, scale: float
) -> str:
    """At which rates the means were taken."""
    texts = []
    for case in cases:
        row = next((r for (_, c), r in rows.items() if c == case and r.records), None)
        if row is not None:
            rates = sorted(r for p in row.records[0].points if (r := abscissa(p)) is not None)
            texts.append(f"{case} at R = {', '.join(number(rate, scale) for rate in rates)}")
    where = f": {'; '.join(texts)} {units}" if texts else ""
    return f"Means over the slopes at which every setting is asked{where}."


def _csv_header(units: str) -> tuple[str, ...]:
    return (
        "case", "estimator", "seeds", "slopes", "points", "scored", f"gap_mean_{units}",
        f"gap_lo_{units}", f"gap_hi_{units}", "side", f"worst_gap_{units}", f"worst_hi_{units}",
        "cpu_s_per_slope", "best", "state",
    )  # fmt: skip


def _csv_row(
    row: Row, cpu: float | None, absent: str, is_best: bool, scale: float
) -> tuple[str, ...]:
    found, worst = row.summary, worst_point(row.points)
    slopes = len({slope_key(point.beta) for point in row.points})
    return (
        row.case,
        row.label,
        *(str(n) for n in (found.seeds, slopes, found.points, found.scored)),
        *(raw(value, scale) for value in (found.gap.mean, found.gap.lo, found.gap.hi)),
        "+".join(found.sides),
        raw(worst and worst.gap, scale),
        raw(worst and worst.gap_hi, scale),
        raw(cpu),
        str(int(is_best)),
        state(row) if row.records else absent,
    )
