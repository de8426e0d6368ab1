"""Numbers and tables as people read them."""

from __future__ import annotations

from collections.abc import Sequence

Table = list[list[str]]
"""A header and the lines below it."""


def digits(value: float, count: int = 2) -> str:
    """So many significant digits, without an exponent below a million."""
    return f"{float(f'{value:.{count}g}'):g}"


def among(values: Sequence[float], count: int = 2) -> str:
    """Least–largest, or the one value."""
    low, high = digits(min(values), count), digits(max(values), count)
    return low if low == high else f"{low}–{high}"


def middle(value: float, values: Sequence[float], what: str) -> str:
    """A middle of the values and their range, or how few there are: ``what`` is one of them."""
    if len(values) == 1:
        return f"{digits(value)} (1 {what})"
    return f"{digits(value)} [{digits(min(values))}, {digits(max(values))}]"


def markdown(table: Sequence[Sequence[str]]) -> str:
    """The table in Markdown, without a line break at its end."""
    header, *rows = table
    return "\n".join("| " + " | ".join(r) + " |" for r in (header, ["---"] * len(header), *rows))
