"""The claim of an estimator, compared with its audit and with the truth.

A claim is a point (R, D), by the estimator's own formula on its own data, in nats per symbol.
The point as a whole must be possible, and R, D and C = R + beta D must be those that the audit
finds. Nothing is known of the claim's sampling noise: `rdbench.report.claim_limits` says what is
granted for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rdbench.report.claim_limits import Tangent
from rdbench.report.scores import mean
from rdbench.report.verdicts import VERDICTS as VERDICTS
from rdbench.report.verdicts import Verdict as Verdict
from rdbench.report.verdicts import verdicts, verdicts_in
from rdbench.run.records import CellRecord, PointRecord

Counts = tuple[tuple[Verdict, int], ...]
"""How often each verdict occurs, in the order of ``VERDICTS``."""


@dataclass(frozen=True)
class ClaimSummary:
    """The claims of several points taken together, in nats."""

    mean_gap: float | None
    """Of C - F*, over the points that claim something."""
    worst_gap: float | None
    """The largest C - F*: the claimed counterpart of the worst gap."""
    excess: float | None
    """The C - F(q) of largest magnitude, with its sign; negative where more is claimed."""
    verdicts: Counts


def claimed_lagrangian(point: PointRecord) -> float | None:
    """C = claimed R + beta * claimed D, None where either is missing."""
    if point.claimed_lagrangian is not None:
        return point.claimed_lagrangian
    if point.claimed_rate is None or point.claimed_distortion is None:
        return None
    return point.claimed_rate + point.beta * point.claimed_distortion


def claimed_gap(point: PointRecord) -> float | None:
    """C - F*, by the middle of the bracket on F*; of a lower bound F* - C."""
    claimed, truth = claimed_lagrangian(point), true_lagrangian(point)
    return None if claimed is None or truth is None else _sign(point) * (claimed - truth)


def claim_excess(point: PointRecord) -> float | None:
    """C minus the audited Lagrangian: negative where the estimator claims better than is found."""
    claimed = claimed_lagrangian(point)
    if claimed is None or point.lagrangian is None:
        return None
    return _sign(point) * (claimed - point.lagrangian)


def _sign(point: PointRecord) -> float:
    """-1 for a lower bound, which is the better the larger it is."""
    return -1.0 if point.side == "lower" else 1.0


def true_lagrangian(point: PointRecord) -> float | None:
    """The middle of the bracket on F*."""
    if point.truth_lo is None or point.truth_hi is None:
        return None
    return 0.5 * (point.truth_lo + point.truth_hi)


def verdict(point: PointRecord, dim: int, curve: Iterable[Tangent] = ()) -> Verdict:
    """Whether a claim can be right; see `rdbench.report.verdicts`, which takes many at once.

    Args:
        point: the slope.
        dim: the dimension of the source, for the noise.
        curve: tangents of the true curve at other slopes, `claim_limits.curve_of` the cell.
    """
    return verdicts([(point, dim, tuple(curve))])[0]


def verdict_in(record: CellRecord, point: PointRecord) -> Verdict:
    """The verdict on a point of a cell, by the cell's own ladder."""
    return verdicts_in([(record, point)])[0]


def summarise_claims(points: Iterable[tuple[CellRecord, PointRecord]]) -> ClaimSummary:
    """The claims of points, each with its cell."""
    pairs = list(points)
    gaps = [gap for _, point in pairs if (gap := claimed_gap(point)) is not None]
    excess = [value for _, point in pairs if (value := claim_excess(point)) is not None]
    return ClaimSummary(
        mean_gap=mean(gaps),
        worst_gap=max(gaps, default=None),
        excess=max(excess, key=abs, default=None),
        verdicts=counts_of(verdicts_in(pairs)),
    )


def counts_of(found: Iterable[Verdict]) -> Counts:
    """How often each verdict occurs."""
    counts = Counter(found)
    return tuple((name, counts[name]) for name in VERDICTS if counts[name])


def verdict_texts(summary: ClaimSummary) -> list[str]:
    """``too good 3/8`` and so on, the most alarming first; empty where nothing is there."""
    return texts_of(summary.verdicts)


def texts_of(counts: Counts) -> list[str]:
    """`verdict_texts` of counts."""
    total = sum(count for _, count in counts)
    return [f"{name} {count}/{total}" for name, count in counts]
