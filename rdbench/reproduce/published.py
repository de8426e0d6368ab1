"""Published numbers beside ours: each with an interval, and a verdict by the two intervals.

Ours is the 95% interval of the audit at the same slopes, the bracket of the true curve, or what a
computation of the paper's folder found.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rdbench import registry
from rdbench.references.refined import refined_rate
from rdbench.report.scores import SCORED, abscissa, is_withheld
from rdbench.report.style import estimator_label
from rdbench.report.units import nats_per
from rdbench.reproduce.numbers import IN_UNITS, Quantity, read_computed
from rdbench.reproduce.numbers import Ends as Ends
from rdbench.reproduce.numbers import Number as Number
from rdbench.reproduce.numbers import read as read
from rdbench.reproduce.paper import Found, Paper
from rdbench.reproduce.sheet import Sheet, number, plain, span
from rdbench.run.records import CellRecord, PointRecord
from rdbench.types import OutOfRange, RdbenchError, Reference

Verdict = Literal["agrees", "does not agree", "not decided", "not run", "no number"]
TRUTH = "truth"
"""The name that stands for the true curve where an estimator is expected."""
_NAMES: dict[Quantity, str] = {
    "gap_paper_protocol": "gap by Appendix A",
    "lagrangian": "F = R + βD",
    "slope": "critical β",
    "order": "order of convergence",
    "conditional_error": "error of p(y|x)",
    "mode_mass_error": "error of a mode's mass",
}
_AUDITED = ("gap", "lagrangian", "rate", "distortion")
"""What an audit withholds that fails its own tests: the bracket that it leaves is no result."""
_SAME = 1e-3
"""Relative: two rates or slopes this close are the same rung of a ladder."""


@dataclass(frozen=True)
class Beside:
    """One published number for one case and estimator, ours beside it."""

    number: Number
    case: str
    estimator: str
    verdict: Verdict
    ours: Ends | None = None
    """At the slope that is farthest from what is published."""
    rate: float | None = None
    """The true rate at that slope, nats."""
    note: str = ""
    truth: Ends | None = None
    """The true value at the place of the number, where it is known."""


def compare(paper: Paper, found: Sequence[Found]) -> list[Beside]:
    """Every published number beside ours, case by case and estimator by estimator.

    Ours *agrees* where its interval lies within the published one at every slope, and *does not
    agree* where the two have nothing in common at some slope. A slope without an answer, or with
    one that decides nothing, leaves the question open.

    Raises:
        RdbenchError: the file of the numbers is not what it should be, or names a part, a case or
            an estimator that the paper does not have.
    """
    parts = (*paper.parts, *paper.stored)
    records = {one.part.name: one.records for one in found}
    computed = read_computed(paper.computed)
    references = functools.cache(_references)  # looking a suite up reads every registered file
    out = []
    for one in read(paper.published):
        if not one.part:
            pairs = itertools.product(one.cases, one.estimators)
            out += [_of_computations(one, computed, *pair) for pair in pairs]
            continue
        mine = [part for part in parts if part.name == one.part]
        if not mine:
            raise registry.unknown("part", one.part, dict.fromkeys(part.name for part in parts))
        cases = [case for part in mine for case in part.cases]
        labels = [TRUTH, *(label for part in mine for label in part.estimators)]
        run = {label for part in mine if part in paper.parts for label in part.estimators}
        for case, estimator in itertools.product(one.cases, one.estimators):
            if case not in cases:
                raise registry.unknown(f"case of part {one.part}", case, dict.fromkeys(cases))
            if estimator not in labels:
                what = f"estimator of part {one.part}"
                raise registry.unknown(what, estimator, dict.fromkeys(labels))
            part = next(part for part in mine if case in part.cases)
            reference = references(part.suite, part.dims)[case]
            if estimator == TRUTH:
                row = _of_the_truth(one, reference, case)
            elif one.part not in records:
                row = Beside(one, case, estimator, "not run", note="shown with --full")
            else:
                row = _of_records(one, records[one.part], case, estimator)
            if row.verdict == "not run" and estimator not in run:
                here = registry.name_of(estimator) in registry.names("estimator")
                why = "takes long: --run-all runs it" if here else "no such estimator is registered"
                row = replace(row, note=row.note or why)
            out.append(_with_truth(row, reference))
    return out


def _of_computations(
    one: Number, table: Mapping[tuple[str, str, str], tuple[Ends, str]], case: str, by: str
) -> Beside:
    found = table.get((case, by, one.quantity))
    if found is None:
        return Beside(one, case, by, "not run")
    ours, note = found
    exact = table.get((case, TRUTH, one.quantity))
    verdict = _verdict(one, [ours], 0)
    return Beside(one, case, by, verdict, ours, None, note, None if exact is None else exact[0])


def _references(suite: str, dims: tuple[int, ...] | None) -> dict[str, Reference]:
    return {case.name: case.reference for case in registry.load_suite(suite).cases(dims)}


def _with_truth(row: Beside, reference: Reference) -> Beside:
    """The row with the true value: 0 of a gap, F* of a Lagrangian; of others what the row says."""
    one = row.number
    if row.estimator == TRUTH:
        return replace(row, truth=row.ours)
    if one.quantity in ("gap", "gap_paper_protocol"):
        return replace(row, truth=Ends(0.0, 0.0))
    if one.quantity == "lagrangian" and one.slope is not None:
        try:
            found = reference.point(one.slope).lagrangian
        except OutOfRange:
            return row
        return replace(row, truth=Ends(found.lo, found.hi))
    return row


def _of_the_truth(one: Number, reference: Reference, case: str) -> Beside:
    try:
        if one.quantity == "rate" and one.distortion is not None:
            found, rate = refined_rate(reference, one.distortion), None
        elif one.quantity in ("lagrangian", "rate", "distortion"):
            beta = one.slope if one.rates is None else reference.slope(one.rates[0])
            if beta is None:
                raise RdbenchError(f"{one.where}: the truth is asked at no slope and no rate")
            point = reference.point(beta)
            found, rate = getattr(point, one.quantity), point.rate.mid
        else:
            raise RdbenchError(f"{one.where}: the true curve has a rate and a distortion alone")
    except OutOfRange as problem:
        return Beside(one, case, TRUTH, "not decided", note=f"the truth is not known: {problem}")
    ours = Ends(found.lo, found.hi)
    return Beside(one, case, TRUTH, _verdict(one, [ours], 0), ours, rate)


def _of_records(one: Number, records: Sequence[CellRecord], case: str, estimator: str) -> Beside:
    mine = [r for r in records if r.case == case and estimator_label(r) == estimator]
    if not mine:
        return Beside(one, case, estimator, "not run")
    asked = [point for record in mine for point in record.points if _is_asked(one, point)]
    other = [p for p in asked if one.not_if and (p.reason or "").startswith(one.not_if)]
    used = [point for point in asked if point not in other]
    withheld = [p for p in used if one.quantity in _AUDITED and is_withheld(p)]
    answered = [point for point in used if point not in withheld]
    found = _intervals(one, answered)
    # A curve through points answers where some of them are missing; slope by slope none may be.
    unanswered = 0 if one.distortion is not None else len(used) - len(found)
    verdict = _verdict(one, [ends for ends, _ in found], unanswered)
    shown = found or _intervals(one, other)
    ours, rate = max(shown, key=lambda pair: _beyond(one.ends, pair[0]), default=(None, None))
    notes = [f"at {len(other)} of {len(asked)} points {one.not_if}"] if other else []
    if withheld:
        reasons = "; ".join(dict.fromkeys(p.reason for p in withheld if p.reason))
        notes.append(f"withheld at {len(withheld)} of {len(asked)} points: {reasons}")
    return Beside(one, case, estimator, verdict, ours, rate, "; ".join(notes))


def _intervals(one: Number, points: Sequence[PointRecord]) -> list[tuple[Ends, float | None]]:
    """The intervals of the points that have one, each with its true rate in nats."""
    if one.quantity == "rate" and one.distortion is not None:
        return [(ends, None) for ends in _rates_at(points, one.distortion)]
    pairs = ((_interval(point, one.quantity), abscissa(point)) for point in points)
    return [(ends, rate) for ends, rate in pairs if ends is not None]


def _is_asked(one: Number, point: PointRecord) -> bool:
    """Whether a published number is about the slope of a point."""
    if one.slope is not None:
        return math.isclose(point.beta, one.slope, rel_tol=_SAME)
    if one.rates is None:
        return True
    rate = abscissa(point)
    return rate is not None and one.rates[0] * (1 - _SAME) <= rate <= one.rates[1] * (1 + _SAME)


def _interval(point: PointRecord, quantity: Quantity) -> Ends | None:
    """The 95% interval of a quantity at one point; None where the point has none."""
    if point.status not in SCORED:
        return None
    lo: float | None
    hi: float | None
    match quantity:
        case "gap":
            lo, hi = (None if point.side == "upper" else point.gap_lo), point.gap_hi
        case "conditional_error":
            lo, hi = point.conditional_lo, point.conditional_hi
        case "lagrangian":
            lo, hi = point.lagrangian_lo, point.lagrangian_hi
        case "rate":
            return _around(point.rate, point.rate_half)
        case "distortion":
            return _around(point.distortion, point.distortion_half)
        case _:
            return _around(getattr(point, quantity), 0.0)
    if lo is None and hi is None:
        return None
    return Ends(-math.inf if lo is None else lo, math.inf if hi is None else hi)


def _around(value: float | None, half: float | None) -> Ends | None:
    return None if value is None else Ends(value - (half or 0.0), value + (half or 0.0))


def _rates_at(points: Sequence[PointRecord], distortion: float) -> list[Ends]:
    """R at a distortion on the convex curve through the points, none where they do not reach."""
    known = [
        (p.distortion, p.rate, p.rate_half or 0.0, p.beta)
        for p in sorted(points, key=lambda p: p.beta)
        if p.status in SCORED and p.distortion is not None and p.rate is not None
    ]
    right = [one for one in known if one[0] >= distortion]
    left = [one for one in known if one[0] <= distortion]
    if not right or not left:
        return []
    (d1, r1, h1, _), (d0, r0, h0, _) = min(right), max(left)
    part = (distortion - d0) / (d1 - d0) if d1 > d0 else 0.0
    chord = (1.0 - part) * (r0 + h0) + part * (r1 + h1)
    tangent = max(rate - half - beta * (distortion - d) for d, rate, half, beta in known)
    return [Ends(min(tangent, chord), chord)]


def _verdict(one: Number, ours: Sequence[Ends], unanswered: int) -> Verdict:
    theirs = one.ends
    if one.unprinted:
        return "no number" if ours else "not decided"
    if any(one.hi < theirs.lo or one.lo > theirs.hi for one in ours):
        return "does not agree"
    within = all(theirs.lo <= one.lo and one.hi <= theirs.hi for one in ours)
    # An estimate that is only bounded from one side is within a range that is open on the other.
    return "agrees" if ours and within and not unanswered else "not decided"


def _beyond(theirs: Ends, ours: Ends) -> float:
    """By how much ours reaches out of what is published; negative where it does not."""
    reach = [theirs.lo - ours.lo, ours.hi - theirs.hi]
    known = [value for value in reach if math.isfinite(value)]
    return max(known, default=-math.inf)


def sheet(rows: Sequence[Beside], units: str) -> Sheet:
    """The table of all published numbers.

    Args:
        rows: ours beside theirs.
        units: ``nats`` or ``bits``, for rates and gaps.

    Raises:
        RdbenchError: an unknown unit.
    """
    scale = nats_per(units)
    texts, values = [], []
    for i, row in enumerate(rows):
        one = row.number
        per, unit = (scale, units) if one.quantity in IN_UNITS else (1.0, "")
        head = (one.where, one.says)
        shown = ("", "") if i and rows[i - 1].number is one else head
        what = f"{quantity_name(one)} {place(one)}".rstrip()
        ours = "-" if row.ours is None else ends_text(one, row.ours, per, unit)
        if row.rate is not None:
            ours += f" (R = {number(row.rate, scale)})"
        verdict = row.verdict + (f" ({row.note})" if row.note else "")
        theirs = "-" if one.unprinted else ends_text(one, one.ends, per, unit)
        texts.append((*shown, row.case, row.estimator, what, theirs, ours, verdict))
        ends = (*one.ends, *(row.ours or (None, None)))
        values.append((
            *head, one.read, row.case, row.estimator, one.quantity, place(one),
            *(plain_end(end, per) for end in ends), unit, plain(row.rate, scale), row.verdict,
            row.note,
        ))  # fmt: skip
    return Sheet(
        name="published",
        title="Published numbers and ours",
        header=("where", "published", "case", "estimator", "number", "theirs", "ours [95%]",
                "verdict"),
        rows=tuple(texts),
        numeric=(False,) * 8,
        csv_header=("where", "says", "read", "case", "estimator", "quantity", "at", "theirs_lo",
                    "theirs_hi", "ours_lo", "ours_hi", "unit", f"at_rate_{units}", "verdict",
                    "note"),
        csv_rows=tuple(values),
        notes=(
            "Theirs is what the paper prints, up to its digits, or our reading of its words. Ours "
            "is the 95% interval at the slope that is farthest from it. *Agrees*: ours lies within "
            "theirs at every slope. *Does not agree*: the two have nothing in common at some "
            "slope. *Not decided*: the interval is too wide, or a slope has no answer. *Withheld*: "
            "the fit answered, but the audit failed its own tests there and gives no number.",
        ),
    )  # fmt: skip


def quantity_name(one: Number) -> str:
    """How tables call what a number is of."""
    return _NAMES.get(one.quantity, one.quantity)


def place(one: Number) -> str:
    """Where on the curve a published number stands; empty for all slopes."""
    if one.distortion is not None:
        return f"at D = {one.distortion:g}"
    if one.slope is not None:
        return f"at β = {one.slope:.4g}"
    if one.rates is None:
        return ""
    lo, hi = one.rates
    return f"at R = {lo:g} nats" if lo == hi else f"for R from {lo:g} to {hi:g} nats"


def ends_text(one: Number, ends: Ends, scale: float, unit: str) -> str:
    """``[lo, hi]``, ``≤ hi`` or ``≥ lo``, with the unit; more digits of a Lagrangian."""
    digits = 5 if one.quantity == "lagrangian" else 3
    lo, hi = (end if math.isfinite(end) else None for end in ends)
    text = span(lo, hi, scale, digits)
    if lo is None or hi is None:
        text = text[1:-1]
    elif number(lo, scale, digits) == number(hi, scale, digits):
        text = number(lo, scale, digits)
    return f"{text} {unit}".rstrip()


def plain_end(end: float | None, scale: float) -> str:
    """An end of an interval for a CSV file; empty where it is not known."""
    return plain(end if end is not None and math.isfinite(end) else None, scale)
