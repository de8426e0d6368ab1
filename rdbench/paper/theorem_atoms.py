"""Atoms that are free to follow the sample: the infimum of eq. (5) over a rich family.

With draws y_j = T(u_j) and a family that contains every map T, the infimum over theta is one over
the atoms themselves. One step puts every atom at the mean of the symbols that use it,
y_j <- sum_i p_ij x_i / sum_i p_ij: expectation-maximisation for a mixture of N equal Gaussians of
variance 1 / (2 beta), which never raises the objective.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

_SHARE = 1e-12


def free_atoms(
    x: Float[Tensor, "n d"], beta: float, moves: int, tolerance: float
) -> Float[Tensor, "n d"]:
    """N atoms of weight 1/N moved to lower eq. (5) on the N symbols x, starting at y = x.

    Squared error. Stops after ``moves`` steps, or when four of them gain less than ``tolerance``
    nats. The objective there is an upper bound of the infimum, at most log N by the start.
    """
    # float32 moves atoms well enough; what is reported is computed in float64 elsewhere.
    working = x.float()
    ones = torch.cat([working, torch.ones_like(working[:, :1])], 1)
    y = working.clone()
    before = math.inf
    for move in range(moves):
        logits = torch.addmm(-beta * y.square().sum(1), working, y.T, alpha=2.0 * beta)
        log_z = torch.logsumexp(logits, 1, keepdim=True)
        if move % 4 == 0:
            value = float((math.log(len(x)) - log_z[:, 0]).mean())
            if before - value < tolerance:
                break
            before = value
        sums = logits.sub_(log_z).exp_().T @ ones
        share = sums[:, -1:]
        # An atom that no symbol uses stays where it is.
        y = torch.where(share > _SHARE, sums[:, :-1] / share.clamp(min=_SHARE), y)
    return y.double()
