"""F*(beta) of a finite problem with very many source letters, say 10^5, and 10^3 reproductions.

The problem is that of `rdbench.certify.finite`, min over w in the simplex of -sum_i p_i log (Kw)_i.
Newton's method on all of it takes n m^2 operations a step, and K alone 8 n m bytes. But few letters
are used at the optimum, and of the others only c_j <= 1 has to be known. So:

1. The interior point solves a subsample of the rows; ten times as many rows follow, and then all.
   A subsample shows which columns A may matter.
2. On these columns sequential quadratic programs find the weights, after mixsqp (Kim, Carbonetto,
   Stephens and Anitescu 2020): with z = K w and H = K_A' diag(p / z^2) K_A, minimise
   y' H y / 2 + (1 - c - H w)' y over y >= 0, and search on the line from w to y. The program
   is solved as non-negative least squares on a Cholesky factor of H. K_A is held in float32
   where it is large: it decides where to go, and nothing else.
3. All columns are visited in blocks of rows, in float64: F(w) and max_j c_j are the certificate.
   Columns with c_j > 1 join A, and 2 is repeated.

Work: n m exponentials for every visit of step 3, n |A| products for every step of 2; memory: at
most 8 n |A| bytes.

References:
    Y. Kim, P. Carbonetto, M. Stephens, M. Anitescu, A fast algorithm for maximum likelihood
    estimation of mixture proportions using sequential quadratic programming, 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from rdbench.certify.certificate import Certificate
from rdbench.certify.checks import check_probabilities, check_slope, rounding
from rdbench.inference.finite import interior_point
from rdbench.inference.kernels import DenseKernel, check_distortions

_BLOCK = 100_000  # entries of a block of rows: it should fit a processor's cache
_ROWS_PER_COLUMN = (10, 100)  # of the subsamples
_WIDE = 4_000_000  # of a block that is multiplied by itself
_SEED = 1e-4  # weight, over their number, that columns start from where they are needed
_FAR, _FIRST = 1.2, 15  # c_j from which, and steps in which, Blahut's iteration moves weights
_SLOW = 0.3  # part of the gap that a step may leave
_NEAR = 1.5  # standard errors within which a column of a subsample may matter
_MOST = 320  # columns that are taken over from a subsample
_JOIN = 150  # columns that may join at once
_LOOSE = 1e-3  # nats to which a subsample is solved
_ROUNDS, _STEPS, _HALVINGS = 12, 40, 30
_RIDGE = 1e-10
_NOTHING, _KNOWN, _LEAST = 1e-300, 1e-200, 1e-15
_DOUBLE = 150_000_000  # entries of K_A up to which it is held in double precision
_FAINT, _UNSEEN = -80.0, -600.0  # least exponents, of K_A and of the certificate


@runtime_checkable
class Distortions(Protocol):
    """A matrix of distortions rho, (n, m), of which blocks are made when they are needed."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""

    def block(self, rows: Int[ndarray, " k"] | slice, columns: ndarray | slice) -> ndarray:
        """rho of these rows and columns, (k, l), in float64."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Distortions that are there already."""

    rho: Float[ndarray, "n m"]

    @property
    def shape(self) -> tuple[int, int]:
        return self.rho.shape[0], self.rho.shape[1]

    def block(self, rows: Int[ndarray, " k"] | slice, columns: ndarray | slice) -> ndarray:
        return self.rho[rows][:, columns]


@dataclass(frozen=True, eq=False)
class SquaredDistances:
    """rho_ij = |x_i - y_j|^2, coordinate by coordinate, so that nothing cancels."""

    x: Float[ndarray, "n d"]
    y: Float[ndarray, "m d"]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.x), len(self.y)

    def block(self, rows: Int[ndarray, " k"] | slice, columns: ndarray | slice) -> ndarray:
        x, y = self.x[rows], self.y[columns]
        out = np.subtract.outer(x[:, 0], y[:, 0])
        out *= out
        for axis in range(1, x.shape[1]):
            apart = np.subtract.outer(x[:, axis], y[:, axis])
            apart *= apart
            out += apart
        return cast(ndarray, out)


@dataclass(frozen=True, eq=False)
class _Some:
    """Some rows of others."""

    whole: Distortions
    rows: Int[ndarray, " k"]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self.whole.shape[1]

    def block(self, rows: Int[ndarray, " k"] | slice, columns: ndarray | slice) -> ndarray:
        return self.whole.block(self.rows[rows], columns)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Distortions, probabilities and the slope."""

    rho: Distortions
    p: Float[ndarray, " n"]
    beta: float

    def sample(self, size: int, rng: np.random.Generator) -> _Problem:
        """Some of the rows, drawn without replacement."""
        rows = np.sort(rng.choice(len(self.p), size, replace=False))
        return _Problem(_Some(self.rho, rows), self.p[rows] / self.p[rows].sum(), self.beta)


@dataclass(frozen=True, eq=False)
class _Visit:
    """F(w), D and all c_j, in float64."""

    lagrangian: float
    distortion: float
    c: Float[ndarray, " m"]
    squares: Float[ndarray, " m"]
    """sum_i p_i (K_ij / Z_i)^2, where it was asked for."""

    @property
    def gap(self) -> float:
        """log max_j c_j >= F(w) - F*; inf where Z of a row is too small to be known."""
        if np.isinf(self.lagrangian):
            return np.inf
        return max(float(np.log(self.c.max())), 0.0)


def certify_many_rows(
    rho: Distortions, p: Float[ndarray, " n"], beta: float, tolerance: float, *, seed: int = 0
) -> Certificate:
    """``lo <= F*(beta) <= hi`` of n source letters, n large, and m reproduction letters.

    Args:
        rho: distortions, finite ones: `Matrix`, `SquaredDistances`, or blocks of your own.
        p: probabilities of the source letters, positive.
        beta: slope >= 0.
        tolerance: the width of the bracket asked for, in nats.
        seed: of the subsamples.

    Returns:
        A certificate of kind "certified" whose points are the indices j of the letters in use.

    Raises:
        ValueError: bad probabilities, slope, tolerance or distortions.
    """
    check_slope(beta, tolerance)
    n, m = rho.shape
    p = check_probabilities(p, n)
    if not p.min() > 0.0:
        raise ValueError("leave out the letters of probability zero")
    whole, rng = _Problem(rho, p, beta), np.random.default_rng(seed)
    first, second = (min(n, k * m) for k in _ROWS_PER_COLUMN)
    few = whole.sample(first, rng)
    weights = _interior(few)
    active = _near(weights, _visit(few, weights, squares=True), first)
    if second < n:
        few = whole.sample(second, rng)
        weights, found = _refined(few, weights, active, _LOOSE, squares=True)
        active = _near(weights, found, second)
    weights, found = _refined(whole, weights, active, tolerance, squares=False)
    slack = rounding(found.lagrangian, beta * found.distortion, terms=n + m)
    width = found.gap + 2.0 * slack
    used = np.flatnonzero(weights)
    return Certificate(
        beta=float(beta),
        lo=found.lagrangian - found.gap - slack,
        hi=found.lagrangian + slack,
        points=used[:, None].astype(float),
        weights=weights[used],
        distortion=found.distortion,
        kind="certified",
        tolerance=tolerance,
        reason="" if width <= tolerance else f"adding columns ended at {width:.1e} nats",
    )


def _interior(problem: _Problem) -> Float[ndarray, " m"]:
    """Weights by the interior point, zero where they are only on their way to it."""
    rho = problem.rho.block(slice(None), slice(None))
    check_distortions(rho)
    kernel = DenseKernel.build(rho, problem.beta)
    w = interior_point(kernel, problem.p, tolerance=1e-5).weights
    c = kernel.transpose @ (problem.p / (kernel.matrix @ w))
    # w_j (1 - c_j) = mu for all j: what is in use has the larger w_j.
    w = np.where((w > 1.0 - c) | (w > 1e-3 * w.max()), w, 0.0)
    return cast(ndarray, w / w.sum())


def _near(weights: Float[ndarray, " m"], found: _Visit, n: int) -> Int[ndarray, " a"]:
    """Columns that are used, or may be when there are more rows than these n."""
    doubt = np.sqrt(np.maximum(found.squares - found.c**2, 0.0) / n)
    score = found.c + _NEAR * doubt
    score[weights > 0.0] = np.inf
    few = np.argsort(-score)[:_MOST]
    return np.sort(few[score[few] > 1.0])


def _refined(
    problem: _Problem,
    weights: Float[ndarray, " m"],
    active: Int[ndarray, " a"],
    tolerance: float,
    *,
    squares: bool,
) -> tuple[Float[ndarray, " m"], _Visit]:
    """Weights whose certificate is the tolerance, as far as it goes, and what is known of them."""
    best: tuple[ndarray, _Visit] | None = None
    for _ in range(_ROUNDS):
        part = _Columns(problem, active)
        solved = np.zeros_like(weights)
        solved[active] = part.solved(weights[active], 0.25 * tolerance)
        weights = solved / solved.sum()
        found = _visit(problem, weights, squares=squares)
        if best is None or found.gap < best[1].gap:
            best = weights, found
        outside = np.ones(len(weights), bool)
        outside[active] = False
        joining = np.flatnonzero(outside & (found.c > np.exp(0.5 * tolerance)))
        if found.gap <= 0.9 * tolerance or not joining.size:
            break
        joining = joining[np.argsort(found.c[joining])[-_JOIN:]]
        kept = active[(weights[active] > 0.0) | (found.c[active] > 1.0 - _LOOSE)]
        active = np.sort(np.concatenate([kept, joining]))
    assert best is not None
    return best


def _visit(problem: _Problem, weights: Float[ndarray, " m"], *, squares: bool) -> _Visit:
    """One visit of all columns, in blocks of rows."""
    rho, p, beta = problem.rho, problem.p, problem.beta
    n, m = rho.shape
    used = np.flatnonzero(weights)
    w, c, second = weights[used], np.zeros(m), np.zeros(m)
    lagrangian = distortion = 0.0
    for rows in _blocks(n, m):
        found = rho.block(rows, slice(None))
        least = found.min(1)
        if not np.isfinite(least).all():
            raise ValueError("distortions have to be finite")
        near = found[:, used]
        found -= least[:, None]
        found *= -beta
        np.maximum(found, _UNSEEN, out=found)  # upwards, as c may err; subnormal numbers are slow
        np.exp(found, out=found)
        part = found[:, used] * w
        z = np.maximum(part.sum(1), _NOTHING)
        if z.min() < _KNOWN:
            lagrangian = np.inf
        u = p[rows] / z
        c += u @ found
        if squares:
            second += (u / z) @ np.square(found, out=found)
        lagrangian += float(p[rows] @ (beta * least - np.log(z)))
        distortion += float(u @ (part * near).sum(1))
    return _Visit(lagrangian, distortion, c, second)


class _Columns:
    """Some columns of K on all rows, each row over its largest entry among them."""

    def __init__(self, problem: _Problem, columns: ndarray) -> None:
        n = len(problem.p)
        self.p = problem.p
        wide = n * len(columns) > _DOUBLE
        self.kernel = np.empty((n, len(columns)), dtype=np.float32 if wide else np.float64)
        for rows in _blocks(n, len(columns)):
            found = problem.rho.block(rows, columns)
            found -= found.min(1)[:, None]
            found *= -problem.beta
            np.maximum(found, _FAINT, out=found)  # subnormal numbers are slow
            np.exp(found.astype(self.kernel.dtype), out=self.kernel[rows])

    def solved(self, w: Float[ndarray, " a"], target: float) -> Float[ndarray, " a"]:
        """The weights on these columns whose certificate among them is ``target`` nats.

        H, the dear part, is kept as long as the steps that it gives go on closing the gap.
        """
        w = w / w.sum()
        z, hessian, before = np.maximum(self._mixed(w), _LEAST), None, np.inf
        for step in range(_STEPS):
            c = self._gradient(z)
            if c.max() > _FAR and step < _FIRST:  # a weight near zero only doubles in Newton's step
                w = np.where(c > _FAR, np.maximum(w, _SEED / len(w)), w) * c
                w /= w.sum()
                z = np.maximum(self._mixed(w), _LEAST)
                continue
            worst = float(c.max()) - 1.0
            if worst <= np.expm1(target):
                break
            fresh = hessian is None or worst > _SLOW * before
            if hessian is None or fresh:
                hessian = self._hessian(z)
            before = worst
            move = _program(hessian, 1.0 - c, w) - w
            slope, along = float((1.0 - c) @ move), self._mixed(move)
            length = self._length(z, along, w, move, slope)
            if length == 0.0 and fresh:
                break  # single precision sees no descent
            if length == 0.0:
                hessian = None
            w = np.maximum(w + length * move, 0.0)
            w /= w.sum()
            z = np.maximum(self._mixed(w), _LEAST)
        return w

    def _length(self, z: ndarray, along: ndarray, w: ndarray, move: ndarray, slope: float) -> float:
        """The first of 1, 1/2, 1/4, ... with enough descent; 0 where there is none."""
        f, length = self._value(z, w), 1.0
        for _ in range(_HALVINGS):
            there, enough = z + length * along, f + 0.01 * length * slope
            if there.min() >= _LEAST and self._value(there, w + length * move) <= enough:
                return length
            length *= 0.5
        return 0.0

    def _mixed(self, w: ndarray) -> ndarray:
        return cast(ndarray, (self.kernel @ w.astype(self.kernel.dtype)).astype(float))

    def _value(self, z: ndarray, w: ndarray) -> float:
        return float(w.sum() - self.p @ np.log(z))

    def _gradient(self, z: ndarray) -> ndarray:
        """c, its sums over blocks in float64."""
        u, c = (self.p / z).astype(self.kernel.dtype), np.zeros(self.kernel.shape[1])
        for rows in _blocks(len(z), len(c)):
            c += u[rows] @ self.kernel[rows]
        return c

    def _hessian(self, z: ndarray) -> ndarray:
        """K' diag(p / z^2) K."""
        scale = (np.sqrt(self.p) / z).astype(self.kernel.dtype)
        total = np.zeros((self.kernel.shape[1],) * 2)
        for rows in _blocks(len(z), len(total), _WIDE):
            part = self.kernel[rows] * scale[rows, None]
            total += part.T @ part
        return total


def _program(hessian: ndarray, gradient: ndarray, w: ndarray) -> ndarray:
    """min over y >= 0 of y' H y / 2 + (g - H w)' y, as non-negative least squares."""
    h = hessian
    np.fill_diagonal(h, h.diagonal() + _RIDGE * h.diagonal().max())
    for _ in range(_HALVINGS):
        try:
            upper = cholesky(h, check_finite=False)
            break
        except np.linalg.LinAlgError:
            np.fill_diagonal(h, h.diagonal() * (1.0 + 1e-7) + 1e-7 * h.diagonal().max())
    side = solve_triangular(upper, h @ w - gradient, trans="T", check_finite=False)
    return cast(ndarray, nnls(upper, side, maxiter=30 * len(w))[0])


def _blocks(n: int, columns: int, entries: int = _BLOCK) -> Iterator[slice]:
    step = max(1, entries // max(columns, 1))
    for first in range(0, n, step):
        yield slice(first, min(first + step, n))
