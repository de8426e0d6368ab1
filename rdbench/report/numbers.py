"""Fields of many points as arrays, NaN where a number is not known."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from rdbench.run.records import PointRecord

Numbers = Float[ndarray, " n"]
Flags = Bool[ndarray, " n"]


def numbers(points: Sequence[PointRecord], name: str) -> Numbers:
    """A number of every point; whatever is compared with NaN is false."""
    return np.array(list(map(attrgetter(name), points)), dtype=np.float64)


def equal(points: Sequence[PointRecord], name: str, text: str) -> Flags:
    """Whether a text of every point is this one."""
    return np.array([one == text for one in map(attrgetter(name), points)], dtype=bool)
