"""A finite problem as a matrix of distortions, and its Boltzmann channel at any slope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rdbench.estimators.blahut_arimoto.grid_kernels import BandedKernel
from rdbench.estimators.blahut_arimoto.grids import Discretised
from rdbench.inference.kernels import DenseKernel
from rdbench.inference.scan_kernel import ScanKernel
from rdbench.types import Unsupported

LEAST_LOG = -600.0
"""The least log weight: what is smaller weighs nothing, and its c would be lost to underflow."""
_FLOOR = -700.0  # what it adds to a forbidden letter is 1e-304
_ENTRIES = 4_000_000


@dataclass(frozen=True, eq=False)
class Channel:
    """p(j|i) ~ q_j exp(-beta rho_ij) and its sums; ``distortion`` leaves the row minima out."""

    free_energy: float
    """-sum_i p_i log Z_i without the row minima, in nats."""
    distortion: float
    variance: float
    """sum_i p_i Var(rho_ij | i) = -dD/dbeta."""
    log_c: Float[Tensor, " m"]
    """log c_j: a Blahut-Arimoto step adds it to log q."""


@dataclass(frozen=True, eq=False)
class DenseProblem:
    """Probabilities, and distortions less the least of their row; +inf forbids j to i."""

    p: Float[Tensor, " n"]
    rho: Float[Tensor, "n m"]
    finite: Float[Tensor, "n m"]
    """``rho`` with zeros where it is infinite."""
    least: float
    """sum_i p_i min_j rho_ij."""

    def at(self, log_q: Float[Tensor, " m"], beta: float) -> Channel:
        """The Boltzmann channel of q at a slope > 0."""
        logits = log_q - beta * self.rho
        top = logits.amax(1, keepdim=True)
        terms = logits.sub_(top).clamp_(min=_FLOOR).exp_()
        z = terms.sum(1)
        log_c = torch.log((self.p / z) @ terms) - log_q
        weighted = terms.mul_(self.finite)
        mean = weighted.sum(1) / z
        variance = torch.linalg.vecdot(weighted, self.finite) / z - mean.square()
        return Channel(
            free_energy=-float(self.p @ (z.log() + top[:, 0])),
            distortion=float(self.p @ mean),
            variance=max(float(self.p @ variance), 0.0),
            log_c=log_c,
        )


def dense(discrete: Discretised) -> DenseProblem:
    """The matrix of a problem on an alphabet or on a line.

    Raises:
        Unsupported: it is too large.
    """
    kernel, p = discrete.kernel, torch.from_numpy(np.ascontiguousarray(discrete.p))
    n, m = kernel.shape
    if n * m > _ENTRIES:
        raise Unsupported(f"a {n} x {m} matrix of distortions; the limit is {_ENTRIES}")
    least = 0.0
    if isinstance(kernel, DenseKernel):
        rho = kernel.rho.copy()
        rho[(kernel.matrix == 0.0) & (rho == 0.0)] = np.inf
        least = float(np.sum(discrete.p * kernel.least))
    elif isinstance(kernel, BandedKernel):
        step = float(discrete.points[1, 0] - discrete.points[0, 0])
        k = np.arange(n)
        rho = (step * np.subtract.outer(k, k)) ** 2
    elif isinstance(kernel, ScanKernel):
        at = (np.arange(m - 1)[:, None] + kernel.offsets).ravel()
        rho = kernel.step * np.abs(np.subtract.outer(at, np.arange(m)))
    else:
        raise Unsupported("a grid in the plane: a target distortion is for letters and lines")
    excess = torch.from_numpy(rho)
    return DenseProblem(p, excess, excess.where(excess.isfinite(), 0.0), least)
