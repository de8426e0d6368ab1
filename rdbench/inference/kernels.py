"""The linear operators behind Blahut-Arimoto: Z = K w and c = K^T u, K_ij = exp(-beta rho_ij).

``n`` counts source points, ``m`` reproduction points. Every operator holds K with its rows
divided by their largest entry, exp(-beta min_j rho_ij), whose logarithm is ``-shift``. Nothing
that matters can then underflow: at the optimum c_j <= 1 for every j, so that Z_i >= p_i at the
point j that is nearest to i, and an entry far below p_i has no influence on Z_i. The row minima
``least`` are taken out of the distortions as well: a constant added to a row changes D alone, and
must not cost the digits of R.

NumPy float64 throughout. An operator with the method ``factor`` can also solve the Newton system
(K^T diag(u) K + diag(d)) x = r of the interior point in reasonable time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import cho_factor, cho_solve, cho_solve_banded, cholesky_banded
from scipy.linalg.blas import dsyrk

Solve = Callable[[ndarray], ndarray]

_NEARLY_ONE = 0.5

_JITTER = (0.0, 1e-14, 1e-12, 1e-10)


@runtime_checkable
class Kernel(Protocol):
    """A non-negative operator K of shape (n, m) with rows scaled to a maximum of about one."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""

    @property
    def shift(self) -> Float[ndarray, " n"] | float:
        """The exponent divided out, beta min_j rho_ij: -log Z_i = shift_i - log (K w)_i."""

    def forward(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        """K w."""

    def adjoint(self, u: Float[ndarray, " n"]) -> Float[ndarray, " m"]:
        """K^T u."""

    @property
    def least(self) -> Float[ndarray, " n"] | float:
        """min_j rho_ij, as far as it was taken out: what ``cost`` lacks."""

    def cost(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        """sum_j K_ij (rho_ij - least_i) w_j: over Z_i the expected excess distortion of row i."""


@runtime_checkable
class HasFactor(Protocol):
    """A kernel whose Newton system can be solved."""

    def factor(self, u: Float[ndarray, " n"], d: Float[ndarray, " m"]) -> Solve:
        """A function that solves (K^T diag(u) K + diag(d)) x = r for x.

        Raises:
            numpy.linalg.LinAlgError: the system is not positive definite to working precision.
        """


def banded_cholesky(lower: ndarray) -> Solve:
    """Cholesky of a symmetric band in lower form; jitter where it fails."""

    def solver() -> Solve:
        factor = cholesky_banded(lower, lower=True, check_finite=False)
        return lambda r: cast(ndarray, cho_solve_banded((factor, True), r, check_finite=False))

    return _jittered(lower[0], solver)


def _cholesky(a: ndarray) -> Solve:
    """Cholesky of the lower triangle of ``a``; a last digit's worth of jitter where it fails."""

    def solver() -> Solve:
        factor = cho_factor(a, lower=True, check_finite=False)
        return lambda r: cast(ndarray, cho_solve(factor, r, check_finite=False))

    return _jittered(np.einsum("ii->i", a), solver)


def _jittered(diagonal: ndarray, solver: Callable[[], Solve]) -> Solve:
    """The first solver that exists as the matrix's ``diagonal``, a view of it, is raised."""
    given = diagonal.copy()
    for jitter in _JITTER:
        diagonal[:] = given * (1.0 + jitter)
        try:
            return solver()
        except np.linalg.LinAlgError:
            continue
    raise np.linalg.LinAlgError("the Newton matrix is not positive definite")


def check_distortions(rho: Float[ndarray, "n m"]) -> None:
    """Refuse a matrix that is no distortion; negative and infinite entries are.

    Raises:
        ValueError: it is empty, an entry is NaN or -inf, or a row has no finite entry.
    """
    if rho.size == 0 or not (rho > -np.inf).all():
        raise ValueError("the matrix of distortions must be non-empty, without NaN and -inf")
    if not (rho.min(axis=1) < np.inf).all():
        raise ValueError("every row of the matrix of distortions needs a finite entry")


@dataclass(frozen=True)
class DenseKernel:
    """K from a matrix of distortions, for any distortion and at most some thousand points.

    ``rho`` is the excess over ``least``, zero where the distortion is infinite: there K is zero,
    whatever beta is.
    """

    matrix: Float[ndarray, "n m"]
    shift: Float[ndarray, " n"]
    rho: Float[ndarray, "n m"]
    # K^T r on a transposed view is several times slower than on memory of its own.
    transpose: Float[ndarray, "m n"] = field(repr=False)
    least: Float[ndarray, " n"] | float = 0.0
    beta: float | None = None

    @classmethod
    def build(cls, rho: Float[ndarray, "n m"], beta: float) -> DenseKernel:
        """exp(-beta (rho - min_j rho)); an infinite distortion forbids j to i.

        Raises:
            ValueError: beta is negative; a distortion is NaN or -inf; a row has no finite one.
        """
        if not (beta >= 0 and np.isfinite(beta)):
            raise ValueError(f"beta must be finite and >= 0, got {beta}")
        check_distortions(rho)
        least = rho.min(axis=1)
        excess = rho - least[:, None]
        forbidden = np.isinf(excess)
        if forbidden.any():
            excess[forbidden] = 0.0
        matrix = np.exp(-beta * excess)
        matrix[forbidden] = 0.0
        return cls(matrix, beta * least, excess, np.ascontiguousarray(matrix.T), least, beta)

    @cached_property
    def deviation(self) -> Float[ndarray, "n m"] | None:
        """K - 1 to all digits, where every entry of K is above one half; else None."""
        if self.beta is None or self.matrix.min() < _NEARLY_ONE:
            return None
        return np.expm1(-self.beta * self.rho)

    @property
    def shape(self) -> tuple[int, int]:
        return self.matrix.shape[0], self.matrix.shape[1]

    def forward(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        return cast(ndarray, self.matrix @ w)

    def adjoint(self, u: Float[ndarray, " n"]) -> Float[ndarray, " m"]:
        return cast(ndarray, self.transpose @ u)

    def cost(self, w: Float[ndarray, " m"]) -> Float[ndarray, " n"]:
        return cast(ndarray, np.einsum("ij,ij,j->i", self.matrix, self.rho, w))

    def factor(self, u: Float[ndarray, " n"], d: Float[ndarray, " m"]) -> Solve:
        """The smaller of the m x m system and, by Woodbury's identity, the n x n one."""
        n, m = self.shape
        if m <= n:
            # A^T A of the scaled rows; dsyrk fills one triangle, at half the price of a product.
            scaled = self.transpose * np.sqrt(u)
            normal = dsyrk(1.0, scaled.T, trans=1, lower=1)
            np.fill_diagonal(normal, normal.diagonal() + d)
            return _cholesky(normal)
        a = self.matrix * np.sqrt(u)[:, None]
        b = a / np.sqrt(d)
        inner = dsyrk(1.0, b.T, trans=1, lower=1)
        np.fill_diagonal(inner, inner.diagonal() + 1.0)
        solve = _cholesky(inner)
        return lambda r: cast(ndarray, r / d - (a.T @ solve(a @ (r / d))) / d)
