"""Are the claims in nats and summed distortion, on their side, and borne out by an audit?

Every check counts what it compared, and is skipped where that is nothing.
"""

from __future__ import annotations

import itertools
import math

from rdbench.check.attempts import Options
from rdbench.check.bench import Bench, Judged
from rdbench.check.confusions import ENOUGH, confusion, pairs
from rdbench.check.findings import Outcome, failed, judged, passed, skipped
from rdbench.check.invariance import gap_apart
from rdbench.check.points import (
    audited_points,
    halves,
    impossibility,
    shortfall,
    slack_of,
    tolerance,
    where,
)
from rdbench.types import Energy

_RISE = 0.05  # nats, and relative, by which a curve may seem to turn
_LOOSE = 0.25  # of R, and in nats: a bound farther off bounds nothing of interest
_SHARP = 0.5  # the effective share of draws below which the R and D of an upper bound are vague


def possible(bench: Bench) -> Outcome:
    """The audit finds nothing that no channel can do."""
    points = audited_points(bench)
    known = [one for one in points if one.interval is not None]
    if not known:
        return skipped("no audit has a point")
    faults = [f"{where(one)}: {fault}" for one in known if (fault := impossibility(one))]
    return judged(faults, f"{len(known)} of {len(points)} channels audited, none under the curve")


def units(bench: Bench) -> Outcome:
    """R in nats per symbol, D summed over dimensions."""
    points = audited_points(bench)
    named = confusion(points)
    if named:
        return failed(named)
    known = len(pairs(points))
    if known < ENOUGH:
        return skipped(f"{known} of {len(points)} points have an audit that tells units apart")
    return passed(
        f"rates in nats, distortions summed over dimensions: {known} points compared with the audit"
    )


def below_truth(bench: Bench) -> Outcome:
    """No claim lies below what is possible: not under the true curve, and not below zero."""
    points = audited_points(bench)
    if confusion(points):
        return skipped("see units")
    if not points:
        return skipped("no claim to look at")
    faults = [f"{where(one)}: {fault}" for one in points if (fault := _impossible_claim(one))]
    return judged(faults, f"{len(points)} claims, none below the true curve")


def _impossible_claim(one: Judged) -> str:
    claim, truth = one.channel.claim, one.truth
    if claim.distortion < 0.0 or claim.rate < -slack_of(one, truth.rate.hi, 0.0).rate:
        return (
            f"it claims R = {claim.rate:.3g}, D = {claim.distortion:.3g}; neither can be negative, "
            "whatever the side"
        )
    if claim.side == "lower":
        return ""
    short = truth.lagrangian.lo - one.claimed
    if short > tolerance(one):
        return (
            f"it claims R + beta D = {one.claimed:.4g} nats, {short:.3g} below "
            "the least that is possible; this usually means a claim computed on the training "
            "draws, noise that was fitted to, a mean where a sum is meant, or a wrong constant"
        )
    under, slope = shortfall(one)
    if under > 0.0:
        return (
            f"it claims R = {claim.rate:.4g} at D = {claim.distortion:.4g}: by the tangent of "
            f"slope {slope:.4g} that is {under:.3g} nats under R(D), beyond all noise; R and D "
            "have to be those of one channel"
        )
    return ""


def claims(bench: Bench) -> Outcome:
    """R, D and R + beta D as claimed agree with the audit, as far as the side says."""
    points = audited_points(bench)
    if confusion(points):
        return skipped("see units")
    faults: list[str] = []
    known, loose = 0, []
    for one in points:
        inside = one.interval
        if inside is None or one.audited is None:
            if one.reason:
                faults.append(f"{where(one)}: it cannot be audited: {one.reason}")
            continue
        if impossibility(one):
            continue  # told by the check of what is possible
        stated = one.channel.claim.side
        off = max(inside[0] - one.claimed, one.claimed - inside[1]) - tolerance(one)
        if stated == "estimate" and off > 0.0:
            faults.append(_disagreement(one, inside))
        if stated != "estimate" and off > 0.0:  # by `side` it is judged whether a bound may be so
            loose.append(off)
            continue
        compared, other = _pair(one)
        known += compared or stated == "estimate"
        if other and off <= 0.0:
            faults.append(f"{where(one)}: {other}")
    if faults or known or loose:
        bounds = f"; {len(loose)} bounds are up to {max(loose):.3g} nats away" if loose else ""
        found = f"{known} of {len(points)} claims compared, within noise of the audit{bounds}"
        return judged(faults, found)
    return skipped("no claim can be compared: bounds by side, those of encoders by conditional")


def _pair(one: Judged) -> tuple[bool, str]:
    """Whether R and D could be compared one by one, and what is wrong with them, in words.

    An encoder is a channel of its own, with other R and D than q exp(-beta rho) / Z, and what an
    upper bound exceeds F(q) by moves R and beta D by up to sqrt(d e).
    """
    found, claim, beta = one.audited, one.channel.claim, one.channel.beta
    if found is None or one.channel.conditional_kind == "encoder" or beta == 0.0:
        return False, ""
    if found.side == "upper" and found.ess < _SHARP:
        return False, ""
    excess = one.claimed - found.lagrangian if claim.side == "upper" else 0.0
    other = math.sqrt(one.probe.dim * max(excess, 0.0))
    slack, (rate_half, distortion_half) = slack_of(one, found.rate, found.distortion), halves(one)
    rate_off = abs(claim.rate - found.rate) - slack.rate - rate_half - other
    distortion_off = abs(claim.distortion - found.distortion) - slack.distortion - distortion_half
    if rate_off <= 0.0 and distortion_off - other / beta <= 0.0:
        return True, ""
    return True, (
        f"it claims R = {claim.rate:.4g}, D = {claim.distortion:.4g}, the audit finds "
        f"R = {found.rate:.4g}, D = {found.distortion:.4g}; R + beta D is right, so this usually "
        "means that R is what is left of it after a D of another channel, or of other draws"
    )


def _disagreement(one: Judged, inside: tuple[float, float]) -> str:
    below = one.claimed < inside[0]
    energy = isinstance(one.channel.marginal, Energy)
    meaning = (
        "this usually means that its chains do not reach q: the claim is then of their draws, the "
        "audit of the energy"
        if below and energy
        else "this usually means that the claim was computed on the draws (or the noise) that the "
        "marginal was fitted to; claim on fresh draws of view.sample"
        if below
        else "this usually means a plug-in average of too few draws at a high rate, or R of one "
        "formula and D of another; say side='upper' where it is a bound by its construction"
    )
    return (
        f"{where(one)}: it claims R + beta D = {one.claimed:.4g} nats, the audit finds "
        f"{inside[0]:.4g} to {inside[1]:.4g}; {meaning}"
    )


def side(bench: Bench) -> Outcome:
    """An upper bound is not below F(q), a lower one not above it, an exact value neither."""
    points = audited_points(bench)
    if confusion(points):
        return skipped("see units")
    bounds = [one for one in points if one.channel.claim.side != "estimate"]
    if not bounds:
        return skipped("it claims estimates, which have no side")
    known = [one for one in bounds if one.interval is not None and not impossibility(one)]
    if not known:
        return skipped("no audit has a point to hold its bounds against")
    faults = [
        f"{where(one)}: {fault}"
        for one in known
        if (fault := fault_of_side(one, tolerance(one)) or _fault_of_loose(one))
    ]
    sides = sorted({one.channel.claim.side for one in known})
    return judged(
        faults, f"the audit agrees with {', '.join(sides)} at {len(known)} of {len(points)} points"
    )


def _fault_of_loose(one: Judged) -> str:
    """A bound so far from F(q) that it bounds nothing, in words; empty where it is none."""
    stated, inside, found = one.channel.claim.side, one.interval, one.audited
    if inside is None or found is None or stated not in _SIDES:
        return ""
    if one.channel.status == "not_converged":  # which says so itself
        return ""
    far = one.claimed - inside[1] if stated == "upper" else inside[0] - one.claimed
    if far <= tolerance(one) + _LOOSE * max(1.0, found.rate):
        return ""
    return (
        f"its claim {one.claimed:.4g} is a bound from {_SIDES[stated]}, but {far:.3g} nats from "
        f"what the audit finds (F(q) = {inside[0]:.4g} to {inside[1]:.4g}): it is loose, and "
        "bounds next to nothing; this usually means a wrong unit or constant, or a plug-in of too "
        "few draws"
    )


_SIDES = {"upper": "above", "lower": "below"}


def fault_of_side(one: Judged, slack: float) -> str:
    """A claim off its side of F(q) by more than the slack in nats, in words; empty otherwise."""
    stated, inside = one.channel.claim.side, one.interval
    if inside is None or stated == "estimate":
        return ""
    low = one.claimed < inside[0] - slack and stated != "lower"
    high = one.claimed > inside[1] + slack and stated != "upper"
    if not (low or high):
        return ""
    word = "an exact value" if stated == "exact" else f"a bound from {_SIDES[stated]}"
    return (
        f"its claim {one.claimed:.4g} is said to be {word} (side = {stated!r}), but the audit "
        f"finds F(q) = {inside[0]:.4g} to {inside[1]:.4g}; say 'estimate' where nothing is "
        "guaranteed"
    )


def monotone(bench: Bench) -> Outcome:
    """R rises and D falls with beta, claimed and audited."""
    faults: list[str] = []
    points = sorted(bench.audits(bench.base), key=lambda one: one.channel.beta)
    if len(points) < 2:
        return skipped("fewer than two slopes were answered")
    claimed = [(p.channel.beta, p.channel.claim.rate, p.channel.claim.distortion) for p in points]
    found = [
        (p.channel.beta, p.audited.rate, p.audited.distortion)
        for p in points
        if p.audited is not None and p.audited.accepted
    ]
    for word, curve in (("claimed", claimed), ("audited", found)):
        for (b0, r0, d0), (b1, r1, d1) in itertools.pairwise(curve):
            if r1 < r0 - _RISE or d1 > d0 * (1.0 + _RISE):
                faults.append(
                    f"from beta = {b0:.3g} to {b1:.3g} the {word} rate goes from {r0:.3g} to "
                    f"{r1:.3g} and the distortion from {d0:.3g} to {d1:.3g}: R must rise and "
                    "D fall as beta grows; this usually means channels yielded with another "
                    "slope's beta, or D / beta mixed up"
                )
    return judged(
        faults,
        f"rates rise and distortions fall with beta: {len(claimed)} claimed points, "
        f"{len(found)} audited",
    )


def no_peeking(bench: Bench) -> Outcome:
    """A view with no source behind it does as well, and a second audit finds the same."""
    bare = Options(bare=True)
    alone = bench.fit(bench.base.highest, bare)
    if alone.trouble or alone.refused:
        return failed(
            "fit works with the runner's view but not with one that has only draws behind it "
            f"({alone.trouble or alone.refused}); this usually means that it looks for the source "
            "inside view.sample"
        )
    faults: list[str] = []
    compared = 0
    others = {other.channel.beta: other for other in bench.audits(bench.base.highest, bare)}
    for one in bench.audits(bench.base):
        apart = gap_apart(one, others.get(one.channel.beta))
        if apart and apart[1] > apart[0]:
            faults.append(
                f"beta = {one.channel.beta:.4g}: the audited gap is {apart[0]:.3g} nats with the "
                f"runner's view and {apart[1]:.3g} with one that has only draws behind it; does it "
                "look for the source inside view.sample?"
            )
        again = bench.judge(bench.base, one.channel, salt=1)
        compared += one.interval is not None and again.interval is not None
        shifted = gap_apart(one, again)
        if shifted:
            faults.append(
                f"beta = {one.channel.beta:.4g}: two audits on different draws find gaps of "
                f"{shifted[0]:.3g} and {shifted[1]:.3g} nats; this usually means a sampler whose "
                "law changes from call to call"
            )
    if not faults and not compared:
        return skipped("no audit has a point to compare with a second one")
    return judged(faults, f"as good on draws alone; a second audit of {compared} finds the same")
