"""Text in columns, for the commands that list and describe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def rates_of(rates: Iterable[float]) -> str:
    """Rates with a comma between them."""
    return ", ".join(f"{rate:.4g}" for rate in rates)


def print_columns(rows: Sequence[tuple[str, ...]], indent: int = 0) -> None:
    """Print rows of as many texts each, aligned, after so many spaces."""
    if not rows:
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print((" " * indent + "  ".join(cells)).rstrip())
