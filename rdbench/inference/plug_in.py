"""The plug-in estimate of the paper's Appendix A, eq. (5)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor

from rdbench.exponentials import boltzmann
from rdbench.types import Distortion

_BLOCK = 4_000_000  # entries of rho(x, y) held at once


def blocks(
    distortion: Distortion, x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]
) -> Iterator[Float[Tensor, "k m"]]:
    """rho(x_i, y_j) in blocks of rows."""
    for part in x.split(max(1, _BLOCK // max(len(y), 1))):
        yield distortion.pairwise(part, y)


def tilt(rho: Float[Tensor, "n m"], beta: float) -> Float[Tensor, "n m"]:
    """beta rho; what is forbidden (rho = inf) stays so at beta = 0."""
    return rho.where(rho.isinf(), 0.0) if beta == 0.0 else beta * rho


def mean_distortion(
    posterior: Float[Tensor, "n m"], rho: Float[Tensor, "n m"]
) -> Float[Tensor, " n"]:
    """sum_j p(y_j|x_i) rho(x_i, y_j); what has no probability costs nothing, even where inf.

    ``posterior`` sums to one to the last digit (softmax, not exp(. - log Z)): an offset of rho
    would multiply what is missing.
    """
    found = (posterior * rho).sum(1)
    if bool(found.isnan().any()):
        found = (posterior * rho.where(posterior > 0.0, 0.0)).sum(1)
    return found


def appendix_a(
    distortion: Distortion, x: Float[Tensor, "n d"], y: Float[Tensor, "m d"], beta: float
) -> tuple[float, float]:
    """(R, D) in nats from draws x of the source and y of q.

    F = -mean_i log mean_j exp(-beta rho(x_i, y_j)); D weights rho by the same exponentials;
    R = F - beta D, which never exceeds log m: at higher rates it saturates silently.

    Args:
        distortion: rho.
        x: draws of the source, (n, d).
        y: draws of q, (m, d).
        beta: the slope in nats per unit of distortion.
    """
    lagrangian = total = 0.0
    for rho in blocks(distortion, x, y):
        log_z, mean = boltzmann(-tilt(rho, beta), rho)
        lagrangian += float((math.log(len(y)) - log_z).sum())
        total += float(mean.sum())
    n = len(x)
    return (lagrangian - beta * total) / n, total / n
