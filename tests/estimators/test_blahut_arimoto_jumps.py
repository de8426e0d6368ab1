"""Blahut-Arimoto on densities that jump: found where they do, answered within the stated error."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy import ndarray
from scipy.integrate import quad
from torch import Generator, Tensor

from rdbench.distortions import SquaredError
from rdbench.estimators.blahut_arimoto import BlahutArimoto
from rdbench.estimators.blahut_arimoto.jumps import cell_masses, find_jumps, inner_masses
from rdbench.run.views import make_view
from rdbench.types import Problem
from tests.estimators.conftest import channels_of, seeded


class _Source:
    dim = 1

    def __init__(self, name: str, quantile: Callable[[Tensor], Tensor], density: str) -> None:
        self.name, self.quantile, self.density = name, quantile, density

    def sample(self, n: int, generator: Generator) -> Tensor:
        return self.quantile(torch.rand(n, 1, generator=generator, dtype=torch.float64))

    def log_prob(self, x: Tensor) -> Tensor:
        at = x[:, 0]
        off = torch.full_like(at, -math.inf)
        if self.density == "half-normal":
            value = 0.5 * math.log(2.0 / math.pi) - 0.5 * (at - 3.0) ** 2
            return torch.where(at >= 3.0, value, off)
        if self.density == "exponential":
            return torch.where(at >= 0.0, -at, off)
        low = torch.full_like(at, math.log(0.1))
        value = torch.where(at < 1.0, math.log(0.8), low)
        return torch.where((at >= 0.0) & (at <= 3.0), value, off)


SOURCES = {
    "half-normal": _Source(
        "half-normal", lambda u: 3.0 + math.sqrt(2.0) * torch.erfinv(u), "half-normal"
    ),
    "exponential": _Source("exponential", lambda u: -torch.log1p(-u), "exponential"),
    "steps": _Source(
        "steps", lambda u: torch.where(u < 0.8, u / 0.8, 1.0 + 10.0 * (u - 0.8)), "steps"
    ),
}
# Certified at 1e-5 (tests/certify/test_own_density.py) by the line solver, whose brackets a
# separate grid confirms; lower ends.
F_STAR = {
    ("half-normal", 1.0): 0.361817,
    ("half-normal", 8.0): 1.255178,
    ("exponential", 1.0): 0.664101,
    ("steps", 1.0): 0.445626,
    ("steps", 8.0): 1.204527,
}


def _solved(name: str, beta: float) -> tuple[float, float]:
    """F as it is claimed, and the discretisation error that is stated."""
    problem, device = Problem(SOURCES[name], SquaredError()), torch.device("cpu")
    view, _ = make_view(problem, BlahutArimoto.info.needs, seeded(0), device)
    (channel,) = channels_of(BlahutArimoto(), view, [beta])
    assert channel.status == "ok", channel.reason
    stated = float(re.findall(r"discretisation error ([\d.e-]+)", channel.reason)[0])
    return channel.claim.rate + beta * channel.claim.distortion, stated


@pytest.mark.parametrize(("name", "beta"), list(F_STAR))
def test_within_the_error_that_is_stated(name: str, beta: float) -> None:
    value, stated = _solved(name, beta)
    assert stated < 1e-3
    assert -1e-6 <= value - F_STAR[name, beta] <= stated + 1.1e-5


def test_high_rates_are_answered() -> None:
    """Beyond the limit before: at small D the Shannon lower bound is nearly met."""
    beta = 2e3
    entropy = -0.8 * math.log(0.8) - 0.2 * math.log(0.1)
    shannon = entropy - 0.5 * math.log(math.pi / beta)
    assert shannon < _solved("steps", beta)[0] < shannon + 0.1


# ------------------------------------------------------------------------ jumps and masses


def half_normal(x: ndarray) -> ndarray:
    return np.where(x[:, 0] >= 0.1, np.sqrt(2 / np.pi) * np.exp(-0.5 * (x[:, 0] - 0.1) ** 2), 0.0)


def steps(x: ndarray) -> ndarray:
    at = x[:, 0]
    heights = np.where(at < 1.0, 0.9, np.where(at < 1.03, 0.02, 0.0497))
    return np.where((at >= 0.0) & (at <= 3.0), heights, 0.0)


def smooth(x: ndarray) -> ndarray:
    return np.exp(-0.5 * (x[:, 0] / 0.01) ** 2) + 0.2 * np.exp(-np.abs(x[:, 0] - 1.0))


def test_jumps_are_found_where_they_are() -> None:
    assert find_jumps(half_normal, -1.0, 8.0) == pytest.approx((0.1,), abs=1e-12)
    assert find_jumps(steps, -0.2, 3.3) == pytest.approx((0.0, 1.0, 1.03, 3.0), abs=1e-12)
    assert find_jumps(smooth, -5.0, 20.0) == ()  # steep, and a kink: neither jumps


@pytest.mark.parametrize("count", [60, 61, 257])
@pytest.mark.parametrize(
    ("density", "edges"),
    [(half_normal, (0.1, 8.5)), (steps, (0.0, 1.0, 1.03, 3.0))],
)
def test_masses_integrate_smooth_functions(
    density: Callable[[ndarray], ndarray], edges: tuple[float, ...], count: int
) -> None:
    """Against adaptive quadrature between the edges; the plain sum errs by a share of a cell."""
    width = edges[-1] - edges[0]
    nodes = edges[0] - 0.013 * width + np.arange(count) * width * 1.04 / (count - 1)
    mass = cell_masses(density, nodes, edges)
    assert mass.min() >= 0.0
    step = nodes[1] - nodes[0]
    gain = np.sin(1.3 * nodes + 0.4)
    exact = sum(
        quad(lambda x: density(np.array([[x]]))[0] * math.sin(1.3 * x + 0.4), a, b)[0]
        for a, b in pairwise(edges)
    )
    plain = float(density(nodes[:, None]) @ gain) * step
    error = abs(float(mass @ gain) - exact)
    assert error < 40.0 * step**6 + 2e-4 * step**2 + 1e-12
    assert error < 1e-2 * abs(plain - exact)


def test_masses_at_nodes_inside_the_cells() -> None:
    nodes = np.linspace(-0.13, 3.2, 80)
    step = nodes[1] - nodes[0]
    t, w = np.polynomial.legendre.leggauss(3)
    fractions = 0.5 * (t + 1.0)
    x = (nodes[:-1, None] + step * fractions).ravel()
    plain = steps(x[:, None]) * np.tile(0.5 * step * w, 79)
    edges = (0.0, 1.0, 1.03, 3.0)
    mass = inner_masses(steps, nodes, fractions, edges, plain)
    assert mass.min() >= 0.0
    total = 0.9 + 0.03 * 0.02 + 1.97 * 0.0497
    assert mass.sum() == pytest.approx(total, abs=1e-12)
    assert abs(plain.sum() - total) > 1e-4
    exact = sum(
        quad(lambda x: steps(np.array([[x]]))[0] * math.exp(-x), a, b)[0]
        for a, b in pairwise(edges)
    )
    assert float(mass @ np.exp(-x)) == pytest.approx(exact, abs=5e-5)
