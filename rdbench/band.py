"""R(D) of one case from both sides: what is proved or audited of it, and by whom.

Below lie tangents, above points that channels reach:

    R(D) >= max_k (F_k - beta_k D)^+          F_k <= F*(beta_k),
    R(D) <= the lower convex hull of points (D_j, R_j), of time-sharing,

both convex and decreasing in D (Cover and Thomas, Elements of Information Theory, 10.4). An audited
point is known with an interval. Its channel lies on the line R + beta D = F(q) <= F_hi, at a
distortion within h of the one found, so that at D + h the point

    (D + h, F_hi - beta (D + h) + 2 kappa h^2)

is reached, kappa = d^2 R / dD^2 from the next steeper row of the ladder. Where there is none, and
wherever it is less, the ends of R and D themselves count: (D + h, R_hi). Rates in nats per symbol,
distortion summed over dimensions, beta in nats per unit of distortion.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.bracket import Bracket, stretch
from rdbench.outcomes import SCORED, RdbenchError
from rdbench.registry import label
from rdbench.run.records import CellRecord, PointRecord

if TYPE_CHECKING:  # it needs torch
    from rdbench.types import Reference

BOUNDING = ("exact", "upper")
"""The sides of an audit whose upper end bounds F(q); of an ``estimate`` neither end is meant."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Reached:
    """A point that a channel reaches: R(``distortion``) <= ``rate``."""

    distortion: float
    rate: float
    by: str = ""


@dataclass(frozen=True)
class Tangent:
    """A bound from below: R(D) >= ``lagrangian`` - ``beta`` D at every D."""

    beta: float
    lagrangian: float
    by: str = ""


@dataclass(frozen=True)
class Band:
    """What is known of R(D): tangents below, the hull of reached points above.

    Both may be empty; the bound is then zero, or infinite. ``silent`` is E rho(X, y) of the best
    constant y, where it is known: at that distortion nothing has to be sent.
    """

    tangents: tuple[Tangent, ...] = ()
    reached: tuple[Reached, ...] = ()
    silent: float | None = None

    def __post_init__(self) -> None:
        points = [*self.reached]
        if self.silent is not None:
            points.append(Reached(self.silent, 0.0, "a constant"))
        object.__setattr__(self, "reached", _hull_of(points))

    @classmethod
    def of_records(
        cls,
        records: Sequence[CellRecord],
        *,
        truth: bool = True,
        trusted: bool = True,
        silent: float | None = None,
    ) -> Band:
        """The band of the records of one case.

        The ends of K rows are stretched so that all hold at once (Bonferroni): the least of many
        upper ends is no luckier than one. Of rows whose audit is an ``estimate`` none is used, nor
        one that the truth proves impossible, which older records hold.

        Args:
            records: cells of one case.
            truth: whether what the records say of F*, R* and D* counts beside the estimators.
            trusted: the ends of the intervals; else the middle of them, which is no bound.
            silent: E rho(X, y) of the best constant, where it is known.
        """
        rows = [(_label(r), r.points) for r in records]
        ends = _audited(rows, trusted=True)
        allowed = _possible(ends, [p for _, points in rows for p in points])
        shown = ends if trusted else _audited(rows, trusted=False)
        reached = [one for one, fits in zip(shown, allowed, strict=True) if fits]
        tangents = _tangents(rows, trusted)
        if truth:
            for _, points in rows:
                reached += [point for p in points if (point := _true_point(p)) is not None]
                tangents += [line for p in points if (line := _true_tangent(p)) is not None]
        return cls(tuple(dict.fromkeys(tangents)), tuple(dict.fromkeys(reached)), silent)

    @classmethod
    def of_reference(cls, reference: Reference, betas: Iterable[float]) -> Band:
        """The band of a reference asked at so many slopes: exact at each, wider between them.

        Args:
            reference: the truth of a case.
            betas: the slopes >= 0, nats per unit of distortion.

        Raises:
            OutOfRange: the reference does not cover a slope.
        """
        tangents, reached = [], []
        for beta in betas:
            found = reference.point(beta)
            by = found.kind or reference.kind
            tangents.append(Tangent(beta, found.lagrangian.lo, by))
            reached.append(Reached(found.distortion.hi, found.rate.hi, by))
        return cls(tuple(tangents), tuple(reached))

    def also(self, other: Band) -> Band:
        """What both know together."""
        silent = other.silent if self.silent is None else self.silent
        return Band(self.tangents + other.tangents, self.reached + other.reached, silent)

    def least(self, distortion: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
        """The bound from below at these distortions, in nats; 0 where there is none."""
        beta = np.array([one.beta for one in self.tangents])
        level = np.array([one.lagrangian for one in self.tangents])
        found: Float[ndarray, " k"] = np.max(
            level - np.multiply.outer(distortion, beta), axis=-1, initial=0.0
        )
        return found

    def most(self, distortion: Float[ndarray, " k"]) -> Float[ndarray, " k"]:
        """The bound from above at these distortions, in nats; inf left of all reached points."""
        if not self.reached:
            return np.full(distortion.shape, math.inf)
        d, r = self.vertices.T
        found: Float[ndarray, " k"] = np.interp(distortion, d, r, left=math.inf)
        return found

    @property
    def vertices(self) -> Float[ndarray, "n 2"]:
        """(D, R) of the upper side, by rising D."""
        return np.array([(p.distortion, p.rate) for p in self.reached]).reshape(-1, 2)

    def rate(self, distortion: float) -> Bracket:
        """R(D) in nats.

        Raises:
            RdbenchError: the sides contradict each other here.
        """
        at = np.array([distortion])
        return _bracket(float(self.least(at)[0]), float(self.most(at)[0]), f"D = {distortion:.6g}")

    def distortion(self, rate: float, floor: float = 0.0) -> Bracket:
        """D(R), the least distortion at ``rate`` nats; the upper end may be inf.

        Args:
            rate: nats per symbol, >= 0.
            floor: what no distortion falls below.

        Raises:
            RdbenchError: the sides contradict each other here.
        """
        lo = max(
            [floor, *((one.lagrangian - rate) / one.beta for one in self.tangents if one.beta > 0)]
        )
        hi = math.inf
        if self.reached and rate >= self.reached[-1].rate:
            d, r = self.vertices[::-1].T  # rates rise
            hi = float(np.interp(rate, r, d))
        return _bracket(lo, hi, f"R = {rate:.6g}")

    def width(self, distortion: float) -> float:
        """Nats between the sides at D."""
        return self.rate(distortion).width

    def below(self, distortion: float) -> str:
        """Who gives the bound from below at D; empty where it is zero."""
        best = max(self.tangents, key=lambda t: t.lagrangian - t.beta * distortion, default=None)
        if best is None or best.lagrangian <= best.beta * distortion:
            return ""
        return best.by

    def above(self, distortion: float) -> str:
        """Who gives the bound from above at D: the ends of the chord; empty where there is none."""
        if not self.reached or distortion < self.reached[0].distortion:
            return ""
        d = self.vertices[:, 0]
        place = int(np.searchsorted(d, distortion, side="right"))
        ends = self.reached[place - 1 : place + 1]
        if distortion <= d[place - 1] * (1 + _ROUNDING):
            ends = ends[:1]
        return ", ".join(dict.fromkeys(one.by for one in ends if one.by))

    @property
    def crossing(self) -> Reached | None:
        """Where the lower side lies above the upper one by most, beyond rounding; else None.

        Their difference is convex between the vertices of the upper side, so that one look at each
        vertex is enough. ``rate`` is by how many nats.
        """
        if not self.reached:
            return None
        d, r = self.vertices.T
        excess = self.least(d) - r
        worst = int(np.argmax(excess))
        if excess[worst] <= _slack(float(r[worst])):
            return None
        who = f"{self.below(float(d[worst]))} above {self.reached[worst].by}"
        return Reached(float(d[worst]), float(excess[worst]), who)


def lower_hull(x: Float[ndarray, " n"], y: Float[ndarray, " n"]) -> list[int]:
    """The vertices of the largest convex function below points with rising x."""
    hull: list[int] = []
    for k in range(len(x)):
        while len(hull) > 1:
            i, j = hull[-2], hull[-1]
            if (y[j] - y[i]) * (x[k] - x[i]) <= (y[k] - y[i]) * (x[j] - x[i]):
                break
            hull.pop()
        hull.append(k)
    return hull


def decreasing_hull(d: Float[ndarray, " n"], r: Float[ndarray, " n"]) -> list[int]:
    """The points on the lower convex hull whose rate falls with D, by rising D."""
    order: list[int] = []
    for k in np.lexsort((r, d)).tolist():
        # More distortion that takes no less rate is of no use.
        if not order or r[k] < r[order[-1]]:
            order.append(k)
    return [order[k] for k in lower_hull(d[order], r[order])]


def _hull_of(points: Sequence[Reached]) -> tuple[Reached, ...]:
    d = np.array([p.distortion for p in points], dtype=np.float64)
    r = np.array([p.rate for p in points], dtype=np.float64)
    return tuple(points[k] for k in decreasing_hull(d, r))


def _slack(rate: float) -> float:
    return _ROUNDING * (1.0 + abs(rate))


def _bracket(lo: float, hi: float, where: str) -> Bracket:
    if lo > hi + _slack(hi):
        raise RdbenchError(
            f"the bounds contradict each other at {where}: {lo:.6g} from below, {hi:.6g} from above"
        )
    return Bracket(min(lo, hi), hi)


# --------------------------------------------------------------------------------------------
# from rows

_Rows = Sequence[tuple[str, Sequence[PointRecord]]]


def _label(record: CellRecord) -> str:
    return label(record.estimator, record.preset, record.params)


def half_above(p: PointRecord) -> float | None:
    """F_hi - F of an audited row, in nats: the narrowest that the row allows; None if unknown."""
    stated = getattr(p, "lagrangian_hi", None)
    if p.lagrangian is None:
        return None
    if stated is not None:
        return float(max(stated - p.lagrangian, 0.0))
    ways = []
    if p.gap is not None and p.gap_hi is not None:
        ways.append(p.gap_hi - p.gap)  # with half of the truth's width in it
        if p.truth_lo is not None and p.truth_kind != "closed form":
            # gap_hi = F_hi - F*.lo, unless f* is that of the optimum itself.
            ways.append(p.gap_hi + p.truth_lo - p.lagrangian)
    if p.rate_half is not None and p.distortion_half is not None:
        ways.append(p.rate_half + p.beta * p.distortion_half)
    return max(min(ways), 0.0) if ways else None


def bounds_above(p: PointRecord) -> bool:
    """Whether a row gives a point that R(D) does not lie above."""
    return (
        p.status in SCORED
        and p.side in BOUNDING
        and None not in (p.distortion, p.rate, p.lagrangian)
        and half_above(p) is not None
        and float(p.distortion or 0.0) >= -float(p.distortion_half or 0.0)
    )


def bounds_below(p: PointRecord) -> bool:
    """Whether a row gives a tangent that R(D) does not lie below."""
    return (
        p.status in SCORED and p.side == "lower" and getattr(p, "lagrangian_lo", None) is not None
    )


def _audited(rows: _Rows, *, trusted: bool) -> list[Reached]:
    kept = [(by, [p for p in points if bounds_above(p)]) for by, points in rows]
    noisy = sum(bool(half_above(p)) for _, points in kept for p in points)
    factor = stretch(noisy) if trusted else 0.0
    found = []
    for by, points in kept:
        ladder = sorted(points, key=lambda p: -p.beta)
        for steeper, p in zip([None, *ladder], ladder, strict=False):
            found.append(_end(p, steeper, factor, by))
    return found


def _end(p: PointRecord, steeper: PointRecord | None, factor: float, by: str) -> Reached:
    """The point that a row is sure to reach, its ends stretched by ``factor``."""
    r, d, f = (float(v or 0.0) for v in (p.rate, p.distortion, p.lagrangian))
    f += factor * (half_above(p) or 0.0)
    if p.distortion_half is None:
        return Reached(d, f - p.beta * d, by)
    h = factor * p.distortion_half
    at = d + h
    ends = [math.inf if p.rate_half is None else r + factor * p.rate_half]
    if h == 0.0:
        ends.append(f - p.beta * d)
    elif steeper is not None and steeper.distortion is not None and steeper.distortion < d:
        bend = (steeper.beta - p.beta) / (d - steeper.distortion)
        ends.append(f - p.beta * at + 2.0 * bend * h * h)
    return Reached(at, max(min(ends), 0.0), by)


def _tangents(rows: _Rows, trusted: bool) -> list[Tangent]:
    kept = [(by, p) for by, points in rows for p in points if bounds_below(p)]
    halves = [_half_below(p) for _, p in kept]
    factor = stretch(sum(half > 0.0 for half in halves)) if trusted else 0.0
    return [
        Tangent(p.beta, _middle(p) - factor * half, by)
        for (by, p), half in zip(kept, halves, strict=True)
    ]


def _possible(reached: Sequence[Reached], points: Sequence[PointRecord]) -> list[bool]:
    """Whether the truth allows each of the points."""
    known = Band(tuple(line for p in points if (line := _true_tangent(p)) is not None))
    bound = known.least(np.array([one.distortion for one in reached], dtype=np.float64))
    return [bool(one.rate >= b - _slack(float(b))) for one, b in zip(reached, bound, strict=True)]


def _middle(p: PointRecord) -> float:
    return float(getattr(p, "lagrangian_lo", 0.0) if p.lagrangian is None else p.lagrangian)


def _half_below(p: PointRecord) -> float:
    return max(_middle(p) - float(getattr(p, "lagrangian_lo", 0.0)), 0.0)


def _true_point(p: PointRecord) -> Reached | None:
    if p.rate_hi is None or p.dist_hi is None:
        return None
    return Reached(p.dist_hi, p.rate_hi, _truth(p))


def _true_tangent(p: PointRecord) -> Tangent | None:
    return None if p.truth_lo is None else Tangent(p.beta, p.truth_lo, _truth(p))


def _truth(p: PointRecord) -> str:
    return f"truth ({p.truth_kind})" if p.truth_kind else "truth"
