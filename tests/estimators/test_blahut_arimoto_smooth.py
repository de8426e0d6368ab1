"""The first classical iterations: taken where they are certified, left where F falls slowly."""

from __future__ import annotations

import numpy as np
import pytest
from numpy import ndarray

from rdbench.estimators.blahut_arimoto.smooth import smooth
from rdbench.inference import finite
from rdbench.inference.kernels import DenseKernel


def line(p: ndarray, x: ndarray, beta: float) -> DenseKernel:
    return DenseKernel.build((x[:, None] - x) ** 2, beta)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-8])
def test_a_gaussian_grid_is_certified_after_a_few_iterations(tolerance: float) -> None:
    x = np.linspace(-6.5, 6.5, 120)
    p = np.exp(-0.5 * x * x)
    p /= p.sum()
    kernel, even = line(p, x, 20.0), np.full(120, 1.0 / 120)
    found = smooth(kernel, p, even, tolerance, lambda _: True)
    assert found is not None
    assert found.converged
    assert found.iterations <= 12
    best = finite.interior_point(kernel, p, tolerance=1e-10)
    assert best.gap < 1e-9
    assert -1e-10 <= found.lagrangian - best.lagrangian <= found.gap <= tolerance
    f = -float(p @ np.log(kernel.forward(found.weights)))
    assert found.lagrangian == pytest.approx(f, abs=1e-13)


def test_where_atoms_form_it_gives_up_at_once() -> None:
    x = np.linspace(-1.0, 1.0, 80)
    p, asked = np.full(80, 1.0 / 80), 0

    def go_on(_: float) -> bool:
        nonlocal asked
        asked += 1
        return True

    assert smooth(line(p, x, 20.0), p, p, 1e-8, go_on) is None
    assert asked == 0


def test_told_to_stop_it_says_so() -> None:
    x = np.linspace(-6.5, 6.5, 120)
    p = np.exp(-0.5 * x * x)
    p /= p.sum()
    found = smooth(line(p, x, 20.0), p, np.full(120, 1.0 / 120), 1e-12, lambda _: False)
    assert found is not None
    assert found.stopped
    assert not found.converged
    assert found.gap > 1e-12
