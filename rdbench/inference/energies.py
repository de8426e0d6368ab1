"""Moved: `rdbench.fitting.cosine` and `rdbench.inference.em.widened`."""

import math

from rdbench.inference.em import widened as widened


def cosine(done: float, hold: float = 0.35) -> float:
    """Learning-rate factor: 1 until ``hold``, then a half cosine down to 0.01."""
    if done < hold:
        return 1.0
    return max(0.01, 0.5 * (1.0 + math.cos(math.pi * (done - hold) / (1.0 - hold))))
