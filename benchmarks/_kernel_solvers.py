"""Blahut-Arimoto: iterations on every kind of operator, and two solvers to their certificate.

The iterations are compared with the textbook's two steps on an explicit matrix, the solvers with
the closed form of the Gaussian.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.testing import assert_allclose

from benchmarks._kernel import Kernel, Prepare, prepares

_ROUNDING = 1e-9
"""Relative, of weights after some tens of iterations."""
_GRID_ERROR = 1e-6
"""Nats; the trapezoid rule errs by far less wherever step sqrt(2 beta) < 1/2."""


def _gaussian(nodes: int, reach: float, std: float = 1.0) -> tuple[ndarray, ndarray]:
    """A uniform grid over +-reach and the probabilities of N(0, std^2) on it."""
    x = np.linspace(-reach, reach, nodes)
    mass = np.exp(-0.5 * (x / std) ** 2)
    return x, mass / mass.sum()


def _squares(x: ndarray) -> ndarray:
    return np.asarray(np.subtract.outer(x, x) ** 2)


def _by_hand(p: ndarray, rho: ndarray, beta: float, iterations: int) -> ndarray:
    """Blahut's two steps from uniform weights: the test channel, then its marginal."""
    kernel = np.exp(-beta * rho)
    w = np.full(rho.shape[1], 1.0 / rho.shape[1])
    for _ in range(iterations):
        channel = kernel * w
        channel /= channel.sum(1, keepdims=True)
        w = p @ channel
    return w


def _iterations(operator: Any, p: ndarray, count: int, expected: Any) -> Kernel:
    """``count`` iterations without a stop; ``expected()`` are the weights computed otherwise."""
    from rdbench.inference.finite import ba

    def check(found: Any) -> None:
        assert found.iterations == count, f"{found.iterations} iterations instead of {count}"
        assert_allclose(found.weights, expected(), rtol=_ROUNDING, atol=1e-14, equal_nan=False)

    return Kernel(lambda: ba(operator, p, tolerance=1e-13, iterations=count), check, count)


@prepares
def _dense_500() -> Kernel:
    from rdbench.inference.kernels import DenseKernel

    x, p = _gaussian(500, 5.0)
    rho, count = _squares(x), 50
    operator = DenseKernel.build(rho, 8.0)
    return _iterations(operator, p, count, lambda: _by_hand(p, rho, 8.0, count))


@prepares
def _banded() -> Kernel:
    from rdbench.estimators.blahut_arimoto.grid_kernels import BandedKernel

    x, p = _gaussian(1501, 6.0)
    count = 40
    operator = BandedKernel.build(len(x), x[1] - x[0], 200.0)
    return _iterations(operator, p, count, lambda: _by_hand(p, _squares(x), 200.0, count))


@prepares
def _separable() -> Kernel:
    from rdbench.estimators.blahut_arimoto.grid_kernels import SeparableKernel

    # From uniform weights the iteration on a product source is the product of two iterations.
    (x, p), (y, r) = _gaussian(97, 5.0), _gaussian(97, 2.5, 0.5)
    beta, count = 4.0, 20
    operator = SeparableKernel.build(_squares(x), _squares(y), beta)

    def expected() -> ndarray:
        first, second = (_by_hand(q, _squares(z), beta, count) for q, z in ((p, x), (r, y)))
        return np.outer(first, second).ravel()

    return _iterations(operator, np.outer(p, r).ravel(), count, expected)


@prepares
def _scan() -> Kernel:
    from rdbench.inference.scan_kernel import ScanKernel

    y, _ = _gaussian(801, 8.0)
    step, beta, count = y[1] - y[0], 4.0, 40
    offsets = np.array([0.15, 0.5, 0.85])
    x = (y[:-1, None] + step * offsets).ravel()
    p = np.exp(-np.abs(x))
    p /= p.sum()
    operator = ScanKernel(len(y), step, beta, offsets)
    rho = np.abs(np.subtract.outer(x, y))
    return _iterations(operator, p, count, lambda: _by_hand(p, rho, beta, count))


def _solver(name: str, nodes: int, tolerance: float) -> Kernel:
    """A solver on a Gaussian's grid: its certificate brackets the closed form."""
    from rdbench.inference import finite
    from rdbench.inference.kernels import DenseKernel

    x, p = _gaussian(nodes, 8.0)
    beta = 4.0
    operator, solve = DenseKernel.build(_squares(x), beta), getattr(finite, name)

    def check(found: Any) -> None:
        assert found.converged, f"the gap is {found.gap:g} nats"
        assert found.gap < tolerance, f"the gap is {found.gap:g} nats"
        optimum = 0.5 * math.log(2.0 * beta) + 0.5  # R = log(2 beta) / 2 and beta D = 1/2
        assert found.lagrangian >= optimum - _GRID_ERROR, "F lies below F*"
        assert found.lagrangian - found.gap <= optimum + _GRID_ERROR, "the bound lies above F*"
        assert_allclose(found.weights.sum(), 1.0, rtol=1e-9, equal_nan=False)

    return Kernel(lambda: solve(operator, p, tolerance=tolerance), check)


SOLVERS: dict[str, Prepare] = {
    "ba_dense_500": _dense_500,
    "ba_banded_1501": _banded,
    "ba_separable_97x97": _separable,
    "ba_scan_801": _scan,
    "squarem_solve": prepares(partial(_solver, "squarem", 801, 1e-5)),
    "interior_point_solve": prepares(partial(_solver, "interior_point", 251, 1e-7)),
}
