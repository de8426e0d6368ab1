"""Markdown out of values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def flat(text: str) -> str:
    """Text on one line, code in single backticks, safe in a cell of a table."""
    line = " ".join(text.split()).replace("``", "`")
    line = line.replace(">=", "≥").replace("<=", "≤").replace("F*", r"F\*")
    return line.replace("|", r"\|").replace("<", "&lt;")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
