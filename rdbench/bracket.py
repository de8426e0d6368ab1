"""Numbers that are known between two ends; apart from `rdbench.types`, which needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Bracket:
    """A number known to lie in [lo, hi]; lo = hi when it is exact."""

    lo: float
    hi: float

    def __post_init__(self) -> None:
        if not self.lo <= self.hi:
            raise ValueError(f"a bracket needs lo <= hi, got [{self.lo}, {self.hi}]")

    @classmethod
    def exact(cls, value: float) -> Bracket:
        """A bracket of width zero."""
        return cls(value, value)

    @property
    def mid(self) -> float:
        """The middle."""
        return 0.5 * (self.lo + self.hi)

    @property
    def width(self) -> float:
        """hi - lo."""
        return self.hi - self.lo


def stretch(points: int) -> float:
    """By how much a normal interval grows so that one end of so many holds in 97.5% of cases."""
    normal = NormalDist()
    return normal.inv_cdf(1.0 - 0.025 / max(points, 1)) / normal.inv_cdf(0.975)
