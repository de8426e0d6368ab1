"""Blahut-Arimoto on finite alphabets: min over w in the simplex of F(w) = -sum_i p_i log (K w)_i.

The problem is convex. With Z = K w and c = K^T (p / Z), every w comes with a certificate
(Blahut 1972, theorem 6; for mixtures Lindsay 1983):

    F(w) - log max_j c_j  <=  F*  <=  F(w),

and every solver here stops on that certified gap, log max_j c_j < tolerance; never on a change of
the weights, which is small wherever the iteration is slow. Everything is in nats and float64.

References:
    R. Blahut, Computation of channel capacity and rate-distortion functions, 1972.
    R. Varadhan and C. Roland, Simple and globally convergent methods for accelerating the
    convergence of any EM algorithm, 2008 (SQUAREM).
    R. Koenker and I. Mizera, Convex optimization, shape constraints, compound decisions and
    empirical Bayes rules, 2014 (interior point for mixing weights).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.inference.kernels import DenseKernel, HasFactor, Kernel, Solve

GoOn = Callable[[int], bool]
"""Called now and then with the number of iterations done; False stops the solver."""

# Z cannot be smaller than p at the optimum; this only keeps a bad start from dividing by zero.
_TINY = 1e-300
_ASK_EVERY = 16
_TAILS_AFTER = 200
# Primal and dual steps differ in length, so that the gap may rise for many steps and still close.
_PATIENCE = 25


@dataclass(frozen=True)
class Solution:
    """Weights on the reproduction alphabet and what is certified of them.

    ``lagrangian`` is F(w) in nats; ``gap`` = log max_j c_j bounds F(w) - F* from above;
    ``stopped`` tells that ``go_on`` ended the work. One iteration is one product with K and one
    with its transpose (interior point: one Newton step). ``history`` has the rows
    (iteration, F, gap), where asked for.
    """

    weights: Float[ndarray, " m"]
    lagrangian: float
    gap: float
    iterations: int
    converged: bool
    stopped: bool = False
    history: tuple[tuple[int, float, float], ...] = ()


def _free_energy(kernel: Kernel, p: ndarray, z: ndarray) -> float:
    """F = -sum_i p_i log Z_i, with the shift of the rows put back."""
    return float(np.sum(p * kernel.shift) - p @ np.log(z))


def _apply(kernel: Kernel, p: ndarray, w: ndarray) -> tuple[ndarray, ndarray]:
    """Z = K w and c = K^T (p / Z)."""
    z = np.maximum(kernel.forward(w), _TINY)
    return z, kernel.adjoint(p / z)


def distortion(kernel: Kernel, p: Float[ndarray, " n"], w: Float[ndarray, " m"]) -> float:
    """D = E rho under p(y|x) ~ w(y) exp(-beta rho(x, y)); the rate is R = F - beta D."""
    return float(np.sum(p * kernel.least)) + excess(kernel, p, w)


def excess(kernel: Kernel, p: Float[ndarray, " n"], w: Float[ndarray, " m"]) -> float:
    """D less E min_j rho(X, y_j), the part of it that the channel decides."""
    return float(p @ (kernel.cost(w) / np.maximum(kernel.forward(w), _TINY)))


def rate(kernel: Kernel, p: Float[ndarray, " n"], w: Float[ndarray, " m"], beta: float) -> float:
    """R = F - beta D >= 0 in nats, both without the row minima, which would take R's digits.

    Where K is nearly one, -log Z and beta D agree in all digits but those that R is made of, and
    Z - 1 is summed instead of Z.
    """
    less = _deviation(kernel)
    log_z = np.log(np.maximum(kernel.forward(w), _TINY)) if less is None else np.log1p(less @ w)
    found = -float(p @ log_z) - beta * excess(kernel, p, w)
    return max(found, 0.0) + 0.0  # in this order max keeps NaN; and no -0.0


def single_letter(
    kernel: Kernel, p: Float[ndarray, " n"], beta: float
) -> tuple[Float[ndarray, " m"], float]:
    """Weights of one letter, the best for all symbols where beta is small, and its F in nats.

    F leaves the row minima out: it is beta (D_max - D_min), the most that the slope can make of
    the problem. An infinite distortion counts as the largest finite one.
    """
    m = kernel.shape[1]
    if isinstance(kernel, DenseKernel):
        forbidden = (kernel.matrix == 0.0) & (kernel.rho == 0.0)
        means = p @ np.where(forbidden, kernel.rho.max(), kernel.rho)
        j = int(np.argmin(means))
        return np.eye(1, m, j)[0], beta * float(means[j])
    w = np.eye(1, m, int(np.argmax(kernel.adjoint(p))))[0]
    return w, -float(p @ np.log(np.maximum(kernel.forward(w), _TINY)))


def certified_gap(kernel: Kernel, p: Float[ndarray, " n"], w: Float[ndarray, " m"]) -> float:
    """The certificate log max_j c_j >= F(w) - F*, in nats, for weights that sum to one.

    Where K is nearly one, from c_j - 1 = sum_i (p_i / Z_i) (E_ij - (E w)_i) with E = K - 1.
    """
    less = _deviation(kernel)
    if less is None:
        return float(np.log(_apply(kernel, p, w)[1].max()))
    mean = less @ w
    u = p / (1.0 + mean)
    return float(np.log1p(max(float((u @ less).max() - u @ mean), 0.0)))


def _deviation(kernel: Kernel) -> ndarray | None:
    return kernel.deviation if isinstance(kernel, DenseKernel) else None


def _start(kernel: Kernel, p: ndarray, weights: ndarray | None) -> ndarray:
    """Checked starting weights; uniform by default."""
    n, m = kernel.shape
    if p.shape != (n,) or p.min() < 0 or abs(p.sum() - 1.0) > 1e-9:
        raise ValueError(f"p must be {n} probabilities that sum to one")
    if weights is None:
        return np.full(m, 1.0 / m)
    if weights.shape != (m,) or not (weights.min() >= 0 and weights.sum() > 0):
        raise ValueError(f"starting weights must be {m} non-negative numbers, not all zero")
    return cast(ndarray, weights / weights.sum())


@dataclass
class _Watch:
    """Counts iterations, keeps the history and asks whether to go on."""

    limit: int
    go_on: GoOn | None
    keep: bool
    every: int = _ASK_EVERY
    done: int = 0
    stopped: bool = False
    rows: list[tuple[int, float, float]] = field(default_factory=list)

    def tick(self) -> bool:
        """Whether another iteration may be made."""
        if self.done >= self.limit:
            return False
        if self.go_on is not None and self.done % self.every == 0 and not self.go_on(self.done):
            self.stopped = True
            return False
        self.done += 1
        return True

    def note(self, f: float, gap: float) -> None:
        if self.keep:
            self.rows.append((self.done, f, gap))

    def solution(self, kernel: Kernel, p: ndarray, w: ndarray, tolerance: float) -> Solution:
        w = w / w.sum()
        f = _free_energy(kernel, p, np.maximum(kernel.forward(w), _TINY))
        gap = certified_gap(kernel, p, w)
        return Solution(w, f, gap, self.done, gap < tolerance, self.stopped, tuple(self.rows))


def ba(
    kernel: Kernel,
    p: Float[ndarray, " n"],
    *,
    weights: Float[ndarray, " m"] | None = None,
    tolerance: float = 1e-4,
    iterations: int = 10_000,
    go_on: GoOn | None = None,
    history: bool = False,
) -> Solution:
    """The classical multiplicative iteration w_j <- w_j c_j (Blahut 1972; Arimoto 1972).

    F decreases in every step, at best linearly and near a point where the number of atoms changes
    like 1/iteration.

    Args:
        kernel: K.
        p: source probabilities.
        weights: where to start; None for uniform ones.
        tolerance: certified gap in nats at which to stop.
        iterations: the most.
        go_on: asked now and then.
        history: whether to keep F and the gap of every iteration.
    """
    w = _start(kernel, p, weights).copy()
    watch = _Watch(iterations, go_on, history)
    limit = np.exp(tolerance)
    while watch.tick():
        z, c = _apply(kernel, p, w)
        largest = c.max()
        if history:
            watch.note(_free_energy(kernel, p, z), float(np.log(largest)))
        if largest < limit:
            break
        w *= c
    return watch.solution(kernel, p, w, tolerance)


def squarem(
    kernel: Kernel,
    p: Float[ndarray, " n"],
    *,
    weights: Float[ndarray, " m"] | None = None,
    tolerance: float = 1e-6,
    iterations: int = 10_000,
    go_on: GoOn | None = None,
    history: bool = False,
) -> Solution:
    """BA with squared extrapolation of log w (Varadhan and Roland 2008, scheme S3), monotone in F.

    Two BA steps give r = log c and v, its change; the jump goes to log w - 2 a r + a^2 v with
    a = -|r| / |v|, norms weighted by w (later by its root: what holds up the certificate at the
    end is in the tails). A jump that raises F above that of the first BA step is
    dropped for the second, so that F never increases over a cycle. Arguments as of `ba`.
    """
    w = _start(kernel, p, weights)
    lw = np.log(np.maximum(w, _TINY))
    watch = _Watch(iterations, go_on, history)

    def visit(lw: ndarray) -> tuple[ndarray, float, float]:
        """Log c, F and the gap at normalised log weights."""
        z, c = _apply(kernel, p, np.exp(lw))
        f, gap = _free_energy(kernel, p, z), float(np.log(c.max()))
        watch.note(f, gap)
        return np.log(np.maximum(c, _TINY)), f, gap

    def normalised(lw: ndarray) -> ndarray:
        lw = np.maximum(lw, np.log(_TINY))
        top = lw.max()
        return cast(ndarray, lw - (top + np.log(np.exp(lw - top).sum())))

    best_lw, best_gap = lw, np.inf
    fresh: tuple[ndarray, float, float] | None = None
    longest = 4.0
    while True:
        if fresh is None:
            if not watch.tick():
                break
            fresh = visit(lw)
        r, _, gap = fresh
        if gap < best_gap:
            best_lw, best_gap = lw, gap
        if gap < tolerance or not watch.tick():
            break
        first = normalised(lw + r)
        r1, f1, gap1 = visit(first)
        if gap1 < best_gap:
            best_lw, best_gap = first, gap1
        v = r1 - r
        w = np.exp(lw)
        if watch.done > _TAILS_AFTER:
            np.sqrt(w, out=w)
        length = float(np.sqrt((w @ (r * r)) / max(w @ (v * v), _TINY)))
        a = min(max(length, 1.0), longest)
        if a == 1.0:
            lw, fresh = normalised(first + r1), None
            continue
        jump = normalised(lw + 2.0 * a * r + a * a * v)
        if not watch.tick():
            break
        there = visit(jump)
        if there[1] <= f1 + 1e-15 * abs(f1):
            lw, fresh = jump, there
            if a == longest:
                longest *= 4.0
        else:
            lw, fresh = normalised(first + r1), None
            longest = max(longest / 4.0, 4.0)
    return watch.solution(kernel, p, np.exp(best_lw), tolerance)


def _step_length(x: ndarray, dx: ndarray) -> float:
    """The longest step in (0, 1] along dx that stays just inside x > 0."""
    falling = dx < 0
    return min(1.0, 0.9995 * float(np.min(-x[falling] / dx[falling]))) if falling.any() else 1.0


def interior_point(
    kernel: Kernel,
    p: Float[ndarray, " n"],
    *,
    weights: Float[ndarray, " m"] | None = None,
    tolerance: float = 1e-8,
    iterations: int = 60,
    go_on: GoOn | None = None,
    history: bool = False,
) -> Solution:
    """Primal-dual interior point with Mehrotra's predictor and corrector.

    Minimises -sum p log(K w) + sum w over w >= 0 (the multiplier of sum w = 1 is one), with
    1 - c(w) = s, w_j s_j = mu -> 0. Some 15 to 25 steps reach 1e-8; beyond that rounding in the
    Newton system makes the certificate worse again, so the best iterate seen is returned.
    Arguments as of `ba`.

    Raises:
        TypeError: the kernel cannot solve its Newton system.
    """
    if not isinstance(kernel, HasFactor):
        raise TypeError("the interior point needs a kernel with a Newton system (see squarem)")
    m = kernel.shape[1]
    # Half uniform: from weights near zero the first steps would be cut short.
    w = 0.5 * _start(kernel, p, weights) + 0.5 / m
    watch = _Watch(iterations, go_on, history, every=1)
    best, best_gap, best_at = w, np.inf, 0
    s = np.zeros(0)
    while watch.tick():
        z, c = _apply(kernel, p, w)
        total = w.sum()
        gap = float(np.log(c.max() * total))
        watch.note(_free_energy(kernel, p, z / total), gap)
        if gap < best_gap:
            best, best_gap, best_at = w / total, gap, watch.done
        # Past its best the iteration has met rounding; it will not come back.
        if gap < tolerance or watch.done > best_at + _PATIENCE:
            break
        if not s.size:
            s = np.maximum(1.0 - c / c.max(), 1e-2)
        try:
            solve = kernel.factor(p / z**2, s / w)
        except np.linalg.LinAlgError:
            break
        dw, ds = _mehrotra(solve, w, s, 1.0 - c - s, float(w @ s) / m)
        if not (np.isfinite(dw).all() and np.isfinite(ds).all()):
            break
        w = w + _step_length(w, dw) * dw
        s = s + _step_length(s, ds) * ds
    return watch.solution(kernel, p, best, tolerance)


def _mehrotra(
    solve: Solve, w: ndarray, s: ndarray, residual: ndarray, mu: float
) -> tuple[ndarray, ndarray]:
    """The direction (dw, ds): H dw - ds = -residual, s dw + w ds = sigma mu - w s - dw' ds'."""

    def direction(complementarity: ndarray) -> tuple[ndarray, ndarray]:
        dw = solve(complementarity / w - residual)
        return dw, (complementarity - s * dw) / w

    dw, ds = direction(-w * s)
    w_there = w + _step_length(w, dw) * dw
    s_there = s + _step_length(s, ds) * ds
    sigma = (float(w_there @ s_there) / (len(w) * mu)) ** 3
    return direction(sigma * mu - w * s - dw * ds)
