"""The logarithm of 0F1 in every dimension, without overflow.

Averaged over a sphere, the kernel of squared error becomes a Bessel function: for u uniform on
S^{d-1}, and for any unit vector e,

    E exp(kappa <e, u>) = 0F1(; d/2; kappa^2 / 4) = Gamma(d/2) (2 / kappa)^nu I_nu(kappa),

with nu = d/2 - 1 (Watson 1944, section 3.3). The value grows like exp(kappa), and in high
dimension I_nu underflows at small kappa, so that neither can be evaluated as it stands.

References:
    G. N. Watson, A Treatise on the Theory of Bessel Functions, 2nd edition, 1944.
    F. W. J. Olver et al., NIST Handbook of Mathematical Functions, 2010, section 10.41 (the
    uniform expansion for large order).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import cast

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import gammaln, ive

# The uniform expansion errs by less than 1e-14 from this order on; below it ``ive`` does not
# underflow where the power series is not used.
_LARGE_ORDER = 12.0
_DEBYE_TERMS = 13
_FAR = 1e6
_SERIES_TERMS = 48


def log_sphere_mean(dim: int, kappa: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
    """log E exp(kappa (<e, u> - 1)) = log 0F1(; d/2; kappa^2 / 4) - kappa, for kappa >= 0.

    It falls from 0 at kappa = 0 like -kappa, and at large kappa only like -(d-1)/2 log kappa. The
    relative error of its exponential is below 1e-13 (1 + kappa / 1e3).

    Raises:
        ValueError: ``dim`` is not positive.
    """
    if dim < 1:
        raise ValueError(f"a dimension must be positive, got {dim}")
    flat = np.ravel(np.asarray(kappa, dtype=float))
    if dim == 1:
        out = np.log1p(np.exp(-2.0 * flat)) - np.log(2.0)
    elif dim == 3:
        safe = np.maximum(flat, 1e-4)
        out = np.log(-np.expm1(-2.0 * safe) / (2.0 * safe))
        out = np.where(flat < 1e-4, flat**2 / 6.0 - flat, out)
    else:
        out = np.empty_like(flat)
        small = flat**2 < 8.0 * dim
        out[small] = _series(dim, flat[small])
        large = ~small
        nu = 0.5 * dim - 1.0
        rest = flat[large]
        out[large] = _debye(nu, rest) if nu >= _LARGE_ORDER else _direct(nu, rest)
    return cast(ndarray, out.reshape(np.shape(kappa)))


def mean_cosine(dim: int, kappa: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
    """d/d kappa log 0F1(; d/2; kappa^2 / 4) = I_{nu+1}(kappa) / I_nu(kappa), in [0, 1).

    The mean of <e, u> under the von Mises-Fisher density proportional to exp(kappa <e, u>).
    """
    ratio = np.exp(log_sphere_mean(dim + 2, kappa) - log_sphere_mean(dim, kappa))
    return cast(ndarray, kappa / dim * ratio)


def _series(dim: int, kappa: ndarray) -> ndarray:
    """The power series; below kappa^2 = 8 d its terms shrink by at least 4 / k."""
    z = 0.25 * kappa**2
    total = np.ones_like(z)
    term = np.ones_like(z)
    for k in range(1, _SERIES_TERMS):
        term = term * z / (k * (0.5 * dim + k - 1.0))
        total += term
    return cast(ndarray, np.log(total) - kappa)


def _direct(nu: float, kappa: ndarray) -> ndarray:
    """From the exponentially scaled Bessel function, and Hankel's expansion where that gives up.

    I_nu(kappa) exp(-kappa) (2 pi kappa)^{1/2} = 1 - a_1 / kappa + a_2 / kappa^2 - ..., with
    a_k = a_{k-1} (4 nu^2 - (2 k - 1)^2) / (8 k) (NIST 10.40.1).
    """
    near = np.minimum(kappa, _FAR)
    log_bessel = np.log(ive(nu, near))
    far = kappa > _FAR
    if far.any():
        x = 1.0 / kappa[far]
        total, term = np.ones_like(x), np.ones_like(x)
        for k in range(1, 5):
            term = -term * x * (4.0 * nu**2 - (2 * k - 1) ** 2) / (8.0 * k)
            total += term
        log_bessel[far] = np.log(total) + 0.5 * np.log(x / (2.0 * np.pi))
    return cast(ndarray, gammaln(nu + 1.0) - nu * np.log(0.5 * kappa) + log_bessel)


@cache
def _debye_polynomials() -> tuple[tuple[float, ...], ...]:
    """U_k(t) / t^k by rising powers of t^2, from their recurrence (NIST 10.41.9)."""
    polynomials = [[Fraction(1)]]
    for _ in range(_DEBYE_TERMS - 1):
        u = polynomials[-1]
        new = [Fraction(0)] * (len(u) + 3)
        for power, a in enumerate(u):
            new[power + 1] += a * (Fraction(power, 2) + Fraction(1, 8 * (power + 1)))
            new[power + 3] -= a * (Fraction(power, 2) + Fraction(5, 8 * (power + 3)))
        polynomials.append(new)
    return tuple(tuple(float(a) for a in u[k::2]) for k, u in enumerate(polynomials))


def _debye(nu: float, kappa: ndarray) -> ndarray:
    """The uniform expansion of I_nu(nu z) for large nu (NIST 10.41.3), with kappa taken off."""
    z = kappa / nu
    root = np.sqrt(1.0 + z**2)
    t = 1.0 / root
    square, power = t * t, t / nu
    total, scale = np.ones_like(t), np.ones_like(t)
    for u in _debye_polynomials()[1:]:
        scale = scale * power
        value = np.full_like(t, u[-1])
        for a in u[-2::-1]:
            value = value * square + a
        value *= scale
        total += value
        if np.abs(value).max(initial=0.0) < 1e-17:
            break
    # nu (root - z) = nu / (root + z) keeps the digits that a difference would lose; the factor
    # z^nu of I_nu cancels against that of 0F1.
    exponent = nu / (root + z) - nu * np.log1p(root)
    constant = gammaln(nu + 1.0) + nu * np.log(2.0 / nu) - 0.5 * np.log(2.0 * np.pi * nu)
    return cast(ndarray, constant + exponent + 0.5 * np.log(t) + np.log(total))
