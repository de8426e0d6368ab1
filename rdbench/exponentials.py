"""Sums of exponentials whose terms span many orders of magnitude.

The library's exp is fifteen to forty times as slow where its result underflows, which at high rates
is almost everywhere: `torch.logsumexp` over a grid took more time than all else. Here exponents are
held at a floor below which no term can change a sum.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_FLOOR = {torch.float64: -700.0, torch.float32: -80.0}
"""Below the largest exponent: e^-700 is the least of float64 that is far from underflow."""


def log_sum_exp(values: Tensor, dim: int) -> Tensor:
    """log sum exp along a dimension, as `torch.logsumexp` has it and does it for gradients.

    Args:
        values: the exponents; -inf stands for a term that is not there.
        dim: along which they are summed; it is gone from the result.
    """
    if values.requires_grad:
        return torch.logsumexp(values, dim)
    top = values.amax(dim, keepdim=True)
    total = _terms(values, top).sum(dim).log_()
    top = top.squeeze(dim)
    return torch.where(top.isinf(), top, total.add_(top))


def boltzmann(
    exponent: Float[Tensor, "n m"], rho: Float[Tensor, "n m"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """log sum_j e^{exponent_ij}, and the mean of rho_ij under weights in proportion to the terms.

    The mean is a ratio of two sums of the same terms: an offset of rho is kept to the last digit.
    What has no weight (an exponent of -inf) costs nothing, even where rho is infinite; a row
    without any weight has the mean NaN.

    Args:
        exponent: log weights.
        rho: what is averaged.
    """
    top = exponent.amax(1, keepdim=True)
    terms = _terms(exponent, top)
    total = terms.sum(1)
    moment = torch.linalg.vecdot(terms, rho)
    if not bool(moment.isfinite().all()):
        absent = exponent == -torch.inf
        moment = torch.linalg.vecdot(terms, rho.masked_fill(absent, 0.0))
    top = top[:, 0]
    log_z = torch.where(top.isinf(), top, total.log() + top)
    return log_z, torch.where(top == -torch.inf, torch.nan, moment / total)


def _terms(values: Tensor, top: Tensor) -> Tensor:
    """exp(values - top), none below the floor's."""
    return (values - top).clamp_(min=_FLOOR[values.dtype]).exp_()
