"""One table over all papers: what is published, the truth, ours, and how far they are apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rdbench.report.units import nats_per
from rdbench.reproduce.numbers import IN_UNITS, Elsewhere, Ends, Number
from rdbench.reproduce.published import Beside, ends_text, place, plain_end, quantity_name
from rdbench.reproduce.sheet import Sheet, number, plain

NAME = "papers"
"""Of the files of the table."""
NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class Compared:
    """What there is to say of the numbers of one paper."""

    rows: tuple[Beside, ...]
    elsewhere: tuple[Elsewhere, ...] = ()


def across(papers: Mapping[str, Compared], units: str) -> Sheet:
    """The table, paper by paper: a row per number, case and estimator, then what is not compared.

    Args:
        papers: by name.
        units: ``nats`` or ``bits``, for rates, gaps and Lagrangians.

    Raises:
        RdbenchError: an unknown unit.
    """
    scale = nats_per(units)
    texts: list[tuple[str, ...]] = []
    values: list[tuple[str, ...]] = []
    for name, found in papers.items():
        for row in found.rows:
            texts.append((name, *_texts(row, scale, units)))
            values.append((name, *_values(row, scale, units)))
        for one in found.elsewhere:
            texts.append((name, one.where, one.problem, one.says, "-", "-", "-", "-", "-",
                          f"{NOT_COMPARED}: {one.why}", one.cost))  # fmt: skip
            empty = [""] * 10
            values.append((name, one.where, one.problem, one.says, *empty, NOT_COMPARED, one.why,
                           one.cost))  # fmt: skip
    return Sheet(
        name=NAME,
        title="All papers: published, truth and ours",
        header=("paper", "where", "problem", "published", "truth", "by", "ours [95%]",
                "published − truth", "ours − published", "verdict",
                "time and machine, as printed"),
        rows=tuple(texts),
        numeric=(False,) * 11,
        csv_header=("paper", "where", "problem", "says", "quantity", "published_lo",
                    "published_hi", "truth_lo", "truth_hi", "by", "ours_lo", "ours_hi",
                    "intervals", "unit", "verdict", "note", "cost"),
        csv_rows=tuple(values),
        notes=(
            "Published and truth stand at the same slope; a Lagrangian F = R + βD is of R in nats "
            "(or bits) per symbol and D summed over coordinates, whatever the paper prints. Ours "
            "is the 95% interval of the audit. In brackets, how many intervals apart the two are: "
            "the distance of the centres over the sum of the half lengths, so that up to 1 they "
            "overlap; of a published limit the distance from it, negative inside.",
            "*No number*: nothing is printed that ours could be held against. *Not compared*: "
            "nobody can here, for the reason given.",
        ),
    )  # fmt: skip


def apart(stated: Ends, ours: Ends) -> tuple[float, float | None] | None:
    """The distance of ours from what is published, and the same in intervals.

    Of two intervals it is that of the centres, over the sum of the half lengths; of a limit that of
    our centre from it, with the sign turned so that inside is negative, over our half length. The
    second is None where both are points; all is None where an end that counts is not known.
    """
    if not (math.isfinite(ours.lo) and math.isfinite(ours.hi)):
        return None
    centre, half = 0.5 * (ours.lo + ours.hi), 0.5 * (ours.hi - ours.lo)
    if math.isfinite(stated.lo) and math.isfinite(stated.hi):
        half += 0.5 * (stated.hi - stated.lo)
        distance = centre - 0.5 * (stated.lo + stated.hi)
    elif math.isfinite(stated.hi):
        distance = centre - stated.hi
    elif math.isfinite(stated.lo):
        distance = stated.lo - centre
    else:
        return None
    return distance, distance / half if half > 0.0 else None


def counts(papers: Mapping[str, Compared]) -> str:
    """How often each verdict occurs, in one line per paper."""
    lines = []
    for name, found in papers.items():
        verdicts = [row.verdict for row in found.rows] + [NOT_COMPARED] * len(found.elsewhere)
        each = ", ".join(f"{one} {verdicts.count(one)}" for one in dict.fromkeys(sorted(verdicts)))
        lines.append(f"- {name}: {each or 'no numbers'}")
    return "\n".join(lines)


def _problem(row: Beside) -> str:
    return f"{row.case}, {quantity_name(row.number)} {place(row.number)}".rstrip()


def _texts(row: Beside, scale: float, units: str) -> tuple[str, ...]:
    one = row.number
    per, unit = (scale, units) if one.quantity in IN_UNITS else (1.0, "")
    theirs = (
        f"no number: {one.unprinted}" if one.unprinted else ends_text(one, one.stated, per, unit)
    )
    ours = "-" if row.ours is None else ends_text(one, row.ours, per, unit)
    verdict = row.verdict + (f" ({row.note})" if row.note else "")
    of_truth = None if row.truth is None or one.unprinted else _centre(one, row.truth)
    between = None if row.ours is None or one.unprinted else apart(one.stated, row.ours)
    return (
        one.where,
        _problem(row),
        theirs,
        "-" if row.truth is None else ends_text(one, row.truth, per, unit),
        row.estimator,
        ours,
        "-" if of_truth is None else number(of_truth, per),
        "-" if between is None else _distance(between, per),
        verdict,
        one.cost,
    )


def _values(row: Beside, scale: float, units: str) -> tuple[str, ...]:
    one = row.number
    per, unit = (scale, units) if one.quantity in IN_UNITS else (1.0, "")
    stated: Sequence[float | None] = (None, None) if one.unprinted else one.stated
    between = None if row.ours is None or one.unprinted else apart(one.stated, row.ours)
    note = "; ".join(filter(None, (one.read, one.unprinted, row.note)))
    return (
        one.where, _problem(row), one.says, one.quantity,
        *(plain_end(end, per) for end in (*stated, *(row.truth or (None, None)))),
        row.estimator,
        *(plain_end(end, per) for end in row.ours or (None, None)),
        plain(None if between is None else between[1]), unit, row.verdict, note, one.cost,
    )  # fmt: skip


def _centre(one: Number, truth: Ends) -> float | None:
    """The published value minus the true one; None of a limit."""
    lo, hi = one.stated
    if not (math.isfinite(lo) and math.isfinite(hi)):
        return None
    return 0.5 * (lo + hi) - 0.5 * (truth.lo + truth.hi)


def _distance(between: tuple[float, float | None], scale: float) -> str:
    distance, intervals = between
    text = number(distance, scale, 2)
    return text if intervals is None else f"{text} ({number(intervals, 1.0, 2)})"
