"""Rows of one slope: the truth, an estimator's answer, its audit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec

from rdbench.run.records import ITS_START, PointRecord
from rdbench.types import (
    Atoms,
    Audited,
    Case,
    Density,
    DualBound,
    Energy,
    OutOfRange,
    Product,
    Pushforward,
    Status,
    TestChannel,
)


def number(value: float | None) -> float | None:
    """None for what JSON cannot say: NaN and infinities."""
    return None if value is None or not math.isfinite(value) else float(value)


def expected(case: Case, beta: float, target_rate: float | None) -> PointRecord:
    """The row of a slope before the estimator answered it: the truth alone."""
    blank = PointRecord(
        beta=beta,
        target_rate=target_rate,
        status="error",
        reason="no result at this slope",
    )
    try:
        truth = case.reference.point(beta)
    except OutOfRange:
        return blank
    return msgspec.structs.replace(
        blank,
        truth_kind=truth.kind or case.reference.kind,
        truth_lo=number(truth.lagrangian.lo),
        truth_hi=number(truth.lagrangian.hi),
        rate_lo=number(truth.rate.lo),
        rate_hi=number(truth.rate.hi),
        dist_lo=number(truth.distortion.lo),
        dist_hi=number(truth.distortion.hi),
    )


def ended(row: PointRecord, status: Status, reason: str) -> PointRecord:
    """The row with a status and a reason."""
    return msgspec.structs.replace(row, status=status, reason=reason)


def claimed(row: PointRecord, channel: TestChannel | DualBound) -> PointRecord:
    """The row with what the estimator says itself."""
    if isinstance(channel, DualBound):
        return msgspec.structs.replace(
            row,
            status=channel.status,
            reason=channel.reason,
            claimed_lagrangian=number(channel.claim),
            claimed_side=channel.claim_side,
            side="lower",
            q_is=channel.made_of or "dual function",
        )
    return msgspec.structs.replace(
        row,
        status=channel.status,
        reason=channel.reason,
        claimed_rate=number(channel.claim.rate),
        claimed_distortion=number(channel.claim.distortion),
        claimed_side=channel.claim.side,
        conditional_kind=channel.conditional_kind,
        q_is=ITS_START if channel.is_start else channel.q_is or _KINDS[type(channel.marginal)],
        started_from=None if channel.start is None else channel.start.name,
    )


_KINDS: Mapping[type, str] = {
    Atoms: "atoms",
    Density: "density",
    Energy: "energy",
    Pushforward: "generator",
    Product: "product of atoms",
}
"""What q is where the estimator does not say."""
_AUDITED = frozenset(PointRecord.__struct_fields__) & {f.name for f in fields(Audited)} - {"beta"}
"""The fields that a record takes from the audit under the same name."""


def audited(row: PointRecord, found: Audited, audit_s: float) -> PointRecord:
    """The row with what the audit found."""
    notes = [row.reason, found.note]
    if not found.accepted:
        notes.append("the audit failed its acceptance test: only its bracket counts")
    values = {name: getattr(found, name) for name in _AUDITED}
    return msgspec.structs.replace(
        row,
        **{name: number(v) if isinstance(v, float) else v for name, v in values.items()},
        reason="; ".join(filter(None, notes)),
        audit_method=found.method,
        gap_blocks=[float(f"{block:.8g}") for block in found.blocks],
        gap_common_se=number(found.common_se),
        audit_s=audit_s,
    )


def fault_of(channel: Any) -> str:
    """The fault in the form of a channel, in words; empty where there is none."""
    if channel.status not in ("ok", "not_converged"):
        return f"its status is {channel.status!r}, not ok or not_converged"
    if isinstance(channel, DualBound):
        return "" if channel.claim_side in _SIDES else f"its side is {channel.claim_side!r}"
    if type(channel.marginal) not in _KINDS:
        return (
            f"its marginal is a {type(channel.marginal).__name__}, "
            "not Atoms, Density, Energy, Pushforward or Product"
        )
    if channel.claim.side not in _SIDES:
        return f"its claim's side is {channel.claim.side!r}"
    return ""


_SIDES = ("exact", "upper", "lower", "estimate")


def bad_numbers(channel: TestChannel | DualBound, found: Audited | None) -> str:
    """The number that ought to be finite and is not, in words; empty where there is none."""
    if isinstance(channel, DualBound):
        claims = [("bound", channel.claim)]
    else:
        claims = [("rate", channel.claim.rate), ("distortion", channel.claim.distortion)]
    for what, value in claims:
        if not math.isfinite(value):
            return f"its claimed {what} is {value}"
    if found is None or not found.accepted:
        return ""
    # an audit that failed its acceptance test has no estimate, but still knows a bracket
    known = (found.lagrangian, found.gap_lo, found.gap_hi)
    if not any(math.isfinite(value) for value in known):
        return f"its audited Lagrangian is {found.lagrangian}"
    return ""
