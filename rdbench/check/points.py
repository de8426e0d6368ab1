"""The audited points that the checks of claims share, and how far a claim may be off there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rdbench.check.bench import Bench, Judged
from rdbench.check.invariance import BASE
from rdbench.check.problems import Probe, five, laplacian

FIVE, LAPLACIAN = five(), laplacian()
CLAIM_TOLERANCE = (
    0.08  # nats per root dimension: five standard errors of a claim on 2,000 held-out draws
)
_FLOOR = 0.005  # nats
_SHARE = 0.01  # of R and D


@dataclass(frozen=True)
class Slack:
    """What the noise of a claim explains: of R, of D and of R + beta D."""

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
