"""How a claim of the paper is judged by records: verdicts, and the numbers they rest on."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rdbench import registry
from rdbench.paper.cells import Found
from rdbench.paper.numbers import Row, number, point_text, rate_text, rows_of, state, worst_point
from rdbench.report.claims import tolerance
from rdbench.report.summary import SCORED, abscissa, is_scored
from rdbench.run.records import CellRecord, PointRecord
from rdbench.suites._recipe import Recipe
from rdbench.types import Case, Grant

Verdict = Literal[
    "agrees", "agrees in part", "does not agree", "not decided", "not run", "no claim",
    "met", "met where known", "missed", "not decided (q is a fitted mixture)",
    "met by the fitted mixture", "met by the fitted mixture where known",
]  # fmt: skip
_BY_THE_MIXTURE: dict[Verdict, Verdict] = {
    "agrees": "not decided (q is a fitted mixture)",
    "agrees in part": "not decided (q is a fitted mixture)",
    "does not agree": "not decided (q is a fitted mixture)",
    "not decided": "not decided (q is a fitted mixture)",
    "met": "met by the fitted mixture",
    "met where known": "met by the fitted mixture where known",
}
"""What a verdict on a model becomes where no point has one: the fit ended at what it starts from,
which says nothing of the model either way."""
_ONLY_A_MIXTURE = "q is the mixture"
"""How the ``reason`` of a point begins whose model gained nothing over that start."""
SMALL_ERROR = 0.05
"""Of p(y|x), as a fraction of the spread of the optimal one: what a picture would not show."""


@dataclass(frozen=True)
class Finding:
    """What the paper says in one place, what the records say of it, and whether they agree."""

    figure: str
    """``2`` or, where it is in the text, ``Algorithm 1`` and the like."""
    claim: str
    verdict: Verdict
    text: str
    """With numbers and their units."""
    of: str = ""
    """The estimator that it is about, where it is about one."""
    note: str = ""
    """At how many points q is but a fitted mixture; empty where it is nowhere."""


@dataclass(frozen=True)
class Evidence:
    """Everything that a finding may rest on."""

    recipe: Recipe
    found: tuple[Found, ...]
    units: str
    scale: float
    """Nats per unit."""

    def part(self, name: str) -> Found | None:
        """The part of that name."""
        return next((one for one in self.found if one.part.name == name), None)

    def rows(self, name: str, label: str, cases: Iterable[str] | None = None) -> list[Row]:
        """The rows of an estimator in a part, with or without records, wherever those are.

        The settings as printed have their records in a part of their own.
        """
        part = self.part(name)
        if part is None or not label:
            return []
        chosen = part.part.cases if cases is None else tuple(cases)
        rows: list[Row] = []
        for case in chosen:
            held = {
                record.cell: record
                for one in self.found
                if one is part or label not in part.part.estimators
                for row in rows_of(one)
                if row.case == case and row.label == label
                for record in row.records
                if record.n_train == part.part.n_train
            }
            rows.append(Row(case, label, tuple(held.values())))
        return rows

    def number(self, value: float | None) -> str:
        """A rate or a gap in the units asked for."""
        return number(value, self.scale)


@functools.cache
def cases_of(suite: str) -> tuple[Case, ...]:
    """The cases of a suite, made once: looking a name up reads every registered file."""
    return registry.load_suite(suite).cases()


@functools.cache
def needs_of(label: str) -> frozenset[Grant]:
    """What an estimator is told of the source beyond its draws."""
    return registry.choose(label).estimator.info.needs


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on several cases: one that fails decides, one that is open keeps it open.

    Cases that only a fitted mixture answers leave the others' verdict in part.
    """
    if not verdicts:
        return "not run"
    order: tuple[Verdict, ...] = ("does not agree", "not run", "not decided", "agrees in part")
    mixture = _BY_THE_MIXTURE["agrees"]
    if "agrees" in verdicts and ("does not agree" in verdicts or mixture in verdicts):
        rest: set[Verdict] = set(verdicts) - {"agrees", "does not agree", mixture}
        return "agrees in part" if not rest or "does not agree" in verdicts else together([*rest])
    return next((one for one in order if one in verdicts), verdicts[0])


def is_mixture(point: PointRecord) -> bool:
    """Whether q of the point is the fitted mixture that a fit starts from, by its own words."""
    return point.status in SCORED and (point.reason or "").startswith(_ONLY_A_MIXTURE)


def mixture_note(points: Iterable[PointRecord]) -> str:
    """At how many of the points with an answer q is the fitted mixture; empty for none."""
    answered = [point for point in points if point.status in SCORED]
    count = sum(map(is_mixture, answered))
    return f"at {count} of {len(answered)} points q is the fitted mixture" if count else ""


def of_the_model(verdict: Verdict, points: Iterable[PointRecord]) -> Verdict:
    """The verdict on a model: none of its own where every point with an answer is the mixture."""
    answered = [point for point in points if point.status in SCORED]
    if answered and all(map(is_mixture, answered)):
        return _BY_THE_MIXTURE.get(verdict, verdict)
    return verdict


def accurate(row: Row, scale: float) -> tuple[Verdict, str]:
    """Whether every gap is below what a plot shows, .05 sqrt(d) nats, and the worst one in words.

    Failed points are no agreement: the verdict is then open at best.
    """
    if not row.records:
        return "not run", f"{row.case}: not run"
    limit = tolerance(row.records[0].dim)
    worst = worst_point(row.points)
    lows = [p.gap_lo for p in row.points if p.side != "upper" and p.gap_lo is not None
            and p.status in SCORED]  # fmt: skip
    scored = [p for p in row.points if is_scored(p)]
    if worst is None:
        return "not decided", f"{row.case}: no gap ({state(row)})"
    text = f"{row.case}: worst gap {point_text(worst, scale)} (R = {rate_text(worst, scale)})"
    if len(scored) < len(row.points):
        text += f", {len(row.points) - len(scored)} of {len(row.points)} points without a gap"
    if any(lo > limit for lo in lows):
        return "does not agree", text
    if len(scored) == len(row.points) and all(
        p.gap_hi is not None and p.gap_hi <= limit for p in scored
    ):
        return "agrees", text
    return "not decided", text


def protocol_worst(points: Iterable[PointRecord]) -> PointRecord | None:
    """The point with the largest gap by Appendix A."""
    known = [p for p in points if p.gap_paper_protocol is not None and p.status in SCORED]
    return max(known, key=lambda p: p.gap_paper_protocol or 0.0, default=None)


def protocol_text(points: Iterable[PointRecord], scale: float) -> str:
    """The largest gap by Appendix A and where; empty where it is not known."""
    worst = protocol_worst(points)
    if worst is None:
        return ""
    gap, draws = number(worst.gap_paper_protocol, scale), worst.n_paper_protocol
    return f"by Appendix A with N = {draws} at most {gap} (R = {rate_text(worst, scale)})"


def reconstruction(row: Row) -> tuple[Verdict, str]:
    """Whether p(y|x) is the optimal one up to ``SMALL_ERROR``, and the worst slope in words."""
    if not row.records:
        return "not run", f"{row.case}: not run"
    known = [p for p in row.points if p.conditional_error is not None and p.status in SCORED]
    if not known:
        return "not decided", f"{row.case}: p(y|x) was not compared ({state(row)})"
    worst = max(known, key=lambda p: p.conditional_error or 0.0)
    lo, hi = (number(end) for end in (worst.conditional_lo, worst.conditional_hi))
    text = (
        f"{row.case}: error of p(y|x) at most {number(worst.conditional_error)} [{lo}, {hi}] "
        f"(floor {number(worst.conditional_floor)}, R = {number(abscissa(worst))} nats)"
    )
    masses = [p.mode_mass_error for p in known if p.mode_mass_error is not None]
    if masses:
        text += f", mode mass off by at most {number(max(masses))}"
    limits = [max(p.conditional_floor or 0.0, SMALL_ERROR) for p in known]
    pairs = list(zip(known, limits, strict=True))
    if any(p.conditional_lo is not None and p.conditional_lo > limit for p, limit in pairs):
        return "does not agree", text
    if len(known) == len(row.points) and all(
        p.conditional_hi is not None and p.conditional_hi <= limit for p, limit in pairs
    ):
        return "agrees", text
    return "not decided", text


def remarks(records: Iterable[CellRecord]) -> dict[str, tuple[int, int]]:
    """What ``ok`` points say of themselves, and at how many of how many points."""
    points = [point for record in records for point in record.points if point.status == "ok"]
    reasons = [point.reason for point in points if point.reason]
    return {reason: (reasons.count(reason), len(points)) for reason in dict.fromkeys(reasons)}
