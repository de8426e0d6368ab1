"""Whom to trust, and why: the sentences below an answer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rdbench.band import CONSTANT, Band, Reached
from rdbench.band.rows import bounds_above, bounds_below, half_above
from rdbench.bracket import Bracket
from rdbench.outcomes import SCORED
from rdbench.report.style import estimator_label
from rdbench.report.units import nats_per
from rdbench.run.records import CellRecord

NO_LOWER = (
    "There is no lower bound: nothing says how far below R(D) lies. `rdbench run` with --sandwich "
    "gives every upper bound its lower twin."
)
NO_UPPER = (
    "There is no audited upper bound: an audit of side `exact` or `upper` is needed, and none of "
    "these rows has one."
)
_EXACT = 1e-9


@dataclass(frozen=True)
class Known:
    """R at one D, or D at one R, in nats and summed distortion.

    The ends are trusted; ``middle`` is the estimate from above without its interval (NaN where
    there is none). ``below`` and ``above`` say who gives the ends. ``truth`` is R(D) as it is known
    beside the estimators, where it is known and they give both ends.
    """

    distortion: Bracket
    rate: Bracket
    middle: float
    below: str
    above: str
    truth: Bracket | None = None


def number(value: float) -> str:
    """Four significant digits, no fewer than three decimals up to a thousand."""
    if not math.isfinite(value):
        return "-" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if 1e-3 <= abs(value) < 1e3 or value == 0.0:
        return f"{value:.4f}"
    return f"{value:.4g}"


def sentences(
    records: Sequence[CellRecord],
    shown: Band,
    audited: Band,
    found: Sequence[Known],
    crossing: Reached | None = None,
) -> tuple[str, ...]:
    """What is said below an answer.

    Args:
        records: cells of one case.
        shown: the band that the answer has its numbers from.
        audited: the band of the estimators alone.
        found: the numbers.
        crossing: where two bounds contradict each other, if they do.
    """
    out = [_upper(records, audited, found), _lower(records, shown, found)]
    out += _uncounted(records)
    widths = [k.rate.width for k in found if k.rate.width and math.isfinite(k.rate.width)]
    if widths and shown.tangents:
        most = max(widths)
        out.append(
            f"Between the two at most {number(most)} nats ({number(most / nats_per('bits'))} bits) "
            "are left here; the ends of all rows hold at once in 95% of cases."
        )
    out += _limits(records, found)
    if crossing is not None:
        out.append(
            f"The bounds contradict each other: {crossing.by} at D = {crossing.distortion:.4g}, by "
            f"{crossing.rate:.3g} nats. One is false."
        )
    return tuple(out)


def _upper(records: Sequence[CellRecord], audited: Band, found: Sequence[Known]) -> str:
    if not audited.reached:
        return NO_UPPER
    votes = Counter(
        name for k in found for name in k.above.split(", ") if name and not _is_known(name)
    ) or Counter(one.by for one in audited.reached)
    best, count = votes.most_common(1)[0]
    points = [p for r in records if estimator_label(r) == best for p in r.points if bounds_above(p)]
    sides = " or ".join(sorted({str(p.side) for p in points}))
    means = (
        "its audit is of F(q) itself" if sides == "exact"
        else "its audit can only err upwards, so that F(q) may be less"
    )  # fmt: skip
    methods = ", ".join(sorted({p.audit_method for p in points if p.audit_method})) or "unknown"
    width = max((half_above(p) or 0.0 for p in points), default=0.0)
    interval = f"within {number(width)} nats (95%)" if width > _EXACT else "by exact sums"
    share = f" ({count} of {len(found)} here)" if found else ""
    return (
        f"From above trust {best}: it gives the least upper end{share}; "
        f"side {sides}: {means}, known {interval}; method {methods}."
    )


def _lower(records: Sequence[CellRecord], shown: Band, found: Sequence[Known]) -> str:
    if not shown.tangents:
        return NO_LOWER
    votes = Counter(k.below for k in found if k.below) or Counter(t.by for t in shown.tangents)
    best = votes.most_common(1)[0][0]
    if found and not any(k.below for k in found):
        return f"No lower bound says more than R >= 0 here: {', '.join(sorted(votes))}."
    if _is_truth(best):
        return f"From below stands what is known of F*: {best}."
    rows = [p for r in records if estimator_label(r) == best for p in r.points if bounds_below(p)]
    evidence = " or ".join(sorted({str(e) for p in rows if (e := getattr(p, "evidence", None))}))
    return f"From below trust {best}: {evidence or 'audited'} lower bound."


def _uncounted(records: Sequence[CellRecord]) -> list[str]:
    """The rows that bound nothing, though they are results: of whom, and at how many slopes."""
    by: dict[str, list[bool]] = {}
    for record in records:
        for p in record.points:
            if p.status in SCORED and p.lagrangian is not None:
                by.setdefault(estimator_label(record), []).append(
                    bounds_above(p) or bounds_below(p)
                )
    left_out = [
        name if not any(counted) else f"{name} at {counted.count(False)} of {len(counted)} points"
        for name, counted in sorted(by.items())
        if not all(counted)
    ]
    if not left_out:
        return []
    return [
        f"Not counted: {', '.join(left_out)}. The side of their audits is `estimate` (neither end "
        "is guaranteed), or they have no interval."
    ]


def _limits(records: Sequence[CellRecord], found: Sequence[Known]) -> list[str]:
    """What a fixed training set cannot say."""
    sizes = {n for record in records if (n := _seen(record))}
    if not sizes:
        return []
    n = max(sizes)
    beyond = [k for k in found if k.rate.hi > math.log(n) - 1.0 and math.isfinite(k.rate.hi)]
    text = (
        f"The fits saw n = {n:,} symbols: channels whose reproductions are made of them carry at "
        f"most log n = {number(math.log(n))} nats, and are loose from about one nat below."
    )
    return [text + (f" That concerns {len(beyond)} of the points here." if beyond else "")]


def _seen(record: CellRecord) -> int | None:
    """How many symbols there were to fit, where they were all there is of a population."""
    data = getattr(record, "data", None) or {}
    return record.cost.n_source_samples if data.get("of") == "population" else record.n_train


def _is_known(name: str) -> bool:
    """Whether an upper end is no estimator's: of the truth, or of a constant reproduction."""
    return _is_truth(name) or name == CONSTANT


def _is_truth(name: str) -> bool:
    return name.startswith("truth")
