"""The scalar Gaussian under absolute error (Tan and Yao 1975).

In units of the standard deviation, with p the standard normal density and S(t) = 1 - Phi(t): for
beta > (2 / pi)^(1/2) let T solve beta S(T) = p(T). The optimal marginal has the density
p - p''/beta^2 = p(y) (1 + (1 - y^2) / beta^2) on (-T, T) and an atom p(T) (1 - T / beta) / beta at
either end; Z(x) = 2 p(x) / beta for |x| <= T, and exp(-beta (|x| - T)) times its value at T beyond.

    D* = 1 / beta + 2 (p - T S) - 2 S / beta,
    R* = log(beta / 2) + (1/2) log(2 pi) - 1/2 + S (1 + T^2) - T p      (p and S at T).

c(y) = E exp(-beta |X - y|) / Z(X) is one on [-T, T] and falls beyond, because the hazard p / S
increases: docs/certificates.md proves both. Below that slope q is one atom at the mean, R* = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import erfcx
from torch import Generator, Tensor

from rdbench.arrays import converts, instance
from rdbench.references.ranges import checked_distortion, checked_rate, checked_slope, finite_slope
from rdbench.sources.gaussian import GaussianSource
from rdbench.types import Bracket, OutOfRange, TruthPoint

_LOG_2PI = math.log(2.0 * math.pi)
_CRITICAL = math.sqrt(2.0 / math.pi)
_BISECTIONS = 56
_SHANNON = 50.0
"""From this beta on p(T) < 1e-500: the curve is the Shannon lower bound."""


def _mills(t: float) -> float:
    """S(t) / p(t)."""
    return math.sqrt(0.5 * math.pi) * float(erfcx(t / math.sqrt(2.0)))


def _edge(beta: float) -> float:
    """T with beta S(T) = p(T), for a standard deviation of one; 0 < T < beta."""
    if beta <= _CRITICAL:
        return 0.0
    if beta > 1e8 or beta * _mills(beta) >= 1.0:
        return beta  # T = beta - 1 / beta + ..., within rounding
    return float(brentq(lambda t: beta * _mills(t) - 1.0, 0.0, beta, xtol=1e-15, rtol=1e-15))


def _curve(beta: float) -> tuple[float, float]:
    """R* and D* for a standard deviation of one."""
    if beta <= _CRITICAL:
        return 0.0, _CRITICAL
    shannon = math.log(0.5 * beta) + 0.5 * _LOG_2PI - 0.5
    if beta > _SHANNON:
        return shannon, 1.0 / beta
    t = _edge(beta)
    p = math.exp(-0.5 * (t * t + _LOG_2PI))
    s = p / beta
    rate = shannon + s * (1.0 + t * t) - t * p
    return max(rate, 0.0), 1.0 / beta + 2.0 * (p - t * s) - 2.0 * s / beta


@converts
@dataclass(frozen=True, eq=False)
class GaussianAbsolute:
    """The rate-distortion function of a scalar Gaussian under absolute error, in closed form.

    Raises:
        ValueError: the source is no scalar.
    """

    kind: ClassVar[str] = "closed form"
    citation: ClassVar[str] = "Tan and Yao, IEEE Trans. Inform. Theory 21 (1975)"
    validity: ClassVar[str] = "every beta >= 0"

    source: GaussianSource

    def __post_init__(self) -> None:
        instance(self.source, GaussianSource, "the source of this closed form")
        if self.source.dim != 1:
            raise ValueError(f"the closed form is for d = 1, the source has d = {self.source.dim}")
        if not self._std > 0.0:
            raise ValueError("the closed form is for a positive standard deviation")

    @property
    def _std(self) -> float:
        return float(self.source.stds[0])

    @property
    def _mean(self) -> float:
        return float(self.source.mean[0])

    def _scaled(self, beta: float) -> float:
        """beta in units of the standard deviation."""
        scaled = checked_slope(beta) * self._std
        if scaled == math.inf:
            raise OutOfRange(f"beta = {beta} times the standard deviation is not a finite number")
        return scaled

    def point(self, beta: float) -> TruthPoint:
        """F*, R*, D* at slope beta."""
        rate, distortion = _curve(self._scaled(beta))
        return TruthPoint.exact(beta, rate, distortion * self._std)

    def rate(self, distortion: float) -> Bracket:
        """R(D), by finding the slope where D* = D."""
        checked_distortion(distortion)
        d = distortion / self._std
        if d >= _CRITICAL:
            return Bracket.exact(0.0)
        if d * _SHANNON < 0.9:
            log_d = math.log(distortion) - math.log(self._std)
            return Bracket.exact(0.5 * _LOG_2PI - 0.5 - math.log(2.0) - log_d)
        # D* <= 1 / beta: with q = X + Laplacian noise that would be the distortion.
        log_beta = brentq(
            lambda b: math.log(_curve(math.exp(b))[1] / d),
            math.log(_CRITICAL), math.log(1.1 / d), xtol=1e-14,
        )  # fmt: skip
        return Bracket.exact(_curve(math.exp(log_beta))[0])

    def slope(self, rate: float) -> float:
        """beta at R* = rate; at rate 0 the largest beta at which nothing is sent."""
        checked_rate(rate)
        # The Shannon lower bound log(beta / 2) + (1/2) log(2 pi) - 1/2 <= R*.
        most = rate + math.log(2.0) - 0.5 * _LOG_2PI + 0.5
        if most > 40.0 or rate == 0.0:
            log_beta = most if rate else math.log(_CRITICAL)
        else:
            log_beta = brentq(
                lambda b: _curve(math.exp(b))[0] - rate,
                math.log(_CRITICAL), max(most, math.log(_CRITICAL)) + 1e-9, xtol=1e-14,
            )  # fmt: skip
        return finite_slope(log_beta - math.log(self._std), rate)

    def potential(self, x: Float[Tensor, "n 1"], beta: float) -> Float[Tensor, " n"]:
        """-log Z*(x)."""
        b = self._scaled(beta)
        u = ((x.double()[:, 0] - self._mean) / self._std).abs()
        if b <= _CRITICAL:
            return b * u
        t = _edge(b)
        inside = u.clamp(max=t)
        return 0.5 * (inside.square() + _LOG_2PI) + math.log(0.5 * b) + b * (u - inside)

    def sample_conditional(
        self, x: Float[Tensor, "n 1"], k: int, beta: float, generator: Generator
    ) -> Float[Tensor, "n k 1"]:
        """p*(y|x), by inverting its distribution function, which is closed, by bisection.

        With v = x clipped to [-T, T], the mass of Y <= y, atoms included, is proportional to
        G(y) = exp(beta y) p(y) (1 + y / beta) for y <= v, because (p / beta - p'/beta^2)
        exp(beta y) has the derivative (p - p''/beta^2) exp(beta y); G(-T) is the atom's share.
        The mass of Y >= y for y >= v mirrors it. The sides weigh (1 + v / beta) / 2 and
        (1 - v / beta) / 2. In w = v - y the fall of log G from v is a sum of positive terms,

            w (beta - v) + w^2 / 2 - log(1 - w / (beta + v)),

        so that w, of the order of 1 / beta, keeps its digits at every rate. Without the logarithm
        the root is closed, and bounds the bisection from above.
        """
        b = self._scaled(beta)
        n, dev = x.shape[0], x.device
        if b <= _CRITICAL:
            return torch.full((n, k, 1), self._mean, dtype=torch.float64, device=dev)
        t = _edge(b)
        u = (x.double() - self._mean) / self._std
        v = u.clamp(-t, t).expand(n, k)
        draws = torch.rand(2, n, k, generator=generator, device=dev, dtype=torch.float64)
        sign = torch.where(draws[0] < 0.5 * (1.0 + v / b), 1.0, -1.0)
        top = sign * v

        def fall(w: Tensor) -> Tensor:
            return w * (b - top + 0.5 * w) - torch.log1p(-w / (b + top))

        target, slope = -torch.log1p(-draws[1]), b - top
        root = slope + torch.hypot(slope, (2.0 * target).sqrt())
        lo, hi = torch.zeros_like(top), torch.minimum(2.0 * target / root, top + t)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (lo + hi)
            beyond = fall(middle) > target
            hi = torch.where(beyond, middle, hi)
            lo = torch.where(beyond, lo, middle)
        y = torch.where(fall(top + t) <= target, -t, top - 0.5 * (lo + hi))
        return (self._mean + self._std * sign * y)[..., None]
