"""Directions in R^d: the mean of exp(kappa u_1) over the sphere, and the von Mises-Fisher law.

A. T. A. Wood, Simulation of the von Mises Fisher distribution, 1994.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.special import gammaln, ive
from torch import Generator, Tensor

from rdbench.sources.bessel import log_sphere_mean

_TERMS = 4000
_ROUNDS = 200


def log_sphere_area(dim: int) -> float:
    """log of the area of the unit sphere of R^dim, 2 pi^(dim/2) / Gamma(dim/2)."""
    return math.log(2.0) + 0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim)


def log_mean_exp_cosine(dim: int, kappa: Float[ndarray, "*b"]) -> Float[ndarray, "*b"]:
    """log E exp(kappa (u_1 - 1)) for u uniform on S^(dim-1), kappa >= 0.

    E exp(kappa u_1) = 0F1(; dim/2; kappa^2/4) = Gamma(nu + 1) (2/kappa)^nu I_nu(kappa) with
    nu = dim/2 - 1. The power series has positive terms only, so it is accurate wherever it is
    short; elsewhere the exponentially scaled Bessel function does not overflow. Where that gives
    up (an argument beyond 1e9, an order at which it underflows) its expansions take over.
    """
    kappa = np.asarray(kappa, dtype=float)
    nu, quarter = 0.5 * dim - 1.0, 0.25 * kappa * kappa
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bessel = np.log(ive(nu, kappa)) + gammaln(nu + 1.0) + nu * (math.log(2.0) - np.log(kappa))
    out = np.where(np.isfinite(bessel), bessel, 0.0)
    small = quarter < 4.0 * dim
    lost = ~small & ~np.isfinite(bessel)
    if lost.any():
        out[lost] = log_sphere_mean(dim, kappa[lost])
    if small.any():
        out[small] = np.log(_series(dim, quarter[small])) - kappa[small]
    return out


def mean_cosine(dim: int, kappa: float) -> float:
    """A(kappa) = E_vMF u_1 = I_{d/2}(kappa) / I_{d/2 - 1}(kappa), the derivative of the above.

    As (kappa/d) 0F1(; d/2 + 1; kappa^2/4) / 0F1(; d/2; kappa^2/4), no term of which underflows.
    """
    k = np.array([kappa])
    above, here = (log_mean_exp_cosine(d, k)[0] for d in (dim + 2, dim))
    return float(kappa / dim * math.exp(above - here))


def _series(dim: int, quarter: ndarray) -> ndarray:
    """sum_k quarter^k / (k! (dim/2)_k)."""
    total, term = np.ones_like(quarter), np.ones_like(quarter)
    for k in range(1, _TERMS):
        term = term * quarter / (k * (0.5 * dim + k - 1.0))
        total += term
        if not (term > 1e-17 * total).any():
            return total
    raise ValueError(f"0F1 did not converge in dimension {dim}")


def sample_von_mises_fisher(
    axes: Float[Tensor, "n d"], kappa: Float[Tensor, " n"], generator: Generator
) -> Float[Tensor, "n d"]:
    """One exact unit vector per row, density proportional to exp(kappa_i <axes_i, u>), d >= 2.

    ``axes`` are unit vectors. The cosine comes from Wood's rejection sampler (acceptance of about
    two thirds at worst), the direction orthogonal to the axis is uniform.
    """
    n, d = axes.shape
    drop = _one_minus_cosine(d, kappa, generator)
    z = torch.randn(n, d, generator=generator, device=axes.device, dtype=torch.float64)
    z = z - (z * axes).sum(1, keepdim=True) * axes
    z = z / z.norm(dim=1, keepdim=True)
    # sin from 1 - cos: no cancellation at large kappa
    sine = (drop * (2.0 - drop)).clamp(min=0.0).sqrt()
    out: Tensor = (1.0 - drop)[:, None] * axes + sine[:, None] * z
    return out


def _one_minus_cosine(d: int, kappa: Tensor, generator: Generator) -> Tensor:
    """1 - w for w with density proportional to (1 - w^2)^((d-3)/2) exp(kappa w)."""
    m = float(d - 1)
    b = m / (2.0 * kappa + (4.0 * kappa.square() + m * m).sqrt())
    # The envelope touches at w0 = (1 - b) / (1 + b); log of 1 - w0^2 without cancellation.
    w0 = (1.0 - b) / (1.0 + b)
    top = kappa * w0 + m * (4.0 * b / (1.0 + b).square()).log()
    out = torch.empty_like(kappa)
    left = torch.arange(len(kappa), device=kappa.device)
    for _ in range(_ROUNDS):
        shape = torch.full((len(left), 2), 0.5 * m, device=kappa.device, dtype=torch.float64)
        gammas = torch._standard_gamma(shape, generator=generator)
        beta = gammas[:, 0] / gammas.sum(1)
        bl = b[left]
        drop = 2.0 * bl * beta / (1.0 - (1.0 - bl) * beta)
        value = kappa[left] * (1.0 - drop) + m * (1.0 - w0[left] * (1.0 - drop)).log()
        u = torch.rand(len(left), generator=generator, device=kappa.device, dtype=torch.float64)
        taken = value - top[left] >= u.log()
        out[left[taken]] = drop[taken]
        left = left[~taken]
        if not len(left):
            return out
    raise RuntimeError("the von Mises-Fisher sampler accepted nothing")
