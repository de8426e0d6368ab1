"""The page of the reference run: every number in it is computed here from the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rdbench.report.impossible import is_impossible
from rdbench.report.paired import Entrant, Standing, standing
from rdbench.report.series import line_of
from rdbench.report.style import estimator_label
from rdbench.report.summary import Summary, summarise
from rdbench.run.records import CellRecord

BAD = 0.05
"""Nats: where the largest gap is shown to be above this, an estimator is listed as failing."""
NAMED = 3


@dataclass(frozen=True)
class Field:
    """One case: what each estimator did, and who leads."""

    name: str
    dim: int
    cells: Mapping[str, Sequence[CellRecord]]
    summaries: Mapping[str, Summary]
    order: Standing[str] | None

    @property
    def leaders(self) -> list[str]:
        """The best first, then those not shown to be worse, by their gaps."""
        if self.order is None:
            return []
        others = self.order.leaders - {self.order.best}
        return [self.order.best, *sorted(others, key=self._behind)]

    def _behind(self, label: str) -> float:
        found = self.order.behind[label] if self.order else None
        return found.value if found else 0.0


def fields(records: Sequence[CellRecord]) -> list[Field]:
    """The cases in the order of their names."""
    cases: dict[tuple[str, str], dict[str, list[CellRecord]]] = {}
    for record in sorted(records, key=lambda r: (r.suite, r.dim, r.case, r.seed)):
        own = cases.setdefault((record.suite, record.case), {})
        own.setdefault(estimator_label(record), []).append(record)
    return [_field("/".join(name), cells) for name, cells in cases.items()]


def _field(name: str, cells: Mapping[str, Sequence[CellRecord]]) -> Field:
    # A mean over other seeds is over other symbols: the seeds that all have are compared.
    scored = {k: v for k, v in cells.items() if any(r.points for r in v)}
    shared = set.intersection(*({r.seed for r in v} for v in scored.values())) if scored else set()
    entrants = {
        label: Entrant(
            tuple((r, p) for r in own if r.seed in shared for p in r.points),
            whole=all(r.points for r in own),
        )
        for label, own in scored.items()
    }
    summaries = {label: summarise(own) for label, own in cells.items()}
    dim = next(iter(cells.values()))[0].dim
    return Field(name, dim, cells, summaries, standing(entrants))


def impossible(found: Sequence[Field]) -> list[str]:
    """The rows that cannot be: R or D below zero or below the curve, beyond their intervals."""
    rows = []
    for field in found:
        records = [record for own in field.cells.values() for record in own]
        line = line_of(records)
        rows += [
            f"{field.name} {estimator_label(record)} seed {record.seed}, beta = {point.beta:.6g}"
            for record in records
            for point in record.points
            if is_impossible(point, line)
        ]
    return rows


def the_run(records: Sequence[CellRecord]) -> str:
    """How much was run, by what, at what cost."""
    points = sum(len(record.points) for record in records)
    fits = sum(record.cost.cpu_s or 0.0 for record in records) / 60.0
    audits = sum(p.audit_s or 0.0 for r in records for p in r.points) / 60.0
    commits = Counter(r.provenance.commit[:7] for r in records)
    processors = sorted({r.provenance.processor for r in records})
    seeds = sorted({r.seed for r in records})
    failed: Counter[str] = Counter(p.status for r in records for p in r.points)
    cells: Counter[str] = Counter(r.status for r in records)
    return (
        f"{len(records)} cells, {points} points, seeds {', '.join(map(str, seeds))}; "
        f"{fits:.0f} CPU minutes of fits and {audits:.0f} minutes of audits by the clock, on "
        f"{', '.join(processors)}. By the code of {', '.join(commits)}. "
        f"Cells: {_counted(cells)}. Points: {_counted(failed)}.\n"
    )


def leaders_table(found: Sequence[Field]) -> str:
    """Who is best on every case; ties are named."""
    text = (
        "| case | d | best, and not shown to be worse | its largest gap | at R | CPU s of a ladder |\n"
        "|---|---|---|---|---|---|\n"
    )
    for field in found:
        names = field.leaders
        if not names:
            text += f"| {field.name} | {field.dim} | nobody has a gap at every slope | | | |\n"
            continue
        best = field.summaries[names[0]]
        rate = "" if best.worst is None or best.worst.rate is None else f"{best.worst.rate:.3g}"
        text += (
            f"| {field.name} | {field.dim} | {', '.join(f'`{one}`' for one in names)} "
            f"| {_worst(best)} | {rate} | {_number(best.cpu_s)} |\n"
        )
    return text


def failures_list(found: Sequence[Field]) -> str:
    """Of every estimator the cases where its largest gap is above ``BAD``, and its refusals."""
    labels = sorted({label for field in found for label in field.summaries})
    text = ""
    for label in labels:
        own = [(field, field.summaries[label]) for field in found if label in field.summaries]
        if own[0][1].is_lower:
            continue
        good = [f for f, s in own if s.worst and s.worst.hi is not None and s.worst.hi <= BAD]
        bad = [(f, s) for f, s in own if s.worst and (s.worst.lo or 0.0) > BAD]
        bad.sort(key=lambda one: -(one[1].worst.lo or 0.0) if one[1].worst else 0.0)
        refused = [f for f, s in own if s.points == 0 or s.scored == 0]
        text += f"- **`{label}`**: within {BAD:g} nats over the whole ladder on {len(good)} of {len(own)} cases"
        text += f"; no gap at all on {len(refused)}" if refused else ""
        if bad:
            shown = ", ".join(f"{f.name} {_worst(s)} at R = {_rate(s)}" for f, s in bad[:NAMED])
            text += f"; shown to be worse on {len(bad)}, worst on {shown}"
        text += ".\n"
    return text


def _rate(found: Summary) -> str:
    known = found.worst is not None and found.worst.rate is not None
    return f"{found.worst.rate:.3g}" if known and found.worst else "?"


def _worst(found: Summary) -> str:
    worst = found.worst
    if worst is None:
        return "none"
    if worst.lo is None or worst.hi is None:
        return f"{'≥' if worst.is_bound else '≤'} {_number(worst.gap if worst.hi is None else worst.hi)}"
    return f"[{_number(worst.lo)}, {_number(worst.hi)}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}" if abs(value) < 100.0 else f"{value:.0f}"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.most_common())
