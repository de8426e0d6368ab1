"""No truth at all: what is known of R(D) of data is what estimators bound it by."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from rdbench.arrays import converts, finite, positive, settle
from rdbench.types import Bracket, OutOfRange, RdbenchError, TruthPoint


@converts
@dataclass(frozen=True)
class Unknown:
    """A reference that knows no value: gaps to it are blank, and nothing is impossible.

    Args:
        ladder: pairs (rate in nats, slope beta), both rising: where to look for a rate. They are
            labels, not truth: a rung says which slope is tried, and the audit which rate that is.
            Between two rungs log beta is linear in the rate, as for a Gaussian at high rate.
        why: why nothing is known, in words.

    Raises:
        RdbenchError: no pairs of numbers, or they do not rise.
    """

    kind: ClassVar[str] = "unknown"

    ladder: tuple[tuple[float, float], ...] = ()
    why: str = "no closed form, and no certificate that comes with the package"

    def __post_init__(self) -> None:
        settle(self, ladder=_pairs(self.ladder))

    @property
    def citation(self) -> str:
        """Nothing to cite."""
        return f"none: {self.why}"

    @property
    def validity(self) -> str:
        """No slope."""
        if not self.ladder:
            return "no slope"
        return (
            f"no slope; rates of {self.ladder[0][0]:g} to {self.ladder[-1][0]:g} nats have slopes "
            "at which to look for them"
        )

    def point(self, beta: float) -> TruthPoint:
        """Nothing.

        Raises:
            OutOfRange: always.
        """
        raise OutOfRange(f"F* at beta = {beta:g} is not known: {self.why}")

    def rate(self, distortion: float) -> Bracket:
        """Nothing.

        Raises:
            OutOfRange: always.
        """
        raise OutOfRange(f"R(D) at D = {distortion:g} is not known: {self.why}")

    def slope(self, rate: float) -> float:
        """The slope at which to look for a rate.

        Raises:
            OutOfRange: the rate is outside the ladder.
        """
        for low, high in zip(self.ladder, self.ladder[1:] or self.ladder, strict=False):
            if low[0] <= rate <= high[0]:
                part = 0.0 if high[0] == low[0] else (rate - low[0]) / (high[0] - low[0])
                if part in (0.0, 1.0):
                    return (low, high)[int(part)][1]
                return math.exp((1.0 - part) * math.log(low[1]) + part * math.log(high[1]))
        raise OutOfRange(f"no slope is given for R = {rate:g} nats")


def _pairs(given: Any) -> tuple[tuple[float, float], ...]:
    """The rungs, checked."""
    rungs = tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(rung, (tuple, list)) and len(rung) == 2 for rung in rungs):
        raise RdbenchError("a ladder must be pairs of a rate and a slope")
    pairs = tuple((finite(rate, "a rate"), positive(beta, "a slope")) for rate, beta in rungs)
    if not all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(pairs)):
        raise RdbenchError("the rates of a ladder must rise, and so must its slopes")
    return pairs
