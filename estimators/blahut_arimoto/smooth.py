"""A few classical iterations where they are all it takes: q* is smooth and F falls fast.

On a Gaussian grid from uniform weights F is within 1e-6 of F* after three iterations, at a price of
three products with K and three with its transpose; one Newton step costs hundreds. What kept the
iteration from stopping there was its certificate, log max c_j, which waits for the tails
(`rdbench.inference.lowered`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from rdbench.inference import finite
from rdbench.inference.kernels import Kernel
from rdbench.inference.lowered import lowered_gap

_LOOKS = (4, 6, 8, 12, 16)
"""Iterations after which the certificate is asked."""
_FAST = 0.3
"""F has to fall by at most this fraction of the fall before; where atoms form it soon does not."""
_NOTHING = 0.1
"""Of the tolerance: in the tails F goes on to fall by next to nothing."""
_TINY = 1e-300


def smooth(
    kernel: Kernel,
    p: Float[ndarray, " n"],
    weights: Float[ndarray, " m"],
    tolerance: float,
    go_on: Callable[[float], bool],
) -> finite.Solution | None:
    """Weights that are certified to ``tolerance`` after a few iterations; None where F is slow.

    Args:
        kernel: K.
        p: source probabilities.
        weights: where to start.
        tolerance: certified gap in nats.
        go_on: told the fraction that is done; on False the weights of then come back.
    """
    w = weights / weights.sum()
    shift = float(np.sum(p * kernel.shift))
    falls: list[float] = []
    before = np.inf
    for done in range(_LOOKS[-1] + 1):
        z = np.maximum(kernel.forward(w), _TINY)
        f = -float(p @ np.log(z))
        if done > 0:
            falls.append(before - f)
        before = f
        slow = len(falls) > 1 and falls[-1] > max(_FAST * falls[-2], _NOTHING * tolerance)
        if slow:
            return None
        if done in _LOOKS:
            gap = lowered_gap(kernel, p, w, tolerance)
            stopped = not go_on(0.0)
            if gap <= tolerance or stopped:
                return finite.Solution(w, shift + f, gap, done, gap < tolerance, stopped)
        w = w * kernel.adjoint(p / z)
    return None
