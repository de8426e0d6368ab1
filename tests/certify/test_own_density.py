"""Densities on the line that a user declares: certified, or refused in one line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from scipy.special import stdtrit
from torch import Generator, Tensor

from rdbench.certify.identity import problem_digest
from rdbench.distortions import AbsoluteError, SquaredError
from rdbench.references.certified import Certified
from rdbench.references.gaussian import WaterFilling
from rdbench.sources.gaussian import scalar_gaussian
from rdbench.sources.student import StudentSource
from rdbench.types import HasLineDensity, LineTail, OutOfRange, Problem, RdbenchError

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Own:
    """A law by its quantile function and its log density; no dataclass field has a digest."""

    name: str
    quantile: Callable[[Tensor], Tensor]
    log_density: Callable[[Tensor], Tensor]
    interval: tuple[float, float]
    breakpoints: tuple[float, ...] = ()
    tail: LineTail | None = None
    dim: int = 1

    def sample(self, n: int, generator: Generator) -> Tensor:
        u = torch.rand(n, 1, generator=generator, dtype=torch.float64)
        return self.quantile(u.clamp(1e-15, 1.0 - 1e-15))

    def log_prob(self, x: Tensor) -> Tensor:
        lo, hi = self.interval
        at = x[:, 0].double()
        off = torch.full_like(at, -math.inf)
        return torch.where((at >= lo) & (at <= hi), self.log_density(at), off)


def _normal_quantile(u: Tensor) -> Tensor:
    return math.sqrt(2.0) * torch.erfinv(2.0 * u - 1.0)


def _steps(x: Tensor) -> Tensor:
    low = torch.full_like(x, math.log(0.1))
    return torch.where(x < 1.0, math.log(0.8), low)


_INF = math.inf
_RIGHT = LineTail((0.0, 0.0))
HALF_NORMAL = Own(
    "half-normal", lambda u: math.sqrt(2.0) * torch.erfinv(u),
    lambda x: 0.5 * math.log(2.0 / math.pi) - 0.5 * x * x, (0.0, _INF), (), _RIGHT,
)  # fmt: skip
EXPONENTIAL = Own("exponential", lambda u: -torch.log1p(-u), lambda x: -x, (0.0, _INF), (), _RIGHT)
GAUSSIAN = Own(
    "gaussian", _normal_quantile, lambda x: -0.5 * x * x - 0.5 * math.log(2.0 * math.pi),
    (-_INF, _INF), (), LineTail((0.0, 0.0)),
)  # fmt: skip
TRIANGULAR = Own(
    "triangular",
    lambda u: torch.where(u < 0.5, (2 * u).sqrt() - 1, 1 - (2 * (1 - u)).sqrt()),
    lambda x: torch.log1p(-x.abs().clamp(max=1.0)), (-1.0, 1.0), (0.0,),
)  # fmt: skip
STEPS = Own(
    "steps", lambda u: torch.where(u < 0.8, u / 0.8, 1.0 + 10.0 * (u - 0.8)), _steps,
    (0.0, 3.0), (1.0,),
)  # fmt: skip
GUMBEL = Own(
    "gumbel", lambda u: -torch.log(-torch.log(u)), lambda x: -x - torch.exp(-x),
    (-_INF, _INF), (), _RIGHT,
)  # fmt: skip
ALL = (HALF_NORMAL, EXPONENTIAL, TRIANGULAR, STEPS, GUMBEL)


def _blahut(source: Own, beta: float) -> tuple[float, float]:
    """F* on a fine grid: Gauss nodes between the breaks, plain iteration, and what it may gain."""
    lo, hi = (max(source.interval[0], -4.0), min(source.interval[1], 32.0))
    stops = [lo, *source.breakpoints, hi]
    t, w = np.polynomial.legendre.leggauss(250)
    panels = np.array(list(itertools.pairwise(stops)))
    half, middle = 0.5 * (panels[:, 1] - panels[:, 0]), panels.mean(1)
    x, weight = (middle[:, None] + half[:, None] * t).ravel(), (half[:, None] * w).ravel()
    p = weight * np.exp(source.log_prob(torch.from_numpy(x)[:, None]).numpy())
    assert p.sum() == pytest.approx(1.0, abs=1e-9)
    ends = source.quantile(torch.tensor([1e-5, 1.0 - 1e-5], dtype=torch.float64)).tolist()
    y = np.linspace(ends[0], ends[1], 300)
    kernel = np.exp(-beta * (x[:, None] - y) ** 2)
    q = np.full(len(y), 1.0 / len(y))
    for _ in range(500):
        c = (p / np.maximum(kernel @ q, 1e-300)) @ kernel
        q *= c
    z = np.maximum(kernel @ q, 1e-300)
    return float(-p @ np.log(z)), float(np.log(((p / z) @ kernel).max()))


@pytest.mark.parametrize("source", ALL, ids=lambda s: s.name)
def test_certified_truth_against_a_fine_grid(source: Own) -> None:
    assert isinstance(source, HasLineDensity)
    reference = Certified(Problem(source, SquaredError()), TOLERANCE)
    found = reference.certificate(2.0)
    assert found.reached
    assert found.kind == "certified (numerical)"
    value, gain = _blahut(source, 2.0)
    # The grid's q is one of many; what it may gain on its grid bounds it from below but for
    # the gaps between its points.
    assert gain < 0.05
    assert found.lo <= value + 1e-7
    assert found.hi >= value - gain - 1e-4


def test_a_gaussian_of_ones_own_is_the_closed_form() -> None:
    reference = Certified(Problem(GAUSSIAN, SquaredError()), 1e-6)
    exact = WaterFilling(scalar_gaussian())
    for beta in (0.2, 2.0, 20.0):
        truth = exact.point(beta).lagrangian.mid
        found = reference.certificate(beta)
        assert found.lo - 1e-9 <= truth <= found.hi + 1e-9
        assert found.width < 1e-6


def test_a_power_law_of_ones_own() -> None:
    t5 = StudentSource(5.0)

    def draw(u: Tensor) -> Tensor:
        return torch.from_numpy(stdtrit(5.0, u.numpy()))

    own = Own("own t5", draw, lambda x: t5.log_prob(x[:, None]), (-_INF, _INF), (),
              LineTail((-8.0, 8.0), "power", 5.5))  # fmt: skip
    a = Certified(Problem(own, SquaredError()), 1e-2).certificate(1.0)
    b = Certified(Problem(t5, SquaredError()), 1e-2).certificate(1.0)
    assert a.reached
    assert max(a.lo, b.lo) <= min(a.hi, b.hi)
    heavy = replace(own, tail=LineTail((-8.0, 8.0), "power", 2.9))
    with pytest.raises((OutOfRange, RdbenchError), match="finite variance"):
        Certified(Problem(heavy, SquaredError()), 1e-2).certificate(1.0)
    wrong = replace(own, tail=LineTail((-8.0, 8.0), "power", 6.5))
    with pytest.raises(RdbenchError, match="falls more slowly"):
        Certified(Problem(wrong, SquaredError()), 1e-2).certificate(1.0)


def test_units_and_the_potential() -> None:
    """Half-normal in units of 1e-4 at an offset: F* as for scale one."""
    a, o = 1e-4, 7.0
    small = Own(
        "small", lambda u: o + a * HALF_NORMAL.quantile(u),
        lambda x: HALF_NORMAL.log_density((x - o) / a) - math.log(a), (o, _INF), (),
        LineTail((o, o)),
    )  # fmt: skip
    one = Certified(Problem(HALF_NORMAL, SquaredError()), 1e-2)
    other = Certified(Problem(small, SquaredError()), 1e-2)
    x, y = one.certificate(2.0), other.certificate(2.0 / a**2)
    assert max(x.lo, y.lo) <= min(x.hi, y.hi) + 1e-9
    at = torch.tensor([[0.0], [3.0], [1e3]], dtype=torch.float64)
    assert torch.isfinite(one.potential(at, 2.0)).all()


def _wrong(**changes: object) -> Own:
    return replace(HALF_NORMAL, name="wrong", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "word"),
    [
        (_wrong(log_density=lambda x: -0.5 * x * x), "integrates to 1.2533"),
        (_wrong(quantile=lambda u: -u), "outside the interval"),
        (_wrong(quantile=lambda u: 3.0 * u), "draws do not follow"),
        (_wrong(tail=None), "needs a tail"),
        (_wrong(interval=(1.0, 0.0)), "lo < hi"),
        (_wrong(log_density=lambda x: x * math.nan), "not a number"),
        (_wrong(tail=LineTail((0.0, 0.0), "power", 0.5)), "cannot fall"),
        (_wrong(log_density=lambda x: -2.0 * torch.log1p(x),
                quantile=lambda u: u / (1.0 - u)), "not log-concave"),
        (_wrong(quantile=lambda u: 0.0 * u), "not a density"),
    ],
)  # fmt: skip
def test_wrong_declarations_are_refused_in_one_line(source: Own, word: str) -> None:
    with pytest.raises(RdbenchError, match=word) as caught:
        Certified(Problem(source, SquaredError()), TOLERANCE).certificate(1.0)
    assert "no certificate for wrong" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_absolute_error_is_refused_in_one_line() -> None:
    with pytest.raises(RdbenchError, match="under squared error alone"):
        Certified(Problem(HALF_NORMAL, AbsoluteError()), TOLERANCE).certificate(1.0)


def test_the_digest_sees_the_density() -> None:
    """Two functions have no text; their values do."""
    same = replace(HALF_NORMAL, log_density=lambda x: 0.5 * math.log(2.0 / math.pi) - x * x / 2.0)
    other = replace(HALF_NORMAL, log_density=lambda x: -0.5 * x * x)
    digests = [problem_digest(Problem(s, SquaredError())) for s in (HALF_NORMAL, same, other)]
    assert digests[0] == digests[1] != digests[2]
    kinked = replace(HALF_NORMAL, breakpoints=(1.0,))
    assert problem_digest(Problem(kinked, SquaredError())) != digests[0]
