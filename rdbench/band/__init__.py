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

from rdbench.band.hull import ROUNDING, hull_of, least, slack
from rdbench.band.hull import Reached as Reached
from rdbench.band.hull import Tangent as Tangent
from rdbench.band.rows import of_rows
from rdbench.bracket import Bracket
from rdbench.outcomes import RdbenchError
from rdbench.run.records import CellRecord

if TYPE_CHECKING:  # it needs torch
    from rdbench.types import Reference

CONSTANT = "a constant"
"""Who reaches the point at rate zero."""


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
            points.append(Reached(self.silent, 0.0, CONSTANT))
        object.__setattr__(self, "reached", hull_of(points))

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
        tangents, reached = of_rows(records, truth=truth, trusted=trusted)
        return cls(tuple(tangents), tuple(reached), silent)

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
        return least(self.tangents, distortion)

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
        if distortion <= d[place - 1] * (1 + ROUNDING):
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
        if excess[worst] <= slack(float(r[worst])):
            return None
        who = f"{self.below(float(d[worst]))} above {self.reached[worst].by}"
        return Reached(float(d[worst]), float(excess[worst]), who)


def _bracket(lo: float, hi: float, where: str) -> Bracket:
    if lo > hi + slack(hi):
        raise RdbenchError(
            f"the bounds contradict each other at {where}: {lo:.6g} from below, {hi:.6g} from above"
        )
    return Bracket(min(lo, hi), hi)
