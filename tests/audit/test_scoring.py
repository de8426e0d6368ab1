"""R, D and R - R(D) of an audit, against plain sums that share none of its formulas."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch import Generator, Tensor

from rdbench import registry
from rdbench.audit import SIZES
from rdbench.audit.averages import slope_on
from rdbench.audit.possible import impossibility
from rdbench.audit.symbols import Symbols
from rdbench.types import Atoms, Audited, Case

SIZE = dataclasses.replace(SIZES["quick"], paper_draws=0, conditional_symbols=0)


def _case(suite: str, name: str, dims: list[int] | None = None) -> Case:
    return next(c for c in registry.load_suite(suite).cases(dims) if c.name == name)


def _atoms(points: Tensor) -> Atoms:
    n = len(points)
    return Atoms(points, torch.full((n,), -math.log(n), dtype=torch.float64))


def _plain(case: Case, beta: float, points: Tensor, count: int) -> tuple[float, ...]:
    """R, D and their standard errors by plain means over plain draws."""
    q, rates, distortions = _atoms(points), [], []
    x = case.problem.source.sample(count, Generator().manual_seed(99)).double()
    for part in x.split(4000):
        rho = case.problem.distortion.pairwise(part, q.points)
        exponent = q.log_weights - beta * rho
        posterior = torch.softmax(exponent, 1)
        distortion = (posterior * rho).sum(1)
        distortions.append(distortion)
        rates.append(-torch.logsumexp(exponent, 1) - beta * distortion)
    r, d = torch.cat(rates), torch.cat(distortions)
    root = math.sqrt(count)
    return float(r.mean()), float(d.mean()), float(r.std()) / root, float(d.std()) / root


@pytest.fixture
def look(run: Callable[..., Audited], channel: Any) -> Callable[..., Audited]:
    """Equal atoms at given points, audited on a case."""

    def found(case: Case, beta: float, points: Tensor, seed: int) -> Audited:
        made = channel(beta, _atoms(points))
        return run(made, case.problem, case.reference, size=SIZE, seed=seed)

    return found


@pytest.mark.parametrize(
    ("suite", "name", "dims", "scale"),
    [
        # f* is one number on a sphere: a regression on it divides noise by noise.
        ("high_dimensional", "sphere-d6", [6], 0.7),
        ("high_dimensional", "noisy-sphere-d6", [6], 0.7),
        ("high_dimensional", "laplacian-d6", [6], 0.8),
        ("vector_gaussian", "ramp-d5", [5], 0.8),
        ("planar", "banana-d2", None, 0.9),
        ("heavy_tailed", "t5-d10", None, 0.5),
        ("scalar", "laplacian-absolute-standard", None, 0.9),
    ],
)
def test_rate_and_distortion_are_plain_sums(
    suite: str, name: str, dims: list[int] | None, scale: float, look: Any
) -> None:
    """Random atoms at two rates: the interval and four errors of the plain sums hold."""
    case = _case(suite, name, dims)
    for target in (case.rates[1], case.rates[-2]):
        beta = case.reference.slope(target)
        points = scale * case.problem.source.sample(300, Generator().manual_seed(3)).double()
        rate, distortion, rate_se, distortion_se = _plain(case, beta, points, 40_000)
        found = look(case, beta, points, 4)
        assert abs(found.rate - rate) <= 1.5 * found.rate_half + 4.0 * rate_se
        assert abs(found.distortion - distortion) <= (
            1.5 * found.distortion_half + 4.0 * distortion_se
        )
        assert found.rate + beta * found.distortion == pytest.approx(found.lagrangian, rel=1e-9)
        assert impossibility(found, case.reference, case.problem) == ""


def test_the_issue_s_sphere(look: Any) -> None:
    """1,000 atoms at .7 times draws of sphere-d6: R 1.931 and D .504, not 3.495 and .214."""
    case = _case("high_dimensional", "sphere-d6", [6])
    points = 0.7 * case.problem.source.sample(1000, Generator().manual_seed(3))
    found = look(case, 5.381751, points, 5)
    assert found.rate == pytest.approx(1.931, abs=0.01)
    assert found.distortion == pytest.approx(0.504, abs=0.003)
    assert found.rate_error_lo > -1e-3
    assert 0.0 < found.rate_error < 0.03


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_a_control_that_varies_by_rounding_is_none(size: float) -> None:
    generator = Generator().manual_seed(1)
    noise = torch.randn(1000, generator=generator, dtype=torch.float64)
    symbols = Symbols(torch.zeros(1000, 1).double())
    assert slope_on(noise, size * (1.0 + 3e-16 * noise), symbols) is None
    control = size * (1.0 + 1e-3 * noise)
    slope = slope_on(2.0 * control, control, symbols)
    assert slope == pytest.approx(2.0, rel=1e-6)


def test_rate_error_is_an_interval_that_holds_the_truth(look: Any) -> None:
    """Atoms on N(3, 4): R - R(D) from plain sums and R(D) = log(4 / D) / 2."""
    case = _case("scalar", "gaussian-shifted")
    beta = case.reference.slope(1.0)
    points = 3.0 + torch.linspace(-5.0, 5.0, 9, dtype=torch.float64)[:, None]
    rate, distortion, rate_se, distortion_se = _plain(case, beta, points, 400_000)
    variance = float(case.problem.source.stds[0]) ** 2  # type: ignore[attr-defined]
    exact = rate - 0.5 * math.log(variance / distortion)
    error = rate_se + beta * distortion_se
    for seed in range(5):
        found = look(case, beta, points, seed)
        width = found.rate_error_hi - found.rate_error_lo
        assert found.rate_error_lo - 0.5 * width - 4 * error <= exact
        assert exact <= found.rate_error_hi + 0.5 * width + 4 * error
        assert found.rate_error_lo <= found.rate_error <= found.rate_error_hi


class _Wide:
    """A reference whose R(D) is known to a nat."""

    kind: ClassVar[str] = "bounds"
    citation = validity = ""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.slope = inner.slope
        self.point = inner.point

    def rate(self, distortion: float) -> Any:
        found = self._inner.rate(distortion)
        return dataclasses.replace(found, lo=max(found.lo - 1.0, 0.0), hi=found.hi + 1.0)


def test_rate_error_is_blank_where_it_says_nothing(look: Any) -> None:
    case = _case("scalar", "gaussian-shifted")
    wide = dataclasses.replace(case, reference=_Wide(case.reference))
    # Far from the best: R - R(D) is between 0 and the gap, which is half a nat and more.
    points = torch.linspace(-8, 2, 9, dtype=torch.float64)[:, None]
    found = look(wide, case.reference.slope(1.0), points, 0)
    assert found.gap > 0.5
    assert math.isnan(found.rate_error)


def test_a_channel_of_next_to_no_rate_is_not_shown_below_the_curve(look: Any) -> None:
    """R(D) is known within .1 nats between rate 0 and the first rung, and is at most R."""
    case = _case("planar", "paper-d2")
    beta = case.reference.slope(case.rates[0])
    points = 0.1 * case.problem.source.sample(50, Generator().manual_seed(5)).double()
    found = look(case, beta, points, 4)
    known = case.reference.rate(found.distortion)
    assert known.width > 0.05
    assert 0.0 < found.rate < 0.03
    # As a line from (D_max, 0) to the rung shows, R(D) is not far below R here.
    assert -4.0 * found.rate_half <= found.rate_error_lo <= 0.0
    assert 0.0 <= found.rate_error <= found.rate_error_hi <= found.rate + found.rate_half
