"""R(D) as it is known at single slopes, and the slopes at which a drawing needs it as well.

At the slope beta the truth is lo <= F*(beta) <= hi and a distortion D near D*(beta). R(D) is
convex, so that it lies

    above every tangent      R(D) >= lo - beta D,
    below every chord        between points that are known to be achieved.

Between two rungs the cubic in log D through both points with both slopes, dR/d log D = -beta D,
is far closer than either. How close, is told by what is known: of three neighbouring rungs the
middle one is left out, and the cubic through the others errs there by

    e = f'''' h1^2 h2^2 / 24      (h1, h2: the distances in log D),

which gives f'''', and with it the error f'''' h^4 / 384 between neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

TOLERANCE = 1e-3
"""Nats: a line is drawn where the truth is known within this, at equal D."""
MOST_RUNGS = 500
_CHEAP_S = 0.2
"""CPU seconds of a rung that is asked for without much need."""
_SAFETY = 3.0
"""Of the estimate of the cubic's error, for fourth derivatives that are not the same all along."""
_OUTWARDS = 1.25
"""The ratio of the slopes of rungs beyond the ladder."""


@dataclass(frozen=True)
class Rung:
    """The truth at one slope, in nats.

    ``distortion`` is near D*; ``reached`` are a distortion and a rate that are known to be
    achieved (of a closed form: D*, R*).
    """

    beta: float
    lo: float
    hi: float
    distortion: float
    reached: tuple[float, float]

    @property
    def rate(self) -> float:
        """The rate at ``distortion`` on the line of slope -beta."""
        return max(0.0, 0.5 * (self.lo + self.hi) - self.beta * self.distortion)


@runtime_checkable
class TruthSource(Protocol):
    """The reference of one case, asked at slopes of our choice."""

    def known(self) -> Sequence[Rung]:
        """Rungs that cost nothing, beside those of the records."""

    def cost(self, beta: float) -> float:
        """The CPU seconds that ``ask`` is expected to take at this slope; 0 where it is free."""

    def ask(self, beta: float) -> Rung | None:
        """The truth at ``beta``; None where it is not known, or would cost too much."""


@dataclass(frozen=True)
class Piece:
    """Two neighbouring rungs, the lower distortion first.

    ``width`` is the largest distance between tangents and chord; ``error`` what the line between
    them is expected to err at most; both in nats.
    """

    left: Rung
    right: Rung
    width: float
    error: float

    @property
    def own(self) -> float:
        """The wider of the two brackets of F*."""
        return max(self.left.hi - self.left.lo, self.right.hi - self.right.lo)

    @property
    def middle(self) -> float:
        """The slope to ask next."""
        return float(f"{math.sqrt(self.left.beta * self.right.beta):.6g}")


def in_order(rungs: Sequence[Rung]) -> list[Rung]:
    """By rising distortion, every slope and every distortion once: the narrowest bracket of F*."""
    best: dict[float, Rung] = {}
    for rung in sorted(rungs, key=lambda r: r.hi - r.lo):
        # Stored slopes are rounded differently here and there.
        best.setdefault(float(f"{rung.beta:.9g}"), rung)
    found: list[Rung] = []
    for rung in sorted(best.values(), key=lambda r: (r.distortion, r.rate)):
        if not found or rung.distortion > found[-1].distortion * (1.0 + 1e-12):
            found.append(rung)
    return found


def complete(
    rungs: Sequence[Rung], source: TruthSource | None, span: tuple[float, float], top: float
) -> list[Rung]:
    """The rungs with those in between that a line within ``TOLERANCE`` needs.

    Args:
        rungs: what the records say.
        source: where more is known; None if nowhere.
        span: the distortions that the picture shows: where it costs nothing, the curve goes on
            to its ends.
        top: nats; no further rungs are needed above.

    Returns:
        All rungs by rising distortion.
    """
    if source is None or not rungs:
        return in_order(rungs)
    # Of equal brackets the first is kept: a certificate knows what its q achieves.
    found = _outwards(in_order([*source.known(), *rungs]), source, span, top)
    asked: set[float] = set()
    while len(found) < MOST_RUNGS:
        wanted = [
            (size, piece)
            for piece in pieces_of(found)
            if piece.right.distortion > span[0] and piece.left.distortion < span[1]
            and piece.right.beta * (1.0 + 1e-5) < piece.left.beta and piece.middle not in asked
            for size in [_wanting(piece, source)]
            if size > 1.0
        ]  # fmt: skip
        if not wanted:
            break
        # Those that are free are many: all of them at a time.
        free = [piece for _, piece in wanted if not source.cost(piece.middle)]
        for piece in free or [max(wanted, key=lambda pair: pair[0])[1]]:
            asked.add(piece.middle)
            rung = source.ask(piece.middle)
            if rung is not None:
                found.append(rung)
        found = in_order(found)
    return found


def _wanting(piece: Piece, source: TruthSource) -> float:
    """How far a piece is from what it shall be, beyond what the truth's own bracket allows.

    A rung is worth asking for above 1. What is free is asked for until tangents and chords prove
    the line; what is cheap, until the estimate is half of the tolerance.
    """
    cost = source.cost(piece.middle)
    size = piece.error if cost else piece.width
    goal = 0.5 * TOLERANCE if 0.0 < cost < _CHEAP_S else TOLERANCE
    return (size - 2.0 * piece.own) / goal


def _outwards(
    found: list[Rung], source: TruthSource, span: tuple[float, float], top: float
) -> list[Rung]:
    """Beyond the ladder, as far as the picture goes and as it is free."""
    lo, hi = span
    for up in (True, False):
        for _ in range(MOST_RUNGS // 4):
            last = found[0] if up else found[-1]
            beta = float(f"{last.beta * (_OUTWARDS if up else 1.0 / _OUTWARDS):.6g}")
            on = (
                last.distortion > lo and last.rate < top
                if up
                else last.distortion < hi and last.rate > 0.0
            )
            if not on or source.cost(beta):
                break
            rung = source.ask(beta)
            if rung is None or rung.distortion == last.distortion:
                break
            found = in_order([*found, rung])
            if found[0 if up else -1] is last:
                break
    return found


def pieces_of(rungs: Sequence[Rung]) -> list[Piece]:
    """The bounds between neighbours; ``rungs`` are in order."""
    left_out = _leave_out(rungs)
    found = []
    for k in range(len(rungs) - 1):
        a, b = rungs[k], rungs[k + 1]
        width = _width(a, b)
        h = _log_distance(a, b)
        fourth = max(left_out[k], left_out[k + 1])
        error = width if math.isinf(fourth) else min(width, _SAFETY * fourth * h**4 / 384.0)
        found.append(Piece(a, b, width, error))
    return found


def _width(a: Rung, b: Rung) -> float:
    """The largest distance between the tangents at two rungs and the chord between them."""
    if not a.beta > b.beta:
        return max(a.hi - a.lo, b.hi - b.lo)
    cross = (a.lo - b.lo) / (a.beta - b.beta)
    d = min(max(cross, a.distortion), b.distortion)
    part = (d - a.distortion) / (b.distortion - a.distortion)
    chord = a.rate + part * (b.rate - a.rate)
    return max(0.0, chord - max(a.lo - a.beta * d, b.lo - b.beta * d))


def _log_distance(a: Rung, b: Rung) -> float:
    if not a.distortion > 0.0:
        return math.inf
    return math.log(b.distortion) - math.log(a.distortion)


def _leave_out(rungs: Sequence[Rung]) -> list[float]:
    """|f''''| in log D around every inner rung; of the ends that of the rung beside them."""
    if len(rungs) < 3 or not rungs[0].distortion > 0.0:
        return [math.inf] * len(rungs)
    inner = []
    for k in range(1, len(rungs) - 1):
        a, b = rungs[k - 1], rungs[k + 1]
        error = abs(float(cubic(a, b, np.array([rungs[k].distortion]))[0]) - rungs[k].rate)
        h1, h2 = _log_distance(a, rungs[k]), _log_distance(rungs[k], b)
        inner.append(24.0 * error / (h1 * h2) ** 2)
    return [inner[0], *inner, inner[-1]]


def cubic(a: Rung, b: Rung, d: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
    """The cubic in log D through two rungs with their slopes; in D where one has none."""
    x0, x1, x, s0, s1 = a.distortion, b.distortion, d, -a.beta, -b.beta
    if a.distortion > 0.0:
        x0, x1, x = math.log(x0), math.log(x1), np.log(d)
        s0, s1 = -a.beta * a.distortion, -b.beta * b.distortion
    h = x1 - x0
    t = (x - x0) / h
    u = 1.0 - t
    return (
        u * u * (1.0 + 2.0 * t) * a.rate + t * t * (3.0 - 2.0 * t) * b.rate
        + t * u * h * (u * s0 - t * s1)
    )  # fmt: skip
