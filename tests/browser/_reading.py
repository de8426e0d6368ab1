"""Tables of the page as texts, and what a number of a record must look like there."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd

_ROWS = """table => {
  const titles = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  return [...table.tBodies[0].rows].map((row) => Object.fromEntries(
    [...row.cells].map((cell, k) => [titles[k], cell.textContent])));
}"""


def rows(table: Any) -> list[dict[str, str]]:
    """The rows of a table by the titles of its columns."""
    found: list[dict[str, str]] = table.evaluate(_ROWS)
    return found


def unfold(tab: Any) -> Any:
    """Open all that is folded but the cells; what is inside of it is drawn by then."""
    for _ in range(4):  # one holds another, and each is drawn when the browser has told of it
        tab.evaluate(
            "document.querySelectorAll('details:not(.cell):not([open])')"
            ".forEach(node => { node.open = true })"
        )
        tab.wait_for_timeout(60)
    return tab


def value(text: str) -> float | None:
    """The number in a cell such as ``≤ −1.2e−5 (of 3)``."""
    text = text.split(" (")[0].split(" ±")[0].lstrip("≤≥ ").replace("−", "-")
    return None if text == "–" else float(text)


def ends(text: str) -> tuple[float | None, float | None]:
    """The ends of an interval."""
    if text.startswith("["):
        lo, hi = text.strip("[]").split(", ")
        return value(lo), value(hi)
    return (None, value(text)) if text.startswith("≤") else (value(text), None)


def rounded(number: Any, digits: int) -> float | None:
    """The number to so many significant digits, rounded once, halves away from zero."""
    if number is None or pd.isna(number):
        return None
    if number == 0.0:
        return 0.0
    place = math.floor(math.log10(abs(number))) - digits + 1
    exact = Decimal(float(number))
    first = exact.quantize(Decimal(1).scaleb(place), rounding=ROUND_HALF_UP)
    return float(first)


def text(tab: Any, selector: str) -> str:
    """What is read at the only element of that kind."""
    found: str = tab.locator(selector).inner_text()
    return found
