"""The usual confusions of units, told by the ratios of claimed to audited rates and distortions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from rdbench.check.bench import Judged

_CLOSE = 0.08  # relative, of a ratio to the number that a confusion gives
_APART = 0.2  # by which a common ratio has to differ from one
_LEAST_RATE = 0.15  # nats; below, ratios are noise
ENOUGH = 2
"""So many points have to show it."""


@dataclass(frozen=True)
class Pair:
    """What is claimed and what is found at one point."""

    rate: float
    distortion: float
    claimed_rate: float
    claimed_distortion: float
    beta: float
    dim: int


def pairs(points: list[Judged]) -> list[Pair]:
    """The points whose ratios mean something."""
    out = []
    for one in points:
        found, claim = one.audited, one.channel.claim
        if found is None or not found.accepted:
            continue
        if found.rate > _LEAST_RATE and found.distortion > 0.0:
            out.append(
                Pair(
                    found.rate,
                    found.distortion,
                    claim.rate,
                    claim.distortion,
                    one.channel.beta,
                    one.probe.dim,
                )
            )
    return out


def confusion(points: list[Judged]) -> str:
    """What the claims were confused with, in words; empty where nothing fits."""
    known = pairs(points)
    if len(known) < ENOUGH:
        return ""
    return next((words for test in _TESTS if (words := test(known))), "")


def _all(known: list[Pair], claimed: Callable[[Pair], float], is_: Callable[[Pair], float]) -> bool:
    return all(abs(claimed(p) - is_(p)) <= _CLOSE * abs(is_(p)) for p in known)


def _rate(p: Pair) -> float:
    return p.claimed_rate


def _spent(p: Pair) -> float:
    return p.claimed_distortion


def _bits(known: list[Pair]) -> str:
    if not _all(known, _rate, lambda p: p.rate / math.log(2.0)):
        return ""
    ratio = median(p.claimed_rate / p.rate for p in known)
    return (
        f"its claimed rates are {ratio:.3g} times what the audit finds, which is 1 / ln 2: they "
        "are in bits; rates are in nats here (use log, not log2)"
    )


def _lagrangian(known: list[Pair]) -> str:
    if not _all(known, _rate, lambda p: p.rate + p.beta * p.distortion):
        return ""
    return (
        "its claimed rates are the audit's R + beta D: the Lagrangian (the loss) was given as the "
        "rate; subtract beta D"
    )


def _swapped(known: list[Pair]) -> str:
    if not (_all(known, _rate, lambda p: p.distortion) and _all(known, _spent, lambda p: p.rate)):
        return ""
    return "its claimed rates are the audit's distortions and the other way round: they are swapped"


def _mean_distortion(known: list[Pair]) -> str:
    if not (any(p.dim > 1 for p in known) and _all(known, _spent, lambda p: p.distortion / p.dim)):
        return ""
    return (
        "its claimed distortions are those of the audit divided by the dimension: they are "
        "means over coordinates; distortion is summed over dimensions here (sum, not mean)"
    )


def _half(known: list[Pair]) -> str:
    if not _all(known, _spent, lambda p: 0.5 * p.distortion):
        return ""
    ratio = median(p.claimed_distortion / p.distortion for p in known)
    return (
        f"its claimed distortions are {ratio:.3g} times what the audit finds: is the squared error "
        "halved somewhere?"
    )


def _in_nats(known: list[Pair]) -> str:
    if not _all(known, _spent, lambda p: p.beta * p.distortion):
        return ""
    return (
        "its claimed distortions are beta times those of the audit: D is in the units of the "
        "distortion, not in nats; divide by beta"
    )


def _root(known: list[Pair]) -> str:
    if not _all(known, _spent, lambda p: math.sqrt(p.distortion)):
        return ""
    return "its claimed distortions are the roots of those of the audit: D is no root mean square"


def _mean_rate(known: list[Pair]) -> str:
    if not (any(p.dim > 1 for p in known) and _all(known, _rate, lambda p: p.rate / p.dim)):
        return ""
    return (
        "its claimed rates are those of the audit divided by the dimension: rates are per "
        "symbol here, not per coordinate"
    )


def _scaled(known: list[Pair]) -> str:
    ratios = {
        "distortions": [p.claimed_distortion / p.distortion for p in known],
        "rates": [p.claimed_rate / p.rate for p in known],
    }
    for word, values in ratios.items():
        ratio = median(values)
        is_common = all(abs(value - ratio) <= _CLOSE * abs(ratio) for value in values)
        if is_common and ratio > 0.0 and abs(ratio - 1.0) > _APART:
            return (
                f"its claimed {word} are {ratio:.3g} times what the audit finds at every point: "
                "is a factor missing?"
            )
    return ""


_TESTS = (
    _bits, _lagrangian, _swapped, _mean_distortion, _half, _in_nats, _root, _mean_rate, _scaled,
)  # fmt: skip
"""The first that fits is named."""
