"""Tables as columns, and JSON that is safe inside a page.

Numbers keep every digit: what the page shows is the stored number, rounded once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

LARGEST = 1e150
"""Where a picture ends."""


class Pool:
    """Values that occur often, each kept once; what refers to them keeps an index."""

    def __init__(self) -> None:
        """An empty pool."""
        self.values: list[Any] = []
        self._places: dict[Hashable, int] = {}

    def place(self, value: Any, key: Hashable | None = None) -> int:
        """The index of ``value``; values are told apart by ``key``, or by themselves."""
        known = value if key is None else key
        if known not in self._places:
            self._places[known] = len(self.values)
            self.values.append(value)
        return self._places[known]


def texts(values: Sequence[str | None]) -> dict[str, Any]:
    """A column of texts: the different ones, and for every row which of them, or null."""
    pool = Pool()
    codes = [None if value is None else pool.place(value) for value in values]
    return {"values": pool.values, "codes": codes}


def numbers(values: Sequence[float | None]) -> list[float | int | None] | None:
    """A column of numbers, null where nothing is known; no column at all where nothing is.

    JSON has no NaN and no infinities; records hold none either.
    """
    if all(value is None for value in values):
        return None
    return [value if value is None or math.isfinite(value) else None for value in values]


def finite(value: Any) -> Any:
    """The value with None for numbers that are not finite, at any depth."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def clipped(value: float) -> float:
    """The value within +-``LARGEST``, where sums, products and ratios stay numbers."""
    return min(max(value, -LARGEST), LARGEST)


def rounded(points: Float[ndarray, "_ _"]) -> list[list[float]]:
    """The points of a curve that are numbers, to seven digits."""
    known = points[np.isfinite(points).all(axis=1)]
    return [[float(f"{value:.7g}") for value in row] for row in known]


def script_json(value: Any) -> str:
    """Compact JSON that no HTML parser can leave: neither a tag nor a line separator in it."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    # < also opens "<!--", which would hide the end of the script; & is for readers of XHTML.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
