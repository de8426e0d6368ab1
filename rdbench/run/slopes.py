"""Slopes where no truth names them: a cheap fit says which rate or distortion a slope gives.

R rises and D falls with beta. Short fits of one estimator on a geometric ladder bracket what is
wanted; a fit at the slopes that interpolation proposes closes in on it. The numbers are claims on
draws of the fit's own: they place the rungs, and nothing else is made of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import brentq
from torch import Generator

from rdbench.fitting import answers
from rdbench.fitting.support import uncovered
from rdbench.registry import choose
from rdbench.run.monitor import TryMonitor
from rdbench.run.seeds import seed_for
from rdbench.run.views import make_view
from rdbench.types import (
    Estimator,
    HasSupport,
    OutOfRange,
    Problem,
    RdbenchError,
    Reference,
    Refusal,
    TestChannel,
    View,
)

EFFORT = 0.1
_CODEBOOK = "blahut_arimoto[support=codebook,codebook_size=400,symbols_per_atom=5]"
_RATIO, _RUNGS = 4.0, 6
_MOST_ROUNDS = 5
_LEAST = 0.25
"""Nats: the lowest rung of a ladder that nobody asked for."""
_MANY = 4.0
_REFINED = 2
_PROBE = 2000


@dataclass(frozen=True)
class Rung:
    """A slope for what was asked for, and what was found there."""

    beta: float
    rate: float
    distortion: float


@dataclass(frozen=True, eq=False)
class Scale:
    """Which rate and distortion a slope gives, as far as a cheap estimator knows."""

    estimator: str
    betas: Float[ndarray, " k"]
    rates: Float[ndarray, " k"]
    distortions: Float[ndarray, " k"]

    def at_rate(self, rate: float) -> float | None:
        """The slope at which R is about ``rate``; None outside of what was found."""
        return _between(rate, self.rates, self.betas)

    def at_distortion(self, distortion: float) -> float | None:
        """The slope at which D is about ``distortion``; None outside of what was found."""
        with np.errstate(divide="ignore"):
            return _between(-math.log(distortion), -np.log(self.distortions), self.betas)

    def rung(self, beta: float) -> Rung:
        """R and D at a slope, by interpolation."""
        x = np.log(self.betas)
        rate = float(np.interp(math.log(beta), x, self.rates))
        return Rung(beta, rate, float(np.interp(math.log(beta), x, self.distortions)))


def find_scale(problem: Problem, most_rate: float, wanted: Sequence[float] = ()) -> Scale:
    """The scale of a problem, up to a rate.

    Args:
        problem: whose truth nobody knows.
        most_rate: nats to which slopes are looked for.
        wanted: rates in nats at which the scale has to be right.

    Raises:
        RdbenchError: no cheap estimator answers.
    """
    why, best = "", None
    for spec in cheap(problem):
        found = _Search(spec, choose(spec).estimator, problem)
        if found.lacking:
            continue
        try:
            scale = found.scale(most_rate, wanted)
        except RdbenchError as reason:
            why = str(reason)
            continue
        if scale.rates[-1] >= most_rate:
            return scale
        if best is None or scale.rates[-1] > best.rates[-1]:
            best = scale
    if best is None:
        raise RdbenchError(f"no slope is known here: give --betas ({why or 'no estimator'})")
    return best


def cheap(problem: Problem) -> tuple[str, ...]:
    """Who is asked, in this order, until one reaches the rate.

    Particles find the few points that rows are, which mixtures smooth over; mixtures have no
    largest rate.
    """
    if problem.alphabet is not None:
        return ("blahut_arimoto",)
    if problem.distortion.name != "squared_error":
        return (_CODEBOOK,)
    if isinstance(problem.source, HasSupport):
        return ("wgd", "mixture_em")
    return ("mixture_em", _CODEBOOK)


class _Search:
    """Fits of one estimator on one problem, and what they found."""

    def __init__(self, spec: str, estimator: Estimator, problem: Problem) -> None:
        self.spec, self.estimator, self.problem = spec, estimator, problem
        self.found: dict[float, tuple[float, float]] = {}
        self.why = ""
        self.lacking = bool(uncovered(estimator, self._view(), [1.0]))

    def _view(self) -> View:
        stream = Generator().manual_seed(seed_for("slopes", "data"))
        needs = self.estimator.info.needs
        return make_view(self.problem, needs, stream, torch.device("cpu"))[0]

    def ask(self, betas: Sequence[float]) -> None:
        """Fit at these slopes and note the claims."""
        own = Generator().manual_seed(seed_for("slopes", "fit"))
        ladder = sorted(set(betas) - set(self.found))
        for answer in answers(self.estimator, self._view(), ladder, own, TryMonitor(EFFORT)):
            if isinstance(answer, TestChannel):
                claim = answer.claim
                if math.isfinite(claim.rate) and math.isfinite(claim.distortion):
                    self.found[float(answer.beta)] = (claim.rate, claim.distortion)
            elif isinstance(answer, Refusal):
                self.why = answer.reason

    def scale(self, most_rate: float, wanted: Sequence[float]) -> Scale:
        """Widen the ladder until it holds all rates, then close in on those wanted."""
        beta = 1.0 / self._spread()
        low = high = beta
        self.ask([beta * _RATIO**k for k in range(_RUNGS)])
        for _ in range(_MOST_ROUNDS):
            if not self.found:
                raise RdbenchError(self.why or "it answered no slope")
            low, high = min(self.found), max(self.found)
            least = min([_LEAST, *wanted])
            more: list[float] = []
            if self.found[low][0] > 0.8 * least:
                more += [low / _RATIO, low / _RATIO**2]
            if self.found[high][0] < most_rate:
                more += [high * _RATIO**k for k in (1, 2, 3)]
            if not more:
                break
            before = len(self.found)
            self.ask(more)
            if len(self.found) == before:
                break
        for _ in range(_REFINED if wanted else 0):
            table = self._table()
            asked = [table.at_rate(rate) for rate in wanted]
            close = [slope for slope in asked if slope is not None]
            if not close:
                break
            self.ask(close)
        return self._table()

    def _table(self) -> Scale:
        betas = np.array(sorted(self.found))
        pairs = np.array([self.found[beta] for beta in betas])
        # what noise makes of a monotone curve is none: the envelope is
        rates = np.maximum.accumulate(np.maximum(pairs[:, 0], 0.0))
        distortions = np.minimum.accumulate(np.maximum(pairs[:, 1], 1e-300))
        return Scale(self.spec, betas, rates, distortions)

    def _spread(self) -> float:
        """The distortion of the best of some words for all symbols: R is small at slopes 1 / D."""
        view = self._view()
        x = view.sample(_PROBE)
        words = view.alphabet if view.alphabet is not None else x[:200]
        if view.alphabet is None:
            words = torch.cat([words, x.mean(0, keepdim=True), x.median(0).values[None]])
        rho = view.distortion.pairwise(x, words[:_PROBE])
        best = float(rho.mean(0).min())
        if not 0.0 < best < math.inf:
            best = float(rho[rho.isfinite()].abs().mean())
        if not 0.0 < best < math.inf:
            raise RdbenchError("all symbols are at no distance from each other")
        return best


def _between(
    target: float, values: Float[ndarray, " k"], betas: Float[ndarray, " k"]
) -> float | None:
    """The slope at which a quantity that rises with beta has a value; log beta is linear in it."""
    if not values[0] <= target <= values[-1]:
        return None
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(values)) > 0.0])
    at = float(np.interp(target, values[rising], np.log(betas[rising])))
    return float(f"{math.exp(at):.6g}")


def default_rates(most: float) -> list[float]:
    """Six rates from a quarter of a nat to a nat below the most, or a tenth, in equal ratios."""
    top = most - 1.0 if most > _MANY else 0.9 * most
    least = min(_LEAST, 0.25 * top)
    return [float(f"{rate:.3g}") for rate in np.geomspace(least, top, 6)]


# --------------------------------------------------------------------------------------------
# a target distortion where the truth is known

_EXACTLY, _NEARLY = 1e-13, 1e-5
"""Relative accuracy of a slope, where D is known in closed form and where it is a bracket."""
_BESIDE = (1e-5, 1e-2)
"""How far beside a jump of D the two rungs are, in the two cases."""
_JUMP = (1e-3, 0.3)
"""What is a jump of D between them, relative to the target."""
_WIDE, _STEP = 1e-3, 1e-3


def slopes_at(reference: Reference, distortion: float, dim: int) -> list[tuple[float, float]]:
    """The slopes for a target distortion, with their weights.

    One slope, of weight 1, where D*(beta) takes the value. On a straight piece of R(D) the slope
    belongs to a whole interval of D: then the two rungs just beside it, with the weights of the
    time-sharing between their channels that has this distortion.

    Args:
        reference: the truth.
        distortion: D, in the source's units.
        dim: of the source; it sets where the search begins.

    Raises:
        OutOfRange: the reference knows no slope of this distortion.
    """
    if not 0.0 < distortion < math.inf:
        raise OutOfRange(f"D = {distortion:g}: a distortion is positive and finite")

    def excess(log_beta: float) -> float:
        return _distortion_at(reference, math.exp(log_beta), distortion) - distortion

    low, high = _bracket(excess, distortion, math.log(0.5 * dim / distortion))
    exact = reference.point(math.exp(low)).kind or reference.kind
    case = 0 if exact == "closed form" else 1
    root = brentq(excess, low, high, xtol=(_EXACTLY, _NEARLY)[case], rtol=1e-14)
    beta = math.exp(float(root))
    left, right = (_digits(beta * (1.0 + sign * _BESIDE[case])) for sign in (-1.0, 1.0))
    above, below = (_distortion_at(reference, one, distortion) for one in (left, right))
    if not (above > distortion > below and above - below > _JUMP[case] * distortion):
        return [(_digits(beta), 1.0)]
    weight = (distortion - below) / (above - below)
    return [(left, weight), (right, 1.0 - weight)]


def _distortion_at(reference: Reference, beta: float, target: float) -> float:
    """D*(beta): of a bracket too wide to be told from the target, the derivative of F* within it.

    F* is concave with the derivative D*, and its bracket is narrow where that of D* is not.
    """
    found = reference.point(beta).distortion
    if found.width <= _WIDE * target:
        return found.mid
    ends = [reference.point(beta * (1.0 + sign * _STEP)).lagrangian.mid for sign in (-1.0, 1.0)]
    return min(max((ends[1] - ends[0]) / (2.0 * _STEP * beta), found.lo), found.hi)


def _digits(beta: float) -> float:
    return float(f"{beta:.9g}")


def _bracket(
    excess: Callable[[float], float], distortion: float, middle: float
) -> tuple[float, float]:
    """Logarithms of slopes with D above and not above the target.

    Raises:
        OutOfRange: none that the reference covers.
    """
    low = high = middle
    for _ in range(60):
        if excess(low) > 0.0:
            break
        high, low = low, low - math.log(2.0)
    else:
        raise OutOfRange(f"D = {distortion:g} is not below that of rate zero")
    for _ in range(60):
        if excess(high) <= 0.0:
            return low, high
        low, high = high, high + math.log(2.0)
    raise OutOfRange(f"D = {distortion:g} is below what any slope reaches")
