"""Densities that jump: found where they do, and masses that integrate smooth functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy import ndarray
from scipy.integrate import quad

from rdbench.estimators.blahut_arimoto.jumps import cell_masses, find_jumps, inner_masses


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
