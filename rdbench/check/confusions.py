"""The usual confusions of units, told by comparing claimed with audited rates and distortions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from rdbench.check.bench import Judged

_CLOSE = 0.08  # relative, of a claim to the number that a confusion gives
_APART = 0.2  # by which a common ratio has to differ from one
_LEAST_RATE = 0.15  # nats; below, ratios are noise
ENOUGH = 2
"""So many points have to show it."""


@dataclass(frozen=True)
class Pair:
    """The claim and the audit of one point."""

    rate: float
    distortion: float
    claimed_rate: float
    claimed_distortion: float
    beta: float
    dim: int


@dataclass(frozen=True)
class _Confusion:
    """A confusion, by the value that it gives the claimed rate or distortion (None: any value)."""

    words: str
    rate: Callable[[Pair], float] | None = None
    distortion: Callable[[Pair], float] | None = None
    shows_beyond_one_dimension: bool = False


_CONFUSIONS = (
    _Confusion(
        "its claimed rates are 1.44 = 1 / ln 2 times what the audit finds: they are in bits; rates "
        "are in nats here (use log, not log2)",
        rate=lambda p: p.rate / math.log(2.0),
    ),
    _Confusion(
        "its claimed rates are the audit's R + beta D: the Lagrangian (the loss) was given as the "
        "rate; subtract beta D",
        rate=lambda p: p.rate + p.beta * p.distortion,
    ),
    _Confusion(
        "its claimed rates are the audit's distortions and the other way round: they are swapped",
        rate=lambda p: p.distortion,
        distortion=lambda p: p.rate,
    ),
    _Confusion(
        "its claimed distortions are those of the audit divided by the dimension: they are means "
        "over coordinates; distortion is summed over dimensions here (sum, not mean)",
        distortion=lambda p: p.distortion / p.dim,
        shows_beyond_one_dimension=True,
    ),
    _Confusion(
        "its claimed distortions are half of what the audit finds: is the squared error halved "
        "somewhere?",
        distortion=lambda p: 0.5 * p.distortion,
    ),
    _Confusion(
        "its claimed distortions are beta times those of the audit: D is in the units of the "
        "distortion, not in nats; divide by beta",
        distortion=lambda p: p.beta * p.distortion,
    ),
    _Confusion(
        "its claimed distortions are the roots of those of the audit: D is no root mean square",
        distortion=lambda p: math.sqrt(p.distortion),
    ),
    _Confusion(
        "its claimed rates are those of the audit divided by the dimension: rates are per symbol "
        "here, not per coordinate",
        rate=lambda p: p.rate / p.dim,
        shows_beyond_one_dimension=True,
    ),
)
"""The first that fits is named."""


def pairs(points: Sequence[Judged]) -> list[Pair]:
    """The points whose ratios mean something."""
    return [
        Pair(
            found.rate,
            found.distortion,
            one.channel.claim.rate,
            one.channel.claim.distortion,
            one.channel.beta,
            one.probe.dim,
        )
        for one in points
        if (found := one.audited) is not None and found.accepted
        if found.rate > _LEAST_RATE and found.distortion > 0.0
    ]


def confusion(points: Sequence[Judged]) -> str:
    """The confusion behind the claims, in words; empty where none fits."""
    known = pairs(points)
    if len(known) < ENOUGH:
        return ""
    return next((one.words for one in _CONFUSIONS if _fits(one, known)), "") or _scaled(known)


def _fits(one: _Confusion, known: list[Pair]) -> bool:
    if one.shows_beyond_one_dimension and all(p.dim == 1 for p in known):
        return False
    rate, distortion = one.rate, one.distortion
    return all(
        (rate is None or _close(p.claimed_rate, rate(p)))
        and (distortion is None or _close(p.claimed_distortion, distortion(p)))
        for p in known
    )


def _close(value: float, to: float) -> bool:
    return abs(value - to) <= _CLOSE * abs(to)


def _scaled(known: list[Pair]) -> str:
    """A common ratio that no confusion explains."""
    ratios = {
        "distortions": [p.claimed_distortion / p.distortion for p in known],
        "rates": [p.claimed_rate / p.rate for p in known],
    }
    for word, values in ratios.items():
        ratio = median(values)
        common = all(_close(value, ratio) for value in values)
        if common and ratio > 0.0 and abs(ratio - 1.0) > _APART:
            return (
                f"its claimed {word} are {ratio:.3g} times what the audit finds at every point: "
                "is a factor missing?"
            )
    return ""
