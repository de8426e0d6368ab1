"""Finite sources under Hamming distortion, for any probabilities (Erokhin 1958; Gray 1971).

With a = exp(-beta) the optimum puts q_y = (p_y / theta - a) / (1 - a) on the letters with
p_y > a theta and nothing on the others, theta = P_S / (1 - a + |S| a) for the set S of those
letters; then Z(x) = p_x / theta on S and a off S, and F* = -sum_x p_x log Z(x).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Generator, Tensor

from rdbench.arrays import converts, instance
from rdbench.references.ranges import checked_slope
from rdbench.sources.finite import FiniteSource
from rdbench.types import Bracket, OutOfRange, RdbenchError, TruthPoint


@converts
@dataclass(frozen=True, eq=False)
class FiniteHamming:
    """R(D) of a finite source whose letters are scalars and all different."""

    kind: ClassVar[str] = "closed form"
    citation: ClassVar[str] = "Gray, Conditional rate-distortion theory (1971); Erokhin (1958)"
    validity: ClassVar[str] = "every beta >= 0"

    source: FiniteSource

    def __post_init__(self) -> None:
        instance(self.source, FiniteSource, "the source of the Hamming closed form")
        if self.source.dim != 1:
            raise RdbenchError("the Hamming closed form takes scalar letters")
        if len(torch.unique(self.source.support)) != len(self.source.support):
            raise RdbenchError("the Hamming closed form takes letters that are all different")

    @cached_property
    def _p(self) -> np.ndarray:
        return self.source.pmf.double().cpu().numpy()

    def _solve(self, beta: float) -> tuple[np.ndarray, np.ndarray]:
        """The optimal marginal q and the partition function Z, letter by letter."""
        p, a = self._p, math.exp(-checked_slope(beta))
        if beta == 0.0:
            return (np.arange(len(p)) == p.argmax()).astype(float), np.ones_like(p)
        order = np.argsort(-p, kind="stable")
        ordered, k = p[order], np.arange(1, len(p) + 1)
        # p_k > a theta_k reads p_k (1 - a) > a sum_{j <= k} (p_j - p_k): in differences neither
        # side cancels, however small beta is. The largest letter is always in S.
        away = -math.expm1(-beta)
        excess = np.append(0.0, np.cumsum(-np.diff(ordered) * k[:-1]))
        valid = ordered * away > a * excess
        valid[0] = True
        last = int(np.flatnonzero(valid)[-1])
        size, active = last + 1, order[: last + 1]
        inside = p[active]
        total = float(inside.sum())
        z, q = np.full_like(p, a), np.zeros_like(p)
        z[active] = inside * (away + size * a) / total
        above = size * (inside - ordered[last]) - excess[last]
        q[active] = np.maximum(inside + a * (above / away), 0.0) / total
        return q / q.sum(), z

    def point(self, beta: float) -> TruthPoint:
        """F*, R*, D* at slope beta."""
        q, z = self._solve(beta)
        p = self._p
        positive = p > 0
        lagrangian = -float(p[positive] @ np.log(z[positive]))
        distortion = float(p[positive] @ ((z - q)[positive] / z[positive]))
        return TruthPoint.exact(beta, max(0.0, lagrangian - beta * distortion), distortion)

    def rate(self, distortion: float) -> Bracket:
        """R(D), from the slope at which D* = D."""
        highest = 1.0 - float(self._p.max())
        if distortion >= highest:
            return Bracket.exact(0.0)
        if not distortion >= 0.0:
            raise OutOfRange(f"a distortion must be >= 0, got {distortion}")
        if distortion == 0.0:
            positive = self._p[self._p > 0]
            return Bracket.exact(-float(positive @ np.log(positive)))
        beta = _root(lambda b: self.point(b).distortion.mid - distortion)
        return Bracket.exact(self.point(beta).lagrangian.mid - beta * distortion)

    def slope(self, rate: float) -> float:
        """beta at R* = rate."""
        entropy = self.rate(0.0).mid
        if not 0.0 <= rate < entropy:
            raise OutOfRange(
                f"R = {rate:g} is above the largest rate of {self.source.name}, {entropy:.4g} nats"
                if rate >= entropy
                else f"a rate must be >= 0, got {rate}"
            )
        return _root(lambda b: rate - self.point(b).rate.mid)

    def potential(self, x: Float[Tensor, "n 1"], beta: float) -> Float[Tensor, " n"]:
        """-log Z*(x)."""
        _, z = self._solve(beta)
        letters = (x.double() == self.source.support[:, 0].to(x.device)).double().argmax(1)
        # Z >= exp(-beta), which underflows at a large beta: a letter of probability zero is there.
        return (-torch.from_numpy(z).log()).clamp(max=beta).to(x.device)[letters]

    def sample_conditional(
        self, x: Float[Tensor, "n 1"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k 1"]:
        """p*(y|x) = q_y exp(-beta 1[x != y]) / Z(x)."""
        q, _ = self._solve(beta)
        letters = self.source.support.to(x.device)
        kernel = torch.exp(-beta * (x.double() != letters[:, 0]).double())
        weights = kernel * torch.from_numpy(q).to(x.device)
        return letters[torch.multinomial(weights, k, replacement=True, generator=generator)]


def _root(decreasing: Callable[[float], float]) -> float:
    """The zero of a function of beta > 0 that falls from >= 0 to <= 0."""
    hi = 1.0
    while decreasing(hi) > 0.0 and hi < 1e6:
        hi *= 2.0
    lo = 1.0
    while decreasing(lo) < 0.0 and lo > 1e-12:
        lo *= 0.5
    if decreasing(lo) <= 0.0:
        return lo
    return float(brentq(decreasing, lo, hi, xtol=1e-15, rtol=1e-15))
