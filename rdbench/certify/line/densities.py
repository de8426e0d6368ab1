"""Densities on the line as a certificate needs them.

Beside the density itself a certificate uses where it is not analytic, how large its analytic
continuation can be near the real line (this bounds the error of Gauss's rule) and upper bounds of
the moments beyond a point. Everything is relative to ``centre``, so that a source far from the
origin loses no digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import logsumexp

from rdbench.sources.gaussian import GaussianSource
from rdbench.sources.laplacian import LaplacianSource
from rdbench.sources.mixture import GaussianMixture
from rdbench.sources.student import StudentSource
from rdbench.sources.uniform import UniformSource
from rdbench.types import Source

_LOG_2PI = math.log(2.0 * math.pi)


class Tail(NamedTuple):
    """Upper bounds of P(U > t), E (U - t)+ and E ((U - t)+)^2."""

    mass: float
    first: float
    second: float


class Modulus(NamedTuple):
    """Upper bounds over a rectangle of the complex plane: of log |p(z)| and of |log p(z)|.

    They are infinite where p, or its logarithm, is not analytic in all of the rectangle.
    """

    log_p: Float[ndarray, " k"]
    of_log: Float[ndarray, " k"]


@dataclass(frozen=True)
class LineDensity:
    """A density of X = centre + U; every function takes u = x - centre.

    Args:
        centre, scale: a location (for the families here the mean, where there is one) and a
            length over which the density changes.
        lo, hi: the support of U, infinite or not.
        breaks: where p is not analytic inside the support.
        order: moments of an order below this are finite.
        outward: |u| beyond which p falls, or stays zero, outwards.
        log_prob: log p(u), -inf off the support.
        modulus: ``modulus(u, reach, height)`` over |Re z - u| <= reach, |Im z| <= height, for
            the analytic piece of p that u lies in. None where nothing is known of it: the errors
            of integrals are then observed, not bounded.
        tail: ``tail(t, side)``: moments of side * U beyond t >= ``outward``.
    """

    centre: float
    scale: float
    lo: float
    hi: float
    breaks: tuple[float, ...]
    order: float
    outward: float
    log_prob: Callable[[ndarray], ndarray]
    modulus: Callable[[ndarray, ndarray, ndarray], Modulus] | None
    tail: Callable[[float, int], Tail]


def log_concave_tail(log_p: float, fall: float) -> Tail:
    """p(t + s) <= p(t) exp(-fall s): mass p / fall, and 1 / fall, 2 / fall^2 times that.

    No bound where ``fall`` <= 0.
    """
    if not fall > 0.0:
        return Tail(math.inf, math.inf, math.inf)
    mass = math.exp(log_p) / fall
    return Tail(mass, mass / fall, 2.0 * mass / fall**2)


def mixture(
    weights: Float[ndarray, " k"], means: Float[ndarray, " k"], stds: Float[ndarray, " k"]
) -> LineDensity:
    """sum_k weights_k N(means_k, stds_k^2).

    On z = x + it component k has modulus exp(t^2 / 2 s_k^2) times its value at x and phase
    -t (x - m_k) / s_k^2. Where no two phases differ by more than 2 pi / 3 in all of the
    rectangle, |p(z)| is at least half the sum of the moduli, so that log p is analytic, with a
    phase between the extremes of the components'.

    Raises:
        ValueError: a standard deviation is zero: there is no density.
    """
    if not (stds > 0.0).all():
        raise ValueError(f"a standard deviation must be positive, got {stds.min():g}")
    used = weights > 0
    weights, stds = weights[used] / weights.sum(), stds[used]
    centre = float(weights @ means[used])
    m = means[used] - centre
    constants = np.log(weights) - np.log(stds) - 0.5 * _LOG_2PI
    outward = float(np.abs(m).max())

    def joint(u: ndarray) -> ndarray:
        return cast(ndarray, constants - 0.5 * ((u[..., None] - m) / stds) ** 2)

    def log_prob(u: ndarray) -> ndarray:
        return cast(ndarray, logsumexp(joint(u), axis=-1))

    def modulus(u: ndarray, reach: ndarray, height: ndarray) -> Modulus:
        away = np.abs(u[..., None] - m)
        near = np.maximum(away - reach[..., None], 0.0)
        far = away + reach[..., None]
        lift = 0.5 * (height[..., None] / stds) ** 2
        log_p = logsumexp(constants - 0.5 * (near / stds) ** 2 + lift, axis=-1)
        least = logsumexp(constants - 0.5 * (far / stds) ** 2, axis=-1) - math.log(2.0)
        # Rates of phase are linear in x, so that their spread is largest at an end.
        rates = [(u + side * reach)[..., None] - m for side in (-1.0, 1.0)]
        rates = [rate / stds**2 for rate in rates]
        spread = np.maximum(*(rate.max(-1) - rate.min(-1) for rate in rates))
        phase = height * np.maximum(*(np.abs(rate).max(-1) for rate in rates))
        of_log = np.maximum(np.abs(log_p), np.abs(least)) + phase
        return Modulus(log_p, np.where(height * spread <= 2.0 * math.pi / 3.0, of_log, np.inf))

    def tail(t: float, side: int) -> Tail:
        parts = [
            log_concave_tail(c - 0.5 * ((t - side * mk) / s) ** 2, (t - side * mk) / s**2)
            for c, mk, s in zip(constants, m, stds, strict=True)
        ]
        return Tail(*(math.fsum(moments) for moments in zip(*parts, strict=True)))

    return LineDensity(
        centre, float(stds.min()), -math.inf, math.inf, (), math.inf, outward, log_prob, modulus,
        tail,
    )  # fmt: skip


def gaussian(mean: float = 0.0, std: float = 1.0) -> LineDensity:
    """N(mean, std^2)."""
    return mixture(np.ones(1), np.array([mean]), np.array([std]))


def laplacian(loc: float = 0.0, scale: float = 1.0) -> LineDensity:
    """exp(-|x - loc| / scale) / (2 scale), exponential on either side of its break."""
    constant = -math.log(2.0 * scale)

    def log_prob(u: ndarray) -> ndarray:
        return cast(ndarray, constant - np.abs(u) / scale)

    def modulus(u: ndarray, reach: ndarray, height: ndarray) -> Modulus:
        log_p = constant - (np.abs(u) - reach) / scale
        return Modulus(log_p, abs(constant) + (np.abs(u) + reach + height) / scale)

    def tail(t: float, side: int) -> Tail:  # noqa: ARG001 (both sides are alike)
        return log_concave_tail(constant - t / scale, 1.0 / scale)

    return LineDensity(
        loc, scale, -math.inf, math.inf, (0.0,), math.inf, 0.0, log_prob, modulus, tail
    )


def uniform(lo: float = -1.0, hi: float = 1.0) -> LineDensity:
    """1 / (hi - lo) on [lo, hi]."""
    half = 0.5 * (hi - lo)
    constant = -math.log(hi - lo)

    def log_prob(u: ndarray) -> ndarray:
        return np.where(np.abs(u) <= half, constant, -np.inf)

    def modulus(u: ndarray, reach: ndarray, height: ndarray) -> Modulus:  # noqa: ARG001
        return Modulus(np.full(u.shape, constant), np.full(u.shape, abs(constant)))

    return LineDensity(
        0.5 * (lo + hi), hi - lo, -half, half, (), math.inf, half, log_prob, modulus,
        lambda t, side: Tail(0.0, 0.0, 0.0),  # noqa: ARG005 (nothing lies beyond the support)
    )  # fmt: skip


def student(df: float, loc: float = 0.0, scale: float = 1.0) -> LineDensity:
    """Student's t: proportional to (1 + ((x - loc) / scale)^2 / df)^(-(df + 1) / 2).

    With s = scale sqrt(df) the density has the poles +-i s. For |Re z| >= a, |Im z| <= t,
    |s^2 + z^2| = |z - i s| |z + i s|, of which one factor is at least |a + i s| and the other at
    least |a + i max(s - t, 0)|. Beyond t > 0 it is at most p(inf) x^-(df + 1) with the constant
    of its power law.
    """
    s = scale * math.sqrt(df)
    power = 0.5 * (df + 1.0)
    constant = math.lgamma(power) - math.lgamma(0.5 * df) - 0.5 * math.log(math.pi) - math.log(s)
    log_law = constant + (df + 1.0) * math.log(s)

    def log_prob(u: ndarray) -> ndarray:
        return cast(ndarray, constant - power * np.log1p((u / s) ** 2))

    def modulus(u: ndarray, reach: ndarray, height: ndarray) -> Modulus:
        a = np.maximum(np.abs(u) - reach, 0.0)
        far = np.hypot(a, s) * np.hypot(a, np.maximum(s - height, 0.0)) / s**2
        analytic = (a > 0) | (height < s)
        with np.errstate(divide="ignore"):
            log_far = np.log(far)
        near = np.log1p(((np.abs(u) + reach) ** 2 + height**2) / s**2)
        of_log = abs(constant) + power * (np.maximum(np.abs(log_far), near) + math.pi)
        return Modulus(
            np.where(analytic, constant - power * log_far, np.inf),
            np.where(analytic, of_log, np.inf),
        )

    def tail(t: float, side: int) -> Tail:  # noqa: ARG001 (both sides are alike)
        law = math.exp(log_law - df * math.log(t)) / df
        first = law * t / (df - 1.0) if df > 1.0 else math.inf
        second = 2.0 * first * t / (df - 2.0) if df > 2.0 else math.inf
        return Tail(law, first, second)

    return LineDensity(loc, scale, -math.inf, math.inf, (), df, 0.0, log_prob, modulus, tail)


def line_density(source: Source) -> LineDensity | None:
    """The density of a source on the line, or None where it has none that is known here."""
    if source.dim != 1:
        return None
    match source:
        case GaussianSource():
            return gaussian(float(source.mean[0]), float(source.stds[0]))
        case GaussianMixture() if float(source.variances.min()) > 0.0:
            stds = source.variances[:, 0].sqrt().numpy()
            return mixture(source.weights.numpy(), source.means[:, 0].numpy(), stds)
        case LaplacianSource():
            return laplacian(source.loc, source.scale)
        case StudentSource():
            return student(source.df, source.loc, source.scale)
        case UniformSource():
            return uniform(source.lo, source.hi)
    return None
