"""A table for people and the same one for machines, and how numbers are written in both."""

from __future__ import annotations

from dataclasses import dataclass

from rdbench.report.markup import powers_of_ten, render


@dataclass(frozen=True)
class Sheet:
    """Rows of texts, rows of plain values, and what has to be said of them."""

    name: str
    """Of its files, without an ending."""
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    """Which columns are set flush right."""
    csv_header: tuple[str, ...]
    csv_rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()
    """The cells (row, column) that are best."""
    notes: tuple[str, ...] = ()

    def text(self, fmt: str) -> str:
        """The table in ``md``, ``latex`` (needs booktabs) or ``csv``."""
        if fmt == "csv":
            return render(self.csv_header, self.csv_rows, [False] * len(self.csv_header), "csv")
        text = render(self.header, self.rows, self.numeric, fmt, self.bold)
        return powers_of_ten(text) if fmt == "latex" else text


def number(value: float | None, scale: float = 1.0, digits: int = 3) -> str:
    """So many significant digits, with a minus sign; ``-`` where nothing is known."""
    if value is None:
        return "-"
    text = f"{value / scale:.{digits}g}"
    return f"−{text[1:]}" if text.startswith("-") else text


def span(lo: float | None, hi: float | None, scale: float = 1.0, digits: int = 3) -> str:
    """``[lo, hi]``, with one end ``[≤ hi]`` or ``[≥ lo]``, empty without any."""
    low, high = number(lo, scale, digits), number(hi, scale, digits)
    if lo is not None and hi is not None:
        return f"[{low}, {high}]"
    if lo is None and hi is None:
        return ""
    return f"[≤ {high}]" if lo is None else f"[≥ {low}]"


def with_span(value: float | None, lo: float | None, hi: float | None, scale: float = 1.0) -> str:
    """A value and its interval; ``-`` where there is no value."""
    return f"{number(value, scale)} {span(lo, hi, scale)}".rstrip()


def plain(value: object, scale: float = 1.0) -> str:
    """A value of a CSV file, with every digit; empty where nothing is known."""
    if value is None:
        return ""
    return repr(value / scale) if isinstance(value, float) else str(value)
