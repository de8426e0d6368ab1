"""Markdown out of values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
"""A block of code."""


def flat(text: str) -> str:
    """Text on one line, code in single backticks, safe in a cell of a table."""
    line = " ".join(text.split()).replace("``", "`")
    line = line.replace(">=", "≥").replace("<=", "≤").replace("F*", r"F\*")
    return line.replace("|", r"\|").replace("<", "&lt;")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def between(kept: re.Pattern[str], text: str, change: Callable[[str], str]) -> str:
    """The text, changed everywhere but where ``kept`` matches."""
    parts, last = [], 0
    for match in kept.finditer(text):
        parts += [change(text[last : match.start()]), match[0]]
        last = match.end()
    return "".join([*parts, change(text[last:])])
