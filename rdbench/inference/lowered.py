"""A certificate that does not wait for the tails: 1/Z, lowered where c exceeds one.

For any lambda > 0 (Csiszar 1974; Berger 1971, section 2.5),

    F(w) - F*  <=  -E[log Z + log lambda] + log max_j c_j,    c_j = sum_i p_i lambda_i K_ij.

lambda = 1 / Z gives log max_j c_j. Its maximum often lies where the source has next to no mass, so
that it says little of F. Dividing lambda by the mean of c around x, where that exceeds one, costs E
log of it, which is nothing there, and brings the maximum down.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.inference.kernels import Kernel

_TINY, _LARGEST = 1e-300, 690.0
_REPAIRS, _PROGRESS, _PATIENCE = 12, 0.8, 2
_STRENGTH = 8.0  # the mean of c lies below its maximum, and too much costs nothing


def lowered_gap(
    kernel: Kernel, p: Float[ndarray, " n"], w: Float[ndarray, " m"], enough: float = 0.0
) -> float:
    """A bound on F(w) - F* in nats, never above log max_j c_j.

    Args:
        kernel: K.
        p: source probabilities.
        w: weights that sum to one.
        enough: the search for a better bound ends once it is this small.
    """
    log_z = np.log(np.maximum(kernel.forward(w), _TINY))
    nearness = np.maximum(kernel.forward(np.ones_like(w)), _TINY)
    log_less, bound, idle = np.zeros_like(log_z), np.inf, 0
    for _ in range(_REPAIRS):
        # Lowered below underflow everywhere, lambda would be zero, and the bound minus infinity.
        top = float((log_less - log_z)[p > 0.0].max())
        c = kernel.adjoint(p * np.exp(log_less - log_z - top))
        found = float(np.log(c.max()) + top - p @ log_less)
        idle = 0 if found < _PROGRESS * bound else idle + 1
        bound = min(bound, found)
        if bound <= enough or idle == _PATIENCE:
            break
        c = np.exp(np.minimum(np.log(np.maximum(c, _TINY)) + top, _LARGEST))
        nearby = np.maximum(kernel.forward(np.maximum(c, 1.0)) / nearness, 1.0)
        log_less -= _STRENGTH * np.log(nearby)
    return bound
