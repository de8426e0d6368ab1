"""The table of cases whose truth nobody knows: R, D and F at every slope, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rdbench.report.style import estimator_label
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord, PointRecord

_TITLES = {
    "population": "R(D) of the population, of which the rows are a sample; audited on held-out "
    "rows",
    "rows": "R(D) of these rows, which are the source; sums are exact",
}
_EXPLAINED = {
    "population": "The rows are a sample of a source, and R(D) is that of the source. A part of "
    "them was held out: estimators saw the others alone, and every number is from the held-out "
    "rows, with the interval that so few of them leave. Above about log n nats, what n rows say "
    "is of the rows and not of their source.",
    "rows": "The rows with equal probabilities are the source, and R(D) is theirs. Estimators saw "
    "all of them, and every sum over them is exact. R(D) of what the rows were drawn from is "
    "another one, by nats at high rate: log n nats tell n rows apart however finely they are "
    "resolved, while a population has more to tell.",
}
"""What the rows of data stand for, in three sentences."""
Row = tuple[CellRecord, PointRecord]


def untold(record: CellRecord) -> bool:
    """Whether no point of a record has a truth to be compared with."""
    return record.data is not None and all(point.truth_lo is None for point in record.points)


def titled(record: CellRecord) -> str:
    """The data of a record, and what the numbers are of."""
    data = record.data or {}
    name = str(data.get("path", record.case)).rpartition("/")[2]
    said = _TITLES.get(str(data.get("of")), "no truth is known")
    return f"{name}: {said}"


def explained(record: CellRecord) -> str:
    """What the rows stand for in a run on data; empty for a case of a suite."""
    return _EXPLAINED.get(str((record.data or {}).get("of")), "")


def print_points(records: Sequence[CellRecord], units: str, console: Console) -> None:
    """Print every audited point, the best upper end of F first at each slope; then lower bounds.

    What went wrong follows, a line for every reason. The ends of F are those of its 95% interval
    that count on its side.

    Args:
        records: cells without a truth.
        units: ``nats`` or ``bits``, for R and F.
        console: where to print; lines are not cut where it is no terminal.

    Raises:
        RdbenchError: the unit is unknown.
    """
    scale = nats_per(units)
    cases: dict[str, list[CellRecord]] = {}
    for record in records:
        cases.setdefault(record.case, []).append(record)
    for members in cases.values():
        _print_case(members, units, scale, console)


def _print_case(records: Sequence[CellRecord], units: str, scale: float, console: Console) -> None:
    several = len({record.seed for record in records}) > 1
    table = Table(
        title=f"{titled(records[0])} (R, F in {units})",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("beta", justify="right")
    table.add_column("estimator", overflow="fold")
    if several:
        table.add_column("seed", justify="right")
    for title in ("R", "±", "D", "±", "F = R + beta D", "F >=", "F <=", "side"):
        table.add_column(title, justify="right", no_wrap=True)
    rows = [(record, point) for record in records for point in record.points]
    for beta in sorted({point.beta for _, point in rows}):
        here = sorted((row for row in rows if row[1].beta == beta), key=_rank)
        shown = [row for row in here if row[1].lagrangian is not None]
        for i, (record, point) in enumerate(shown):
            cells = ["" if i else f"{beta:.4g}", estimator_label(record)]
            cells += [str(record.seed)] if several else []
            cells += _numbers(point, scale)
            table.add_row(*map(Text, cells), end_section=i == len(shown) - 1)
    whole = Console(file=console.file, width=max(console.width, 120), highlight=False)
    (console if console.is_terminal else whole).print(table)
    for line in _troubles(rows):
        console.print(Text(line), soft_wrap=True, highlight=False)


def upper_end(point: PointRecord) -> float | None:
    """The upper end of the 95% interval of F(q); the column where the record has one."""
    own = getattr(point, "lagrangian_hi", None)
    if own is not None or point.lagrangian is None:
        return own
    return point.lagrangian + (point.rate_half or 0.0) + point.beta * (point.distortion_half or 0.0)


def lower_end(point: PointRecord) -> float | None:
    """The end of a lower bound on F* that its interval leaves; None where there is none."""
    own: float | None = getattr(point, "lagrangian_lo", None)
    return own if point.side == "lower" else None


def _rank(row: Row) -> tuple[bool, float]:
    """Upper points, the lowest first; then lower bounds, the highest first."""
    point = row[1]
    if point.side == "lower":
        low = lower_end(point)
        return True, math.inf if low is None else -low
    end = upper_end(point)
    return False, math.inf if end is None else end


def _numbers(point: PointRecord, scale: float) -> list[str]:
    rates = (point.rate, point.rate_half)
    distortions = (point.distortion, point.distortion_half)
    high = None if point.side == "lower" else upper_end(point)
    ends = (point.lagrangian, lower_end(point), high)
    return [
        *(_text(value, scale) for value in rates),
        *(_text(value, 1.0) for value in distortions),
        *(_text(value, scale) for value in ends),
        point.side or "-",
    ]


def _text(value: float | None, scale: float) -> str:
    return "-" if value is None else f"{value / scale:.4g}"


def _troubles(rows: Sequence[Row]) -> list[str]:
    """A line for every reason why points have no numbers, or doubtful ones."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for record, point in rows:
        if point.status != "ok" or point.lagrangian is None:
            key = (estimator_label(record), point.status, point.reason)
            found.setdefault(key, []).append(point.beta)
    lines = []
    for (label, status, reason), betas in found.items():
        said = reason if len(reason) <= 300 else reason[:299] + "…"
        at = ", ".join(f"{beta:.4g}" for beta in betas[:6])
        more = f", {len(betas) - 6} more" if len(betas) > 6 else ""
        lines.append(f"{label}: {status} at beta {at}{more}" + (f": {said}" if said else ""))
    return lines
