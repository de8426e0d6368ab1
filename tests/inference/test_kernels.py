"""Every operator against the dense matrix written down entry by entry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy import ndarray

from rdbench.estimators.blahut_arimoto.grid_kernels import BandedKernel, SeparableKernel
from rdbench.inference.kernels import (
    DenseKernel,
    HasFactor,
    Kernel,
)
from rdbench.inference.scan_kernel import ScanKernel


def dense_banded() -> tuple[Kernel, ndarray, ndarray]:
    kernel = BandedKernel.build(300, 0.05, 60.0)
    y = 0.05 * np.arange(300)
    rho = (y[:, None] - y) ** 2
    return kernel, np.exp(-60.0 * rho), rho


def dense_scan() -> tuple[Kernel, ndarray, ndarray]:
    offsets = np.array([0.1, 0.5, 0.8])
    kernel = ScanKernel(40, 0.3, 1.7, offsets)
    y = 0.3 * np.arange(40)
    x = (y[:-1, None] + 0.3 * offsets).ravel()
    rho = np.abs(x[:, None] - y)
    return kernel, np.exp(-1.7 * rho), rho


def dense_separable() -> tuple[Kernel, ndarray, ndarray]:
    rng = np.random.default_rng(2)
    first, second = rng.random((7, 4)), rng.random((5, 6))
    kernel = SeparableKernel.build(first, second, 3.0)
    rho = (first[:, None, :, None] + second[None, :, None, :]).reshape(35, 24)
    return kernel, np.exp(-3.0 * rho), rho


def dense_tall() -> tuple[Kernel, ndarray, ndarray]:
    rho = np.random.default_rng(3).random((40, 25))
    shifted = rho - rho.min(1, keepdims=True)
    return DenseKernel.build(rho, 4.0), np.exp(-4.0 * shifted), rho


def dense_wide() -> tuple[Kernel, ndarray, ndarray]:
    rho = np.random.default_rng(4).random((20, 33))
    shifted = rho - rho.min(1, keepdims=True)
    return DenseKernel.build(rho, 4.0), np.exp(-4.0 * shifted), rho


Case = Callable[[], tuple[Kernel, ndarray, ndarray]]

CASES: list[Case] = [dense_banded, dense_scan, dense_separable, dense_tall, dense_wide]


@pytest.mark.parametrize("case", CASES)
def test_products(case: Case) -> None:
    kernel, matrix, rho = case()
    rng = np.random.default_rng(5)
    n, m = kernel.shape
    assert (n, m) == matrix.shape
    w, u = rng.random(m), rng.random(n)
    np.testing.assert_allclose(kernel.forward(w), matrix @ w, rtol=1e-12)
    np.testing.assert_allclose(kernel.adjoint(u), matrix.T @ u, rtol=1e-12)
    # the row minima that were taken out are not in the cost
    excess = rho - np.broadcast_to(np.reshape(kernel.least, (-1, 1)), (n, 1))
    np.testing.assert_allclose(kernel.cost(w), (matrix * excess) @ w, rtol=1e-11)


@pytest.mark.parametrize("case", [dense_banded, dense_scan, dense_tall, dense_wide])
def test_newton_system(case: Case) -> None:
    kernel, matrix, _ = case()
    assert isinstance(kernel, HasFactor)
    rng = np.random.default_rng(6)
    n, m = kernel.shape
    u, d, r = rng.random(n) + 0.1, rng.random(m) + 0.1, rng.standard_normal(m)
    wanted = np.linalg.solve(matrix.T @ (u[:, None] * matrix) + np.diag(d), r)
    np.testing.assert_allclose(kernel.factor(u, d)(r), wanted, rtol=1e-8, atol=1e-10)


def test_rows_are_shifted_so_that_nothing_underflows() -> None:
    rho = np.array([[3.0, 1.0], [2.0, 5.0]])
    kernel = DenseKernel.build(rho, 1e6)
    np.testing.assert_array_equal(kernel.forward(np.array([0.25, 0.75])), [0.75, 0.25])
    np.testing.assert_array_equal(kernel.shift, [1e6, 2e6])


def test_dropped_entries_are_negligible() -> None:
    step, beta = 0.01, 400.0
    half = BandedKernel.half_width(step, beta)
    assert np.exp(-beta * (step * (half + 1)) ** 2) < 1e-60
    with pytest.raises(ValueError, match="does not fit"):
        BandedKernel.build(half, step, beta)


def test_a_singular_newton_system_is_reported() -> None:
    kernel = DenseKernel.build(np.zeros((3, 3)), 1.0)
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        kernel.factor(np.ones(3), np.full(3, -5.0))


@pytest.mark.parametrize("beta", [-1.0, np.inf, np.nan])
def test_bad_slopes(beta: float) -> None:
    with pytest.raises(ValueError, match="beta"):
        DenseKernel.build(np.ones((2, 2)), beta)
    with pytest.raises(ValueError, match="beta"):
        BandedKernel.build(2000, 0.1, beta)


def test_bad_matrices_and_steps() -> None:
    with pytest.raises(ValueError, match="every row of the matrix"):
        DenseKernel.build(np.array([[np.inf, np.inf], [0.0, 1.0]]), 1.0)
    for bad in (np.nan, -np.inf):
        with pytest.raises(ValueError, match="NaN and -inf"):
            DenseKernel.build(np.array([[bad, 1.0]]), 1.0)
    with pytest.raises(ValueError, match="coarse"):
        ScanKernel(10, 1.0, 200.0, np.array([0.5]))
