"""Tables of texts with some cells in bold, in the markups of the reports."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from rdbench.report.markup import render

_ON, _OFF = "\ue000", "\ue001"  # private characters, which no markup changes
_BOLD = {"md": ("**", "**"), "latex": (r"\textbf{", "}"), "csv": ("", "")}
_POWER = re.compile(r"(\d(?:\.\d+)?)e([+-])0*(\d+)")


@dataclass(frozen=True)
class Sheet:
    """A table for people, the same one for machines, and what has to be said of it."""

    name: str
    """Of its files, without an ending."""
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    csv_header: tuple[str, ...]
    csv_rows: tuple[tuple[str, ...], ...]
    bold: frozenset[tuple[int, int]] = frozenset()
    """The cells (row, column) that are best."""
    notes: tuple[str, ...] = field(default=())


def text_of(sheet: Sheet, fmt: str) -> str:
    """The table in ``md``, ``latex`` (needs booktabs) or ``csv``."""
    if fmt == "csv":
        return render(sheet.csv_header, sheet.csv_rows, [False] * len(sheet.csv_header), "csv")
    rows = [_marked(i, row, sheet.bold) for i, row in enumerate(sheet.rows)]
    text = render(sheet.header, rows, sheet.numeric, fmt)
    if fmt == "latex":
        text = _POWER.sub(_power, text)
    on, off = _BOLD[fmt]
    return text.replace(_ON, on).replace(_OFF, off)


def _marked(i: int, row: Sequence[str], bold: Collection[tuple[int, int]]) -> list[str]:
    return [f"{_ON}{cell}{_OFF}" if (i, j) in bold else cell for j, cell in enumerate(row)]


def _power(found: re.Match[str]) -> str:
    sign = "-" if found[2] == "-" else ""
    return rf"${found[1]} \cdot 10^{{{sign}{found[3]}}}$"
