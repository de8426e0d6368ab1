"""The page of the reference run: every number in it is computed here from the records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.reference.kinds import KINDS, kind_of
from rdbench import registry
from rdbench.report.impossible import is_impossible
from rdbench.report.paired import Entrant, Standing, is_worse, standing
from rdbench.report.scores import Worst, is_scored, is_start, worst_gap
from rdbench.report.series import line_of
from rdbench.report.style import estimator_label
from rdbench.report.summary import Summary, summarise
from rdbench.run.records import CellRecord

BAD = 0.05
"""Nats: where the largest gap is shown to be above this, an estimator is listed as failing."""
USELESS = 0.5
"""Nats: where even the best is shown to be this far off, nobody is to be used."""
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
    def alone(self) -> str:
        """Who has a gap where nobody can be compared, in words."""
        known = [
            label
            for label, one in self.summaries.items()
            if one.worst is not None and not one.is_lower
        ]
        if len(known) == 1:
            return f"only `{known[0]}` has a gap, of {len(self.cells)} that were run"
        return "nobody has a gap at every slope"

    @property
    def is_useless(self) -> bool:
        """Whether even the best is shown to be far off at some slope."""
        return bool(self.leaders) and _is_useless(self.summaries[self.leaders[0]].worst)

    @property
    def partial(self) -> list[str]:
        """Who lacks a gap somewhere, and is not shown to be worse than the best where it has one.

        Each with how many of its points have a gap.
        """
        if self.order is None:
            return []
        rivals = [
            label
            for label, found in self.order.behind.items()
            if not is_worse(found) and label not in self.order.leaders
        ]
        counts = {label: self._counts(label) for label in rivals}
        return [
            f"`{label}` ({counts[label][0]} of {counts[label][1]} points)"
            for label in sorted(rivals, key=self._behind)
            if counts[label][0] < counts[label][1]
        ]

    def _counts(self, label: str) -> tuple[int, int]:
        points = [point for record in self.cells[label] for point in record.points]
        return sum(is_scored(point) and not is_start(point) for point in points), len(points)

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


def below_zero(found: Sequence[Field]) -> list[str]:
    """Points whose gap is far below zero, which no gap is: only their intervals can be right."""
    return [
        f"{field.name} `{label}` at R = {point.target_rate:.3g}: {_number(point.gap)} "
        f"[{_number(point.gap_lo)}, {_number(point.gap_hi)}]"
        for field in found
        for label, own in field.cells.items()
        for record in own
        for point in record.points
        if point.gap is not None and point.gap < -BAD and point.target_rate is not None
    ]


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
    cases, suites = {(r.suite, r.case) for r in records}, {r.suite for r in records}
    return (
        f"{len(cases)} cases of {len(suites)} of {len(registry.names('suite'))} suites "
        "(`not_run.md` has the rest): "
        f"{len(records)} cells, {points} points, seeds {', '.join(map(str, seeds))}; "
        f"{fits:.0f} CPU minutes of fits and {audits:.0f} minutes of audits by the clock, on "
        f"{', '.join(processors)}. By the code of {', '.join(commits)}. "
        f"Cells: {_counted(cells)}. Points: {_counted(failed)}.\n"
    )


def kinds_table(found: Sequence[Field]) -> str:
    """Of every kind of problem the estimators that lead on most of its cases."""
    text = (
        "| the problem | cases | use | leads on | its largest gap there | CPU s of a ladder |\n"
        "|---|---|---|---|---|---|\n"
    )
    for kind in KINDS:
        own = [field for field in found if kind_of(field.name) == kind and field.leaders]
        led = Counter(label for field in own if not field.is_useless for label in field.leaders)
        ranked = sorted(led, key=lambda label: (-led[label], _largest(own, label)))
        if own and not led:
            run = len({label for field in own for label in field.cells})
            text += (
                f"| {kind} | {len(own)} | nobody of the {run} run so far: the best is more than "
                f"{USELESS:g} off | | | |\n"
            )
            continue
        for place, label in enumerate(ranked[:NAMED]):
            cells = [r for f in own for r in f.cells.get(label, [])]
            cost = max((r.cost.cpu_s for r in cells if r.cost.cpu_s is not None), default=None)
            gap = _interval(worst_gap(p for r in cells for p in r.points))
            head = f"{kind} | {len(own)}" if place == 0 else " | "
            text += f"| {head} | `{label}` | {led[label]} | {gap} | ≤ {_number(cost)} |\n"
    return text


def _is_useless(worst: Worst | None) -> bool:
    return worst is not None and worst.lo is not None and worst.lo > USELESS


def _largest(found: Sequence[Field], label: str) -> float:
    worst = worst_gap(p for f in found for r in f.cells.get(label, []) for p in r.points)
    return math.inf if worst is None or worst.hi is None else worst.hi


def leaders_table(found: Sequence[Field]) -> str:
    """Who is best on every case; ties are named."""
    text = (
        "| case | d | best, and not shown to be worse | so where it has a gap | largest gap | at R "
        "| CPU s |\n|---|---|---|---|---|---|---|\n"
    )
    for field in found:
        names, partial = field.leaders, ", ".join(field.partial)
        if not names:
            text += f"| {field.name} | {field.dim} | {field.alone} | | | | |\n"
            continue
        best = field.summaries[names[0]]
        shown = ", ".join(f"`{one}`" for one in names)
        text += (
            f"| {field.name} | {field.dim} | {'nobody; least bad ' * field.is_useless}{shown} "
            f"| {partial} | {_interval(best.worst)} | {_rate(best.worst)} "
            f"| {_number(best.cpu_s)} |\n"
        )
    return text


def failures_list(found: Sequence[Field]) -> str:
    """Of every estimator the cases where its largest gap is above ``BAD``, and its refusals."""
    text = ""
    for label in sorted({label for field in found for label in field.summaries}):
        own = [(field.name, field.summaries[label]) for field in found if label in field.summaries]
        if label.endswith("+lower") or own[0][1].is_lower:
            continue
        known = [(name, one.worst) for name, one in own if one.worst is not None]
        good = sum(worst.hi is not None and worst.hi <= BAD for _, worst in known)
        bad = [(worst.lo or 0.0, name, worst) for name, worst in known if (worst.lo or 0.0) > BAD]
        bad.sort(key=lambda one: -one[0])
        refused = sum(one.scored == 0 for _, one in own)
        text += f"- **`{label}`**: within {BAD:g} nats on {good} of {len(own)} cases"
        text += f"; no gap at all on {refused}" if refused else ""
        if bad:
            shown = (f"{name} {_interval(w)} at R = {_rate(w)}" for _, name, w in bad[:NAMED])
            text += f"; more than that on {len(bad)}, the worst {', '.join(shown)}"
        text += ".\n"
    return text


def _rate(worst: Worst | None) -> str:
    return "" if worst is None or worst.rate is None else f"{worst.rate:.3g}"


def _interval(worst: Worst | None) -> str:
    if worst is None:
        return "none"
    if worst.lo is not None and worst.hi is not None:
        return f"[{_number(worst.lo)}, {_number(worst.hi)}]"
    return f"{'≥' if worst.is_bound else '≤'} {_number(worst.hi or worst.gap)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}" if abs(value) < 100.0 else f"{value:.0f}"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.most_common())
