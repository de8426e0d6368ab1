"""What no channel can do: a point under the true curve, a rate or a distortion below zero."""

from __future__ import annotations

import math

from rdbench.audit import possible as possible_audit
from rdbench.check.bench import Bench, Judged
from rdbench.check.findings import Outcome, judged, skipped
from rdbench.check.points import audited_points, slack_of, tolerance, where
from rdbench.types import OutOfRange

_STEPS = range(-4, 11)  # slopes beta 2^k at which the true curve is looked at


def possible(bench: Bench) -> Outcome:
    """The audit finds nothing that no channel can do."""
    points = audited_points(bench)
    known = [one for one in points if one.interval is not None]
    if not known:
        return skipped("no audit has a point")
    faults = [f"{where(one)}: {fault}" for one in known if (fault := impossibility(one))]
    return judged(faults, f"{len(known)} of {len(points)} channels audited, none under the curve")


def impossibility(one: Judged) -> str:
    """What is impossible about an audited point, in words; empty where nothing is."""
    found = one.audited
    if found is None:
        return ""
    fault = possible_audit.impossibility(found, one.probe.reference, one.probe.problem)
    if not fault:
        return ""
    return (
        f"{fault}; no channel can do that; this usually means samplers or densities that follow "
        "the audit's own draws, keep a state, or change the numbers that they are handed"
    )


def halves(one: Judged) -> tuple[float, float]:
    """Half the widths of the audit's intervals of R and D; of F where those are not known."""
    found, inside = one.audited, one.interval
    if found is None or inside is None:
        return math.inf, math.inf
    of_f = 0.5 * (inside[1] - inside[0])
    beta = one.channel.beta
    rate = found.rate_half if math.isfinite(found.rate_half) else of_f
    if math.isfinite(found.distortion_half):
        return rate, found.distortion_half
    return rate, of_f / beta if beta > 0.0 else math.inf


def shortfall(one: Judged) -> tuple[float, float]:
    """How far the claimed (R, D) lies under the true curve beyond its noise, and at which slope.

    The curve lies above its tangents: R + b D >= F*(b) for every slope b.
    """
    claim, beta = one.channel.claim, one.channel.beta
    slack = slack_of(one, claim.rate, claim.distortion)
    worst = (-math.inf, beta)
    for step in (0, *(k for k in _STEPS if k)):
        slope = beta * 2.0**step
        try:
            least = one.probe.reference.point(slope).lagrangian.lo
        except OutOfRange:
            continue
        # At its own slope the claim has a tolerance of its own; the noise of D counts elsewhere.
        allowed = slack.rate + slope * slack.distortion
        allowed = tolerance(one) if step == 0 else max(allowed, slack.lagrangian)
        short = least - claim.rate - slope * claim.distortion - allowed
        worst = max(worst, (short, slope))
    return worst
