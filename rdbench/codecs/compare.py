"""How far a codec is from R(D), and points that cannot be.

At equal distortion a codec at (D, R) spends R - R(D) too much, at equal rate it loses
10 log10(D / D(R)) dB; of a band both are brackets, from its upper side to its lower one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rdbench.band import Band
from rdbench.bracket import Bracket
from rdbench.codecs.bd import bd_rate
from rdbench.codecs.points import CodecPoint, curves
from rdbench.codecs.units import RATES, Units
from rdbench.outcomes import RdbenchError

_SLACK = 1e-6
"""Of a rate and its bound: files are rounded."""
_SAMPLES = 24


@dataclass(frozen=True)
class Distance:
    """How far an operational point is from R(D).

    ``rate`` in nats per symbol, ``distortion`` summed. ``excess`` brackets R - R(D) in nats at
    equal D, ``loss`` 10 log10(D / D(R)) in dB at equal R: the lower end is the distance to the
    upper side of the band (negative: the codec is better than it, which is then loose).
    """

    name: str
    rate: float
    distortion: float
    excess: Bracket
    loss: Bracket


def distance(point: CodecPoint, band: Band, dim: int) -> Distance:
    """The distance of one point.

    Args:
        point: of a codec.
        band: what is known of R(D).
        dim: d of the source.
    """
    rate, d = point.nats(dim), point.summed(dim)
    curve, level = band.rate(d), band.distortion(rate)
    excess = Bracket(rate - curve.hi, rate - curve.lo)
    return Distance(point.name, rate, d, excess, Bracket(_db(d, level.hi), _db(d, level.lo)))


def check_possible(points: Sequence[CodecPoint], band: Band, dim: int) -> None:
    """Refuse points below the bound from below.

    Args:
        points: all of a file, in one unit or several.
        band: what is known of R(D).
        dim: d of the source.

    Raises:
        RdbenchError: one is below it; the line names the units in which all points could be.
    """
    false = [point for point in points if _deficit(point, band, dim) > 0.0]
    if not false:
        return
    worst = max(false, key=lambda point: _deficit(point, band, dim))
    u, d = worst.units, worst.summed(dim)
    more = f" (and {len(false) - 1} more)" if len(false) > 1 else ""
    fits = fitting_units(points, band, dim)
    way = f"in these units all could be: {'; '.join(map(str, fits))}" if fits else (
        "no other units make them possible"
    )  # fmt: skip
    raise RdbenchError(
        f"the point {worst.name!r} with rate {worst.rate:g} and distortion {worst.distortion:g} "
        f"({u}) cannot be{more}: at D = {d:.4g} every channel takes at least "
        f"{band.rate(d).lo / u.nats(dim):.4g} {u.rate} (by {band.below(d)}); "
        f"either it is of another source, or its units differ: {way}"
    )


def fitting_units(points: Sequence[CodecPoint], band: Band, dim: int) -> list[Units]:
    """The units in which no point is below the bound, those that waste least first; at most three.

    PSNR rises with the rate, other distortions fall: where points say which it is, only that kind
    is offered.
    """
    rising = _trend(points)
    peaks = dict.fromkeys([*(p.units.peak for p in points), 1.0, 255.0])
    kinds = [Units(distortion="sum"), Units(distortion="mse")] if rising <= 0 else []
    if rising >= 0:
        kinds += [Units(distortion="psnr", peak=peak) for peak in peaks]
    found: dict[str, tuple[float, Units]] = {}
    for kind in kinds:
        for name in RATES:
            units = replace(kind, rate=name)
            moved = [replace(point, units=units) for point in points]
            if all(_deficit(point, band, dim) <= 0.0 for point in moved):
                found[str(units)] = (_waste(moved, band, dim), units)
    return [units for _, units in sorted(found.values(), key=lambda pair: pair[0])][:3]


def contrary(points: Sequence[CodecPoint]) -> list[str]:
    """The curves whose distortion, as given, goes the wrong way with the rate: PSNR read as
    distortion, or the reverse.
    """
    return [
        name
        for name, own in curves(tuple(points)).items()
        if _trend(own) == (-1 if own[0].units.distortion == "psnr" else 1)
    ]


def bd_rates(points: Sequence[CodecPoint], band: Band, dim: int) -> list[tuple[str, str, Bracket]]:
    """BD-rates in percent: every curve against R(D) (a bracket), then against the other curves.

    Args:
        points: of codecs; those of one name are a curve.
        band: what is known of R(D).
        dim: d of the source.

    Returns:
        (test, anchor, percent); pairs that have no BD-rate are left out.
    """
    found = []
    drawn = {
        name: np.array([(p.summed(dim), p.nats(dim)) for p in own])
        for name, own in curves(tuple(points)).items()
        if len(own) > 1
    }
    for name, curve in drawn.items():
        d = np.geomspace(max(curve[:, 0].min(), 1e-300), curve[:, 0].max(), _SAMPLES)
        sides = np.stack([band.most(d), band.least(d)])
        known = np.isfinite(sides[0]) & (sides[1] > 0.0)  # the same range for both
        try:
            ends = [bd_rate(np.stack([d[known], side[known]], axis=1), curve) for side in sides]
        except RdbenchError:
            continue
        found.append((name, "R(D)", Bracket(min(ends), max(ends))))
    for anchor, first in drawn.items():
        for name, curve in drawn.items():
            if name != anchor:
                try:
                    found.append((name, anchor, Bracket.exact(bd_rate(first, curve))))
                except RdbenchError:
                    continue
    return found


def _deficit(point: CodecPoint, band: Band, dim: int) -> float:
    """Nats by which a point is below the bound from below; 0 where it is not."""
    rate = point.nats(dim)
    bound = float(band.least(np.array([point.summed(dim)]))[0])
    return max(bound - rate - _SLACK * (1.0 + bound), 0.0)


def _waste(points: Sequence[CodecPoint], band: Band, dim: int) -> float:
    """The mean part of the rate that the bound does not ask for; 1 where it asks for nothing."""
    spent = np.array([p.nats(dim) for p in points])
    needed = band.least(np.array([p.summed(dim) for p in points]))
    return float(1.0 - np.mean(needed / np.maximum(spent, 1e-300)))


def _trend(points: Sequence[CodecPoint]) -> int:
    """1 where the raw distortion rises with the raw rate along the curves, -1 where it falls."""
    signs = set()
    for own in curves(tuple(points)).values():
        low, high = min(own, key=lambda p: p.rate), max(own, key=lambda p: p.rate)
        if low.rate < high.rate:
            signs.add(int(np.sign(high.distortion - low.distortion)))
    return signs.pop() if len(signs) == 1 else 0


def _db(distortion: float, best: float) -> float:
    if distortion <= 0.0 or best <= 0.0:
        return math.inf if distortion > 0.0 else -math.inf
    return -math.inf if math.isinf(best) else 10.0 * math.log10(distortion / best)
