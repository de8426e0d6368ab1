"""The audited points that the checks of claims share, and how far noise explains a claim there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rdbench.audit import possible
from rdbench.check.bench import Bench, Judged
from rdbench.check.invariance import BASE
from rdbench.check.problems import Probe, five, laplacian
from rdbench.types import OutOfRange

FIVE, LAPLACIAN = five(), laplacian()
CLAIM_TOLERANCE = (
    0.08  # nats per root dimension: five standard errors of a claim on 2,000 held-out draws
)
_FLOOR = 0.005  # nats
_SHARE = 0.01  # of R and D
_STEPS = range(-4, 11)  # slopes beta 2^k at which the true curve is looked at


@dataclass(frozen=True)
class Slack:
    """The part of an error that the noise of a claim explains: of R, of D and of R + beta D."""

    rate: float
    distortion: float
    lagrangian: float


def audited_points(bench: Bench) -> list[Judged]:
    """Every channel of the usual problems with its audit."""
    probes: tuple[Probe, ...] = (bench.base,)
    if bench.continuous:
        probes = (bench.base, BASE, FIVE, LAPLACIAN)
    return [one for probe in probes for one in bench.audits(probe)]


def tolerance(one: Judged) -> float:
    """Of R + beta D, in nats."""
    return CLAIM_TOLERANCE * math.sqrt(one.probe.dim)


def slack_of(one: Judged, rate: float, distortion: float) -> Slack:
    """Five standard errors on 2,000 draws, where R and D are these (`docs/tables.md` has three)."""
    dim, beta = one.probe.dim, one.channel.beta
    of_rate = CLAIM_TOLERANCE * math.sqrt(min(float(dim), 2.0 * max(rate, 0.0)))
    of_rate += _FLOOR + _SHARE * max(rate, 0.0)
    of_distortion = (2.0 * CLAIM_TOLERANCE / math.sqrt(dim) + _SHARE) * max(distortion, 0.0)
    of_distortion += _FLOOR / beta if beta > 0.0 else 0.0
    return Slack(of_rate, of_distortion, min(tolerance(one), of_rate + beta * of_distortion))


def where(one: Judged) -> str:
    """The problem and the slope, in words."""
    return f"{one.probe.label}, beta = {one.channel.beta:.4g}"


def impossibility(one: Judged) -> str:
    """The impossible thing about an audited point, in words; empty where there is none."""
    found = one.audited
    if found is None:
        return ""
    fault = possible.impossibility(found, one.probe.reference, one.probe.problem)
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
